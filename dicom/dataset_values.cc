/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/object.h"

#include <cstring>

extern "C" {
#include "dicom/charset.h"
}

namespace dicom
{

std::string padded(const DcmTag &tag, const char *value)
{
    std::string text(value);
    if ((text.size() & 1) != 0) {
        text.push_back(tag.getEVR() == EVR_UI ? '\0' : ' ');
    }
    return text;
}

ds_status put_value(DcmItem &item, dicom_tag tag, const char *value, ds_error *err)
{
    DcmTag key(key_of(tag));
    if (key.getEVR() == EVR_xs) { /* "US or SS" follows the pixels (PS3.3 C.7.6.3.1) */
        std::uint16_t representation = 0;
        (void)small_number(item, DCM_PixelRepresentation, &representation);
        key.setVR(representation == 1 ? EVR_SS : EVR_US);
    }
    const std::string text = padded(key, value);
    /* A UID's NUL ends the C string here; DCMTK pads with NUL by itself, which for UIDs is right.
     */
    return from_dcmtk(item.putAndInsertString(key, text.c_str(), OFTrue), "setting a value", err);
}

} // namespace dicom

namespace
{

/* The VRs whose value is text in the file; all others DCMTK spells out. UN is given as the bytes
 * that it holds: an archive that did not know the VR has left the text as it was. */
bool is_string(DcmElement &element)
{
    return element.isaString() != OFFalse || element.ident() == EVR_UN;
}

/* The value as it stands in the file, without trailing padding. */
ds_status text_of(DcmElement &element, std::string *out, ds_error *err)
{
    if (!is_string(element)) {
        OFString spelled;
        const OFCondition condition = element.getOFStringArray(spelled);
        *out = spelled.c_str();
        return dicom::from_dcmtk(condition, "reading a value", err);
    }
    std::string raw(element.getLengthField(), '\0');
    if (!raw.empty()) {
        const ds_status s =
            dicom::raw_value(element, 0, &raw[0], raw.size(), EBO_LittleEndian, err);
        if (s != DS_OK) {
            return s;
        }
    }
    raw.resize(std::strlen(raw.c_str()));
    while (!raw.empty() && raw.back() == ' ') {
        raw.pop_back();
    }
    *out = raw;
    return DS_OK;
}

ds_status copy_out(const std::string &text, char *out, size_t size, ds_error *err)
{
    if (text.size() >= size) {
        return ds_fail(err, DS_EFORMAT, "a value is longer than %zu characters", size - 1);
    }
    std::memcpy(out, text.c_str(), text.size() + 1);
    return DS_OK;
}

ds_status to_utf8(const dicom_dataset *d, DcmElement &element, std::string *text, ds_error *err)
{
    std::string sets;
    DcmElement *charset = dicom::find(d, DICOM_TAG_SPECIFIC_CHARACTER_SET);
    if (charset != nullptr && text_of(*charset, &sets, err) != DS_OK) {
        sets.clear();
    }
    dicom::bytes_owner converted(text->size() * 4); /* no character grows by more */
    const ds_status s =
        dicom_charset_to_utf8(text->data(), text->size(), sets.c_str(),
                              element.getTag().getEVR() == EVR_PN, &converted.bytes, err);
    if (s == DS_OK) {
        text->assign(reinterpret_cast<const char *>(converted.bytes.data), converted.bytes.len);
    }
    return s;
}

} // namespace

namespace dicom
{

ds_status element_utf8(const dicom_dataset *d, DcmElement &element, std::string *out, ds_error *err)
{
    const ds_status s = text_of(element, out, err);
    return s == DS_OK && !out->empty() ? to_utf8(d, element, out, err) : s;
}

} // namespace dicom

namespace
{

/* Where private elements of creator live in group: "bb" of (gggg,bbxx), 0 when there is none; *free
 * is the first block not reserved by anybody, 0 when all are. */
unsigned private_block(const dicom_dataset *d, unsigned group, const char *creator, unsigned *free)
{
    unsigned found = 0;
    unsigned next = 0x10; /* behind the creators seen so far; they are in order */
    (void)dicom::for_each_child(dicom::mutable_set(d), [&](DcmObject &child) {
        DcmElement *element = dynamic_cast<DcmElement *>(&child);
        const unsigned block = child.getETag();
        if (child.getGTag() != group || block < 0x10 || block > 0xff || element == nullptr) {
            return DS_OK;
        }
        next += block == next ? 1 : 0;
        std::string name;
        if (found == 0 && text_of(*element, &name, nullptr) == DS_OK && name == creator) {
            found = block;
        }
        return DS_OK;
    });
    *free = found == 0 && next <= 0xff ? next : 0;
    return found;
}

dicom_tag in_block(dicom_tag tag, unsigned block)
{
    return (tag & 0xffff0000U) | block << 8 | (tag & 0xffU);
}

/* The creator's block, reserved if need be (PS3.5 7.8.1). */
ds_status reserve_block(dicom_dataset *d, dicom_tag tag, const char *creator, unsigned *block,
                        ds_error *err)
{
    const unsigned group = tag >> 16;
    unsigned free = 0;
    *block = private_block(d, group, creator, &free);
    if (*block != 0) {
        return DS_OK;
    }
    if ((group & 1) == 0 || free == 0) {
        return ds_fail(err, DS_EINVAL, "no private block can be reserved in group %04X", group);
    }
    *block = free;
    const DcmTag key(static_cast<Uint16>(group), static_cast<Uint16>(free), EVR_LO);
    const std::string text = dicom::padded(key, creator);
    return dicom::from_dcmtk(d->set->putAndInsertString(key, text.c_str()), "private creator", err);
}

ds_status element_bytes(DcmElement *element, const uint8_t **data, size_t *len, ds_error *err)
{
    if (element == nullptr || element->getLengthField() == 0) {
        return DS_OK;
    }
    Uint8 *bytes = nullptr;
    Uint16 *words = nullptr;
    OFCondition condition = element->getUint8Array(bytes);
    if (condition.bad()) {
        condition = element->getUint16Array(words);
        bytes = reinterpret_cast<Uint8 *>(words);
    }
    if (condition.good() && bytes != nullptr) {
        *data = bytes;
        *len = element->getLengthField();
        return DS_OK;
    }
    return ds_fail(err, DS_EUNSUPPORTED, "element (%04X,%04X) is no run of bytes",
                   element->getGTag(), element->getETag());
}

ds_status fill_item(DcmItem &item, const dicom_value *values, size_t count, const dicom_code *code,
                    ds_error *err)
{
    ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = dicom::put_value(item, values[i].tag, values[i].value, err);
    }
    if (s != DS_OK || code == nullptr || code->tag == 0) {
        return s;
    }
    auto inner = std::make_unique<DcmItem>();
    s = dicom::put_value(*inner, DICOM_TAG(0x0008, 0x0100), code->value, err);
    s = s == DS_OK ? dicom::put_value(*inner, DICOM_TAG(0x0008, 0x0102), code->scheme, err) : s;
    s = s == DS_OK ? dicom::put_value(*inner, DICOM_TAG(0x0008, 0x0104), code->meaning, err) : s;
    if (s == DS_OK) {
        const DcmTag tag(dicom::key_of(code->tag));
        s = dicom::from_dcmtk(item.insertSequenceItem(tag, inner.get()), "code sequence", err);
    }
    if (s == DS_OK) {
        (void)inner.release();
    }
    return s;
}

} // namespace

extern "C" bool dicom_dataset_has(const dicom_dataset *d, dicom_tag tag)
{
    return dicom::guarded_or(false, [&] { return dicom::find(d, tag) != nullptr; });
}

extern "C" ds_status dicom_dataset_get(const dicom_dataset *d, dicom_tag tag, char *out,
                                       size_t size, ds_error *err)
{
    out[0] = '\0';
    return dicom::guarded(err, [&] {
        DcmElement *element = dicom::find(d, tag);
        std::string text;
        const ds_status s = element == nullptr ? DS_OK : text_of(*element, &text, err);
        return s == DS_OK ? copy_out(text, out, size, err) : s;
    });
}

extern "C" ds_status dicom_dataset_get_utf8(const dicom_dataset *d, dicom_tag tag, char *out,
                                            size_t size, ds_error *err)
{
    out[0] = '\0';
    return dicom::guarded(err, [&] {
        DcmElement *element = dicom::find(d, tag);
        if (element == nullptr) {
            return DS_OK;
        }
        std::string text;
        const ds_status s = dicom::element_utf8(d, *element, &text, err);
        return s == DS_OK ? copy_out(text, out, size, err) : s;
    });
}

extern "C" ds_status dicom_dataset_set(dicom_dataset *d, dicom_tag tag, const char *value,
                                       ds_error *err)
{
    return dicom::guarded(err, [&] { return dicom::put_value(*d->set, tag, value, err); });
}

extern "C" ds_status dicom_dataset_bytes(const dicom_dataset *d, dicom_tag tag,
                                         const uint8_t **data, size_t *len, ds_error *err)
{
    *data = nullptr;
    *len = 0;
    return dicom::guarded(err, [&] { return element_bytes(dicom::find(d, tag), data, len, err); });
}

extern "C" ds_status dicom_dataset_set_bytes(dicom_dataset *d, dicom_tag tag, const char *creator,
                                             const uint8_t *data, size_t len, ds_error *err)
{
    return dicom::guarded(err, [&] {
        unsigned block = 0;
        if (creator != nullptr) {
            const ds_status s = reserve_block(d, tag, creator, &block, err);
            if (s != DS_OK) {
                return s;
            }
            tag = in_block(tag, block);
        }
        const DcmTag key(dicom::key_of(tag), EVR_OB);
        const ds_status s = dicom::from_dcmtk(
            d->set->putAndInsertUint8Array(key, data, static_cast<unsigned long>(len), OFTrue),
            "setting bytes", err);
        return s == DS_OK && tag == DICOM_TAG_PIXEL_DATA ? dicom::take_native(d, err) : s;
    });
}

extern "C" ds_status dicom_dataset_private_bytes(const dicom_dataset *d, dicom_tag tag,
                                                 const char *creator, const uint8_t **data,
                                                 size_t *len, ds_error *err)
{
    *data = nullptr;
    *len = 0;
    return dicom::guarded(err, [&] {
        unsigned free = 0;
        const unsigned block = private_block(d, tag >> 16, creator, &free);
        return block == 0 ? DS_OK
                          : element_bytes(dicom::find(d, in_block(tag, block)), data, len, err);
    });
}

extern "C" void dicom_dataset_remove(dicom_dataset *d, dicom_tag tag)
{
    (void)dicom::guarded_or(
        false, [&] { return d->set->findAndDeleteElement(dicom::key_of(tag)).good(); });
    if (tag == DICOM_TAG_PIXEL_DATA) {
        d->native.clear();
    }
}

extern "C" ds_status dicom_dataset_append_item(dicom_dataset *d, dicom_tag sequence,
                                               const dicom_value *values, size_t count,
                                               const dicom_code *code, ds_error *err)
{
    return dicom::guarded(err, [&] {
        auto item = std::make_unique<DcmItem>();
        ds_status s = fill_item(*item, values, count, code, err);
        if (s != DS_OK) {
            return s;
        }
        const DcmTag tag(dicom::key_of(sequence));
        s = dicom::from_dcmtk(d->set->insertSequenceItem(tag, item.get(), -2), "sequence", err);
        if (s == DS_OK) {
            (void)item.release();
        }
        return s;
    });
}

extern "C" void dicom_dataset_each(const dicom_dataset *d,
                                   bool (*visit)(dicom_tag tag, void *context), void *context)
{
    (void)dicom::guarded_or(DS_OK, [&] {
        std::vector<dicom_tag> tags;
        (void)dicom::for_each_child(dicom::mutable_set(d), [&](DcmObject &child) {
            tags.push_back(dicom::tag_of(child));
            return DS_OK;
        });
        for (const dicom_tag tag : tags) {
            if (!visit(tag, context)) {
                break;
            }
        }
        return DS_OK;
    });
}

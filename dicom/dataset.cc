/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/object.h"

#include "dicom/envelope.h"

#include "dcmtk/dcmdata/dcistrmb.h"

#include <cstring>

extern "C" {
#include "base/file.h"
#include "dicom/deflate.h"
}

namespace dicom
{

DcmDataset &mutable_set(const dicom_dataset *d)
{
    return *d->set;
}

DcmElement *find(const dicom_dataset *d, dicom_tag tag)
{
    DcmElement *element = nullptr;
    return mutable_set(d).findAndGetElement(key_of(tag), element).good() ? element : nullptr;
}

ds_status raw_value(DcmElement &element, std::size_t offset, void *out, std::size_t len,
                    E_ByteOrder order, ds_error *err)
{
    return from_dcmtk(element.getPartialValue(out, static_cast<Uint32>(offset),
                                              static_cast<Uint32>(len), nullptr, order),
                      "reading a value", err);
}

bool small_number(DcmItem &item, const DcmTagKey &tag, std::uint16_t *out)
{
    DcmElement *element = nullptr;
    std::uint8_t b[2] = {0, 0};
    if (item.findAndGetElement(tag, element).bad() || element->getLengthField() != 2 ||
        raw_value(*element, 0, b, 2, EBO_LittleEndian, nullptr) != DS_OK) {
        return false;
    }
    *out = static_cast<std::uint16_t>(b[0] | b[1] << 8);
    return true;
}

DcmPixelSequence *fragments_of(DcmElement &element)
{
    DcmPixelData *pixels = dynamic_cast<DcmPixelData *>(&element);
    if (pixels == nullptr) {
        return nullptr;
    }
    E_TransferSyntax syntax = EXS_Unknown;
    const DcmRepresentationParameter *parameter = nullptr;
    DcmPixelSequence *fragments = nullptr;
    pixels->getOriginalRepresentationKey(syntax, parameter);
    if (!DcmXfer(syntax).isEncapsulated() ||
        pixels->getEncapsulatedRepresentation(syntax, parameter, fragments).bad()) {
        return nullptr;
    }
    return fragments;
}

ds_status facts_of(const char *syntax, syntax_facts *out, ds_error *err)
{
    const dicom_transfer_syntax *known = dicom_transfer_syntax_of(syntax);
    if (known == nullptr && std::strncmp(syntax, "1.2.840.10008.1.2.", 18) != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "unknown transfer syntax %.64s", syntax);
    }
    out->explicit_vr = known == nullptr || known->explicit_vr;
    out->big_endian = known != nullptr && known->big_endian;
    out->deflated = known != nullptr && known->deflated;
    out->encapsulated = known == nullptr || known->coding != DICOM_NATIVE;
    /* DCMTK finds its codecs by the syntax that it parsed; one without a name there is parsed as
     * one that is encoded alike. */
    const E_TransferSyntax own = DcmXfer(syntax).getXfer();
    out->parse_as = own != EXS_Unknown ? own : EXS_JPEG2000LosslessOnly;
    return DS_OK;
}

static ds_status parse_native(DcmDataset &out, const std::uint8_t *data, std::size_t len,
                              E_TransferSyntax syntax, ds_error *err)
{
    if (len == 0) {
        return ds_fail(err, DS_EFORMAT, "the data set is empty");
    }
    DcmInputBufferStream stream;
    stream.setBuffer(data, static_cast<offile_off_t>(len));
    stream.setEos();
    out.transferInit();
    /* No length is left on disk to be fetched later: the whole value comes into memory now. */
    const OFCondition condition = out.read(stream, syntax, EGL_noChange, DCM_UndefinedLength);
    out.transferEnd();
    if (condition.good() && !stream.eos()) {
        return ds_fail(err, DS_EFORMAT, "bytes are left over behind the data set");
    }
    return from_dcmtk(condition, "data set", err);
}

namespace
{

/* A data set's bytes, and who owns them; nobody when they are borrowed. */
struct source {
    const std::uint8_t *data;
    std::size_t len;
    std::shared_ptr<bytes_owner> kept;
};

ds_status unpack(source *from, ds_error *err)
{
    auto plain = std::make_shared<bytes_owner>(DICOM_FILE_MAX_BYTES, true);
    const ds_status s = dicom_inflate(from->data, from->len, &plain->bytes, err);
    *from = {plain->bytes.data, plain->bytes.len, plain};
    return s;
}

/* Checked before it is parsed. */
ds_status check(source *from, syntax_facts *facts, const char *syntax, dicom_envelope *checked,
                ds_error *err)
{
    ds_status s = facts_of(syntax, facts, err);
    if (s == DS_OK && facts->deflated) {
        s = unpack(from, err);
        facts->parse_as = EXS_LittleEndianExplicit;
    }
    return s == DS_OK
               ? dicom_envelope_scan_dataset(from->data, from->len,
                                             DcmXfer(facts->parse_as).getXferID(), checked, err)
               : s;
}

/* DCMTK drops all but the first of elements with the same tag. */
ds_status parse_checked(DcmDataset &out, const std::uint8_t *data, std::size_t len,
                        const syntax_facts &facts, const dicom_envelope &checked, ds_error *err)
{
    const ds_status s = parse_native(out, data, len, facts.parse_as, err);
    return s == DS_OK && out.card() != checked.elements
               ? ds_fail(err, DS_EFORMAT, "an element occurs twice")
               : s;
}

/* Parses what stands around the value of Pixel Data, which gets the length 0 there. */
ds_status parse_around(dicom_dataset *d, const source &from, const syntax_facts &facts,
                       const dicom_envelope &e, ds_error *err)
{
    bytes_owner around(DICOM_FILE_MAX_BYTES);
    const std::size_t end = e.pixel_offset + e.pixel_len;
    ds_status s = ds_bytes_append(&around.bytes, from.data, e.pixel_offset, err);
    if (s == DS_OK) {
        /* PS3.5 7.1.2: no VR for pixels has a 16-bit length, but a file may have one. */
        const bool is_short = facts.explicit_vr && e.pixel_offset - e.pixel_element == 8;
        const std::size_t width = is_short ? 2 : 4;
        std::memset(around.bytes.data + e.pixel_offset - width, 0, width);
        s = ds_bytes_append(&around.bytes, from.data + end, from.len - end, err);
    }
    s = s == DS_OK ? parse_checked(*d->set, around.bytes.data, around.bytes.len, facts, e, err) : s;
    if (s != DS_OK) {
        return s;
    }
    d->native.set(from.data + e.pixel_offset, e.pixel_len, e.big_endian && e.cell_bytes == 2,
                  from.kept);
    return DS_OK;
}

/* keep: the bytes go away, so the pixels are copied. */
ds_status parse_dataset(dicom_dataset *d, source from, bool keep, ds_error *err)
{
    syntax_facts facts{};
    dicom_envelope e;
    ds_status s = check(&from, &facts, d->syntax.c_str(), &e, err);
    if (s != DS_OK || !e.has_native_pixels || e.pixel_len == 0) {
        return s == DS_OK ? parse_checked(*d->set, from.data, from.len, facts, e, err) : s;
    }
    s = parse_around(d, from, facts, e, err);
    if (s != DS_OK || !keep || from.kept) {
        return s;
    }
    auto copy = std::make_shared<bytes_owner>(e.pixel_len, true);
    s = ds_bytes_append(&copy->bytes, from.data + e.pixel_offset, e.pixel_len, err);
    d->native.set(copy->bytes.data, e.pixel_len, e.big_endian && e.cell_bytes == 2, copy);
    return s;
}

ds_status read_dataset(dicom_dataset **out, const std::uint8_t *data, std::size_t len,
                       const char *transfer_syntax, bool keep, ds_error *err)
{
    dicom_envelope where{};
    if (transfer_syntax == nullptr) {
        const ds_status s = dicom_envelope_locate(data, len, &where, err);
        if (s != DS_OK) {
            return s;
        }
        transfer_syntax = where.transfer_syntax;
    }
    auto d = std::make_unique<dicom_dataset>();
    d->set = std::make_unique<DcmDataset>();
    d->syntax = transfer_syntax;
    const source from{data + where.dataset_offset, len - where.dataset_offset, nullptr};
    const ds_status s = parse_dataset(d.get(), from, keep, err);
    if (s == DS_OK) {
        *out = d.release();
    }
    return s;
}

} // namespace

ds_status parse(DcmDataset &out, const std::uint8_t *data, std::size_t len, const char *syntax,
                ds_error *err)
{
    syntax_facts facts{};
    dicom_envelope checked;
    source from{data, len, nullptr};
    const ds_status s = check(&from, &facts, syntax, &checked, err);
    return s == DS_OK ? parse_checked(out, from.data, from.len, facts, checked, err) : s;
}

/* DCMTK makes odd values even when it copies them, with a NUL in text too, where the standard has a
 * space (PS3.5 6.2) and so has dicom/encode.cc: copy and original would hash differently. */
static void pad_copied_text(DcmObject &from, DcmObject &copied)
{
    DcmElement *text = dynamic_cast<DcmElement *>(&copied);
    if (text != nullptr && text->isaString() && text->ident() != EVR_UI &&
        (from.getLengthField() & 1) != 0) {
        char *value = nullptr;
        if (text->getString(value).good() && value != nullptr) {
            value[from.getLengthField()] = ' ';
        }
        return;
    }
    DcmObject *original = from.nextInContainer(nullptr);
    DcmObject *copy = copied.nextInContainer(nullptr);
    while (original != nullptr && copy != nullptr) {
        pad_copied_text(*original, *copy);
        original = from.nextInContainer(original);
        copy = copied.nextInContainer(copy);
    }
}

std::unique_ptr<dicom_dataset> copy_without_pixels(const dicom_dataset *d)
{
    auto copy = std::make_unique<dicom_dataset>();
    copy->set = std::make_unique<DcmDataset>();
    copy->syntax = d->syntax;
    (void)for_each_child(mutable_set(d), [&](DcmObject &child) {
        if (tag_of(child) != DICOM_TAG_PIXEL_DATA) {
            std::unique_ptr<DcmObject> clone(child.clone());
            pad_copied_text(child, *clone);
            if (copy->set->insert(dynamic_cast<DcmElement *>(clone.get())).good()) {
                (void)clone.release();
            }
        }
        return DS_OK;
    });
    return copy;
}

} // namespace dicom

extern "C" ds_status dicom_dataset_read(dicom_dataset **out, const uint8_t *data, size_t len,
                                        const char *transfer_syntax, ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(
        err, [&] { return dicom::read_dataset(out, data, len, transfer_syntax, true, err); });
}

extern "C" ds_status dicom_dataset_view(dicom_dataset **out, const uint8_t *data, size_t len,
                                        const char *transfer_syntax, ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(
        err, [&] { return dicom::read_dataset(out, data, len, transfer_syntax, false, err); });
}

extern "C" ds_status dicom_dataset_read_file(dicom_dataset **out, const char *path, ds_error *err)
{
    *out = nullptr;
    dicom::bytes_owner file(DICOM_FILE_MAX_BYTES, true);
    const ds_status s = ds_file_read(path, &file.bytes, err);
    if (s != DS_OK) {
        return s;
    }
    return dicom_dataset_read(out, file.bytes.data, file.bytes.len, nullptr, err);
}

extern "C" ds_status dicom_dataset_new(dicom_dataset **out, ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        auto d = std::make_unique<dicom_dataset>();
        d->set = std::make_unique<DcmDataset>();
        *out = d.release();
        return DS_OK;
    });
}

extern "C" ds_status dicom_dataset_copy(dicom_dataset **out, const dicom_dataset *from,
                                        ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        auto d = std::make_unique<dicom_dataset>();
        d->set = std::make_unique<DcmDataset>(*from->set);
        dicom::pad_copied_text(*from->set, *d->set);
        d->syntax = from->syntax;
        d->native = from->native; /* shared */
        d->decoded = from->decoded;
        d->decoded_as = from->decoded_as;
        *out = d.release();
        return DS_OK;
    });
}

extern "C" void dicom_dataset_free(dicom_dataset *d)
{
    delete d;
}

extern "C" void dicom_dataset_auto(dicom_dataset **d)
{
    dicom_dataset_free(*d);
}

extern "C" const char *dicom_dataset_transfer_syntax(const dicom_dataset *d)
{
    return d->syntax.c_str();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/object.h"

#include "dicom/identifier.h"

#include <cstring>

extern "C" {
#include "dicom/charset.h"
}

namespace dicom
{

namespace
{

constexpr size_t texts_max_bytes = 8U << 20; /* a message has at most 4 MiB */
constexpr char utf8_set[] = "ISO_IR 192";

/* ---- reading ---- */

struct Reader {
    const dicom_dataset *set;
    std::vector<dicom_key> keys;
    std::vector<size_t> at; /* of each value in texts; pointers come when these no longer move */
    ds_bytes *texts;
};

ds_status add_key(Reader &r, DcmElement &element, dicom_tag sequence, ds_error *err)
{
    if (r.keys.size() >= DICOM_KEYS_MAX) {
        return ds_fail(err, DS_EFORMAT, "an identifier of more than %u keys", DICOM_KEYS_MAX);
    }
    dicom_key key = {};
    key.tag = tag_of(element);
    key.sequence = sequence;
    (void)snprintf(key.vr, sizeof(key.vr), "%s", DcmVR(element.getVR()).getValidVRName());
    std::string text;
    if (element.ident() != EVR_SQ) {
        const ds_status s = element_utf8(r.set, element, &text, err);
        if (s != DS_OK) {
            return s;
        }
    }
    r.keys.push_back(key);
    r.at.push_back(r.texts->len);
    return ds_bytes_append(r.texts, text.c_str(), text.size() + 1, err);
}

ds_status read_item(Reader &r, DcmObject &container, dicom_tag sequence, ds_error *err);

ds_status read_element(Reader &r, DcmObject &object, dicom_tag sequence, ds_error *err)
{
    const bool is_sequence = object.ident() == EVR_SQ;
    if (object.getETag() == 0 || (is_sequence && sequence != 0)) { /* a group length; too deep */
        return DS_OK;
    }
    const ds_status s = add_key(r, static_cast<DcmElement &>(object), sequence, err);
    DcmObject *item = is_sequence ? object.nextInContainer(nullptr) : nullptr;
    return s == DS_OK && item != nullptr ? read_item(r, *item, tag_of(object), err) : s;
}

ds_status read_item(Reader &r, DcmObject &container, dicom_tag sequence, ds_error *err)
{
    return for_each_child(
        container, [&](DcmObject &object) { return read_element(r, object, sequence, err); });
}

ds_status read(dicom_identifier *out, const dicom_dataset *from, ds_error *err)
{
    Reader r = {from, {}, {}, &out->texts};
    ds_status s = read_item(r, mutable_set(from), 0, err);
    if (s == DS_OK) {
        s = dicom_dataset_get(from, DICOM_TAG_SPECIFIC_CHARACTER_SET, out->charset,
                              sizeof(out->charset), err);
    }
    if (s != DS_OK || r.keys.empty()) {
        return s;
    }
    out->keys = static_cast<dicom_key *>(calloc(r.keys.size(), sizeof(dicom_key)));
    if (out->keys == nullptr) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    out->count = r.keys.size();
    for (size_t i = 0; i < out->count; i++) {
        out->keys[i] = r.keys[i];
        out->keys[i].value = reinterpret_cast<const char *>(out->texts.data) + r.at[i];
    }
    return DS_OK;
}

/* ---- writing ---- */

bool is_ascii(const char *text)
{
    while (*text != '\0' && static_cast<unsigned char>(*text) < 0x80) {
        text++;
    }
    return *text == '\0';
}

/* The VRs to which Specific Character Set applies (PS3.5 6.1.2.3). */
bool is_text(DcmEVR vr)
{
    return vr == EVR_SH || vr == EVR_LO || vr == EVR_ST || vr == EVR_LT || vr == EVR_PN ||
           vr == EVR_UC || vr == EVR_UT;
}

struct Writer {
    dicom_dataset &set;
    const dicom_key *keys;
    size_t count;
    const char *charset; /* of the answer */
};

/* In which set all of it can be written; "" when no set needs to be named. */
ds_status choose_charset(Writer &w, const char *asked, ds_error *err)
{
    bool plain = true;
    bool fits = true;
    for (size_t i = 0; i < w.count && fits; i++) {
        if (is_ascii(w.keys[i].value)) {
            continue;
        }
        plain = false;
        bytes_owner scratch(texts_max_bytes);
        const ds_status s = dicom_charset_from_utf8(w.keys[i].value, strlen(w.keys[i].value), asked,
                                                    &scratch.bytes, &fits, err);
        if (s != DS_OK) {
            return s;
        }
    }
    w.charset = plain ? "" : fits ? asked : utf8_set;
    return DS_OK;
}

ds_status encoded(const Writer &w, const dicom_key &key, std::string *out, ds_error *err)
{
    bytes_owner bytes(texts_max_bytes);
    bool fits = false;
    const ds_status s =
        dicom_charset_from_utf8(key.value, strlen(key.value), w.charset, &bytes.bytes, &fits, err);
    if (s == DS_OK && fits) {
        out->assign(reinterpret_cast<const char *>(bytes.bytes.data), bytes.bytes.len);
    }
    return s;
}

/* The dictionary knows the VR of what has a value; what has none keeps the one it was asked with.
 */
ds_status put_key(const Writer &w, DcmItem &item, const dicom_key &key, ds_error *err)
{
    DcmTag tag(key_of(key.tag));
    if (key.value[0] == '\0') {
        if (tag.getEVR() == EVR_UNKNOWN || tag.getEVR() == EVR_UN) {
            tag.setVR(DcmVR(key.vr));
        }
        return from_dcmtk(item.insertEmptyElement(tag, OFTrue), "an empty key", err);
    }
    if (is_ascii(key.value) || !is_text(tag.getEVR())) {
        return put_value(item, key.tag, key.value, err);
    }
    std::string text;
    const ds_status s = encoded(w, key, &text, err);
    return s == DS_OK ? put_value(item, key.tag, text.c_str(), err) : s;
}

/* Values that do not fit their VR are left empty: an answer with a hole is better than none. */
ds_status put_key_or_nothing(const Writer &w, DcmItem &item, const dicom_key &key, ds_error *err)
{
    const ds_status s = put_key(w, item, key, err);
    if (s == DS_OK || s == DS_ENOMEM || key.value[0] == '\0') {
        return s;
    }
    dicom_key empty = key;
    empty.value = "";
    return put_key(w, item, empty, err);
}

ds_status put_any(Writer &w, const dicom_key &key, ds_error *err)
{
    if (key.sequence == 0) {
        return put_key_or_nothing(w, *w.set.set, key, err);
    }
    DcmItem *item = nullptr;
    const OFCondition made = w.set.set->findOrCreateSequenceItem(key_of(key.sequence), item,
                                                                 static_cast<long>(key.item));
    return made.good() ? put_key_or_nothing(w, *item, key, err)
                       : from_dcmtk(made, "an item of an answer", err);
}

ds_status write(dicom_dataset *out, const dicom_key *keys, size_t count, const char *charset,
                ds_error *err)
{
    Writer w = {*out, keys, count, ""};
    ds_status s = choose_charset(w, charset, err);
    if (s == DS_OK && w.charset[0] != '\0') {
        s = put_value(*out->set, DICOM_TAG_SPECIFIC_CHARACTER_SET, w.charset, err);
    }
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = put_any(w, keys[i], err);
    }
    return s;
}

ds_status item_utf8(const dicom_dataset *d, dicom_tag sequence, unsigned number, dicom_tag tag,
                    std::string *out, ds_error *err)
{
    DcmItem *item = nullptr;
    if (mutable_set(d)
            .findAndGetSequenceItem(key_of(sequence), item, static_cast<long>(number))
            .bad()) {
        return ds_fail(err, DS_ENOTFOUND, "no such item");
    }
    DcmElement *element = nullptr;
    if (item->findAndGetElement(key_of(tag), element).bad() || element == nullptr) {
        return DS_OK;
    }
    return element_utf8(d, *element, out, err);
}

} // namespace

} // namespace dicom

extern "C" ds_status dicom_identifier_read(dicom_identifier *out, const dicom_dataset *from,
                                           ds_error *err)
{
    *out = {};
    out->texts.max = dicom::texts_max_bytes;
    return dicom::guarded(err, [&] { return dicom::read(out, from, err); });
}

extern "C" void dicom_identifier_free(dicom_identifier *i)
{
    free(i->keys);
    i->keys = nullptr;
    i->count = 0;
    ds_bytes_free(&i->texts);
}

extern "C" const char *dicom_identifier_value(const dicom_identifier *i, dicom_tag tag)
{
    for (size_t k = 0; k < i->count; k++) {
        if (i->keys[k].tag == tag && i->keys[k].sequence == 0) {
            return i->keys[k].value;
        }
    }
    return nullptr;
}

extern "C" ds_status dicom_identifier_write(dicom_dataset **out, const dicom_key *keys,
                                            size_t count, const char *charset, ds_error *err)
{
    ds_status s = dicom_dataset_new(out, err);
    if (s == DS_OK) {
        s = dicom::guarded(err, [&] { return dicom::write(*out, keys, count, charset, err); });
    }
    if (s != DS_OK) {
        dicom_dataset_free(*out);
        *out = nullptr;
    }
    return s;
}

extern "C" ds_status dicom_dataset_item_utf8(const dicom_dataset *d, dicom_tag sequence,
                                             unsigned item, dicom_tag tag, char *out, size_t size,
                                             ds_error *err)
{
    out[0] = '\0';
    return dicom::guarded(err, [&] {
        std::string text;
        const ds_status s = dicom::item_utf8(d, sequence, item, tag, &text, err);
        if (s == DS_OK && text.size() >= size) {
            return ds_fail(err, DS_EFORMAT, "a value is longer than %zu characters", size - 1);
        }
        if (s == DS_OK) {
            memcpy(out, text.c_str(), text.size() + 1);
        }
        return s;
    });
}

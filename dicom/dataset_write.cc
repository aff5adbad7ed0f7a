/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/compress.h"
#include "dicom/encode.h"
#include "dicom/implementation.h"
#include "dicom/object.h"

#include "dicom/decode.h"
#include "dicom/pixels.h"

#include <cstring>

extern "C" {
#include "dicom/deflate.h"
}

namespace
{

using dicom::encoder;
using dicom::encoding;

/* The deflated stream is padded to even length (PS3.5 A.5). */
ds_status deflate(const ds_bytes &plain, ds_bytes *out, ds_error *err)
{
    const std::size_t start = out->len;
    const ds_status s = dicom_deflate(plain.data, plain.len, out, err);
    return s == DS_OK && ((out->len - start) & 1) != 0 ? ds_bytes_put_u8(out, 0, err) : s;
}

ds_status write_elements(const dicom_dataset *d, const dicom::syntax_facts &facts, ds_bytes *out,
                         ds_error *err)
{
    const encoding how{facts.explicit_vr, facts.big_endian, false};
    if (!facts.deflated) {
        dicom::bytes_sink sink(out);
        return encoder(sink, how, d, err).dataset();
    }
    dicom::bytes_owner plain(DICOM_FILE_MAX_BYTES, true);
    dicom::bytes_sink sink(&plain.bytes);
    const ds_status s = encoder(sink, how, d, err).dataset();
    return s == DS_OK ? deflate(plain.bytes, out, err) : s;
}

ds_status write_dataset(const dicom_dataset *d, const char *transfer_syntax, ds_bytes *out,
                        ds_error *err)
{
    dicom::syntax_facts facts{};
    std::unique_ptr<dicom_dataset> native;
    std::unique_ptr<dicom_dataset> compressed;
    ds_status s = dicom::facts_of(transfer_syntax, &facts, err);
    if (s == DS_OK && d->syntax == transfer_syntax) {
        return write_elements(d, facts, out, err);
    }
    s = s == DS_OK ? dicom::native_copy(&native, d, err) : s;
    d = native ? native.get() : d;
    if (s == DS_OK && facts.encapsulated) {
        s = dicom::compressed_copy(&compressed, d, transfer_syntax, err);
    }
    return s == DS_OK ? write_elements(compressed ? compressed.get() : d, facts, out, err) : s;
}

/* One element of group 0002: short ones have a 16-bit length (PS3.5 7.1.2). */
ds_status put_meta(ds_bytes *out, Uint16 element, const char *vr, const void *value,
                   std::size_t len, ds_error *err)
{
    const bool is_long = std::strcmp(vr, "OB") == 0;
    const std::size_t even = len + (len & 1);
    ds_status s = ds_bytes_put_le(out, 0x0002, 2, err);
    s = s == DS_OK ? ds_bytes_put_le(out, element, 2, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, vr, 2, err) : s;
    s = s == DS_OK && is_long ? ds_bytes_put_le(out, 0, 2, err) : s;
    s = s == DS_OK ? ds_bytes_put_le(out, even, is_long ? 4 : 2, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, value, len, err) : s;
    return s == DS_OK && even != len ? ds_bytes_put_u8(out, 0, err) : s;
}

ds_status put_meta_uid(ds_bytes *out, Uint16 element, const char *uid, ds_error *err)
{
    return put_meta(out, element, "UI", uid, std::strlen(uid), err);
}

/* PS3.10 7.1 without its group length. The implementation class UID is a 2.25 one, fixed for the
 * project. */
ds_status put_meta_group(const dicom_dataset *d, const char *transfer_syntax, ds_bytes *out,
                         ds_error *err)
{
    char sop_class[DICOM_UID_BYTES];
    char sop_instance[DICOM_UID_BYTES];
    ds_status s = dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, sop_class, sizeof sop_class, err);
    if (s == DS_OK) {
        s = dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, sop_instance, sizeof sop_instance,
                              err);
    }
    s = s == DS_OK ? put_meta(out, 0x0001, "OB", "\0\1", 2, err) : s;
    s = s == DS_OK ? put_meta_uid(out, 0x0002, sop_class, err) : s;
    s = s == DS_OK ? put_meta_uid(out, 0x0003, sop_instance, err) : s;
    s = s == DS_OK ? put_meta_uid(out, 0x0010, transfer_syntax, err) : s;
    return s == DS_OK ? put_meta_uid(out, 0x0012, DICOM_IMPLEMENTATION_CLASS_UID, err) : s;
}

ds_status write_header(const dicom_dataset *d, const char *transfer_syntax, ds_bytes *out,
                       ds_error *err)
{
    dicom::bytes_owner meta(4096);
    ds_status s = put_meta_group(d, transfer_syntax, &meta.bytes, err);
    const std::uint8_t preamble[128] = {0};
    std::uint8_t length[4];
    for (unsigned i = 0; i < 4; i++) {
        length[i] = static_cast<std::uint8_t>(meta.bytes.len >> (8 * i));
    }
    s = s == DS_OK ? ds_bytes_append(out, preamble, sizeof preamble, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, "DICM", 4, err) : s;
    s = s == DS_OK ? put_meta(out, 0x0000, "UL", length, sizeof length, err) : s;
    return s == DS_OK ? ds_bytes_append(out, meta.bytes.data, meta.bytes.len, err) : s;
}

ds_status write_part10(const dicom_dataset *d, const char *transfer_syntax, ds_bytes *out,
                       ds_error *err)
{
    const ds_status s = write_header(d, transfer_syntax, out, err);
    return s == DS_OK ? write_dataset(d, transfer_syntax, out, err) : s;
}

/* Runs body; on failure the buffer is as long as it was. */
template <class Body> ds_status all_or_nothing(ds_bytes *out, Body body)
{
    const std::size_t before = out->len;
    const ds_status s = body();
    if (s != DS_OK) {
        out->len = before;
    }
    return s;
}

} // namespace

extern "C" ds_status dicom_dataset_write(const dicom_dataset *d, const char *transfer_syntax,
                                         ds_bytes *out, ds_error *err)
{
    return all_or_nothing(out, [&] {
        return dicom::guarded(err, [&] { return write_dataset(d, transfer_syntax, out, err); });
    });
}

extern "C" ds_status dicom_dataset_write_hollow(const dicom_dataset *d, ds_bytes *out,
                                                size_t *left_out, ds_error *err)
{
    *left_out = d->native.len() + (d->native.len() & 1);
    return all_or_nothing(out, [&] {
        return dicom::guarded(err, [&] {
            dicom::bytes_sink sink(out);
            const encoding how{true, false, false, true};
            return encoder(sink, how, d, err).dataset();
        });
    });
}

extern "C" ds_status dicom_dataset_header(const dicom_dataset *d, const char *transfer_syntax,
                                          ds_bytes *out, ds_error *err)
{
    return all_or_nothing(out, [&] {
        return dicom::guarded(err, [&] { return write_header(d, transfer_syntax, out, err); });
    });
}

extern "C" ds_status dicom_dataset_write_part10(const dicom_dataset *d, const char *transfer_syntax,
                                                ds_bytes *out, ds_error *err)
{
    return all_or_nothing(out, [&] {
        return dicom::guarded(err, [&] { return write_part10(d, transfer_syntax, out, err); });
    });
}

extern "C" ds_status dicom_dataset_export(const dicom_dataset *d, dicom_tag tag, ds_bytes *out,
                                          ds_error *err)
{
    return all_or_nothing(out, [&] {
        return dicom::guarded(err, [&] {
            DcmElement *element = dicom::find(d, tag);
            dicom::bytes_sink sink(out);
            const encoding how{true, false, false};
            return element == nullptr ? DS_OK : encoder(sink, how, d, err).element(*element);
        });
    });
}

extern "C" ds_status dicom_dataset_import(dicom_dataset *d, const uint8_t *data, size_t len,
                                          ds_error *err)
{
    return dicom::guarded(err, [&] {
        if (len == 0) {
            return DS_OK;
        }
        DcmDataset read;
        const ds_status s =
            dicom::parse(read, data, len, UID_LittleEndianExplicitTransferSyntax, err);
        while (s == DS_OK && read.card() > 0) {
            std::unique_ptr<DcmElement> element(read.remove(0UL));
            const OFCondition inserted = d->set->insert(element.get(), OFTrue);
            if (inserted.bad()) {
                return dicom::from_dcmtk(inserted, "importing an element", err);
            }
            (void)element.release();
        }
        return s == DS_OK ? dicom::take_native(d, err) : s;
    });
}

extern "C" ds_status dicom_dataset_hash(const dicom_dataset *d, uint8_t out[DS_SHA256_BYTES],
                                        ds_error *err)
{
    std::memset(out, 0, DS_SHA256_BYTES);
    return dicom::guarded(err, [&] {
        std::unique_ptr<dicom_dataset> native;
        ds_status s = dicom::native_copy(&native, d, err);
        /* What no decoder here takes, or what is damaged, counts as it is. */
        if (s != DS_OK && s != DS_EUNSUPPORTED && s != DS_EFORMAT) {
            return s;
        }
        ds_sha256 *digest = nullptr;
        s = ds_sha256_new(&digest, err);
        if (s != DS_OK) {
            return s;
        }
        const dicom::digest_owner owner(digest);
        dicom::digest_sink sink(digest);
        const encoding how{true, false, true};
        s = encoder(sink, how, native ? native.get() : d, err).dataset();
        return s == DS_OK ? ds_sha256_final(digest, out, err) : s;
    });
}

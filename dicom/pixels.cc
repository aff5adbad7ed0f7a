/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/decode.h"
#include "dicom/object.h"

#include "dicom/pixels.h"

#include <algorithm>
#include <cstring>

extern "C" {
#include "dicom/codec.h"
#include "dicom/pixel_geometry.h"
}

namespace
{

std::string text(const dicom_dataset *d, dicom_tag tag)
{
    char value[1024];
    return dicom_dataset_get(d, tag, value, sizeof value, nullptr) == DS_OK ? value : "";
}

ds_status required(DcmDataset &set, const DcmTagKey &tag, const char *name, std::uint16_t *out,
                   ds_error *err)
{
    if (!dicom::small_number(set, tag, out)) {
        return ds_fail(err, DS_EFORMAT, "%s is missing or no number", name);
    }
    return DS_OK;
}

/* Number of Frames is text (IS): digits only, and no leading minus that strtoul would take. */
ds_status read_frames(const dicom_dataset *d, std::uint32_t *out, ds_error *err)
{
    *out = 1;
    const std::string value = text(d, DICOM_TAG(0x0028, 0x0008));
    const std::size_t first = value.find_first_not_of(' ');
    if (first == std::string::npos) {
        return DS_OK;
    }
    const std::string digits = value.substr(first);
    if (digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos ||
        std::strtoul(digits.c_str(), nullptr, 10) == 0) {
        return ds_fail(err, DS_EFORMAT, "Number of Frames is not a positive number");
    }
    *out = static_cast<std::uint32_t>(std::strtoul(digits.c_str(), nullptr, 10));
    return DS_OK;
}

ds_status read_attributes(dicom_pixels *p, const dicom_dataset *d, ds_error *err)
{
    DcmDataset &set = dicom::mutable_set(d);
    std::uint16_t rows = 0;
    std::uint16_t columns = 0;
    std::uint16_t representation = 0;
    std::uint16_t planar = 0;
    ds_status s = required(set, DCM_Rows, "Rows", &rows, err);
    s = s == DS_OK ? required(set, DCM_Columns, "Columns", &columns, err) : s;
    s = s == DS_OK ? required(set, DCM_BitsAllocated, "Bits Allocated", &p->bits_allocated, err)
                   : s;
    s = s == DS_OK ? read_frames(d, &p->frames, err) : s;
    if (s != DS_OK) {
        return s;
    }
    p->rows = rows;
    p->columns = columns;
    p->samples_per_pixel = 1;
    p->bits_stored = p->bits_allocated;
    (void)dicom::small_number(set, DCM_SamplesPerPixel, &p->samples_per_pixel);
    (void)dicom::small_number(set, DCM_BitsStored, &p->bits_stored);
    p->high_bit = static_cast<std::uint16_t>(p->bits_stored - 1);
    (void)dicom::small_number(set, DCM_HighBit, &p->high_bit);
    (void)dicom::small_number(set, DCM_PixelRepresentation, &representation);
    (void)dicom::small_number(set, DCM_PlanarConfiguration, &planar);
    p->is_signed = representation == 1;
    p->is_planar = planar == 1 && p->samples_per_pixel > 1;
    const std::string photometric = text(d, DICOM_TAG(0x0028, 0x0004));
    const std::size_t n = photometric.size() < sizeof p->photometric - 1
                              ? photometric.size()
                              : sizeof p->photometric - 1;
    std::memcpy(p->photometric, photometric.data(), n);
    p->photometric[n] = '\0';
    return dicom_geometry_check(p, err);
}

/* Pixel Padding Value and its Range Limit are US or SS by Pixel Representation, also where pixels
 * have 32 bits (PS3.3 C.7.5.1.1.2). Only for greyscale. */
void read_padding(dicom_pixels *p, const dicom_dataset *d)
{
    DcmDataset &set = dicom::mutable_set(d);
    std::uint16_t value = 0;
    std::uint16_t limit = 0;
    if (p->samples_per_pixel != 1 || p->bits_allocated > 32 ||
        !dicom::small_number(set, DCM_PixelPaddingValue, &value)) {
        return;
    }
    if (!dicom::small_number(set, DCM_PixelPaddingRangeLimit, &limit)) {
        limit = value;
    }
    const std::int32_t a = p->is_signed ? static_cast<std::int16_t>(value) : value;
    const std::int32_t b = p->is_signed ? static_cast<std::int16_t>(limit) : limit;
    p->has_padding = true;
    p->padding_min = a < b ? a : b;
    p->padding_max = a < b ? b : a;
}

/* The colour of decoded cells: subsampling is undone, and so are the transforms that belong to a
 * JPEG 2000 codestream (PS3.3 C.7.6.3.1.2). */
const char *settled_colour(const char *photometric)
{
    if (std::strncmp(photometric, "YBR_FULL_", 9) == 0) {
        return "YBR_FULL";
    }
    const bool transformed =
        std::strcmp(photometric, "YBR_RCT") == 0 || std::strcmp(photometric, "YBR_ICT") == 0;
    return transformed ? "RGB" : photometric;
}

/* What the decoders give is colour by pixel, and no longer subsampled; frames that are only packed
 * (PS3.5 A.4.11, A.4.13) lie as native ones do. */
void settle_decoded(dicom_pixels *p, const dicom_dataset *d)
{
    const dicom_codec *codec = dicom_codec_for(d->syntax.c_str());
    if (p->samples_per_pixel < 2 || (codec != nullptr && codec->only_packs)) {
        return;
    }
    p->is_planar = false;
    const char *settled = settled_colour(p->photometric);
    if (settled != p->photometric) {
        std::memcpy(p->photometric, settled, std::strlen(settled) + 1);
    }
}

const char *float_pixels(const dicom_dataset *d)
{
    if (dicom_dataset_has(d, DICOM_TAG(0x7fe0, 0x0008))) {
        return "Float Pixel Data";
    }
    return dicom_dataset_has(d, DICOM_TAG(0x7fe0, 0x0009)) ? "Double Float Pixel Data" : nullptr;
}

/* Room for the cells of any image. */
const ds_bytes no_cells{nullptr, 0, 0, DICOM_FILE_MAX_BYTES, true, {-1, nullptr, 0}};

/* An image and where its cells are: in the file, or decoded. */
struct image {
    dicom_pixels as; /* without cells */
    const dicom::native_value *value;
};

ds_status no_pixels(const dicom_dataset *d, ds_error *err)
{
    const char *other = float_pixels(d);
    return other != nullptr
               ? ds_fail(err, DS_EUNSUPPORTED, "the pixels are floating point (%s)", other)
               : ds_fail(err, DS_ENOTHING, "no Pixel Data");
}

/* What the attributes say, with the frames not yet found. */
ds_status describe(dicom_pixels *p, const dicom_dataset *d, bool compressed, ds_error *err)
{
    const ds_status s = read_attributes(p, d, err);
    p->all_frames = p->frames;
    p->was_compressed = compressed;
    p->was_lossy = (compressed && dicom_transfer_syntax_may_lose(d->syntax.c_str())) ||
                   text(d, DICOM_TAG(0x0028, 0x2110)) == "01";
    read_padding(p, d);
    return s;
}

/* More bytes than the attributes ask for are padding to some block size: no part of the image. */
ds_status locate_native(image *out, const dicom_dataset *d, ds_error *err)
{
    ds_status s = describe(&out->as, d, false, err);
    s = s == DS_OK ? dicom_geometry_native_bytes(&out->as, &out->as.all_bytes, err) : s;
    if (s == DS_OK && d->native.len() < out->as.all_bytes) {
        return ds_fail(err, DS_EFORMAT, "Pixel Data has %zu bytes, its attributes ask for %zu",
                       d->native.len(), out->as.all_bytes);
    }
    out->value = &d->native;
    return s;
}

ds_status locate(image *out, const dicom_dataset *d, ds_error *err)
{
    *out = image{};
    DcmElement *element = dicom::find(d, DICOM_TAG_PIXEL_DATA);
    if (element == nullptr || (!d->native.present() && element->getLengthField() == 0)) {
        return no_pixels(d, err);
    }
    if (dicom::fragments_of(*element) == nullptr) {
        return locate_native(out, d, err);
    }
    const ds_status s = dicom::decode_once(d, err);
    if (s == DS_OK) {
        *out = {*d->decoded_as, &d->decoded};
    }
    return s;
}

/* The frames that fit into max_samples, and their bytes. Bits of packed frames share bytes, so they
 * stay together. */
ds_status choose_front(dicom_pixels *p, std::size_t max_samples, std::size_t *bytes, ds_error *err)
{
    const std::size_t in_frame =
        std::size_t{p->rows} * p->columns * p->samples_per_pixel; /* below 2^48 */
    const std::size_t fitting = std::max<std::size_t>(max_samples / in_frame, 1);
    *bytes = p->all_bytes;
    if (fitting >= p->all_frames || p->bits_allocated < 8) {
        return DS_OK;
    }
    if (p->all_bytes % p->all_frames != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "frames that share bytes");
    }
    p->frames = static_cast<std::uint32_t>(fitting);
    *bytes = p->all_bytes / p->all_frames * fitting;
    return DS_OK;
}

enum class cells_of { copy, view };

ds_status read_front(dicom_pixels *p, const dicom_dataset *d, std::size_t max_samples, cells_of how,
                     ds_error *err)
{
    image found;
    std::size_t bytes = 0;
    ds_status s = locate(&found, d, err);
    if (s != DS_OK) {
        return s;
    }
    *p = found.as;
    p->cells = no_cells;
    s = choose_front(p, max_samples, &bytes, err);
    if (s == DS_OK && how == cells_of::view && found.value->in_place() != nullptr) {
        p->is_borrowed = true;
        p->cells.data = const_cast<std::uint8_t *>(found.value->in_place());
        p->cells.len = bytes;
        return DS_OK;
    }
    s = s == DS_OK ? ds_bytes_reserve(&p->cells, bytes, err) : s;
    dicom::bytes_sink sink(&p->cells);
    return s == DS_OK ? found.value->put(sink, 0, bytes, false, err) : s;
}

/* The cells of all frames, with others in front, to the sink. */
ds_status put_cells(const dicom_dataset *d, const dicom_pixels *front, bool swapped,
                    dicom::byte_sink &sink, ds_error *err)
{
    image found;
    ds_status s = locate(&found, d, err);
    if (s != DS_OK) {
        return s;
    }
    dicom::native_value value = *found.value;
    if (front != nullptr) {
        s = value.set_front(front->cells.data, front->cells.len, err);
    }
    return s == DS_OK ? value.put(sink, 0, found.as.all_bytes, swapped, err) : s;
}

/* Pixel Data in which only the first frames are new. */
ds_status replace_front(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    image found;
    ds_status s = locate(&found, d, err);
    if (s == DS_OK && (found.as.all_bytes != p->all_bytes || p->cells.len > p->all_bytes)) {
        s = ds_fail(err, DS_EINVAL, "these are not the first frames of this image");
    }
    if (s != DS_OK) {
        return s;
    }
    dicom::native_value value = *found.value;
    s = value.set_front(p->cells.data, p->cells.len, err);
    return s == DS_OK ? dicom::put_native(d, *p, value, err) : s;
}

/* Is what stands there an image of the same size? Then what stands behind its frames stays. */
bool replaces_all(const dicom_dataset *d, const dicom_pixels *p)
{
    image found{};
    return d->native.present() && locate_native(&found, d, nullptr) == DS_OK &&
           found.as.all_bytes == p->cells.len;
}

ds_status write_pixels(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    /* Cells are little endian, and so are the machines that this is built for. */
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cells would need swapping");
    if (p->frames < p->all_frames) {
        return replace_front(d, p, err);
    }
    dicom::native_value value = d->native;
    if (replaces_all(d, p)) {
        const ds_status s = value.set_front(p->cells.data, p->cells.len, err);
        return s == DS_OK ? dicom::put_native(d, *p, value, err) : s;
    }
    if (p->cells.len >= 0xffffffffU) {
        return ds_fail(err, DS_EUNSUPPORTED, "Pixel Data of %zu bytes is too long", p->cells.len);
    }
    auto kept = std::make_shared<dicom::bytes_owner>(p->cells.len, true);
    const ds_status s = ds_bytes_append(&kept->bytes, p->cells.data, p->cells.len, err);
    value.set(kept->bytes.data, kept->bytes.len, false, kept);
    return s == DS_OK ? dicom::put_native(d, *p, value, err) : s;
}

/* Says of what was decoded how its colour lies now. */
ds_status settle_colour(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    if (!p->was_compressed || p->samples_per_pixel < 2) {
        return DS_OK;
    }
    ds_status s =
        dicom::put_value(*d->set, DICOM_TAG(0x0028, 0x0006), p->is_planar ? "1" : "0", err);
    const std::string was = text(d, DICOM_TAG(0x0028, 0x0004));
    const char *settled = settled_colour(was.c_str());
    return s == DS_OK && was != settled
               ? dicom::put_value(*d->set, DICOM_TAG(0x0028, 0x0004), settled, err)
               : s;
}

/* The element of native Pixel Data, whose value is apart. */
ds_status insert_empty(dicom_dataset *d, bool words, ds_error *err)
{
    auto fresh = std::make_unique<DcmPixelData>(DcmTag(DCM_PixelData, words ? EVR_OW : EVR_OB));
    const ds_status s = dicom::from_dcmtk(d->set->insert(fresh.get(), OFTrue), "Pixel Data", err);
    if (s == DS_OK) {
        (void)fresh.release();
    }
    return s;
}

struct pixels_owner {
    dicom_pixels pixels{};
    pixels_owner()
    {
        pixels.cells = no_cells;
    }
    pixels_owner(const pixels_owner &) = delete;
    pixels_owner &operator=(const pixels_owner &) = delete;
    ~pixels_owner()
    {
        dicom_pixels_free(&pixels);
    }
};

/* Runs body with a fresh *out, which is left empty on failure. */
template <class Body> ds_status reading(dicom_pixels *out, ds_error *err, Body body)
{
    *out = dicom_pixels{};
    const ds_status s = dicom::guarded(err, body);
    if (s != DS_OK) {
        dicom_pixels_free(out);
        *out = dicom_pixels{};
    }
    return s;
}

} // namespace

namespace dicom
{

ds_status decode_once(const dicom_dataset *d, ds_error *err)
{
    DcmElement *element = find(d, DICOM_TAG_PIXEL_DATA);
    if (d->decoded_as || element == nullptr) {
        return DS_OK;
    }
    pixels_owner owner;
    dicom_pixels &p = owner.pixels;
    ds_status s = describe(&p, d, true, err);
    s = s == DS_OK ? decode_pixels(&p, d, *element, err) : s;
    settle_decoded(&p, d);
    if (s != DS_OK) {
        return s;
    }
    auto kept = std::make_shared<bytes_owner>();
    kept->bytes = ds_bytes_take(&p.cells);
    p.all_bytes = kept->bytes.len;
    d->decoded.set(kept->bytes.data, kept->bytes.len, false, kept);
    d->decoded_as = std::make_shared<const dicom_pixels>(p);
    return DS_OK;
}

ds_status put_native(dicom_dataset *d, const dicom_pixels &p, const native_value &value,
                     ds_error *err)
{
    DcmElement *old = find(d, DICOM_TAG_PIXEL_DATA);
    const bool words = p.bits_allocated > 8 || (old != nullptr && old->getTag().getEVR() == EVR_OW);
    ds_status s = insert_empty(d, words, err);
    s = s == DS_OK ? settle_colour(d, &p, err) : s;
    if (s != DS_OK) {
        return s;
    }
    d->native = value;
    d->decoded.clear();
    d->decoded_as.reset();
    syntax_facts facts{};
    if (facts_of(d->syntax.c_str(), &facts, nullptr) != DS_OK || facts.encapsulated) {
        d->syntax = UID_LittleEndianExplicitTransferSyntax;
    }
    return DS_OK;
}

ds_status take_native(dicom_dataset *d, ds_error *err)
{
    DcmElement *element = find(d, DICOM_TAG_PIXEL_DATA);
    const std::size_t len = element == nullptr ? 0 : element->getLengthField();
    if (len == 0 || fragments_of(*element) != nullptr) {
        return DS_OK;
    }
    auto kept = std::make_shared<bytes_owner>(len, true);
    ds_status s = ds_bytes_resize(&kept->bytes, len, err);
    s = s == DS_OK ? raw_value(*element, 0, kept->bytes.data, len, EBO_LittleEndian, err) : s;
    s = s == DS_OK ? insert_empty(d, element->getTag().getEVR() == EVR_OW, err) : s;
    if (s == DS_OK) {
        d->native.set(kept->bytes.data, len, false, kept);
    }
    return s;
}

} // namespace dicom

extern "C" ds_status dicom_pixels_read(dicom_pixels *out, const dicom_dataset *d, ds_error *err)
{
    return reading(out, err, [&] { return read_front(out, d, SIZE_MAX, cells_of::copy, err); });
}

extern "C" ds_status dicom_pixels_read_front(dicom_pixels *out, const dicom_dataset *d,
                                             size_t max_samples, ds_error *err)
{
    return reading(out, err, [&] { return read_front(out, d, max_samples, cells_of::copy, err); });
}

extern "C" ds_status dicom_pixels_view_front(dicom_pixels *out, const dicom_dataset *d,
                                             size_t max_samples, ds_error *err)
{
    return reading(out, err, [&] { return read_front(out, d, max_samples, cells_of::view, err); });
}

extern "C" ds_status dicom_pixels_write(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    return dicom::guarded(err, [&] { return write_pixels(d, p, err); });
}

extern "C" ds_status dicom_pixels_hash(const dicom_dataset *d, const dicom_pixels *front,
                                       uint8_t out[DS_SHA256_BYTES], ds_error *err)
{
    std::memset(out, 0, DS_SHA256_BYTES);
    return dicom::guarded(err, [&] {
        ds_sha256 *digest = nullptr;
        ds_status s = ds_sha256_new(&digest, err);
        if (s != DS_OK) {
            return s;
        }
        const dicom::digest_owner owner(digest);
        dicom::digest_sink sink(digest);
        s = put_cells(d, front, false, sink, err);
        return s == DS_OK ? ds_sha256_final(digest, out, err) : s;
    });
}

extern "C" ds_status dicom_pixels_cells(const dicom_dataset *d, const dicom_pixels *front,
                                        bool swapped, ds_bytes *out, ds_error *err)
{
    return dicom::guarded(err, [&] {
        dicom::bytes_sink sink(out);
        return put_cells(d, front, swapped, sink, err);
    });
}

extern "C" ds_status dicom_pixels_value(const dicom_dataset *d, size_t len, bool big_endian,
                                        ds_bytes *out, ds_error *err)
{
    return dicom::guarded(err, [&] {
        dicom::bytes_sink sink(out);
        const std::size_t have = std::min(len, d->native.len());
        DcmElement *element = dicom::find(d, DICOM_TAG_PIXEL_DATA);
        const bool words = element != nullptr && element->getTag().getEVR() == EVR_OW;
        const ds_status s = d->native.put(sink, 0, have, big_endian && words, err);
        return s == DS_OK && have < len ? ds_bytes_put_u8(out, 0, err) : s;
    });
}

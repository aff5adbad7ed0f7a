/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/decode.h"
#include "dicom/object.h"

#include "dicom/pixels.h"

#include <algorithm>
#include <cstring>

extern "C" {
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

ds_status read_native(dicom_pixels *p, DcmElement &element, ds_error *err)
{
    std::size_t want = 0;
    const std::size_t have = element.getLengthField();
    ds_status s = dicom_geometry_native_bytes(p, &want, err);
    if (s != DS_OK) {
        return s;
    }
    /* More than that is padding to some block size; it is no part of the image, and stays where it
     * is. */
    if (have < want) {
        return ds_fail(err, DS_EFORMAT, "Pixel Data has %zu bytes, its attributes ask for %zu",
                       have, want);
    }
    s = ds_bytes_resize(&p->cells, want, err);
    constexpr std::size_t chunk = std::size_t{1} << 30; /* DCMTK counts in 32 bits */
    for (std::size_t at = 0; s == DS_OK && at < want; at += chunk) {
        const std::size_t n = want - at < chunk ? want - at : chunk;
        s = dicom::raw_value(element, at, p->cells.data + at, n, EBO_LittleEndian, err);
    }
    return s;
}

/* What the decoders give is colour by pixel, and no longer subsampled; frames that are only packed
 * (PS3.5 A.4.11, A.4.13) lie as native ones do. */
void settle_decoded(dicom_pixels *p, const dicom_dataset *d)
{
    if (p->samples_per_pixel < 2 || dicom::syntax_only_packs(d->syntax)) {
        return;
    }
    p->is_planar = false;
    if (std::strncmp(p->photometric, "YBR_FULL_", 9) == 0) {
        std::memcpy(p->photometric, "YBR_FULL", 9);
    }
}

const char *float_pixels(const dicom_dataset *d)
{
    if (dicom_dataset_has(d, DICOM_TAG(0x7fe0, 0x0008))) {
        return "Float Pixel Data";
    }
    return dicom_dataset_has(d, DICOM_TAG(0x7fe0, 0x0009)) ? "Double Float Pixel Data" : nullptr;
}

ds_status read_pixels(dicom_pixels *p, const dicom_dataset *d, ds_error *err)
{
    DcmElement *element = dicom::find(d, DICOM_TAG_PIXEL_DATA);
    if (element == nullptr || (element->getLengthField() == 0)) {
        const char *other = float_pixels(d);
        return other != nullptr
                   ? ds_fail(err, DS_EUNSUPPORTED, "the pixels are floating point (%s)", other)
                   : ds_fail(err, DS_ENOTHING, "no Pixel Data");
    }
    ds_status s = read_attributes(p, d, err);
    if (s != DS_OK) {
        return s;
    }
    p->was_compressed = dicom::fragments_of(*element) != nullptr;
    p->was_lossy = (p->was_compressed && dicom_transfer_syntax_may_lose(d->syntax.c_str())) ||
                   text(d, DICOM_TAG(0x0028, 0x2110)) == "01";
    read_padding(p, d);
    if (!p->was_compressed) {
        return read_native(p, *element, err);
    }
    s = dicom::decode_pixels(p, d, *element, err);
    settle_decoded(p, d);
    return s;
}

/* What stands behind the frames in the Pixel Data that is about to be replaced. */
ds_status read_tail(const dicom_dataset *d, DcmElement *old, std::size_t cells_len,
                    std::vector<std::uint8_t> *tail, ds_error *err)
{
    dicom_pixels now{};
    std::size_t want = 0;
    if (old == nullptr || dicom::fragments_of(*old) != nullptr ||
        read_attributes(&now, d, nullptr) != DS_OK ||
        dicom_geometry_native_bytes(&now, &want, nullptr) != DS_OK || want != cells_len ||
        old->getLengthField() <= want + 1) {
        return DS_OK;
    }
    tail->resize(old->getLengthField() - want);
    return dicom::raw_value(*old, want, tail->data(), tail->size(), EBO_LittleEndian, err);
}

/* An empty value of len bytes; *out is its memory. */
ds_status make_value(DcmPixelData &pixels, bool words, std::size_t len, void **out, ds_error *err)
{
    if (len >= 0xffffffffU) {
        return ds_fail(err, DS_EUNSUPPORTED, "Pixel Data of %zu bytes is too long", len);
    }
    Uint8 *bytes = nullptr;
    Uint16 *cells = nullptr;
    const OFCondition created = words
                                    ? pixels.createUint16Array(static_cast<Uint32>(len / 2), cells)
                                    : pixels.createUint8Array(static_cast<Uint32>(len), bytes);
    *out = words ? static_cast<void *>(cells) : static_cast<void *>(bytes);
    return dicom::from_dcmtk(created, "Pixel Data", err);
}

ds_status write_pixels(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    /* Cells are little endian, and so are the machines that this is built for. */
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cells would need swapping");
    DcmElement *old = dicom::find(d, DICOM_TAG_PIXEL_DATA);
    const bool words =
        p->bits_allocated > 8 || (old != nullptr && old->getTag().getEVR() == EVR_OW);
    std::vector<std::uint8_t> tail;
    ds_status s = read_tail(d, old, p->cells.len, &tail, err);
    const std::size_t used = p->cells.len + tail.size();
    auto fresh = std::make_unique<DcmPixelData>(DcmTag(DCM_PixelData, words ? EVR_OW : EVR_OB));
    void *target = nullptr;
    s = s == DS_OK ? make_value(*fresh, words, used + (used & 1), &target, err) : s;
    if (s != DS_OK) {
        return s;
    }
    if (used > 0) {
        std::memcpy(target, p->cells.data, p->cells.len);
        std::copy(tail.begin(), tail.end(), static_cast<std::uint8_t *>(target) + p->cells.len);
    }
    s = dicom::from_dcmtk(d->set->insert(fresh.get(), OFTrue), "Pixel Data", err);
    if (s == DS_OK) {
        (void)fresh.release();
    }
    return s;
}

/* Says of what was decoded how its colour lies now. */
ds_status settle_colour(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    if (!p->was_compressed || p->samples_per_pixel < 2) {
        return DS_OK;
    }
    ds_status s =
        dicom::put_value(*d->set, DICOM_TAG(0x0028, 0x0006), p->is_planar ? "1" : "0", err);
    if (s == DS_OK && text(d, DICOM_TAG(0x0028, 0x0004)).compare(0, 9, "YBR_FULL_") == 0) {
        s = dicom::put_value(*d->set, DICOM_TAG(0x0028, 0x0004), "YBR_FULL", err);
    }
    return s;
}

} // namespace

extern "C" ds_status dicom_pixels_read(dicom_pixels *out, const dicom_dataset *d, ds_error *err)
{
    *out = dicom_pixels{};
    out->cells.max = DICOM_FILE_MAX_BYTES;
    const ds_status s = dicom::guarded(err, [&] { return read_pixels(out, d, err); });
    if (s != DS_OK) {
        dicom_pixels_free(out);
        *out = dicom_pixels{};
    }
    return s;
}

extern "C" ds_status dicom_pixels_write(dicom_dataset *d, const dicom_pixels *p, ds_error *err)
{
    return dicom::guarded(err, [&] {
        ds_status s = write_pixels(d, p, err);
        s = s == DS_OK ? settle_colour(d, p, err) : s;
        dicom::syntax_facts facts{};
        if (s == DS_OK &&
            (dicom::facts_of(d->syntax.c_str(), &facts, nullptr) != DS_OK || facts.encapsulated)) {
            d->syntax = UID_LittleEndianExplicitTransferSyntax;
        }
        return s;
    });
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/decode.h"

#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"

extern "C" {
#include "base/map.h"
#include "dicom/codec.h"
#include "dicom/fragments.h"
#include "dicom/pixel_geometry.h"
}

namespace
{

struct free_fragments {
    void operator()(dicom_fragments *f) const noexcept
    {
        dicom_fragments_free(f);
    }
};
using fragments_owner = std::unique_ptr<dicom_fragments, free_fragments>;

/* Puts bits of a frame behind those already there; the first pixel is the lowest bit. */
void append_bits(std::uint8_t *cells, std::size_t at, const std::uint8_t *frame, std::size_t count)
{
    for (std::size_t i = 0; i < count; i++) {
        const unsigned bit = frame[i / 8] >> (i % 8) & 1U;
        cells[(at + i) / 8] =
            static_cast<std::uint8_t>(cells[(at + i) / 8] | bit << ((at + i) % 8));
    }
}

/* Borrowed from the element; {nullptr, 0} when it is empty or not there. */
struct bytes_view {
    const std::uint8_t *data;
    std::size_t len;
};

bytes_view value_of(DcmElement *element)
{
    Uint8 *bytes = nullptr;
    if (element == nullptr || element->getUint8Array(bytes).bad() || bytes == nullptr) {
        return {nullptr, 0};
    }
    return {bytes, element->getLengthField()};
}

/* The Extended Offset Table is OV, which has no bytes for DCMTK; they are copied out. */
std::vector<std::uint8_t> table_of(const dicom_dataset *d, dicom_tag tag)
{
    DcmElement *element = dicom::find(d, tag);
    std::vector<std::uint8_t> out(element == nullptr ? 0 : element->getLengthField());
    if (!out.empty() &&
        dicom::raw_value(*element, 0, out.data(), out.size(), EBO_LittleEndian, nullptr) != DS_OK) {
        out.clear();
    }
    return out;
}

ds_status assign(dicom_fragments *f, const dicom_dataset *d, const bytes_view &basic,
                 std::uint32_t frames, ds_error *err)
{
    const std::vector<std::uint8_t> offsets = table_of(d, DICOM_TAG(0x7fe0, 0x0001));
    const std::vector<std::uint8_t> lengths = table_of(d, DICOM_TAG(0x7fe0, 0x0002));
    dicom_extended_table table{};
    if (!offsets.empty()) {
        table.offsets = offsets.data();
        table.lengths = lengths.size() == offsets.size() ? lengths.data() : nullptr;
        table.bytes = offsets.size();
    }
    return dicom_fragments_assign(f, basic.data, basic.len, &table, frames, err);
}

/* The frames of a pixel sequence; the first item is the Basic Offset Table. */
ds_status open(fragments_owner *out, const dicom_dataset *d, DcmPixelSequence &items,
               std::uint32_t frames, ds_error *err)
{
    dicom_fragments *f = nullptr;
    ds_status s = dicom_fragments_new(&f, err);
    out->reset(f);
    bytes_view basic{nullptr, 0};
    bool is_first = true;
    s = s == DS_OK ? dicom::for_each_child(items,
                                           [&](DcmObject &child) {
                                               const bytes_view v =
                                                   value_of(dynamic_cast<DcmElement *>(&child));
                                               if (is_first) {
                                                   basic = v;
                                                   is_first = false;
                                                   return DS_OK;
                                               }
                                               return dicom_fragments_add(f, v.data, v.len, err);
                                           })
                   : s;
    return s == DS_OK ? assign(f, d, basic, frames, err) : s;
}

/* Libraries take several times a frame's cells before they look at the stream. No image is so plain
 * that a large frame comes from so little. */
constexpr std::size_t large_frame = std::size_t{64} << 20;
constexpr std::size_t ratio_max = 10000;

ds_status check_ratio(std::size_t frame_bytes, std::size_t len, ds_error *err)
{
    if (len == 0 || (frame_bytes > large_frame && frame_bytes / ratio_max > len)) {
        return ds_fail(err, DS_EFORMAT, "a frame of %zu bytes from a stream of %zu", frame_bytes,
                       len);
    }
    return DS_OK;
}

/* One frame behind those already there, which for 1-bit pixels need not begin with a byte. */
ds_status place_frame(dicom_pixels *p, const dicom_codec &codec, const bytes_view &in,
                      std::uint32_t frame, std::size_t frame_bytes, ds_error *err)
{
    if (p->bits_allocated >= 8) {
        ds_status s = ds_bytes_reserve(&p->cells, frame_bytes, err);
        s = s == DS_OK
                ? codec.decode(p, in.data, in.len, p->cells.data + p->cells.len, frame_bytes, err)
                : s;
        p->cells.len += s == DS_OK ? frame_bytes : 0;
        return s;
    }
    std::vector<std::uint8_t> packed(frame_bytes);
    const std::size_t bits = std::size_t{p->rows} * p->columns * p->samples_per_pixel;
    ds_status s = codec.decode(p, in.data, in.len, packed.data(), frame_bytes, err);
    s = s == DS_OK ? ds_bytes_resize(&p->cells, ((frame + std::size_t{1}) * bits + 7) / 8, err) : s;
    if (s == DS_OK) {
        append_bits(p->cells.data, frame * bits, packed.data(), bits);
    }
    return s;
}

ds_status decode_frames(dicom_pixels *p, const dicom_codec &codec, const dicom_fragments *f,
                        std::size_t frame_bytes, ds_error *err)
{
    dicom::bytes_owner joined(DICOM_FILE_MAX_BYTES);
    ds_status s = DS_OK;
    for (std::uint32_t frame = 0; s == DS_OK && frame < p->frames; frame++) {
        bytes_view in{nullptr, 0};
        s = dicom_fragments_frame(f, frame, &joined.bytes, &in.data, &in.len, err);
        if (s == DS_OK && in.len == 0) {
            s = ds_fail(err, DS_EFORMAT, "frame %u is empty", frame + 1);
        }
        s = s == DS_OK ? check_ratio(frame_bytes, in.len, err) : s;
        const std::size_t begin = p->cells.len;
        s = s == DS_OK ? place_frame(p, codec, in, frame, frame_bytes, err) : s;
        ds_map_forget(p->cells.data + begin, p->cells.len - begin);
    }
    return s;
}

} // namespace

namespace dicom
{

ds_status decode_pixels(dicom_pixels *p, const dicom_dataset *d, DcmElement &element, ds_error *err)
{
    std::size_t frame_bytes = 0;
    std::size_t total = 0;
    const dicom_codec *codec = dicom_codec_for(d->syntax.c_str());
    DcmPixelSequence *items = fragments_of(element);
    if (codec == nullptr) {
        return ds_fail(err, DS_EUNSUPPORTED, "no decoder for pixels in transfer syntax %s",
                       d->syntax.c_str());
    }
    if (items == nullptr) {
        return ds_fail(err, DS_EFORMAT, "Pixel Data without fragments");
    }
    fragments_owner fragments;
    ds_status s = dicom_geometry_decoded_bytes(p, &frame_bytes, &total, err);
    s = s == DS_OK ? open(&fragments, d, *items, p->frames, err) : s;
    return s == DS_OK ? decode_frames(p, *codec, fragments.get(), frame_bytes, err) : s;
}

ds_status native_copy(std::unique_ptr<dicom_dataset> *out, const dicom_dataset *d, ds_error *err)
{
    DcmElement *pixels = find(d, DICOM_TAG_PIXEL_DATA);
    if (pixels == nullptr || fragments_of(*pixels) == nullptr) {
        return DS_OK;
    }
    ds_status s = decode_once(d, err);
    if (s == DS_OK) {
        *out = copy_without_pixels(d);
        s = put_native(out->get(), *d->decoded_as, d->decoded, err);
    }
    return s;
}

} // namespace dicom

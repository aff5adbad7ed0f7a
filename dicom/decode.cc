/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/decode.h"

#include "dcmtk/dcmdata/dccodec.h"
#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"

#include <cstring>

extern "C" {
#include "dicom/jpeg_header.h"
#include "dicom/pixel_geometry.h"
#include "dicom/rle.h"
}

namespace
{

struct frame_source {
    const std::uint8_t *data;
    std::size_t len;
};

using frame_decoder = ds_status (*)(const frame_source &in, const dicom_pixels &p,
                                    std::uint8_t *out, std::size_t frame_bytes, ds_error *err);

ds_status decode_rle(const frame_source &in, const dicom_pixels &p, std::uint8_t *out,
                     std::size_t frame_bytes, ds_error *err)
{
    /* 1-bit cells travel packed, eight to a byte, in one segment. */
    const unsigned bytes = p.bits_allocated < 8 ? 1 : p.bits_allocated / 8U;
    return dicom_rle_decode(in.data, in.len, frame_bytes / (bytes * p.samples_per_pixel),
                            p.samples_per_pixel, bytes, out, err);
}

ds_status copy_frame(const frame_source &in, std::uint8_t *out, std::size_t frame_bytes,
                     ds_error *err)
{
    if (in.len < frame_bytes || in.len > frame_bytes + 1) {
        return ds_fail(err, DS_EFORMAT, "a frame of %zu bytes where %zu belong", in.len,
                       frame_bytes);
    }
    std::memcpy(out, in.data, frame_bytes);
    return DS_OK;
}

ds_status decode_uncompressed(const frame_source &in, const dicom_pixels &, std::uint8_t *out,
                              std::size_t frame_bytes, ds_error *err)
{
    return copy_frame(in, out, frame_bytes, err);
}

ds_status decode_deflated(const frame_source &in, const dicom_pixels &, std::uint8_t *out,
                          std::size_t frame_bytes, ds_error *err)
{
    dicom::bytes_owner plain(frame_bytes + 1);
    const ds_status s = dicom::inflate(in.data, in.len, &plain.bytes, err);
    return s == DS_OK ? copy_frame({plain.bytes.data, plain.bytes.len}, out, frame_bytes, err) : s;
}

/* In these syntaxes every frame is exactly one fragment (PS3.5 A.4). */
constexpr struct {
    const char *syntax;
    frame_decoder decode;
} own_decoders[] = {
    {"1.2.840.10008.1.2.5", decode_rle},
    {"1.2.840.10008.1.2.1.98", decode_uncompressed},
    {"1.2.840.10008.1.2.8.1", decode_deflated},
};

/* Puts bits of a frame behind those already there; the first pixel is the lowest bit. */
void append_bits(std::uint8_t *cells, std::size_t at, const std::uint8_t *frame, std::size_t count)
{
    for (std::size_t i = 0; i < count; i++) {
        const unsigned bit = frame[i / 8] >> (i % 8) & 1U;
        cells[(at + i) / 8] =
            static_cast<std::uint8_t>(cells[(at + i) / 8] | bit << ((at + i) % 8));
    }
}

ds_status fragment(DcmPixelSequence &fragments, std::uint32_t index, frame_source *out,
                   ds_error *err)
{
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if (fragments.getItem(item, index).bad() || item->getUint8Array(bytes).bad() ||
        bytes == nullptr) {
        return ds_fail(err, DS_EFORMAT, "fragment %u of Pixel Data is empty", index);
    }
    *out = {bytes, item->getLengthField()};
    return DS_OK;
}

/* One frame to its place among the cells, which for 1-bit pixels need not begin with a byte. */
ds_status place_frame(dicom_pixels *p, frame_decoder decode, const frame_source &in,
                      std::uint32_t frame, std::size_t frame_bytes, ds_error *err)
{
    if (p->bits_allocated >= 8) {
        return decode(in, *p, p->cells.data + frame * frame_bytes, frame_bytes, err);
    }
    std::vector<std::uint8_t> packed(frame_bytes);
    const ds_status s = decode(in, *p, packed.data(), frame_bytes, err);
    const std::size_t bits = std::size_t{p->rows} * p->columns * p->samples_per_pixel;
    if (s == DS_OK) {
        append_bits(p->cells.data, frame * bits, packed.data(), bits);
    }
    return s;
}

ds_status decode_here(dicom_pixels *p, DcmPixelSequence &fragments, frame_decoder decode,
                      std::size_t frame_bytes, std::size_t total, ds_error *err)
{
    if (fragments.card() != p->frames + 1UL) {
        return ds_fail(err, DS_EFORMAT, "%lu fragments for %u frames", fragments.card() - 1,
                       p->frames);
    }
    ds_status s = ds_bytes_resize(&p->cells, total, err);
    for (std::uint32_t frame = 0; s == DS_OK && frame < p->frames; frame++) {
        frame_source in{};
        s = fragment(fragments, frame + 1, &in, err);
        s = s == DS_OK ? place_frame(p, decode, in, frame, frame_bytes, err) : s;
    }
    return s;
}

/* The stream and the attributes must agree on the bytes of a sample and on the number of samples.
 */
ds_status check_jpeg(const dicom_pixels &p, DcmPixelSequence &fragments, std::uint32_t index,
                     ds_error *err)
{
    frame_source in{};
    dicom_jpeg_header h;
    const ds_status s = fragment(fragments, index, &in, err);
    if (s != DS_OK) {
        return s;
    }
    if (!dicom_jpeg_header_read(in.data, in.len, &h)) {
        return ds_fail(err, DS_EFORMAT, "a frame is no JPEG stream");
    }
    if ((h.precision_bits > 8) != (p.bits_allocated > 8) || h.precision_bits > p.bits_allocated ||
        h.components != p.samples_per_pixel) {
        return ds_fail(err, DS_EFORMAT,
                       "a stream of %u bits and %u components where %u and %u belong",
                       h.precision_bits, h.components, p.bits_allocated, p.samples_per_pixel);
    }
    return DS_OK;
}

ds_status decode_by_dcmtk(dicom_pixels *p, const dicom_dataset *d, DcmElement &element,
                          DcmPixelSequence &fragments, std::size_t frame_bytes, std::size_t total,
                          ds_error *err)
{
    Uint32 at = 0;
    OFString colour_model;
    /* One byte more, because DCMTK wants room for an even number. */
    ds_status s = ds_bytes_reserve(&p->cells, total + 1, err);
    for (std::uint32_t frame = 0; s == DS_OK && frame < p->frames; frame++) {
        s = check_jpeg(*p, fragments, at == 0 ? 1 : at, err);
        if (s != DS_OK) {
            return s;
        }
        std::memset(p->cells.data + p->cells.len, 0, frame_bytes + (frame_bytes & 1));
        const OFCondition condition = element.getUncompressedFrame(
            &dicom::mutable_set(d), frame, at, p->cells.data + p->cells.len,
            static_cast<Uint32>(frame_bytes + (frame_bytes & 1)), colour_model);
        if (condition.bad()) {
            s = dicom::status_of(condition) == DS_EUNSUPPORTED ? DS_EUNSUPPORTED : DS_EFORMAT;
            return ds_fail(err, s, "frame %u cannot be decoded: %s", frame + 1, condition.text());
        }
        p->cells.len += frame_bytes;
    }
    return s;
}

frame_decoder own_decoder(const std::string &syntax)
{
    for (const auto &own : own_decoders) {
        if (syntax == own.syntax) {
            return own.decode;
        }
    }
    return nullptr;
}

} // namespace

namespace dicom
{

bool syntax_only_packs(const std::string &uid)
{
    const frame_decoder decode = own_decoder(uid);
    return decode == decode_uncompressed || decode == decode_deflated;
}

ds_status decode_pixels(dicom_pixels *p, const dicom_dataset *d, DcmElement &element, ds_error *err)
{
    std::size_t frame_bytes = 0;
    std::size_t total = 0;
    const frame_decoder decode = own_decoder(d->syntax);
    const DcmXfer xfer(d->syntax.c_str());
    if (decode == nullptr &&
        (!DcmCodecList::canChangeCoding(xfer.getXfer(), EXS_LittleEndianExplicit) ||
         p->bits_allocated < 8)) {
        return ds_fail(err, DS_EUNSUPPORTED, "no decoder for %u-bit pixels in transfer syntax %s",
                       p->bits_allocated, d->syntax.c_str());
    }
    const ds_status s = dicom_geometry_decoded_bytes(p, &frame_bytes, &total, err);
    if (s != DS_OK) {
        return s;
    }
    /* The first item is the offset table; every frame has at least one fragment (PS3.5 A.4). */
    DcmPixelSequence *fragments = fragments_of(element);
    if (fragments == nullptr || fragments->card() < 2 || p->frames > fragments->card() - 1) {
        return ds_fail(err, DS_EFORMAT, "fewer fragments than frames");
    }
    return decode != nullptr ? decode_here(p, *fragments, decode, frame_bytes, total, err)
                             : decode_by_dcmtk(p, d, element, *fragments, frame_bytes, total, err);
}

} // namespace dicom

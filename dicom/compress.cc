/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/compress.h"

#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"

#include <cstring>

extern "C" {
#include "base/map.h"
#include "dicom/codec.h"
#include "dicom/pixel_geometry.h"
}

namespace
{

/* The offset table is of 32-bit numbers (A.4); an Extended one would be needed above. */
constexpr std::uint64_t offset_max = 0xffffffffU;

/* Fragments are all in memory before the first is written, because the offset table stands before
 * them: a larger image stays native. */
constexpr std::size_t compressed_max = std::size_t{128} * 1024 * 1024;

struct pixels_owner {
    dicom_pixels pixels{};
    pixels_owner() = default;
    pixels_owner(const pixels_owner &) = delete;
    pixels_owner &operator=(const pixels_owner &) = delete;
    ~pixels_owner()
    {
        dicom_pixels_free(&pixels);
    }
};

/* What would not come back as it is: the bytes behind the frames, a Planar Configuration that is
 * not there, colour by plane or natively subsampled. */
ds_status check(const dicom_dataset *d, const dicom_pixels &p, const dicom_codec &codec,
                ds_error *err)
{
    std::size_t frame = 0;
    std::size_t decoded = 0;
    std::size_t native = 0;
    ds_status s = dicom_geometry_decoded_bytes(&p, &frame, &decoded, err);
    s = s == DS_OK ? dicom_geometry_native_bytes(&p, &native, err) : s;
    if (s != DS_OK) {
        return s;
    }
    if (native > compressed_max) {
        return ds_fail(err, DS_EUNSUPPORTED, "an image of %zu bytes is not compressed", native);
    }
    if (native != decoded) {
        return ds_fail(err, DS_EUNSUPPORTED, "subsampled colour is not compressed losslessly");
    }
    if (d->native.len() > native + (native & 1)) {
        return ds_fail(err, DS_EUNSUPPORTED, "bytes behind the frames have no place in fragments");
    }
    dicom::bytes_owner last(2); /* words begin at even places */
    dicom::bytes_sink sink(&last.bytes);
    if (d->native.len() > native) {
        s = d->native.put(sink, native - 1, native + 1, false, err);
    }
    if (s == DS_OK && last.bytes.len > 0 && last.bytes.data[1] != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "Pixel Data is padded with other than zero");
    }
    if (p.samples_per_pixel > 1 &&
        (!dicom_dataset_has(d, DICOM_TAG(0x0028, 0x0006)) || (p.is_planar && !codec.only_packs))) {
        return ds_fail(err, DS_EUNSUPPORTED, "colour that is not by pixel is not compressed");
    }
    return s;
}

/* The cells of one frame; those of 1-bit pixels need not begin with a byte. */
void take_frame(const dicom_pixels &p, std::uint32_t frame, std::vector<std::uint8_t> *out)
{
    if (p.bits_allocated >= 8) {
        std::memcpy(out->data(), p.cells.data + frame * out->size(), out->size());
        ds_map_forget(p.cells.data + frame * out->size(), out->size());
        return;
    }
    const std::size_t bits = std::size_t{p.rows} * p.columns * p.samples_per_pixel;
    std::fill(out->begin(), out->end(), std::uint8_t{0});
    for (std::size_t i = 0; i < bits; i++) {
        const std::size_t at = frame * bits + i;
        const unsigned bit = p.cells.data[at / 8] >> (at % 8) & 1U;
        (*out)[i / 8] = static_cast<std::uint8_t>((*out)[i / 8] | bit << (i % 8));
    }
}

ds_status append_item(DcmPixelSequence &sequence, const std::uint8_t *data, std::size_t len,
                      ds_error *err)
{
    auto item = std::make_unique<DcmPixelItem>(DcmTag(DCM_PixelItemTag, EVR_OB));
    OFCondition c =
        len == 0 ? EC_Normal : item->putUint8Array(data, static_cast<unsigned long>(len));
    c = c.good() ? sequence.insert(item.get()) : c;
    if (c.good()) {
        (void)item.release();
    }
    return dicom::from_dcmtk(c, "a fragment", err);
}

ds_status encode_frames(const dicom_pixels &p, const dicom_codec &codec, std::size_t frame_bytes,
                        std::vector<dicom::bytes_owner> *streams, ds_error *err)
{
    std::vector<std::uint8_t> cells(frame_bytes);
    ds_status s = DS_OK;
    for (std::uint32_t i = 0; s == DS_OK && i < p.frames; i++) {
        ds_bytes *out = &(*streams)[i].bytes;
        take_frame(p, i, &cells);
        out->max = DICOM_FILE_MAX_BYTES;
        s = codec.encode(&p, cells.data(), frame_bytes, out, err);
        /* Fragments are of even length (A.4). */
        s = s == DS_OK && (out->len & 1) != 0 ? ds_bytes_put_u8(out, 0, err) : s;
    }
    return s;
}

ds_status put_items(DcmPixelSequence &sequence, const std::vector<dicom::bytes_owner> &streams,
                    ds_error *err)
{
    std::vector<std::uint8_t> table(4 * streams.size());
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < streams.size(); i++) {
        for (unsigned k = 0; k < 4; k++) {
            table[4 * i + k] = static_cast<std::uint8_t>(offset >> (8 * k));
        }
        offset += 8 + streams[i].bytes.len;
        if (offset > offset_max) {
            return ds_fail(err, DS_EUNSUPPORTED, "fragments beyond 4 GB");
        }
    }
    ds_status s = append_item(sequence, table.data(), table.size(), err);
    for (std::size_t i = 0; s == DS_OK && i < streams.size(); i++) {
        s = append_item(sequence, streams[i].bytes.data, streams[i].bytes.len, err);
    }
    return s;
}

ds_status put_pixels(dicom_dataset *d, std::unique_ptr<DcmPixelSequence> sequence,
                     const char *syntax, ds_error *err)
{
    dicom::syntax_facts facts{};
    const ds_status s = dicom::facts_of(syntax, &facts, err);
    if (s != DS_OK) {
        return s;
    }
    auto pixels = std::make_unique<DcmPixelData>(DcmTag(DCM_PixelData, EVR_OB));
    pixels->putOriginalRepresentation(facts.parse_as, nullptr, sequence.release());
    const OFCondition c = d->set->insert(pixels.get(), OFTrue);
    if (c.good()) {
        (void)pixels.release();
        d->syntax = syntax;
    }
    return dicom::from_dcmtk(c, "Pixel Data", err);
}

} // namespace

namespace dicom
{

ds_status compressed_copy(std::unique_ptr<dicom_dataset> *out, const dicom_dataset *d,
                          const char *syntax, ds_error *err)
{
    const dicom_codec *codec = dicom_codec_for(syntax);
    if (codec == nullptr || codec->encode == nullptr) {
        return ds_fail(err, DS_EUNSUPPORTED, "cannot compress to transfer syntax %.64s", syntax);
    }
    pixels_owner owner;
    const dicom_pixels &p = owner.pixels;
    std::size_t frame_bytes = 0;
    std::size_t total = 0;
    ds_status s = dicom_pixels_read(&owner.pixels, d, err);
    s = s == DS_OK ? check(d, p, *codec, err) : s;
    s = s == DS_OK ? dicom_geometry_decoded_bytes(&p, &frame_bytes, &total, err) : s;
    if (s != DS_OK) {
        return s == DS_ENOTHING ? ds_fail(err, DS_EUNSUPPORTED, "nothing to compress") : s;
    }
    std::vector<bytes_owner> streams(p.frames);
    auto sequence = std::make_unique<DcmPixelSequence>(DcmTag(DCM_PixelData, EVR_OB));
    s = encode_frames(p, *codec, frame_bytes, &streams, err);
    s = s == DS_OK ? put_items(*sequence, streams, err) : s;
    if (s == DS_OK) {
        *out = copy_without_pixels(d);
        s = put_pixels(out->get(), std::move(sequence), syntax, err);
    }
    return s;
}

} // namespace dicom

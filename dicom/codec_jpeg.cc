/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG and JPEG-LS by DCMTK's codecs, one frame at a time. */
#include "dicom/object.h"

#include "dcmtk/dcmdata/dccodec.h"
#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"

#include <cstring>

extern "C" {
#include "dicom/codec_private.h"
#include "dicom/jpeg_header.h"
}

namespace
{

/* The stream and the attributes must agree on the size, the bytes of a sample and the number of
 * samples. */
ds_status check_jpeg(const dicom_pixels &p, const dicom_jpeg_header &h, ds_error *err)
{
    if ((h.precision_bits > 8) != (p.bits_allocated > 8) || h.precision_bits > p.bits_allocated ||
        h.components != p.samples_per_pixel) {
        return ds_fail(err, DS_EFORMAT,
                       "a stream of %u bits and %u components where %u and %u belong",
                       h.precision_bits, h.components, p.bits_allocated, p.samples_per_pixel);
    }
    /* Smaller ones exist in the field: the end of a cine loop that was cropped. They fill the frame
     * from its start, as in DCMTK. */
    if (std::uint64_t{h.rows} * h.columns > std::uint64_t{p.rows} * p.columns) {
        return ds_fail(err, DS_EFORMAT, "a stream of %ux%u pixels where %ux%u belong", h.columns,
                       h.rows, p.columns, p.rows);
    }
    return DS_OK;
}

/* Which of DCMTK's codecs takes it. Its JPEG decoders all read every process; they differ in what
 * they answer for. */
E_TransferSyntax syntax_of(const dicom_jpeg_header &h)
{
    return h.is_jpegls ? EXS_JPEGLSLossless : EXS_JPEGProcess14;
}

ds_status put_number(DcmItem &item, const DcmTagKey &tag, std::uint16_t value, ds_error *err)
{
    return dicom::from_dcmtk(item.putAndInsertUint16(tag, value), "describing a frame", err);
}

/* What DCMTK's decoders ask of the data set around the pixels. */
ds_status describe(DcmItem &item, const dicom_pixels &p, ds_error *err)
{
    const struct {
        DcmTagKey tag;
        std::uint16_t value;
    } numbers[] = {
        {DCM_SamplesPerPixel, p.samples_per_pixel},
        {DCM_Rows, static_cast<std::uint16_t>(p.rows)},
        {DCM_Columns, static_cast<std::uint16_t>(p.columns)},
        {DCM_BitsAllocated, p.bits_allocated},
        {DCM_BitsStored, p.bits_stored},
        {DCM_HighBit, p.high_bit},
        {DCM_PixelRepresentation, static_cast<std::uint16_t>(p.is_signed ? 1 : 0)},
        {DCM_PlanarConfiguration, 0},
    };
    ds_status s = DS_OK;
    for (const auto &n : numbers) {
        s = s == DS_OK ? put_number(item, n.tag, n.value, err) : s;
    }
    return s == DS_OK ? dicom::from_dcmtk(
                            item.putAndInsertString(DCM_PhotometricInterpretation, p.photometric),
                            "describing a frame", err)
                      : s;
}

/* A pixel sequence of an empty offset table and this one fragment. */
ds_status wrap(DcmPixelSequence &sequence, const std::uint8_t *stream, std::size_t len,
               ds_error *err)
{
    if (len > 0xfffffffeU) {
        return ds_fail(err, DS_EFORMAT, "a frame of %zu bytes", len);
    }
    auto table = std::make_unique<DcmPixelItem>(DcmTag(DCM_PixelItemTag, EVR_OB));
    auto frame = std::make_unique<DcmPixelItem>(DcmTag(DCM_PixelItemTag, EVR_OB));
    OFCondition c = frame->putUint8Array(stream, static_cast<unsigned long>(len));
    c = c.good() ? sequence.insert(table.get()) : c;
    if (c.good()) {
        (void)table.release();
        c = sequence.insert(frame.get());
    }
    if (c.good()) {
        (void)frame.release();
    }
    return dicom::from_dcmtk(c, "a frame", err);
}

ds_status decode(const dicom_pixels &p, const std::uint8_t *stream, std::size_t len,
                 std::uint8_t *cells, std::size_t frame_bytes, ds_error *err)
{
    dicom_jpeg_header h;
    if (!dicom_jpeg_header_read(stream, len, &h)) {
        return ds_fail(err, DS_EFORMAT, "a frame is no JPEG stream");
    }
    DcmDataset item;
    DcmPixelSequence sequence(DcmTag(DCM_PixelData, EVR_OB));
    ds_status s = check_jpeg(p, h, err);
    s = s == DS_OK ? describe(item, p, err) : s;
    s = s == DS_OK ? wrap(sequence, stream, len, err) : s;
    if (s != DS_OK) {
        return s;
    }
    /* DCMTK wants room for an even number. */
    std::vector<std::uint8_t> room(frame_bytes + (frame_bytes & 1));
    Uint32 fragment = 1;
    OFString colour_model;
    const OFCondition c =
        DcmCodecList::decodeFrame(DcmXfer(syntax_of(h)), nullptr, &sequence, &item, 0, fragment,
                                  room.data(), static_cast<Uint32>(room.size()), colour_model);
    if (c.bad()) {
        s = dicom::status_of(c) == DS_EUNSUPPORTED ? DS_EUNSUPPORTED : DS_EFORMAT;
        return ds_fail(err, s, "DCMTK cannot decode it: %s", c.text());
    }
    std::memcpy(cells, room.data(), frame_bytes);
    return DS_OK;
}

} // namespace

extern "C" DICOM_DECODER(dicom_jpeg_decode)
{
    return dicom::guarded(err, [&] { return decode(*p, stream, len, cells, frame_bytes, err); });
}

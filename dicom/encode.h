/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode - data elements as bytes (PS3.5 7), without DCMTK's writer; private to dicom/.
 *
 * DCMTK writes text through C strings: what follows a NUL is lost and NUL padding becomes spaces.
 * This encoder copies values as they were read, pads odd ones (PS3.5 6.2), gives every sequence and
 * item an explicit length and leaves group lengths out.
 *
 * The canonical form, which the dataset hash is made of, is Explicit VR Little Endian with VRs that
 * follow from the tag alone, because those of a file do not survive every detour through other
 * transfer syntaxes and archives:
 *   - standard elements have the VR of the dictionary; where that leaves a choice, US for "US or
 * SS", OW for "OB or OW" and LUT data; Pixel Data is OW above 8 bits allocated, else OB;
 *   - private elements, and those that the dictionary does not know, are UN, as PS3.5 6.2.2 has a
 * node write what it does not know; sequences in them are Implicit VR Little Endian inside. Private
 * creators are LO.
 *   - encapsulated Pixel Data counts as it is decoded, and with it the colour of the cells:
 * YBR_FULL for subsampled YBR, RGB for YBR_RCT and YBR_ICT, Planar Configuration 0;
 *   - a private UN value of defined length is opaque: it counts with its bytes, even where they are
 * a sequence; a standard sequence that came as UN is opened.
 */
#ifndef DICOMSTEGO_DICOM_ENCODE_H
#define DICOMSTEGO_DICOM_ENCODE_H

#include "dicom/guard.h"

#include <string>

struct dicom_dataset;

namespace dicom
{

/* Where encoded bytes go. */
class byte_sink
{
  public:
    virtual ~byte_sink() = default;
    virtual ds_status put(const void *data, std::size_t len, ds_error *err) = 0;
};

class bytes_sink : public byte_sink
{
  public:
    explicit bytes_sink(ds_bytes *out) : out_(out)
    {
    }
    ds_status put(const void *data, std::size_t len, ds_error *err) override
    {
        return ds_bytes_append(out_, data, len, err);
    }

  private:
    ds_bytes *out_;
};

class digest_sink : public byte_sink
{
  public:
    explicit digest_sink(ds_sha256 *digest) : digest_(digest)
    {
    }
    ds_status put(const void *data, std::size_t len, ds_error *err) override
    {
        return ds_sha256_update(digest_, data, len, err);
    }

  private:
    ds_sha256 *digest_;
};

struct encoding {
    bool explicit_vr;
    bool big_endian;
    bool canonical;
    bool hollow = false; /* native Pixel Data without its value */
};

class encoder
{
  public:
    encoder(byte_sink &sink, const encoding &how, const dicom_dataset *d, ds_error *err);
    ds_status dataset();
    /* All elements of a data set or item but group lengths and group 0002. */
    ds_status elements(DcmItem &item);
    ds_status element(DcmElement &element);

  private:
    struct plan;
    plan plan_of(DcmElement &element) const;
    std::string vr_of(DcmElement &element) const;
    ds_status header(const plan &p);
    ds_status item_header(Uint16 element, Uint32 length);
    ds_status value(const plan &p);
    ds_status sequence(const plan &p);
    ds_status fragments(const plan &p);
    ds_status native(const plan &p);
    ds_status number(std::uint64_t v, unsigned width);
    std::uint64_t size_of(DcmElement &element) const;
    std::uint64_t size_of_items(DcmElement &element) const;
    std::uint64_t size_of_elements(DcmItem &item) const;

    byte_sink &sink_;
    encoding how_;
    ds_error *err_;
    const dicom_dataset *dataset_;
    const DcmElement *native_ = nullptr; /* its Pixel Data, when native: the value is apart */
};

} // namespace dicom

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object - what a struct dicom_dataset is, for the C++ files of this folder only.
 */
#ifndef DICOMSTEGO_DICOM_OBJECT_H
#define DICOMSTEGO_DICOM_OBJECT_H

#include "dicom/guard.h"

#include "dicom/dataset.h"
#include "dicom/native.h"

#include <string>
#include <vector>

struct dicom_pixels;

struct dicom_dataset {
    std::unique_ptr<DcmDataset> set;
    std::string syntax;         /* as read or last written; "" for a new one */
    dicom::native_value native; /* of Pixel Data, whose element is then empty */
    /* What encapsulated Pixel Data decodes to, once somebody asked; and its attributes, which have
     * no cells. */
    mutable dicom::native_value decoded;
    mutable std::shared_ptr<const dicom_pixels> decoded_as;
};

namespace dicom
{

inline DcmTagKey key_of(dicom_tag tag)
{
    return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xffffU));
}

inline dicom_tag tag_of(const DcmObject &object)
{
    return DICOM_TAG(object.getGTag(), object.getETag());
}

/* DCMTK's look-ups are not const although they change nothing that can be seen: an object is used
 * by one thread at a time, so the one cast lives here. */
DcmDataset &mutable_set(const dicom_dataset *d);

/* The top-level element, or nullptr. Native Pixel Data is empty here: d->native has its value. */
DcmElement *find(const dicom_dataset *d, dicom_tag tag);

/* Calls body with each child of a container in order. */
template <class Body> ds_status for_each_child(DcmObject &container, Body body)
{
    for (DcmObject *child = container.nextInContainer(nullptr); child != nullptr;
         child = container.nextInContainer(child)) {
        const ds_status s = body(*child);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

/* Bytes of the value as they were read, without DCMTK's string handling, which would cut at a NUL
 * and guess the padding. offset and len must lie in the value; a multiple of 8 keeps words whole.
 */
ds_status raw_value(DcmElement &element, std::size_t offset, void *out, std::size_t len,
                    E_ByteOrder order, ds_error *err);

/* A value of the data set, or of an item in it, as text in UTF-8: all values with backslashes,
 * without trailing padding; numbers spelled out. */
ds_status element_utf8(const dicom_dataset *d, DcmElement &element, std::string *out,
                       ds_error *err);

/* A number of up to 16 bits whatever VR it hides in; false when absent or of another length. */
bool small_number(DcmItem &item, const DcmTagKey &tag, std::uint16_t *out);

/* The fragments when the element is encapsulated, else nullptr. */
DcmPixelSequence *fragments_of(DcmElement &element);

/* value as DCMTK must be given it: padded to even length as its VR wants (PS3.5 6.2). */
std::string padded(const DcmTag &tag, const char *value);

/* Replaces or inserts a value in an item; the VR comes from the dictionary. */
ds_status put_value(DcmItem &item, dicom_tag tag, const char *value, ds_error *err);

/* How a transfer syntax encodes a data set, also for those that DCMTK has not heard of yet: all
 * that the standard has added since are Explicit VR Little Endian with encapsulated Pixel Data
 * (PS3.5 10). */
struct syntax_facts {
    E_TransferSyntax parse_as;
    bool explicit_vr;
    bool big_endian;
    bool deflated;
    bool encapsulated;
};
ds_status facts_of(const char *syntax, syntax_facts *out, ds_error *err);

/* A data set without group 0002 from memory, in any syntax of the standard. Checked before it is
 * parsed. */
ds_status parse(DcmDataset &out, const std::uint8_t *data, std::size_t len, const char *syntax,
                ds_error *err);

/* Makes value the native Pixel Data; p says how it is to be read. */
ds_status put_native(dicom_dataset *d, const dicom_pixels &p, const native_value &value,
                     ds_error *err);

/* Native Pixel Data that came into DCMTK's data set go where they belong: beside it. */
ds_status take_native(dicom_dataset *d, ds_error *err);

/* A new object with all that d has but its Pixel Data. */
std::unique_ptr<dicom_dataset> copy_without_pixels(const dicom_dataset *d);

} // namespace dicom

#endif

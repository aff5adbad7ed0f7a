/* SPDX-License-Identifier: Apache-2.0 */
/* The UIDs of a data set, wherever they stand. */
#include "dicom/object.h"

namespace
{

struct uid_walk {
    dicom_uid_visit visit;
    void *context;
};

ds_status visit_value(DcmElement &element, unsigned depth, const uid_walk &walk, ds_error *err)
{
    std::vector<std::uint8_t> value(element.getLengthField());
    ds_status s = value.empty() ? DS_OK
                                : dicom::raw_value(element, 0, value.data(), value.size(),
                                                   EBO_LittleEndian, err);
    dicom::bytes_owner replacement(DICOM_UID_VALUE_MAX_BYTES);
    if (s == DS_OK) {
        s = walk.visit(walk.context, dicom::tag_of(element), depth, value.data(), value.size(),
                       &replacement.bytes, err);
    }
    if (s != DS_OK || replacement.bytes.len == 0) {
        return s;
    }
    return dicom::from_dcmtk(
        element.putString(reinterpret_cast<const char *>(replacement.bytes.data),
                          static_cast<Uint32>(replacement.bytes.len)),
        "replacing a UID", err);
}

/* No deeper than the parser lets a data set be. Private elements are left out: in Implicit VR they
 * have no VR, and the same walk must find the same elements on the other side. */
ds_status walk_elements(DcmObject &item, unsigned depth, const uid_walk &walk, ds_error *err)
{
    return dicom::for_each_child(item, [&](DcmObject &child) {
        if ((child.getGTag() & 1) != 0) {
            return DS_OK;
        }
        if (child.ident() == EVR_SQ) {
            return dicom::for_each_child(child, [&](DcmObject &inner) {
                return walk_elements(inner, depth + 1, walk, err);
            });
        }
        DcmElement *element = dynamic_cast<DcmElement *>(&child);
        return child.ident() == EVR_UI && element != nullptr
                   ? visit_value(*element, depth, walk, err)
                   : DS_OK;
    });
}

} // namespace

extern "C" ds_status dicom_dataset_visit_uids(dicom_dataset *d, dicom_uid_visit visit,
                                              void *context, ds_error *err)
{
    return dicom::guarded(err, [&] {
        return walk_elements(*d->set, 0, uid_walk{visit, context}, err);
    });
}

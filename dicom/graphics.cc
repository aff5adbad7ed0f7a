/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/object.h"

#include "dicom/graphics.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace
{

const double coordinate_max = 1e6;

DcmSequenceOfItems *sequence_of(DcmItem &item, const DcmTagKey &key)
{
    DcmSequenceOfItems *sequence = nullptr;
    return item.findAndGetSequence(key, sequence).good() ? sequence : nullptr;
}

std::string text_of(DcmItem &item, const DcmTagKey &key)
{
    OFString text;
    return item.findAndGetOFString(key, text).good() ? std::string(text.c_str()) : std::string();
}

/* Is the annotation for the image, and for which frame? */
bool refers(DcmItem &annotation, const char *uid, std::uint32_t *frame)
{
    DcmSequenceOfItems *images = sequence_of(annotation, DCM_ReferencedImageSequence);
    *frame = 0;
    for (unsigned long i = 0; images != nullptr && i < images->card(); i++) {
        DcmItem &image = *images->getItem(i);
        Sint32 number = 1;
        if (text_of(image, DCM_ReferencedSOPInstanceUID) == uid) {
            (void)image.findAndGetSint32(DCM_ReferencedFrameNumber, number);
            *frame = number > 0 ? static_cast<std::uint32_t>(number - 1) : 0;
            return true;
        }
    }
    return images == nullptr || images->card() == 0;
}

ds_status read_points(DcmItem &object, std::vector<double> &out, ds_error *err)
{
    Float32 value = 0;
    for (unsigned long i = 0; object.findAndGetFloat32(DCM_GraphicData, value, i).good(); i++) {
        if (!(std::fabs(value) < coordinate_max)) {
            return ds_fail(err, DS_EFORMAT, "a graphic object has a coordinate that is none");
        }
        out.push_back(value);
    }
    return out.size() < 2 || out.size() % 2 != 0
               ? ds_fail(err, DS_EFORMAT, "a graphic object has too few coordinates")
               : DS_OK;
}

void enclose_points(const std::vector<double> &p, dicom_graphic *out)
{
    out->left = out->right = p[0];
    out->top = out->bottom = p[1];
    for (std::size_t i = 0; i < p.size(); i += 2) {
        out->left = std::min(out->left, p[i]);
        out->right = std::max(out->right, p[i]);
        out->top = std::min(out->top, p[i + 1]);
        out->bottom = std::max(out->bottom, p[i + 1]);
    }
}

void enclose_centre(double x, double y, double across, double down, dicom_graphic *out)
{
    out->left = x - across;
    out->right = x + across;
    out->top = y - down;
    out->bottom = y + down;
}

/* Circle: centre and a point on it. Ellipse: the ends of its major and of its minor axis; half its
 * extent is the root of the sum of squares of the half axes' parts (PS3.3 C.10.5.1.2). */
void enclose(const std::string &type, const std::vector<double> &p, dicom_graphic *out)
{
    if (type == "CIRCLE" && p.size() == 4) {
        const double radius = std::hypot(p[2] - p[0], p[3] - p[1]);
        enclose_centre(p[0], p[1], radius, radius, out);
    } else if (type == "ELLIPSE" && p.size() == 8) {
        enclose_centre((p[0] + p[2]) / 2, (p[1] + p[3]) / 2,
                       std::hypot((p[2] - p[0]) / 2, (p[6] - p[4]) / 2),
                       std::hypot((p[3] - p[1]) / 2, (p[7] - p[5]) / 2), out);
    } else {
        enclose_points(p, out);
    }
}

ds_status read_object(DcmItem &object, std::uint32_t frame, dicom_graphic *out, ds_error *err)
{
    if (text_of(object, DCM_GraphicAnnotationUnits) != "PIXEL") {
        return ds_fail(err, DS_EUNSUPPORTED,
                       "a graphic object whose place depends on the displayed area");
    }
    std::vector<double> points;
    const ds_status s = read_points(object, points, err);
    if (s == DS_OK) {
        enclose(text_of(object, DCM_GraphicType), points, out);
        out->frame = frame;
    }
    return s;
}

ds_status read_all(DcmDataset &set, const char *uid, dicom_graphic *out, std::size_t room,
                   std::size_t *count, ds_error *err)
{
    DcmSequenceOfItems *annotations = sequence_of(set, DCM_GraphicAnnotationSequence);
    for (unsigned long i = 0; annotations != nullptr && i < annotations->card(); i++) {
        DcmItem &annotation = *annotations->getItem(i);
        DcmSequenceOfItems *objects = sequence_of(annotation, DCM_GraphicObjectSequence);
        std::uint32_t frame = 0;
        if (objects == nullptr || !refers(annotation, uid, &frame)) {
            continue;
        }
        for (unsigned long k = 0; k < objects->card(); k++) {
            dicom_graphic graphic = {};
            const ds_status s = read_object(*objects->getItem(k), frame, &graphic, err);
            if (s != DS_OK) {
                return s;
            }
            if (*count < room) {
                out[*count] = graphic;
            }
            (*count)++;
        }
    }
    return DS_OK;
}

} // namespace

extern "C" bool dicom_graphics_are_in(const dicom_dataset *state)
{
    return dicom::guarded_or(
        false, [&] { return sequence_of(*state->set, DCM_GraphicAnnotationSequence) != nullptr; });
}

extern "C" ds_status dicom_graphics_of(const dicom_dataset *state, const char *sop_instance_uid,
                                       dicom_graphic *out, std::size_t room, std::size_t *count,
                                       ds_error *err)
{
    *count = 0;
    return dicom::guarded(
        err, [&] { return read_all(*state->set, sop_instance_uid, out, room, count, err); });
}

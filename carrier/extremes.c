/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Smallest and largest pixel value of the image and of its series (PS3.3 C.7.6.3, C.7.3.1). What
 * was right for the original is made right for the carrier: the image's values equal its extremes,
 * the series' bound them. What was not right before, because padding was left out or by mistake,
 * stays.
 */
#include "carrier/carrier_private.h"
#include "carrier/element.h"

#include <string.h>

struct extremes {
    int32_t smallest, largest;
};

struct rule {
    dicom_tag tag;
    bool of_smallest;
    bool of_series;
};

static const struct rule rules[] = {
    {CARRIER_TAG_SMALLEST_IN_IMAGE, true, false},
    {CARRIER_TAG_LARGEST_IN_IMAGE, false, false},
    {CARRIER_TAG_SMALLEST_IN_SERIES, true, true},
    {CARRIER_TAG_LARGEST_IN_SERIES, false, true},
};

/* False for colour, and for what 16 bits do not hold: the elements are US or SS. */
static bool find_extremes(const struct stego_image *image, struct extremes *out)
{
    size_t count = 0;
    if (image->samples == NULL || image->components != 1 || image->bits_stored > 16 ||
        !stego_image_count(image, &count) || count == 0) {
        return false;
    }
    *out = (struct extremes){image->samples[0], image->samples[0]};
    for (size_t i = 1; i < count; i++) {
        const int32_t v = image->samples[i];
        out->smallest = v < out->smallest ? v : out->smallest;
        out->largest = v > out->largest ? v : out->largest;
    }
    return true;
}

/* The element in Explicit VR Little Endian and where its value stands; false unless it is one of
 * two bytes. */
static bool find_value(const struct dicom_dataset *d, dicom_tag tag, struct ds_bytes *element,
                       uint8_t **value)
{
    if (dicom_dataset_export(d, tag, element, NULL) != DS_OK) {
        return false;
    }
    struct ds_cursor c = ds_cursor_over(element->data, element->len);
    struct carrier_element e = {0};
    if (!carrier_element_read(&c, &e) || e.len != 2) {
        return false;
    }
    *value = element->data + (element->len - 2);
    return true;
}

/* By the pixels' sign, whatever the VR says: writers confuse US and SS. */
static int32_t number_of(const uint8_t value[2], bool is_signed)
{
    const uint16_t v = (uint16_t)(value[0] | value[1] << 8);
    return is_signed ? (int32_t)(int16_t)v : (int32_t)v;
}

static bool is_right(const struct rule *r, int32_t number, const struct extremes *e)
{
    const int32_t extreme = r->of_smallest ? e->smallest : e->largest;
    if (!r->of_series) {
        return number == extreme;
    }
    return r->of_smallest ? number <= extreme : number >= extreme;
}

bool carrier_extreme_was_right(const struct carrier_original *o, dicom_tag tag)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes element = DS_BYTES_INIT(64);
    struct extremes e = {0};
    uint8_t *value = NULL;
    for (size_t i = 0; i < DS_ARRAY_SIZE(rules); i++) {
        if (rules[i].tag == tag) {
            return find_value(o->dataset, tag, &element, &value) && find_extremes(&o->image, &e) &&
                   is_right(&rules[i], number_of(value, o->image.is_signed), &e);
        }
    }
    return false;
}

static enum ds_status settle(const struct rule *r, const struct carrier_original *o,
                             const struct extremes *now, struct dicom_dataset *d,
                             struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes element = DS_BYTES_INIT(64);
    uint8_t *value = NULL;
    if (!carrier_extreme_was_right(o, r->tag) || !find_value(d, r->tag, &element, &value) ||
        is_right(r, number_of(value, o->image.is_signed), now)) {
        return DS_OK;
    }
    const uint16_t v = (uint16_t)(r->of_smallest ? now->smallest : now->largest);
    value[0] = (uint8_t)v;
    value[1] = (uint8_t)(v >> 8);
    return dicom_dataset_import(d, element.data, element.len, err);
}

enum ds_status carrier_extremes_settle(const struct carrier_original *o,
                                       const struct stego_image *image, struct dicom_dataset *d,
                                       struct ds_error *err)
{
    struct extremes now = {0};
    enum ds_status s = DS_OK;
    const bool known = find_extremes(image, &now);
    for (size_t i = 0; known && i < DS_ARRAY_SIZE(rules) && s == DS_OK; i++) {
        s = settle(&rules[i], o, &now, d, err);
    }
    return s;
}

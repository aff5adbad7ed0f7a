/* SPDX-License-Identifier: Apache-2.0 */
/* The SOP classes (PS3.4 B.5) whose pixels are numbers that software computes with. */
#include "carrier/carrier.h"

#include <string.h>

struct measuring_class {
    const char *sop_class_uid;
    enum carrier_measurement kind;
};

static const struct measuring_class classes[] = {
    {"1.2.840.10008.5.1.4.1.1.481.2", CARRIER_MEASURES_RT_DOSE},
    {"1.2.840.10008.5.1.4.1.1.66.4", CARRIER_MEASURES_SEGMENTATION},
    {"1.2.840.10008.5.1.4.1.1.66.5", CARRIER_MEASURES_SEGMENTATION}, /* surface */
    {"1.2.840.10008.5.1.4.1.1.66.7", CARRIER_MEASURES_SEGMENTATION}, /* label map */
    {"1.2.840.10008.5.1.4.1.1.66.8", CARRIER_MEASURES_SEGMENTATION}, /* height map */
    {"1.2.840.10008.5.1.4.1.1.30", CARRIER_MEASURES_PARAMETRIC_MAP},
    {"1.2.840.10008.5.1.4.1.1.128", CARRIER_MEASURES_PET},
    {"1.2.840.10008.5.1.4.1.1.128.1", CARRIER_MEASURES_PET}, /* legacy converted enhanced */
    {"1.2.840.10008.5.1.4.1.1.130", CARRIER_MEASURES_PET},   /* enhanced */
};

struct measuring_word {
    const char *word;
    enum carrier_measurement kind;
};

static const struct measuring_word words[] = {
    {"rt_dose", CARRIER_MEASURES_RT_DOSE},
    {"segmentation", CARRIER_MEASURES_SEGMENTATION},
    {"parametric_map", CARRIER_MEASURES_PARAMETRIC_MAP},
    {"pet", CARRIER_MEASURES_PET},
};

unsigned carrier_measurement_of(const char *sop_class_uid)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(classes); i++) {
        if (strcmp(classes[i].sop_class_uid, sop_class_uid) == 0) {
            return classes[i].kind;
        }
    }
    return 0;
}

unsigned carrier_measurement_named(const char *word)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(words); i++) {
        if (strcmp(words[i].word, word) == 0) {
            return words[i].kind;
        }
    }
    return 0;
}

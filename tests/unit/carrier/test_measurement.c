/* SPDX-License-Identifier: Apache-2.0 */
/* What feeds measurement is left alone unless its kind is named: real images through the plan. */
#include "tests/unit/dicom/samples.h"

#include "carrier/carrier.h"

static void words_and_classes_meet_in_one_kind(void **state)
{
    (void)state;
    static const struct {
        const char *word, *sop_class_uid;
    } pairs[] = {
        {"rt_dose", "1.2.840.10008.5.1.4.1.1.481.2"},
        {"segmentation", "1.2.840.10008.5.1.4.1.1.66.4"},
        {"segmentation", "1.2.840.10008.5.1.4.1.1.66.7"},
        {"parametric_map", "1.2.840.10008.5.1.4.1.1.30"},
        {"pet", "1.2.840.10008.5.1.4.1.1.128"},
        {"pet", "1.2.840.10008.5.1.4.1.1.130"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(pairs); i++) {
        assert_int_not_equal(carrier_measurement_named(pairs[i].word), 0);
        assert_int_equal(carrier_measurement_of(pairs[i].sop_class_uid),
                         carrier_measurement_named(pairs[i].word));
    }
    assert_int_equal(carrier_measurement_named("dose"), 0);
    assert_int_equal(carrier_measurement_of("1.2.840.10008.5.1.4.1.1.2"), 0);  /* CT */
    assert_int_equal(carrier_measurement_of("1.2.840.10008.5.1.4.1.1.20"), 0); /* NM */
    /* One that only begins like PET. */
    assert_int_equal(carrier_measurement_of("1.2.840.10008.5.1.4.1.1.1280"), 0);
}

static void add(struct carrier_plan *plan, const char *name)
{
    struct ds_bytes file = read_sample(name);
    struct carrier_original *o = NULL;
    assert_int_equal(carrier_original_load(&o, file.data, file.len, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
    carrier_original_free(o);
    ds_bytes_free(&file);
}

/* Seals a CT slice and a PET slice, without a report. */
static enum carrier_placement placement_of_pet(const struct carrier_plan_options *how,
                                               struct carrier_slot slots[2])
{
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    const struct stego_seal_request request = {.origin = "A"};
    assert_int_equal(carrier_plan_new(&plan, how, NULL), DS_OK);
    add(plan, "ct/ge-hispeed/0001.dcm");
    add(plan, "nm/pet-acrin-breast-1.dcm");
    assert_int_equal(carrier_plan_seal(plan, &request, slots, 2, &capsule, NULL), DS_OK);
    assert_int_equal(slots[0].placement, CARRIER_IN_PIXELS);
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
    return slots[1].placement;
}

static void an_unnamed_measurement_passes_whatever_the_unsuitable_get(void **state)
{
    (void)state;
    static const enum carrier_placement unsuitable[] = {CARRIER_SIDECAR, CARRIER_PASS,
                                                        CARRIER_HOLD};
    struct carrier_slot slots[2];
    for (size_t i = 0; i < DS_ARRAY_SIZE(unsuitable); i++) {
        struct carrier_plan_options how = {.unsuitable = unsuitable[i],
                                           .measurement = CARRIER_MEASURES_RT_DOSE};
        assert_int_equal(placement_of_pet(&how, slots), CARRIER_PASS);
        assert_string_equal(slots[1].reason, "it feeds measurement, and its kind is not named");
        how.measurement_is_unsuitable = true;
        assert_int_equal(placement_of_pet(&how, slots), unsuitable[i]);
    }
}

static void a_named_measurement_is_an_image_like_any_other(void **state)
{
    (void)state;
    struct carrier_slot slots[2];
    const struct carrier_plan_options how = {.unsuitable = CARRIER_PASS,
                                             .measurement = CARRIER_MEASURES_PET};
    assert_int_equal(placement_of_pet(&how, slots), CARRIER_IN_PIXELS);
    assert_string_equal(slots[1].reason, "");
}

/* With nothing but dose and segmentation there is nobody to carry a report, in no place. */
static void a_study_of_measurements_carries_no_report(void **state)
{
    (void)state;
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    struct carrier_slot slots[2];
    struct ds_error err = {0};
    const struct stego_document document = {"r.txt", "text/plain", (const uint8_t *)"x", 1};
    const struct stego_seal_request request = {
        .origin = "A", .password = "secret", .documents = &document, .document_count = 1};
    const struct carrier_plan_options how = {.unsuitable = CARRIER_SIDECAR};
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    add(plan, "nonimage/rtdose-15frames-32bit.dcm");
    add(plan, "other/seg_image_ct_binary.dcm");
    assert_int_equal(carrier_plan_seal(plan, &request, slots, 2, &capsule, &err), DS_ECAPACITY);
    assert_non_null(strstr(err.text, "feeds measurement"));
    assert_null(capsule);
    carrier_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_classes_meet_in_one_kind),
        cmocka_unit_test(an_unnamed_measurement_passes_whatever_the_unsuitable_get),
        cmocka_unit_test(a_named_measurement_is_an_image_like_any_other),
        cmocka_unit_test(a_study_of_measurements_carries_no_report),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

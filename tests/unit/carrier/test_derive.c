/* SPDX-License-Identifier: Apache-2.0 */
/* What the data set of a carrier says; that it gives the original back, carrier_make proves. */
#include "base/clock.h"
#include "base/file.h"
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_BYTES 1024U

static struct carrier_original *load(const char *name)
{
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    struct carrier_original *o = NULL;
    DS_AUTO(ds_string_free) char *path = data == NULL ? NULL : ds_file_join(data, name);
    if (path == NULL || !ds_file_exists(path)) {
        print_message("no %s: set DICOMSTEGO_TEST_DATA\n", name);
        skip();
    }
    assert_int_equal(carrier_original_open(&o, path, NULL), DS_OK);
    return o;
}

/* The carrier's data set, made with an integrity token of its own. */
static struct dicom_dataset *carrier_of(const struct carrier_original *o,
                                        const struct carrier_make_options *options)
{
    const struct carrier_plan_options how = {.unsuitable = CARRIER_HOLD,
                                             .attributes = CARRIER_ATTRIBUTES_CHANGED};
    const struct stego_seal_request request = {.origin = "CLINIC_A",
                                               .created_utc_us = ds_clock_utc_us()};
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    struct carrier_slot slot = {0};
    struct carrier_made made = {0};
    struct dicom_dataset *d = NULL;
    struct ds_error err = {0};
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
    assert_int_equal(carrier_plan_seal(plan, &request, &slot, 1, &capsule, NULL), DS_OK);
    assert_int_equal(slot.placement, CARRIER_IN_PIXELS);
    if (carrier_make(capsule, o, &slot, options, &made, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(
        dicom_dataset_read(&d, made.dataset.data, made.dataset.len, made.transfer_syntax, NULL),
        DS_OK);
    carrier_made_free(&made);
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
    return d;
}

static void expect(const struct dicom_dataset *d, dicom_tag tag, const char *value)
{
    char text[TEXT_BYTES] = "";
    assert_int_equal(dicom_dataset_get(d, tag, text, sizeof(text), NULL), DS_OK);
    assert_string_equal(text, value);
}

static void expect_uids(const struct carrier_original *o,
                        const struct carrier_make_options *options, const char *instance,
                        const char *series)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = carrier_of(o, options);
    expect(d, DICOM_TAG_SOP_INSTANCE_UID, instance);
    expect(d, DICOM_TAG_SERIES_INSTANCE_UID, series);
}

static void new_uids_are_the_site_s_whatever_the_capsule(void **state)
{
    (void)state;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = load("mr/ge-signa-wrist/0001.dcm");
    char instance[DICOM_UID_BYTES];
    char series[DICOM_UID_BYTES];
    char own_instance[DICOM_UID_BYTES];
    char own_series[DICOM_UID_BYTES];
    char by_content[DICOM_UID_BYTES];
    assert_int_equal(dicom_dataset_get(o->dataset, DICOM_TAG_SOP_INSTANCE_UID, own_instance,
                                       sizeof(own_instance), NULL),
                     DS_OK);
    assert_int_equal(dicom_dataset_get(o->dataset, DICOM_TAG_SERIES_INSTANCE_UID, own_series,
                                       sizeof(own_series), NULL),
                     DS_OK);
    assert_int_equal(
        carrier_derived_uid(CARRIER_UID_INSTANCE, "SITE", own_instance, NULL, instance, NULL),
        DS_OK);
    assert_int_equal(
        carrier_derived_uid(CARRIER_UID_SERIES, "SITE", own_series, NULL, series, NULL), DS_OK);
    assert_int_equal(carrier_derived_uid(CARRIER_UID_INSTANCE, "SITE", own_instance,
                                         o->hashes.dataset, by_content, NULL),
                     DS_OK);
    const struct carrier_make_options plain = {.site = "SITE"};
    const struct carrier_make_options twin = {.site = "SITE", .uid_from_content = true};
    const struct carrier_make_options closed = {.site = "SITE", .retain_uids = true};
    expect_uids(o, &plain, instance, series);
    expect_uids(o, &plain, instance, series);
    expect_uids(o, &twin, by_content, series);
    expect_uids(o, &closed, own_instance, own_series);
}

static void an_original_that_goes_once_more_has_another_uid_in_the_same_series(void **state)
{
    (void)state;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = load("mr/ge-signa-wrist/0001.dcm");
    const struct carrier_make_options first = {.site = "SITE"};
    const struct carrier_make_options again = {.site = "SITE", .uid_from_capsule = true};
    const struct carrier_make_options *const options[] = {&first, &again, &again};
    char instances[3][DICOM_UID_BYTES];
    char series[3][DICOM_UID_BYTES];
    for (size_t i = 0; i < 3; i++) {
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = carrier_of(o, options[i]);
        assert_int_equal(dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, instances[i],
                                           sizeof(instances[i]), NULL),
                         DS_OK);
        assert_int_equal(
            dicom_dataset_get(d, DICOM_TAG_SERIES_INSTANCE_UID, series[i], sizeof(series[i]), NULL),
            DS_OK);
        assert_string_equal(series[i], series[0]);
    }
    assert_string_not_equal(instances[1], instances[0]);
    assert_string_not_equal(instances[2], instances[1]); /* a capsule of its own */
}

static void without_a_site_the_uids_are_the_origin_s(void **state)
{
    (void)state;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = load("mr/ge-signa-wrist/0001.dcm");
    const struct carrier_make_options nameless = {0};
    const struct carrier_make_options named = {.site = "CLINIC_A"};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = carrier_of(o, &named);
    char instance[DICOM_UID_BYTES];
    char series[DICOM_UID_BYTES];
    assert_int_equal(
        dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, instance, sizeof(instance), NULL), DS_OK);
    assert_int_equal(
        dicom_dataset_get(d, DICOM_TAG_SERIES_INSTANCE_UID, series, sizeof(series), NULL), DS_OK);
    expect_uids(o, &nameless, instance, series);
}

/* ---- smallest and largest pixel value ---- */

static long number(const char *text)
{
    return strtol(text, NULL, 10);
}

static void find_extremes(const struct dicom_dataset *d, char smallest[16], char largest[16])
{
    struct dicom_pixels pixels = {0};
    struct stego_image image = {0};
    size_t count = 0;
    assert_int_equal(dicom_pixels_read(&pixels, d, NULL), DS_OK);
    assert_int_equal(carrier_image_of(&pixels, &image, NULL), DS_OK);
    assert_true(stego_image_count(&image, &count));
    int32_t low = image.samples[0];
    int32_t high = image.samples[0];
    for (size_t i = 0; i < count; i++) {
        low = image.samples[i] < low ? image.samples[i] : low;
        high = image.samples[i] > high ? image.samples[i] : high;
    }
    (void)snprintf(smallest, 16, "%d", (int)low);
    (void)snprintf(largest, 16, "%d", (int)high);
    stego_image_free(&image);
    dicom_pixels_free(&pixels);
}

/* name with the extremes of its series set to those of the image. */
/* file: borrowed by what is loaded. */
static struct carrier_original *load_with_series_extremes(const char *name, struct ds_bytes *file)
{
    struct carrier_original *plain = load(name);
    struct carrier_original *o = NULL;
    struct dicom_dataset *d = NULL;
    char smallest[16];
    char largest[16];
    assert_int_equal(dicom_dataset_copy(&d, plain->dataset, NULL), DS_OK);
    find_extremes(d, smallest, largest);
    assert_int_equal(dicom_dataset_set(d, CARRIER_TAG_SMALLEST_IN_SERIES, smallest, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, CARRIER_TAG_LARGEST_IN_SERIES, largest, NULL), DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, file, NULL), DS_OK);
    assert_int_equal(carrier_original_load(&o, file->data, file->len, NULL), DS_OK);
    dicom_dataset_free(d);
    carrier_original_free(plain);
    return o;
}

static void extremes_that_were_right_are_right_in_the_carrier(void **state)
{
    (void)state;
    static const char *const names[] = {"mr/siemens-prisma-t1/0001.dcm",
                                        "mr/ge-mr750-fmri/0001.dcm", "nm/nm1-uncompressed.dcm"};
    const struct carrier_make_options options = {0};
    unsigned changed = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
        DS_AUTO(carrier_original_auto)
        struct carrier_original *o = load_with_series_extremes(names[i], &file);
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = carrier_of(o, &options);
        char was[2][16];
        char is[2][16];
        find_extremes(o->dataset, was[0], was[1]);
        find_extremes(d, is[0], is[1]);
        expect(d, CARRIER_TAG_SMALLEST_IN_IMAGE, is[0]);
        expect(d, CARRIER_TAG_LARGEST_IN_IMAGE, is[1]);
        /* No less wide than they were, and wide enough. */
        expect(d, CARRIER_TAG_SMALLEST_IN_SERIES, number(is[0]) < number(was[0]) ? is[0] : was[0]);
        expect(d, CARRIER_TAG_LARGEST_IN_SERIES, number(is[1]) > number(was[1]) ? is[1] : was[1]);
        changed += strcmp(was[0], is[0]) != 0 || strcmp(was[1], is[1]) != 0 ? 1 : 0;
    }
    assert_in_range(changed, 1, DS_ARRAY_SIZE(names));
}

static void extremes_that_were_wrong_stay(void **state)
{
    (void)state;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = load("other/MR_small.dcm");
    const struct carrier_make_options options = {0};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = carrier_of(o, &options);
    expect(d, CARRIER_TAG_SMALLEST_IN_IMAGE, "0");
    expect(d, CARRIER_TAG_LARGEST_IN_IMAGE, "4000");
}

/* ---- what it says of its source ---- */

static void image_type_is_derived_but_with_functional_groups_that_of_the_frames(void **state)
{
    (void)state;
    const struct carrier_make_options options = {0};
    DS_AUTO(carrier_original_auto) struct carrier_original *plain = load("ct/ge-hispeed/0001.dcm");
    DS_AUTO(carrier_original_auto)
    struct carrier_original *groups = load("enhanced/emri-small.dcm");
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *one = carrier_of(plain, &options);
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *many = carrier_of(groups, &options);
    char type[TEXT_BYTES] = "";
    assert_int_equal(dicom_dataset_get(one, DICOM_TAG_IMAGE_TYPE, type, sizeof(type), NULL), DS_OK);
    assert_memory_equal(type, "DERIVED\\", 8);
    assert_int_equal(
        dicom_dataset_get(groups->dataset, DICOM_TAG_IMAGE_TYPE, type, sizeof(type), NULL), DS_OK);
    assert_memory_equal(type, "ORIGINAL\\", 9);
    expect(many, DICOM_TAG_IMAGE_TYPE, type);
    assert_true(dicom_dataset_has(many, DICOM_TAG(0x0008, 0x2112)));
}

static void a_source_without_a_valid_uid_is_not_referred_to(void **state)
{
    (void)state;
    static const char *const uids[] = {"",     "999.1.2", "1.2.03", "1.2.",
                                       "1..2", "1.2.abc", "1",      "3.1"};
    const struct carrier_make_options options = {0};
    DS_AUTO(carrier_original_auto) struct carrier_original *o = load("other/MR_small.dcm");
    for (size_t i = 0; i < DS_ARRAY_SIZE(uids); i++) {
        assert_int_equal(dicom_dataset_set(o->dataset, DICOM_TAG_SOP_INSTANCE_UID, uids[i], NULL),
                         DS_OK);
        assert_int_equal(dicom_dataset_hash(o->dataset, o->hashes.dataset, NULL), DS_OK);
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = carrier_of(o, &options);
        assert_false(dicom_dataset_has(d, DICOM_TAG(0x0008, 0x2112)));
    }
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_uids_are_the_site_s_whatever_the_capsule),
        cmocka_unit_test(extremes_that_were_right_are_right_in_the_carrier),
        cmocka_unit_test(extremes_that_were_wrong_stay),
        cmocka_unit_test(image_type_is_derived_but_with_functional_groups_that_of_the_frames),
        cmocka_unit_test(a_source_without_a_valid_uid_is_not_referred_to),
        cmocka_unit_test(an_original_that_goes_once_more_has_another_uid_in_the_same_series),
        cmocka_unit_test(without_a_site_the_uids_are_the_origin_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

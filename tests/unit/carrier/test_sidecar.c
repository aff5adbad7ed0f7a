/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot carry travels untouched, with a sidecar beside it. Real files of every kind. */
#include "base/clock.h"
#include "base/file.h"
#include "carrier/sidecar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/dicomstego-sidecar-XXXXXX";
static struct stego_identity *identity;
static const struct stego_identity *identities[1];
static struct stego_keyring keys;

static const char *const unsuitable[] = {
    "other/test-pattern-palette8.dcm",          "us/echo-palette-rle-single.dcm",
    "us/echo-palette-jpegls-10frames.dcm",      "other/liver.dcm", /* 1 bit */
    "other/parametric_map_float.dcm",           "nonimage/sr-basic-text-deflated.dcm",
    "nonimage/sr-basic-text-japanese-utf8.dcm", "nonimage/key-object-selection.dcm",
    "nonimage/encapsulated-pdf-r01.dcm",        "nonimage/rtplan.dcm",
    "nonimage/rtstruct-no-preamble.dcm",        "nonimage/waveform-ecg-12lead.dcm",
};

struct journey {            /* one original and its sidecar as a file */
    struct ds_bytes source; /* the file of the original */
    struct carrier_original *original;
    struct stego_capsule *capsule;
    struct carrier_slot slot;
    struct carrier_made made;
    struct ds_bytes file;
};

static struct ds_bytes read_data(const char *name)
{
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    struct ds_bytes b = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    char *path = data == NULL ? NULL : ds_file_join(data, name);
    if (path == NULL || !ds_file_exists(path)) {
        print_message("no %s: set DICOMSTEGO_TEST_DATA\n", name);
        free(path);
        skip();
    }
    assert_int_equal(ds_file_read(path, &b, NULL), DS_OK);
    free(path);
    return b;
}

static struct journey travel_with(const char *name, enum carrier_attributes attributes)
{
    static const char report[] = "FINDINGS: an invented report.\n";
    const struct carrier_plan_options how = {.unsuitable = CARRIER_SIDECAR,
                                             .attributes = attributes,
                                             .measurement = CARRIER_MEASURES_SEGMENTATION |
                                                            CARRIER_MEASURES_PARAMETRIC_MAP};
    static const struct carrier_make_options options = {.station = "CLINIC_A"};
    const struct stego_certificate *to = stego_identity_certificate(identity);
    const struct stego_document document = {"r.txt", "text/plain", (const uint8_t *)report,
                                            sizeof(report) - 1};
    const struct stego_seal_request request = {.origin = "CLINIC_A",
                                               .created_utc_us = ds_clock_utc_us(),
                                               .documents = &document,
                                               .document_count = 1,
                                               .recipients = &to,
                                               .recipient_count = 1,
                                               .signer = identity};
    struct ds_error err = {0};
    struct carrier_plan *plan = NULL;
    struct journey j = {.file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES)};
    j.source = read_data(name);
    assert_int_equal(carrier_original_load(&j.original, j.source.data, j.source.len, NULL), DS_OK);
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, j.original, NULL), DS_OK);
    assert_int_equal(carrier_plan_seal(plan, &request, &j.slot, 1, &j.capsule, NULL), DS_OK);
    carrier_plan_free(plan);
    assert_int_equal(j.slot.placement, CARRIER_SIDECAR);
    assert_true(j.slot.reason[0] != '\0' && j.slot.with_key_block);
    if (carrier_make(j.capsule, j.original, &j.slot, &options, &j.made, &err) != DS_OK) {
        fail_msg("%s: %s", name, err.text);
    }
    assert_int_equal(carrier_made_part10(&j.made, &j.file, NULL), DS_OK);
    return j;
}

static struct journey travel(const char *name)
{
    return travel_with(name, CARRIER_ATTRIBUTES_AUTO);
}

static void journey_finish(struct journey *j)
{
    carrier_original_free(j->original);
    stego_capsule_free(j->capsule);
    carrier_made_free(&j->made);
    ds_bytes_free(&j->file);
    ds_bytes_free(&j->source);
}

static struct carrier_found *found_of(const struct journey *j)
{
    struct carrier_found *f = NULL;
    struct ds_error err = {0};
    if (carrier_found_load(&f, j->file.data, j->file.len, &keys, NULL, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(carrier_found_placement(f), CARRIER_SIDECAR);
    return f;
}

static enum ds_status join_copy(struct carrier_found *f, const uint8_t *data, size_t len)
{
    struct ds_bytes copy = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    assert_int_equal(ds_bytes_append(&copy, data, len, NULL), DS_OK);
    const enum ds_status s = carrier_found_join(f, &copy, NULL);
    ds_bytes_free(&copy);
    return s;
}

/* Restores with the given file beside the sidecar; out is the caller's on success. */
static enum ds_status restore_with(const struct journey *j, const uint8_t *data, size_t len,
                                   struct carrier_restored *out)
{
    struct carrier_found *f = found_of(j);
    struct stego_collector *c = NULL;
    assert_int_equal(stego_collector_new(&c, NULL), DS_OK);
    assert_int_equal(stego_collector_add(c, carrier_found_part(f), NULL), DS_OK);
    enum ds_status s = join_copy(f, data, len);
    if (s == DS_OK) {
        s = carrier_restore(f, c, &keys, out, NULL);
    }
    stego_collector_free(c);
    carrier_found_free(f);
    return s;
}

static void whatever_cannot_carry_comes_back_to_the_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(unsuitable); i++) {
        struct journey j = travel(unsuitable[i]);
        const struct ds_bytes *file = &j.source;
        struct carrier_restored r = {0};
        assert_int_equal(restore_with(&j, file->data, file->len, &r), DS_OK);
        assert_true(r.file_proven);
        assert_int_equal(r.file.len, file->len);
        assert_memory_equal(r.file.data, file->data, file->len);
        carrier_restored_free(&r);
        journey_finish(&j);
    }
}

static void get(const struct dicom_dataset *d, dicom_tag tag, char *out, size_t size)
{
    assert_int_equal(dicom_dataset_get(d, tag, out, size, NULL), DS_OK);
}

static void a_sidecar_is_a_raw_data_instance_of_the_same_study(void **state)
{
    (void)state;
    static const dicom_tag inherited[] = {DICOM_TAG_STUDY_INSTANCE_UID, DICOM_TAG_PATIENT_NAME,
                                          DICOM_TAG_PATIENT_ID, DICOM_TAG_SPECIFIC_CHARACTER_SET,
                                          DICOM_TAG_ACCESSION_NUMBER};
    for (size_t i = 0; i < DS_ARRAY_SIZE(unsuitable); i++) {
        struct journey j = travel(unsuitable[i]);
        struct dicom_dataset *d = NULL;
        char was[1024];
        char is[1024];
        char named[DICOM_UID_BYTES];
        assert_int_equal(dicom_dataset_read(&d, j.file.data, j.file.len, NULL, NULL), DS_OK);
        for (size_t k = 0; k < DS_ARRAY_SIZE(inherited); k++) {
            get(j.original->dataset, inherited[k], was, sizeof(was));
            get(d, inherited[k], is, sizeof(is));
            assert_string_equal(is, was);
        }
        get(d, DICOM_TAG_SOP_CLASS_UID, is, sizeof(is));
        assert_string_equal(is, CARRIER_SIDECAR_CLASS);
        get(d, DICOM_TAG_SOP_INSTANCE_UID, is, sizeof(is));
        assert_string_equal(is, j.made.sop_instance_uid);
        get(j.original->dataset, DICOM_TAG_SOP_INSTANCE_UID, was, sizeof(was));
        assert_int_equal(carrier_sidecar_of(j.file.data, j.file.len, named, NULL), DS_OK);
        assert_string_equal(named, was);
        assert_true(carrier_is_carrier(j.file.data, j.file.len));
        dicom_dataset_free(d);
        journey_finish(&j);
    }
}

static void making_twice_gives_the_same_sidecar(void **state)
{
    (void)state;
    struct journey j = travel("nonimage/rtplan.dcm");
    struct carrier_made again = {0};
    const struct carrier_make_options options = {.station = "CLINIC_A"};
    assert_int_equal(carrier_make(j.capsule, j.original, &j.slot, &options, &again, NULL), DS_OK);
    assert_int_equal(again.dataset.len, j.made.dataset.len);
    assert_memory_equal(again.dataset.data, j.made.dataset.data, again.dataset.len);
    carrier_made_free(&again);
    journey_finish(&j);
}

static void every_altered_byte_of_the_payload_is_noticed(void **state)
{
    (void)state;
    struct journey j = travel("nonimage/key-object-selection.dcm");
    struct carrier_found *f = found_of(&j);
    const uint8_t *at =
        memmem(j.file.data, j.file.len, f->payload.data, f->payload.len < 64 ? 0 : 64);
    const size_t len = f->payload.len;
    carrier_found_free(f);
    assert_non_null(at);
    const size_t start = (size_t)(at - j.file.data);
    for (size_t i = start - 4; i < start + len; i += i < start ? 1 : 7) {
        struct carrier_found *altered = NULL;
        j.file.data[i] ^= 0x10;
        assert_int_equal(carrier_found_load(&altered, j.file.data, j.file.len, &keys, NULL, NULL),
                         DS_EAUTH);
        assert_true(carrier_is_carrier(j.file.data, j.file.len));
        j.file.data[i] ^= 0x10;
    }
    journey_finish(&j);
}

static void an_altered_pixel_beside_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_decoded; /* else the data set's hash alone notices it */
    } images[] = {{"other/test-pattern-palette8.dcm", true},
                  {"other/liver.dcm", true},
                  {"other/parametric_map_float.dcm", false}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(images); i++) {
        struct journey j = travel(images[i].name);
        struct ds_bytes *file = &j.source;
        struct carrier_restored r = {0};
        struct carrier_found *f = found_of(&j);
        file->data[file->len - 100] ^= 1;
        assert_int_equal(restore_with(&j, file->data, file->len, &r), DS_EAUTH);
        assert_int_equal(join_copy(f, file->data, file->len),
                         images[i].is_decoded ? DS_EAUTH : DS_OK);
        file->data[file->len - 100] ^= 1;
        if (images[i].is_decoded) { /* a second try with the right one is fine */
            assert_int_equal(join_copy(f, file->data, file->len), DS_OK);
            assert_int_equal(carrier_found_prove_beside(f, NULL), DS_OK);
        }
        carrier_found_free(f);
        journey_finish(&j);
    }
}

/* The original with another accession number, as an archive may give it. */
static struct ds_bytes altered_copy(const struct journey *j)
{
    struct dicom_dataset *d = NULL;
    struct ds_bytes altered = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    assert_int_equal(dicom_dataset_copy(&d, j->original->dataset, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_ACCESSION_NUMBER, "4711", NULL), DS_OK);
    assert_int_equal(
        dicom_dataset_write_part10(d, dicom_dataset_transfer_syntax(d), &altered, NULL), DS_OK);
    dicom_dataset_free(d);
    return altered;
}

static const char *const small_ones[] = {"nonimage/sr-basic-text-japanese-utf8.dcm",
                                         "nonimage/rtplan.dcm", "nonimage/key-object-selection.dcm",
                                         "other/test-pattern-palette8.dcm", "other/liver.dcm"};

static void an_altered_attribute_beside_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(small_ones); i++) {
        struct journey j = travel_with(small_ones[i], CARRIER_ATTRIBUTES_CHANGED);
        struct ds_bytes altered = altered_copy(&j);
        struct carrier_restored r = {0};
        struct carrier_found *f = found_of(&j);
        assert_int_equal(restore_with(&j, altered.data, altered.len, &r), DS_EAUTH);
        assert_int_equal(join_copy(f, altered.data, altered.len), DS_OK);
        assert_int_equal(carrier_found_prove_beside(f, NULL), DS_EAUTH);
        carrier_found_free(f);
        ds_bytes_free(&altered);
        journey_finish(&j);
    }
}

static void an_altered_attribute_beside_is_put_right_by_the_capsule(void **state)
{
    (void)state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(small_ones); i++) {
        struct journey j = travel(small_ones[i]);
        struct ds_bytes altered = altered_copy(&j);
        struct carrier_restored r = {0};
        assert_int_equal(restore_with(&j, altered.data, altered.len, &r), DS_OK);
        assert_true(r.file_proven && r.attributes_from_capsule);
        assert_int_equal(r.file.len, j.original->len);
        assert_memory_equal(r.file.data, j.original->file, r.file.len);
        carrier_restored_free(&r);
        ds_bytes_free(&altered);
        journey_finish(&j);
    }
}

static void a_large_file_without_pixels_is_not_carried_twice(void **state)
{
    (void)state;
    struct journey j = travel("nonimage/encapsulated-pdf-r01.dcm");
    assert_true(j.file.len < j.original->len / 2);
    journey_finish(&j);
    j = travel_with("nonimage/encapsulated-pdf-r01.dcm", CARRIER_ATTRIBUTES_ALL);
    struct ds_bytes altered = altered_copy(&j);
    struct carrier_restored r = {0};
    assert_int_equal(restore_with(&j, altered.data, altered.len, &r), DS_OK);
    assert_true(r.file_proven);
    carrier_restored_free(&r);
    ds_bytes_free(&altered);
    journey_finish(&j);
}

static void another_way_of_writing_is_undone(void **state)
{
    (void)state;
    struct journey j = travel("nonimage/rtplan.dcm");
    struct ds_bytes other = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    struct carrier_restored r = {0};
    const char *own = dicom_dataset_transfer_syntax(j.original->dataset);
    const char *way = strcmp(own, DICOM_IMPLICIT_LE) == 0 ? DICOM_EXPLICIT_LE : DICOM_IMPLICIT_LE;
    assert_int_equal(dicom_dataset_write_part10(j.original->dataset, way, &other, NULL), DS_OK);
    assert_int_equal(restore_with(&j, other.data, other.len, &r), DS_OK);
    assert_true(r.file_proven);
    assert_string_equal(r.transfer_syntax, own);
    carrier_restored_free(&r);
    ds_bytes_free(&other);
    journey_finish(&j);
}

static void alone_it_restores_nothing(void **state)
{
    (void)state;
    struct journey j = travel("nonimage/rtplan.dcm");
    struct carrier_found *f = found_of(&j);
    struct carrier_restored r = {0};
    assert_int_equal(carrier_restore(f, NULL, &keys, &r, NULL), DS_EINVAL);
    assert_int_equal(carrier_restore_pixels(f, &r, NULL), DS_EINVAL);
    carrier_found_free(f);
    journey_finish(&j);
}

static void raw_data_of_others_is_no_sidecar(void **state)
{
    (void)state;
    struct journey j = travel("nonimage/rtplan.dcm");
    struct dicom_dataset *d = NULL;
    struct ds_bytes raw = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    char uid[DICOM_UID_BYTES];
    assert_int_equal(dicom_dataset_copy(&d, j.original->dataset, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_SOP_CLASS_UID, CARRIER_SIDECAR_CLASS, NULL),
                     DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, &raw, NULL), DS_OK);
    assert_int_equal(carrier_sidecar_of(raw.data, raw.len, uid, NULL), DS_ENOTHING);
    assert_false(carrier_is_carrier(raw.data, raw.len));
    ds_bytes_free(&raw);
    dicom_dataset_free(d);
    journey_finish(&j);
}

static int set_up(void **state)
{
    (void)state;
    char *key = mkdtemp(folder) == NULL ? NULL : ds_file_join(folder, "k.pem");
    char *certificate = ds_file_join(folder, "c.pem");
    const bool made =
        key != NULL && certificate != NULL && dicom_init(NULL) == DS_OK &&
        stego_key_new("ec", "test", NULL, 10, key, certificate, false, NULL) == DS_OK &&
        stego_identity_load(&identity, key, certificate, NULL) == DS_OK;
    free(key);
    free(certificate);
    identities[0] = identity;
    keys = (struct stego_keyring){.identities = identities, .identity_count = 1};
    return made ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    stego_identity_free(identity);
    return ds_file_remove_tree(folder, NULL) == DS_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_cannot_carry_comes_back_to_the_byte),
        cmocka_unit_test(a_sidecar_is_a_raw_data_instance_of_the_same_study),
        cmocka_unit_test(making_twice_gives_the_same_sidecar),
        cmocka_unit_test(every_altered_byte_of_the_payload_is_noticed),
        cmocka_unit_test(an_altered_pixel_beside_is_refused),
        cmocka_unit_test(an_altered_attribute_beside_is_refused),
        cmocka_unit_test(an_altered_attribute_beside_is_put_right_by_the_capsule),
        cmocka_unit_test(a_large_file_without_pixels_is_not_carried_twice),
        cmocka_unit_test(another_way_of_writing_is_undone),
        cmocka_unit_test(alone_it_restores_nothing),
        cmocka_unit_test(raw_data_of_others_is_no_sidecar),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer gave back, against what it was sent: a real image as it is, and as a carrier. */
#include "base/clock.h"
#include "base/file.h"
#include "carrier/carrier_private.h"
#include "carrier/readback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMAGE            "ct/ge-hispeed/0001.dcm"
#define JPEG_LS_LOSSLESS "1.2.840.10008.1.2.4.80"

static char folder[] = "/tmp/dicomstego-readback-XXXXXX";
static struct stego_identity *identity;
static const struct stego_identity *identities[1];
static struct stego_trust *trust;
static struct stego_keyring keys;
static struct ds_error err;

static void assert_ok(enum ds_status s)
{
    if (s != DS_OK) {
        fail_msg("%s: %s", ds_status_name(s), err.text);
    }
}

/* What was sent: the original, or its carrier. */
struct sent {
    struct ds_bytes source;
    struct carrier_original *original;
    struct carrier_made made;
    struct ds_bytes file;
    struct dicom_dataset *dataset;
    struct carrier_back_expected expected;
    unsigned asked; /* how often for the data set */
};

static enum ds_status give_sent(void *context, const struct dicom_dataset **out, struct ds_error *e)
{
    struct sent *s = context;
    (void)e;
    s->asked++;
    *out = s->dataset;
    return DS_OK;
}

static void load(struct sent *s, const char *name)
{
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    char *path = data == NULL ? NULL : ds_file_join(data, name);
    if (path == NULL || !ds_file_exists(path)) {
        print_message("no %s: set DICOMSTEGO_TEST_DATA\n", name);
        free(path);
        skip();
    }
    *s = (struct sent){.source = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
                       .file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES)};
    assert_ok(ds_file_read(path, &s->source, &err));
    assert_ok(carrier_original_load(&s->original, s->source.data, s->source.len, &err));
    free(path);
}

static void expect(struct sent *s, const struct carrier_hashes *hashes)
{
    assert_ok(dicom_dataset_read(&s->dataset, s->file.data, s->file.len, NULL, &err));
    s->expected =
        (struct carrier_back_expected){.hashes = *hashes, .sent = give_sent, .context = s};
}

static void send_as_is(struct sent *s, const char *name)
{
    load(s, name);
    assert_ok(ds_bytes_append(&s->file, s->source.data, s->source.len, &err));
    expect(s, carrier_original_hashes(s->original));
}

static void send_carrier(struct sent *s)
{
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    struct carrier_slot slot;
    const struct carrier_plan_options how = {.unsuitable = CARRIER_PASS,
                                             .attributes = CARRIER_ATTRIBUTES_CHANGED};
    const struct carrier_make_options options = {.station = "CLINIC_A"};
    const struct stego_certificate *to = stego_identity_certificate(identity);
    const struct stego_seal_request request = {.origin = "CLINIC_A",
                                               .created_utc_us = ds_clock_utc_us(),
                                               .recipients = &to,
                                               .recipient_count = 1,
                                               .signer = identity};
    load(s, IMAGE);
    assert_ok(carrier_plan_new(&plan, &how, &err));
    assert_ok(carrier_plan_add(plan, s->original, &err));
    assert_ok(carrier_plan_seal(plan, &request, &slot, 1, &capsule, &err));
    assert_ok(carrier_make(capsule, s->original, &slot, &options, &s->made, &err));
    assert_ok(carrier_made_part10(&s->made, &s->file, &err));
    expect(s, &s->made.hashes);
    s->expected.original = carrier_original_hashes(s->original);
    s->expected.keyring = &keys;
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
}

static void sent_finish(struct sent *s)
{
    dicom_dataset_free(s->dataset);
    carrier_made_free(&s->made);
    carrier_original_free(s->original);
    ds_bytes_free(&s->file);
    ds_bytes_free(&s->source);
}

/* The data set d as a peer gives it back. */
static struct carrier_back read_back(struct sent *s, const struct dicom_dataset *d,
                                     const char *syntax)
{
    struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    struct carrier_back b;
    assert_ok(dicom_dataset_write_part10(d, syntax, &file, &err));
    assert_ok(carrier_read_back(&s->expected, file.data, file.len, &b, &err));
    ds_bytes_free(&file);
    return b;
}

static struct dicom_dataset *altered(const struct sent *s)
{
    struct dicom_dataset *copy = NULL;
    assert_ok(dicom_dataset_copy(&copy, s->dataset, &err));
    return copy;
}

static void move_pixel(struct dicom_dataset *d, int by)
{
    struct dicom_pixels p = {0};
    assert_ok(dicom_pixels_read(&p, d, &err));
    p.cells.data[60000] = (uint8_t)(p.cells.data[60000] ^ by);
    assert_ok(dicom_pixels_write(d, &p, &err));
    dicom_pixels_free(&p);
}

static void what_came_back_as_it_went_is_intact_in_any_lossless_form(void **state)
{
    (void)state;
    struct sent s;
    struct carrier_back b;
    send_as_is(&s, IMAGE);
    assert_ok(carrier_read_back(&s.expected, s.file.data, s.file.len, &b, &err));
    assert_int_equal(b.verdict, CARRIER_BACK_INTACT);
    assert_false(b.reencoded);
    assert_int_equal(b.proof, CARRIER_BACK_NOT_ASKED);
    b = read_back(&s, s.dataset, JPEG_LS_LOSSLESS);
    assert_int_equal(b.verdict, CARRIER_BACK_INTACT);
    assert_true(b.reencoded);
    assert_string_equal(b.transfer_syntax, JPEG_LS_LOSSLESS);
    assert_int_equal(s.asked, 0);
    sent_finish(&s);
}

static void an_intact_carrier_proves_its_original(void **state)
{
    (void)state;
    struct sent s;
    struct carrier_back b;
    send_carrier(&s);
    assert_ok(carrier_read_back(&s.expected, s.file.data, s.file.len, &b, &err));
    assert_int_equal(b.verdict, CARRIER_BACK_INTACT);
    assert_int_equal(b.proof, CARRIER_BACK_PROVEN);
    struct carrier_hashes other = *s.expected.original;
    other.pixel[0] ^= 1;
    s.expected.original = &other; /* it speaks for somebody else's pixels */
    assert_ok(carrier_read_back(&s.expected, s.file.data, s.file.len, &b, &err));
    assert_int_equal(b.proof, CARRIER_BACK_LOST);
    sent_finish(&s);
}

static void coerced_and_stripped_attributes_are_named(void **state)
{
    (void)state;
    struct sent s;
    send_carrier(&s);
    struct dicom_dataset *d = altered(&s);
    static const uint8_t secret[] = {1, 2, 3, 4};
    assert_ok(dicom_dataset_set_bytes(s.dataset, DICOM_TAG(0x0009, 0x0001), "SOMEBODY", secret,
                                      sizeof(secret), &err));
    assert_ok(dicom_dataset_set(d, DICOM_TAG_PATIENT_ID, "COERCED", &err));
    const struct carrier_back b = read_back(&s, d, DICOM_EXPLICIT_LE);
    assert_int_equal(b.verdict, CARRIER_BACK_ATTRIBUTES);
    assert_true(b.compared);
    bool found = false;
    for (size_t i = 0; i < b.change_count && i < CARRIER_BACK_CHANGES_MAX; i++) {
        found = found ||
                (b.changes[i].tag == DICOM_TAG_PATIENT_ID && b.changes[i].how == DICOM_CHANGED);
    }
    assert_true(found);
    assert_true(b.private_removed >= 2);            /* the element and its creator */
    assert_int_equal(b.proof, CARRIER_BACK_PROVEN); /* the pixels carry it */
    assert_int_equal(s.asked, 1);
    dicom_dataset_free(d);
    sent_finish(&s);
}

static void one_changed_pixel_is_found_and_measured(void **state)
{
    (void)state;
    struct sent s;
    send_carrier(&s);
    struct dicom_dataset *d = altered(&s);
    move_pixel(d, 2);
    const struct carrier_back b = read_back(&s, d, DICOM_EXPLICIT_LE);
    assert_int_equal(b.verdict, CARRIER_BACK_PIXELS);
    assert_true(b.pixels_compared && b.pixels.same_geometry);
    assert_int_equal(b.pixels.changed, 1);
    assert_int_equal(b.pixels.greatest, 2);
    assert_int_equal(b.change_count, 0);
    assert_int_equal(b.proof, CARRIER_BACK_LOST);
    dicom_dataset_free(d);
    sent_finish(&s);
}

static void changed_pixels_are_lossy_when_the_instance_begins_to_say_so(void **state)
{
    (void)state;
    struct sent s;
    send_as_is(&s, IMAGE);
    struct dicom_dataset *d = altered(&s);
    assert_ok(dicom_dataset_set(d, DICOM_TAG(0x0028, 0x2110), "01", &err));
    assert_int_equal(read_back(&s, d, DICOM_EXPLICIT_LE).verdict, CARRIER_BACK_ATTRIBUTES);
    move_pixel(d, 1);
    assert_int_equal(read_back(&s, d, DICOM_EXPLICIT_LE).verdict, CARRIER_BACK_LOSSY);
    assert_ok(dicom_dataset_set(s.dataset, DICOM_TAG(0x0028, 0x2110), "01", &err));
    assert_int_equal(read_back(&s, d, DICOM_EXPLICIT_LE).verdict, CARRIER_BACK_PIXELS);
    dicom_dataset_free(d);
    sent_finish(&s);
}

static void without_what_was_sent_the_hashes_still_tell_pixels_from_attributes(void **state)
{
    (void)state;
    struct sent s;
    send_as_is(&s, IMAGE);
    struct dicom_dataset *d = altered(&s);
    s.expected.sent = NULL;
    assert_ok(dicom_dataset_set(d, DICOM_TAG_PATIENT_ID, "COERCED", &err));
    struct carrier_back b = read_back(&s, d, DICOM_EXPLICIT_LE);
    assert_int_equal(b.verdict, CARRIER_BACK_ATTRIBUTES);
    assert_false(b.compared);
    move_pixel(d, 1);
    b = read_back(&s, d, DICOM_EXPLICIT_LE);
    assert_int_equal(b.verdict, CARRIER_BACK_PIXELS);
    assert_false(b.pixels_compared);
    dicom_dataset_remove(d, DICOM_TAG_PIXEL_DATA);
    assert_int_equal(read_back(&s, d, DICOM_EXPLICIT_LE).verdict, CARRIER_BACK_PIXELS);
    dicom_dataset_free(d);
    sent_finish(&s);
}

static void what_is_no_dicom_is_an_error(void **state)
{
    (void)state;
    struct sent s;
    struct carrier_back b;
    send_as_is(&s, IMAGE);
    for (size_t len = 0; len < 4000; len += 133) {
        const enum ds_status st = carrier_read_back(&s.expected, s.file.data, len, &b, &err);
        assert_true(st == DS_EFORMAT || (st == DS_OK && b.verdict != CARRIER_BACK_INTACT));
    }
    sent_finish(&s);
}

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    char *key = ds_file_join(folder, "key.pem");
    char *certificate = ds_file_join(folder, "cert.pem");
    assert_ok(dicom_init(&err));
    assert_ok(stego_key_new("ec", "test", NULL, 10, key, certificate, false, &err));
    assert_ok(stego_identity_load(&identity, key, certificate, &err));
    assert_ok(stego_trust_new(&trust, &err));
    assert_ok(stego_trust_add(trust, certificate, &err));
    identities[0] = identity;
    keys = (struct stego_keyring){.identities = identities, .identity_count = 1, .trust = trust};
    free(key);
    free(certificate);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    stego_identity_free(identity);
    stego_trust_free(trust);
    return ds_file_remove_tree(folder, &err) == DS_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_back_as_it_went_is_intact_in_any_lossless_form),
        cmocka_unit_test(an_intact_carrier_proves_its_original),
        cmocka_unit_test(coerced_and_stripped_attributes_are_named),
        cmocka_unit_test(one_changed_pixel_is_found_and_measured),
        cmocka_unit_test(changed_pixels_are_lossy_when_the_instance_begins_to_say_so),
        cmocka_unit_test(without_what_was_sent_the_hashes_still_tell_pixels_from_attributes),
        cmocka_unit_test(what_is_no_dicom_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

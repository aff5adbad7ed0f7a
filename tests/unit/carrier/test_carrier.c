/* SPDX-License-Identifier: Apache-2.0 */
/* Real images through plan, make, found and restore. */
#include "base/clock.h"
#include "base/file.h"
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/dicomstego-carrier-XXXXXX";
static struct stego_identity *identity;

static const char report[] = "FINDINGS: an invented report, short.\n";

struct journey {            /* one original, its carrier as a file, and what it takes to open it */
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

static void seal(struct journey *j, const struct carrier_plan_options *how)
{
    struct carrier_plan *plan = NULL;
    const struct stego_certificate *to = stego_identity_certificate(identity);
    const struct stego_document document = {"report.txt", "text/plain; charset=utf-8",
                                            (const uint8_t *)report, sizeof(report) - 1};
    const struct stego_seal_request request = {
        .origin = "CLINIC_A",
        .created_utc_us = ds_clock_utc_us(),
        .documents = &document,
        .document_count = 1,
        .recipients = &to,
        .recipient_count = 1,
        .signer = identity,
    };
    assert_int_equal(carrier_plan_new(&plan, how, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, j->original, NULL), DS_OK);
    assert_int_equal(carrier_plan_seal(plan, &request, &j->slot, 1, &j->capsule, NULL), DS_OK);
    carrier_plan_free(plan);
}

/* Takes the bytes, which the original borrows. */
static struct journey begin(struct ds_bytes *file)
{
    struct journey j = {.file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES), .source = ds_bytes_take(file)};
    assert_int_equal(carrier_original_load(&j.original, j.source.data, j.source.len, NULL), DS_OK);
    return j;
}

static struct journey travel(const char *name, const struct carrier_plan_options *how)
{
    struct ds_error err = {0};
    struct ds_bytes b = read_data(name);
    struct journey j = begin(&b);
    seal(&j, how);
    const struct carrier_make_options options = {
        .region = how->region, .more = how->more, .hiding = how->hiding, .station = "CLINIC_A"};
    if (carrier_make(j.capsule, j.original, &j.slot, &options, &j.made, &err) != DS_OK) {
        fail_msg("%s: %s", name, err.text);
    }
    assert_int_equal(carrier_made_part10(&j.made, &j.file, NULL), DS_OK);
    return j;
}

static void journey_finish(struct journey *j)
{
    carrier_original_free(j->original);
    stego_capsule_free(j->capsule);
    carrier_made_free(&j->made);
    ds_bytes_free(&j->file);
    ds_bytes_free(&j->source);
}

static struct stego_keyring own_keys(const struct stego_identity **list)
{
    list[0] = identity;
    return (struct stego_keyring){.identities = list, .identity_count = 1};
}

static struct ds_bytes copy_of(const struct carrier_original *o)
{
    struct ds_bytes copy = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    assert_int_equal(ds_bytes_append(&copy, o->file, o->len, NULL), DS_OK);
    return copy;
}

/* Restores with the instance's own share, and for a sidecar the original as it was sent; compares
 * with the original. syntax: what it came back in. */
static void restore_and_compare(const struct journey *j, const struct ds_bytes *file,
                                bool whole_file, char syntax[DICOM_UID_BYTES])
{
    const struct stego_identity *list[1];
    const struct stego_keyring keys = own_keys(list);
    struct carrier_found *f = NULL;
    struct stego_collector *c = NULL;
    struct carrier_restored r = {0};
    struct ds_error err = {0};
    assert_int_equal(carrier_found_load(&f, file->data, file->len, &keys, NULL, NULL), DS_OK);
    if (j->slot.placement == CARRIER_SIDECAR) {
        struct ds_bytes beside = copy_of(j->original);
        assert_int_equal(carrier_found_join(f, &beside, NULL), DS_OK);
    }
    assert_int_equal(stego_collector_new(&c, NULL), DS_OK);
    assert_int_equal(stego_collector_add(c, carrier_found_part(f), NULL), DS_OK);
    if (carrier_restore(f, c, &keys, &r, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    const struct carrier_hashes *was = carrier_original_hashes(j->original);
    assert_memory_equal(r.hashes.pixel, was->pixel, DS_SHA256_BYTES);
    assert_memory_equal(r.hashes.dataset, was->dataset, DS_SHA256_BYTES);
    if (whole_file && !r.file_proven) {
        fail_msg("from %s: another file", j->made.transfer_syntax);
    }
    if (whole_file) {
        assert_memory_equal(r.hashes.file, was->file, DS_SHA256_BYTES);
    }
    memcpy(syntax, r.transfer_syntax, DICOM_UID_BYTES);
    carrier_restored_free(&r);
    stego_collector_free(c);
    carrier_found_free(f);
}

static void expect_original(const struct journey *j, const struct ds_bytes *file, bool whole_file)
{
    char syntax[DICOM_UID_BYTES];
    restore_and_compare(j, file, whole_file, syntax);
}

static const struct carrier_plan_options lean = {.unsuitable = CARRIER_SIDECAR,
                                                 .attributes = CARRIER_ATTRIBUTES_CHANGED};
static const struct carrier_plan_options full = {.unsuitable = CARRIER_SIDECAR,
                                                 .attributes = CARRIER_ATTRIBUTES_ALL};

/* Opened as the indexer does. */
static struct carrier_original *open_without_samples(const struct ds_bytes *file)
{
    struct carrier_original *o = NULL;
    char *path = ds_file_join(folder, "opened.dcm");
    assert_non_null(path);
    assert_int_equal(ds_file_write(path, file->data, file->len, DS_FILE_NEW, 0600, NULL), DS_OK);
    assert_int_equal(carrier_original_open_hashed(&o, path, NULL, NULL), DS_OK);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_null(carrier_original_image(o));
    return o;
}

static void the_mark_is_seen_without_reading_the_samples(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ct/ge-hispeed/0001.dcm", "syntaxes/made-ct16s/explicit-be.dcm", "nm/heart-13frames.dcm",
        "us/us1-rgb-uncompressed.dcm", "us/ybr-full-422-uncompressed.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct journey j = travel(names[i], &lean);
        struct carrier_original *carrier = open_without_samples(&j.file);
        struct carrier_original *original = open_without_samples(&j.source);
        assert_true(carrier_original_is_carrier(carrier));
        assert_false(carrier_original_is_carrier(original));
        assert_memory_equal(carrier_original_hashes(original), carrier_original_hashes(j.original),
                            sizeof(struct carrier_hashes));
        assert_true(carrier_original_bytes(original) < carrier_original_bytes(j.original));
        assert_int_equal(carrier_original_read(original, NULL), DS_OK);
        assert_int_equal(carrier_original_read(original, NULL), DS_OK);
        assert_int_equal(carrier_original_bytes(original), carrier_original_bytes(j.original));
        carrier_original_free(carrier);
        carrier_original_free(original);
        journey_finish(&j);
    }
}

/* What was known is believed of these very bytes alone. */
static void hashes_of_a_known_file_are_not_computed_again(void **state)
{
    (void)state;
    struct ds_bytes file = read_data("ct/ge-hispeed/0001.dcm");
    char *path = ds_file_join(folder, "known.dcm");
    struct journey j = begin(&file);
    const struct carrier_hashes *right = carrier_original_hashes(j.original);
    const char *syntax = dicom_dataset_transfer_syntax(carrier_original_dataset(j.original));
    struct carrier_hashes known = *right;
    struct carrier_hashes other = *right;
    struct carrier_original *o = NULL;
    known.pixel[0] ^= 1; /* shows whether it was taken */
    other.pixel[0] ^= 1;
    other.file[31] ^= 1;
    assert_int_equal(ds_file_write(path, j.source.data, j.source.len, DS_FILE_NEW, 0600, NULL),
                     DS_OK);
    assert_int_equal(carrier_original_open_known(&o, path, &known, syntax, NULL), DS_OK);
    assert_memory_equal(carrier_original_hashes(o), &known, sizeof(known));
    assert_non_null(carrier_original_image(o));
    carrier_original_free(o);
    assert_int_equal(carrier_original_open_known(&o, path, &other, syntax, NULL), DS_OK);
    assert_memory_equal(carrier_original_hashes(o), right, sizeof(*right));
    carrier_original_free(o);
    assert_int_equal(carrier_original_open_known(&o, path, &known, "1.2.840.10008.1.2.2", NULL),
                     DS_OK);
    assert_memory_equal(carrier_original_hashes(o), right, sizeof(*right));
    carrier_original_free(o);
    assert_int_equal(unlink(path), 0);
    free(path);
    journey_finish(&j);
}

static void ordinary_records_are_at_most_256_bytes_and_give_the_file_back_alone(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ct/ge-hispeed/0001.dcm",
        "ct/philips-ingenuity/0001.dcm",
        "mr/ge-signa-wrist/0001.dcm",
        "mr/siemens-prisma-t1/0001.dcm",
        "mr/siemens-skyra-epi/0001.dcm",
        "nm/heart-13frames.dcm",
        "xray/cr-chest-mono1-no-meta.dcm",
        "syntaxes/made-ct16s/explicit-be.dcm",
        "syntaxes/made-ct16s/implicit-le.dcm",
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct journey j = travel(names[i], &lean);
        struct carrier_found *f = NULL;
        assert_int_equal(j.slot.placement, CARRIER_IN_PIXELS);
        assert_int_equal(carrier_found_load(&f, j.file.data, j.file.len, NULL, NULL, NULL), DS_OK);
        assert_true(stego_part_manifest(carrier_found_part(f))->record_bytes <= 256);
        carrier_found_free(f);
        expect_original(&j, &j.file, true);
        journey_finish(&j);
    }
}

static void
compressed_originals_come_back_in_their_own_syntax_where_it_can_be_lossless(void **state)
{
    (void)state;
    static const struct {
        const char *name, *syntax;
    } cases[] = {
        {"syntaxes/made-mr12u/rle.dcm", "1.2.840.10008.1.2.5"},
        {"syntaxes/made-mr12u/jpegls-lossless.dcm", "1.2.840.10008.1.2.4.80"},
        {"syntaxes/made-ct16s/jpeg-lossless-sv1.dcm", "1.2.840.10008.1.2.4.70"},
        {"syntaxes/made-ct16s/deflated.dcm", "1.2.840.10008.1.2.1.99"},
        {"syntaxes/made-multiframe/nm-heart-jpegls.dcm", "1.2.840.10008.1.2.4.80"},
        {"syntaxes/made-mr12u/j2k-lossless.dcm", "1.2.840.10008.1.2.4.90"},
        {"syntaxes/made-us-rgb/j2k-lossless.dcm", "1.2.840.10008.1.2.4.90"},
        {"syntaxes/made-ct16s/htj2k-lossless.dcm", "1.2.840.10008.1.2.4.201"},
        {"syntaxes/made-mr12u/htj2k-lossless-rpcl.dcm", DICOM_EXPLICIT_LE},
        {"syntaxes/made-mr12u/deflated-frame.dcm", "1.2.840.10008.1.2.8.1"},
        {"syntaxes/made-mr12u/encapsulated-uncompressed.dcm", "1.2.840.10008.1.2.1.98"},
        {"syntaxes/made-us-rgb/jpeg-baseline-422.dcm", DICOM_EXPLICIT_LE},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        char syntax[DICOM_UID_BYTES];
        struct journey j = travel(cases[i].name, &lean);
        assert_int_equal(j.slot.placement, CARRIER_IN_PIXELS);
        restore_and_compare(&j, &j.file, false, syntax);
        assert_string_equal(syntax, cases[i].syntax);
        journey_finish(&j);
    }
}

static void what_our_own_encoders_wrote_comes_back_to_the_byte(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {"1.2.840.10008.1.2.5",     "1.2.840.10008.1.2.4.70",
                                           "1.2.840.10008.1.2.4.80",  "1.2.840.10008.1.2.4.90",
                                           "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.1.99"};
    struct ds_bytes b = read_data("ct/ge-hispeed/0001.dcm");
    struct dicom_dataset *d = NULL;
    assert_int_equal(dicom_dataset_read(&d, b.data, b.len, NULL, NULL), DS_OK);
    ds_bytes_free(&b);
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        struct ds_bytes compressed = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
        const struct carrier_make_options options = {.station = "CLINIC_A"};
        assert_int_equal(dicom_dataset_write_part10(d, syntaxes[i], &compressed, NULL), DS_OK);
        struct journey j = begin(&compressed);
        seal(&j, &lean);
        assert_int_equal(carrier_make(j.capsule, j.original, &j.slot, &options, &j.made, NULL),
                         DS_OK);
        assert_int_equal(carrier_made_part10(&j.made, &j.file, NULL), DS_OK);
        expect_original(&j, &j.file, true);
        journey_finish(&j);
        ds_bytes_free(&compressed);
    }
    dicom_dataset_free(d);
}

static void a_bitstream_that_fits_comes_back_to_the_byte(void **state)
{
    (void)state;
    static const struct carrier_plan_options keep = {.unsuitable = CARRIER_SIDECAR,
                                                     .attributes = CARRIER_ATTRIBUTES_CHANGED,
                                                     .keep_bitstream = true};
    static const char *const names[] = {"syntaxes/made-us-rgb/jpeg-baseline-422.dcm",
                                        "syntaxes/made-us-rgb/j2k-lossy.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct journey j = travel(names[i], &keep);
        assert_int_equal(j.slot.placement, CARRIER_IN_PIXELS);
        assert_string_equal(j.slot.reason, "");
        expect_original(&j, &j.file, true);
        journey_finish(&j);
    }
}

static void a_bitstream_that_does_not_fit_is_left_and_the_slot_says_so(void **state)
{
    (void)state;
    static const struct carrier_plan_options keep = {.unsuitable = CARRIER_SIDECAR,
                                                     .keep_bitstream = true};
    char syntax[DICOM_UID_BYTES];
    struct journey j = travel("syntaxes/made-ct16s/jpeg-lossless-sv1.dcm", &keep);
    assert_int_equal(j.slot.placement, CARRIER_IN_PIXELS);
    assert_non_null(strstr(j.slot.reason, "bitstream"));
    restore_and_compare(&j, &j.file, false, syntax);
    assert_string_equal(syntax, "1.2.840.10008.1.2.4.70");
    journey_finish(&j);
}

/* The file is proven from what a carrier in this syntax holds. */
static void expect_carried_in(struct journey *j, const char *syntax)
{
    struct ds_error err = {0};
    const struct carrier_make_options options = {.station = "CLINIC_A", .transfer_syntax = syntax};
    carrier_made_free(&j->made);
    ds_bytes_free(&j->file);
    if (carrier_make(j->capsule, j->original, &j->slot, &options, &j->made, &err) != DS_OK) {
        fail_msg("%s: %s", syntax, err.text);
    }
    assert_string_equal(j->made.transfer_syntax, syntax);
    assert_int_equal(carrier_made_part10(&j->made, &j->file, NULL), DS_OK);
    expect_original(j, &j->file, true);
}

static void a_carrier_in_any_lossless_syntax_gives_the_file_back(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {
        "1.2.840.10008.1.2.2",     "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.4.70",  "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.201",
    };
    static const char *const names[] = {"ct/ge-hispeed/0001.dcm", "us/us1-rgb-uncompressed.dcm",
                                        "nm/heart-13frames.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct journey j = travel(names[i], &lean);
        const size_t native = j.made.dataset.len;
        for (size_t k = 0; k < DS_ARRAY_SIZE(syntaxes); k++) {
            expect_carried_in(&j, syntaxes[k]);
            assert_true(k == 0 || j.made.dataset.len < native);
        }
        journey_finish(&j);
    }
}

static enum ds_status make_in(const struct journey *j, const char *syntax)
{
    const struct carrier_make_options options = {.transfer_syntax = syntax};
    struct carrier_made made = {0};
    const enum ds_status s = carrier_make(j->capsule, j->original, &j->slot, &options, &made, NULL);
    carrier_made_free(&made);
    return s;
}

static void a_syntax_that_cannot_hold_the_image_or_may_lose_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"us/ybr-full-422-uncompressed.dcm", "other/color-pl.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct journey colour = travel(names[i], &lean);
        assert_int_equal(make_in(&colour, "1.2.840.10008.1.2.4.80"), DS_EUNSUPPORTED);
        journey_finish(&colour);
    }
    struct journey j = travel("ct/ge-hispeed/0001.dcm", &lean);
    assert_int_equal(make_in(&j, "1.2.840.10008.1.2.4.91"), DS_EINVAL);
    assert_int_equal(make_in(&j, "1.2.840.10008.1.2.4.50"), DS_EINVAL);
    journey_finish(&j);
}

static void colour_carries_and_comes_back_to_the_byte(void **state)
{
    (void)state;
    static const char *const names[] = {
        "us/us1-rgb-uncompressed.dcm",
        "us/epicard-rgb-bigendian.dcm",
        "us/ybr-full-422-uncompressed.dcm",
        "other/color-pl.dcm", /* by plane */
        "other/color-px.dcm",
        "other/test-pattern-rgb.dcm",
        "other/vl1-endoscopy-rgb.dcm",
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct journey j = travel(names[i], &lean);
        if (j.slot.placement != CARRIER_IN_PIXELS) {
            fail_msg("%s: %s", names[i], j.slot.reason);
        }
        expect_original(&j, &j.file, true);
        journey_finish(&j);
    }
}

static void a_compressed_colour_original_says_how_its_carrier_lies(void **state)
{
    (void)state;
    static const struct {
        const char *name, *photometric;
    } cases[] = {{"syntaxes/made-us-rgb/jpeg-baseline-422.dcm", "YBR_FULL"},
                 {"syntaxes/made-us-rgb/rle.dcm", "RGB"},
                 {"syntaxes/made-us-rgb/jpegls-lossless.dcm", "RGB"}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        struct journey j = travel(cases[i].name, &lean);
        struct dicom_dataset *d = NULL;
        struct dicom_pixels p = {0};
        assert_int_equal(j.slot.placement, CARRIER_IN_PIXELS);
        assert_int_equal(dicom_dataset_read(&d, j.file.data, j.file.len, NULL, NULL), DS_OK);
        assert_int_equal(dicom_pixels_read(&p, d, NULL), DS_OK);
        assert_false(p.was_compressed);
        assert_false(p.is_planar);
        assert_string_equal(p.photometric, cases[i].photometric);
        dicom_pixels_free(&p);
        dicom_dataset_free(d);
        expect_original(&j, &j.file, false);
        journey_finish(&j);
    }
}

/* A CT slice in cells of 32 bits: its values four bits further up, and for 32 stored bits around
 * 2^31. */
static struct ds_bytes widen(const char *name, uint16_t bits_stored)
{
    struct ds_bytes b = read_data(name);
    struct ds_bytes out = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    struct dicom_dataset *d = NULL;
    struct dicom_pixels p = {0};
    char number[8];
    assert_int_equal(dicom_dataset_read(&d, b.data, b.len, NULL, NULL), DS_OK);
    assert_int_equal(dicom_pixels_read(&p, d, NULL), DS_OK);
    const size_t count = p.cells.len / 2;
    assert_int_equal(ds_bytes_resize(&p.cells, 4 * count, NULL), DS_OK);
    for (size_t i = count; i-- > 0;) {
        const uint32_t v = p.cells.data[2 * i] | (uint32_t)p.cells.data[2 * i + 1] << 8;
        const uint32_t wide = (v << 4 | (v & 15U)) + (bits_stored == 32 ? 0x7fff8000U : 0);
        for (unsigned k = 0; k < 4; k++) {
            p.cells.data[4 * i + k] = (uint8_t)(wide >> (8 * k));
        }
    }
    p.bits_allocated = 32;
    p.bits_stored = bits_stored;
    p.high_bit = (uint16_t)(bits_stored - 1);
    const struct {
        uint16_t element, value;
    } numbers[] = {{0x0100, 32}, {0x0101, bits_stored}, {0x0102, p.high_bit}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(numbers); i++) {
        (void)snprintf(number, sizeof(number), "%u", numbers[i].value);
        assert_int_equal(dicom_dataset_set(d, DICOM_TAG(0x0028, numbers[i].element), number, NULL),
                         DS_OK);
    }
    assert_int_equal(dicom_pixels_write(d, &p, NULL), DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, "1.2.840.10008.1.2.1", &out, NULL), DS_OK);
    dicom_pixels_free(&p);
    dicom_dataset_free(d);
    ds_bytes_free(&b);
    return out;
}

static void grey_of_32_bits_carries(void **state)
{
    (void)state;
    static const uint16_t stored[] = {20, 32};
    for (size_t i = 0; i < DS_ARRAY_SIZE(stored); i++) {
        struct ds_bytes file = widen("ct/philips-ingenuity/0001.dcm", stored[i]);
        struct journey j = begin(&file);
        const struct carrier_make_options options = {.station = "CLINIC_A"};
        seal(&j, &lean);
        if (j.slot.placement != CARRIER_IN_PIXELS) {
            fail_msg("%u bits: %s", stored[i], j.slot.reason);
        }
        assert_int_equal(carrier_make(j.capsule, j.original, &j.slot, &options, &j.made, NULL),
                         DS_OK);
        assert_int_equal(carrier_made_part10(&j.made, &j.file, NULL), DS_OK);
        expect_original(&j, &j.file, true);
        journey_finish(&j);
        ds_bytes_free(&file);
    }
}

static void limits_of_the_plan_decide_who_carries(void **state)
{
    (void)state;
    struct carrier_plan_options how = lean;
    how.hiding = (struct carrier_hiding){.max_difference = 1, .min_psnr_db = 80};
    struct journey j = travel("ct/ge-hispeed/0001.dcm", &how);
    assert_int_equal(j.slot.placement, CARRIER_IN_PIXELS);
    assert_int_equal(j.made.distortion.max_difference, 1);
    assert_true(j.made.distortion.psnr_format_db >= 80);
    expect_original(&j, &j.file, true);
    journey_finish(&j);
    how.hiding.min_psnr_db = 200;
    j = travel("ct/ge-hispeed/0001.dcm", &how);
    assert_int_equal(j.slot.placement, CARRIER_SIDECAR);
    assert_true(j.slot.reason[0] != '\0');
    expect_original(&j, &j.file, true);
    journey_finish(&j);
}

/* Where a frame's first changed cell is in the carrier; SIZE_MAX when it carries nothing. */
static size_t first_change(const struct journey *j, const struct dicom_pixels *carrier,
                           uint32_t frame)
{
    const uint8_t *was = j->original->pixels.cells.data;
    const size_t len = carrier->cells.len / carrier->frames;
    for (size_t at = frame * len; at < (frame + 1) * len; at++) {
        if (was[at] != carrier->cells.data[at]) {
            return at;
        }
    }
    return SIZE_MAX;
}

static void an_altered_frame_is_named(void **state)
{
    (void)state;
    struct journey j = travel("nm/heart-13frames.dcm", &lean);
    struct dicom_dataset *d = NULL;
    struct dicom_pixels p = {0};
    assert_int_equal(dicom_dataset_read(&d, j.file.data, j.file.len, NULL, NULL), DS_OK);
    assert_int_equal(dicom_pixels_read(&p, d, NULL), DS_OK);
    unsigned named = 0;
    unsigned carrying = 0;
    for (uint32_t frame = 0; frame < p.frames; frame++) {
        const size_t at = first_change(&j, &p, frame);
        if (at == SIZE_MAX) {
            continue;
        }
        struct ds_bytes altered = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
        struct carrier_found *f = NULL;
        struct ds_error err = {0};
        char want[32];
        (void)snprintf(want, sizeof(want), "in frame %u of 13", frame + 1);
        p.cells.data[at] ^= 2;
        assert_int_equal(dicom_pixels_write(d, &p, NULL), DS_OK);
        assert_int_equal(dicom_dataset_write_part10(d, "1.2.840.10008.1.2.1", &altered, NULL),
                         DS_OK);
        assert_int_equal(carrier_found_load(&f, altered.data, altered.len, NULL, NULL, &err),
                         DS_EAUTH);
        named += strstr(err.text, want) != NULL ? 1 : 0;
        carrying++;
        p.cells.data[at] ^= 2;
        ds_bytes_free(&altered);
    }
    assert_true(carrying > 1);
    assert_int_equal(named, carrying);
    dicom_pixels_free(&p);
    dicom_dataset_free(d);
    journey_finish(&j);
}

static void making_twice_gives_the_same_bytes(void **state)
{
    (void)state;
    struct journey j = travel("mr/ge-signa-wrist/0001.dcm", &lean);
    const struct carrier_make_options options = {.station = "CLINIC_A"};
    struct carrier_made again = {0};
    assert_int_equal(carrier_make(j.capsule, j.original, &j.slot, &options, &again, NULL), DS_OK);
    assert_int_equal(again.dataset.len, j.made.dataset.len);
    assert_memory_equal(again.dataset.data, j.made.dataset.data, again.dataset.len);
    carrier_made_free(&again);
    journey_finish(&j);
}

static void every_flipped_pixel_is_noticed(void **state)
{
    (void)state;
    struct journey j = travel("mr/ge-signa-wrist/0001.dcm", &lean);
    for (unsigned i = 1; i < 40; i++) {
        const size_t at = j.file.len - 2U * 1601U * i;
        struct carrier_found *f = NULL;
        j.file.data[at] ^= 1;
        const enum ds_status s = carrier_found_load(&f, j.file.data, j.file.len, NULL, NULL, NULL);
        assert_true(s == DS_EAUTH || s == DS_ENOTHING);
        assert_null(f);
        j.file.data[at] ^= 1;
    }
    expect_original(&j, &j.file, true);
    journey_finish(&j);
}

/* The carrier's file with its attributes replaced. */
static struct ds_bytes strip(const struct journey *j)
{
    static const dicom_tag gone[] = {DICOM_TAG(0x0008, 0x2112),    DICOM_TAG(0x0018, 0xa001),
                                     DICOM_TAG(0x0008, 0x2111),    DICOM_TAG_STUDY_DESCRIPTION,
                                     DICOM_TAG_SERIES_DESCRIPTION, DICOM_TAG_IMAGE_TYPE};
    struct dicom_dataset *d = NULL;
    struct ds_bytes out = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    assert_int_equal(dicom_dataset_read(&d, j->file.data, j->file.len, NULL, NULL), DS_OK);
    for (size_t i = 0; i < DS_ARRAY_SIZE(gone); i++) {
        dicom_dataset_remove(d, gone[i]);
    }
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_PATIENT_NAME, "NOBODY", NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_SOP_INSTANCE_UID, "2.25.1", NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_STUDY_INSTANCE_UID, "2.25.2", NULL), DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, "1.2.840.10008.1.2", &out, NULL), DS_OK);
    dicom_dataset_free(d);
    return out;
}

static void replaced_attributes_are_taken_from_the_capsule(void **state)
{
    (void)state;
    struct journey j = travel("ct/ge-hispeed/0001.dcm", &full);
    struct ds_bytes stripped = strip(&j);
    expect_original(&j, &stripped, true);
    ds_bytes_free(&stripped);
    journey_finish(&j);
}

static void replaced_attributes_without_envelopes_are_refused(void **state)
{
    (void)state;
    const struct stego_identity *list[1];
    const struct stego_keyring keys = own_keys(list);
    struct journey j = travel("ct/ge-hispeed/0001.dcm", &lean);
    struct ds_bytes stripped = strip(&j);
    struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    struct ds_error err = {0};
    assert_int_equal(carrier_found_load(&f, stripped.data, stripped.len, &keys, NULL, NULL), DS_OK);
    assert_int_equal(carrier_restore(f, NULL, &keys, &r, &err), DS_EAUTH);
    assert_int_equal(r.file.len, 0);
    assert_non_null(strstr(err.text, "altered"));
    /* The pixels alone are proven all the same. */
    assert_int_equal(carrier_restore_pixels(f, &r, NULL), DS_OK);
    assert_memory_equal(r.hashes.pixel, carrier_original_hashes(j.original)->pixel,
                        DS_SHA256_BYTES);
    carrier_restored_free(&r);
    carrier_found_free(f);
    ds_bytes_free(&stripped);
    journey_finish(&j);
}

static void one_altered_attribute_that_we_never_touched_is_refused(void **state)
{
    (void)state;
    const struct stego_identity *list[1];
    const struct stego_keyring keys = own_keys(list);
    struct journey j = travel("ct/ge-hispeed/0001.dcm", &lean);
    struct dicom_dataset *d = NULL;
    struct ds_bytes altered = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    assert_int_equal(dicom_dataset_read(&d, j.file.data, j.file.len, NULL, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_PATIENT_ID, "ANOTHER", NULL), DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, "1.2.840.10008.1.2.1", &altered, NULL), DS_OK);
    assert_int_equal(carrier_found_load(&f, altered.data, altered.len, &keys, NULL, NULL), DS_OK);
    assert_int_equal(carrier_restore(f, NULL, &keys, &r, NULL), DS_EAUTH);
    assert_int_equal(r.file.len, 0);
    carrier_found_free(f);
    dicom_dataset_free(d);
    ds_bytes_free(&altered);
    journey_finish(&j);
}

static void without_the_key_nothing_but_pixels_is_given(void **state)
{
    (void)state;
    struct journey j = travel("ct/ge-hispeed/0001.dcm", &lean);
    struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    assert_int_equal(carrier_found_load(&f, j.file.data, j.file.len, NULL, NULL, NULL), DS_OK);
    assert_int_equal(carrier_restore(f, NULL, NULL, &r, NULL), DS_ENOKEY);
    assert_int_equal(r.file.len, 0);
    carrier_found_free(f);
    journey_finish(&j);
}

static void a_key_region_travels_sealed_and_comes_back(void **state)
{
    (void)state;
    struct carrier_plan_options how = lean;
    how.region = (struct stego_rect){.x = 100, .y = 120, .width = 80, .height = 64};
    struct journey j = travel("ct/philips-ingenuity/0020.dcm", &how);
    struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    assert_int_equal(carrier_found_load(&f, j.file.data, j.file.len, NULL, NULL, NULL), DS_OK);
    assert_int_equal(carrier_found_region(f)->width, 80);
    assert_int_equal(carrier_restore_pixels(f, &r, NULL), DS_ENOKEY);
    carrier_found_free(f);
    expect_original(&j, &j.file, true);
    journey_finish(&j);
}

static void several_key_regions_come_back(void **state)
{
    (void)state;
    static const struct stego_rect further[] = {
        {.x = 10, .y = 20, .width = 31, .height = 17},
        {.x = 400, .y = 300, .width = 40, .height = 33},
    };
    struct carrier_plan_options how = lean;
    how.region = (struct stego_rect){.x = 100, .y = 120, .width = 80, .height = 64};
    how.more = (struct carrier_regions){further, DS_ARRAY_SIZE(further)};
    struct journey j = travel("ct/philips-ingenuity/0020.dcm", &how);
    struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    assert_int_equal(carrier_found_load(&f, j.file.data, j.file.len, NULL, NULL, NULL), DS_OK);
    const int32_t *shown = f->image.samples;
    for (uint32_t y = 21; y < 37; y++) { /* covered plainly, so of one value */
        assert_int_equal(shown[y * 512 + 15], shown[20 * 512 + 10]);
    }
    assert_int_equal(carrier_restore_pixels(f, &r, NULL), DS_ENOKEY);
    carrier_found_free(f);
    expect_original(&j, &j.file, true);
    journey_finish(&j);
}

static void key_regions_that_overlap_or_are_too_many_are_refused(void **state)
{
    (void)state;
    struct ds_error err = {0};
    struct ds_bytes b = read_data("ct/philips-ingenuity/0020.dcm");
    struct journey j = begin(&b);
    const struct stego_rect first = {.x = 100, .y = 100, .width = 80, .height = 64};
    struct stego_rect next = {.x = 179, .y = 163, .width = 10, .height = 10};
    const struct carrier_regions more = {&next, 1};
    assert_int_equal(carrier_regions_fit(j.original, &first, &more, false, &err), DS_EINVAL);
    assert_non_null(strstr(err.text, "overlap"));
    next.x = 180;
    assert_int_equal(carrier_regions_fit(j.original, &first, &more, false, &err), DS_OK);
    assert_int_equal(carrier_regions_fit(j.original, &first, &more, true, &err), DS_EINVAL);
    next.x = 510;
    assert_int_equal(carrier_regions_fit(j.original, &first, &more, false, &err), DS_EINVAL);
    struct stego_rect many[CARRIER_REGIONS_MAX] = {{0}};
    struct carrier_plan_options how = lean;
    struct carrier_plan *plan = NULL;
    how.more = (struct carrier_regions){many, CARRIER_REGIONS_MAX};
    assert_int_equal(carrier_plan_new(&plan, &how, &err), DS_EINVAL);
    journey_finish(&j);
}

static void a_region_of_128x128_fits_into_a_slice_in_one_pass(void **state)
{
    (void)state;
    static const char *const slices[] = {"ct/philips-ingenuity/0020.dcm", "ct/ge-hispeed/0003.dcm",
                                         "ct/ge-hispeed/0014.dcm", "ct/ge-hispeed/0022.dcm"};
    struct carrier_plan_options how = lean;
    how.region = (struct stego_rect){.x = 192, .y = 192, .width = 128, .height = 128};
    for (size_t i = 0; i < DS_ARRAY_SIZE(slices); i++) {
        struct journey j = travel(slices[i], &how);
        assert_int_equal(j.made.passes, 1);
        expect_original(&j, &j.file, true);
        journey_finish(&j);
    }
}

static void a_plain_image_carries_nothing(void **state)
{
    (void)state;
    struct ds_bytes b = read_data("ct/ge-hispeed/0001.dcm");
    struct carrier_found *f = NULL;
    assert_false(carrier_is_carrier(b.data, b.len));
    assert_int_equal(carrier_found_load(&f, b.data, b.len, NULL, NULL, NULL), DS_ENOTHING);
    ds_bytes_free(&b);
}

static void small_covers_share_the_capsule_without_key_blocks(void **state)
{
    (void)state;
    struct carrier_plan *plan = NULL;
    enum { count = 12 };
    struct carrier_slot slots[count];
    struct stego_capsule *capsule = NULL;
    const struct carrier_plan_options how = {.unsuitable = CARRIER_PASS};
    const struct stego_certificate *to = stego_identity_certificate(identity);
    const struct stego_document document = {"report.txt", "text/plain", (const uint8_t *)report,
                                            sizeof(report) - 1};
    const struct stego_seal_request request = {.origin = "A",
                                               .documents = &document,
                                               .document_count = 1,
                                               .recipients = &to,
                                               .recipient_count = 1,
                                               .redundancy_percent = 25};
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    for (unsigned i = 1; i <= count; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "mr/ge-mr750-fmri/%04u.dcm", i);
        struct ds_bytes b = read_data(name);
        struct carrier_original *o = NULL;
        assert_int_equal(carrier_original_load(&o, b.data, b.len, NULL), DS_OK);
        assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
        carrier_original_free(o);
        ds_bytes_free(&b);
    }
    assert_int_equal(carrier_plan_seal(plan, &request, slots, count, &capsule, NULL), DS_OK);
    assert_int_equal(stego_capsule_shares_total(capsule), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(slots[i].placement, CARRIER_IN_PIXELS);
        assert_int_equal(slots[i].share_index, i);
        assert_false(slots[i].with_key_block);
    }
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
}

static void reports_become_dicom_objects_that_say_whose_they_are(void **state)
{
    (void)state;
    struct ds_bytes b = read_data("ct/ge-hispeed/0001.dcm");
    struct dicom_dataset *reference = NULL;
    struct stego_opened_document document = {
        .name = "r.txt", .media_type = "text/plain; charset=utf-8", .data = DS_BYTES_INIT(1024)};
    assert_int_equal(dicom_dataset_read(&reference, b.data, b.len, NULL, NULL), DS_OK);
    assert_int_equal(ds_bytes_append(&document.data, "Befund: \xc3\xa4\n", 11, NULL), DS_OK);
    for (unsigned i = 0; i < 2; i++) {
        struct ds_bytes out = DS_BYTES_INIT(1U << 20);
        struct dicom_dataset *d = NULL;
        char a[DICOM_UID_BYTES];
        char z[DICOM_UID_BYTES];
        assert_int_equal(carrier_report_to_dicom(&document, reference, &out, NULL), DS_OK);
        assert_int_equal(dicom_dataset_read(&d, out.data, out.len, NULL, NULL), DS_OK);
        assert_int_equal(dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, a, sizeof(a), NULL), DS_OK);
        assert_true(carrier_is_report_class(a));
        assert_int_equal(dicom_dataset_get(d, DICOM_TAG_STUDY_INSTANCE_UID, a, sizeof(a), NULL),
                         DS_OK);
        assert_int_equal(
            dicom_dataset_get(reference, DICOM_TAG_STUDY_INSTANCE_UID, z, sizeof(z), NULL), DS_OK);
        assert_string_equal(a, z);
        dicom_dataset_free(d);
        ds_bytes_free(&out);
        (void)snprintf(document.media_type, sizeof(document.media_type), "application/pdf");
    }
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    (void)snprintf(document.media_type, sizeof(document.media_type), "text/plain");
    document.data.data[0] = 0xff; /* no UTF-8 any more */
    assert_int_equal(carrier_report_to_dicom(&document, reference, &out, NULL), DS_EUNSUPPORTED);
    assert_int_equal(out.len, 0);
    ds_bytes_free(&document.data);
    dicom_dataset_free(reference);
    ds_bytes_free(&b);
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
    return made ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    stego_identity_free(identity);
    return ds_file_remove_tree(folder, NULL) == DS_OK ? 0 : -1;
}

/* What an integrity token's plan says of the image. */
static struct carrier_slot token_slot(const struct carrier_original *o, size_t expected_bytes,
                                      bool *is_short)
{
    const struct carrier_plan_options how = {.unsuitable = CARRIER_PASS,
                                             .attributes = CARRIER_ATTRIBUTES_CHANGED,
                                             .expected_bytes = expected_bytes};
    const struct stego_seal_request request = {
        .origin = "CLINIC_A", .created_utc_us = ds_clock_utc_us(), .signer = identity};
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    struct carrier_slot slot = {.placement = CARRIER_PASS};
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
    const enum ds_status sealed = carrier_plan_seal(plan, &request, &slot, 1, &capsule, NULL);
    *is_short = carrier_plan_is_short(plan);
    assert_int_equal(sealed, *is_short ? DS_ECAPACITY : DS_OK);
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
    return slot;
}

static void what_holds_enough_is_planned_as_if_it_were_measured(void **state)
{
    (void)state;
    static const char *const names[] = {"ct/ge-hispeed/0001.dcm", "mr/ge-signa-wrist/0001.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct ds_bytes file = read_data(names[i]);
        struct carrier_original *o = NULL;
        assert_int_equal(carrier_original_load(&o, file.data, file.len, NULL), DS_OK);
        bool is_short = true;
        const struct carrier_slot measured = token_slot(o, 0, &is_short);
        assert_false(is_short);
        const struct carrier_slot tried = token_slot(o, 1024, &is_short);
        assert_false(is_short);
        assert_int_equal(tried.placement, measured.placement);
        assert_int_equal(tried.with_certificate, measured.with_certificate);
        /* More is asked than was expected, and the plan says so. */
        (void)token_slot(o, 1, &is_short);
        assert_true(is_short);
        carrier_original_free(o);
        ds_bytes_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_enough_is_planned_as_if_it_were_measured),
        cmocka_unit_test(the_mark_is_seen_without_reading_the_samples),
        cmocka_unit_test(hashes_of_a_known_file_are_not_computed_again),
        cmocka_unit_test(ordinary_records_are_at_most_256_bytes_and_give_the_file_back_alone),
        cmocka_unit_test(
            compressed_originals_come_back_in_their_own_syntax_where_it_can_be_lossless),
        cmocka_unit_test(what_our_own_encoders_wrote_comes_back_to_the_byte),
        cmocka_unit_test(a_bitstream_that_fits_comes_back_to_the_byte),
        cmocka_unit_test(a_bitstream_that_does_not_fit_is_left_and_the_slot_says_so),
        cmocka_unit_test(a_carrier_in_any_lossless_syntax_gives_the_file_back),
        cmocka_unit_test(a_syntax_that_cannot_hold_the_image_or_may_lose_is_refused),
        cmocka_unit_test(colour_carries_and_comes_back_to_the_byte),
        cmocka_unit_test(a_compressed_colour_original_says_how_its_carrier_lies),
        cmocka_unit_test(grey_of_32_bits_carries),
        cmocka_unit_test(limits_of_the_plan_decide_who_carries),
        cmocka_unit_test(an_altered_frame_is_named),
        cmocka_unit_test(making_twice_gives_the_same_bytes),
        cmocka_unit_test(every_flipped_pixel_is_noticed),
        cmocka_unit_test(replaced_attributes_are_taken_from_the_capsule),
        cmocka_unit_test(replaced_attributes_without_envelopes_are_refused),
        cmocka_unit_test(one_altered_attribute_that_we_never_touched_is_refused),
        cmocka_unit_test(without_the_key_nothing_but_pixels_is_given),
        cmocka_unit_test(a_key_region_travels_sealed_and_comes_back),
        cmocka_unit_test(several_key_regions_come_back),
        cmocka_unit_test(key_regions_that_overlap_or_are_too_many_are_refused),
        cmocka_unit_test(a_region_of_128x128_fits_into_a_slice_in_one_pass),
        cmocka_unit_test(a_plain_image_carries_nothing),
        cmocka_unit_test(small_covers_share_the_capsule_without_key_blocks),
        cmocka_unit_test(reports_become_dicom_objects_that_say_whose_they_are),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

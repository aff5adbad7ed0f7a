/* SPDX-License-Identifier: Apache-2.0 */
/* Of many frames only the first ones carry; all of them are proven. */
#include "carrier/carrier.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Two frames that do not fit into the window together. */
#define SIDE        2064U
#define FRAME_BYTES ((size_t)SIDE * SIDE)
_Static_assert(2 * FRAME_BYTES > CARRIER_WINDOW_SAMPLES, "a frame stays outside the window");

static const char password[] = "correct horse";
static const struct stego_keyring keys = {.password = password};

static void set(struct dicom_dataset *d, uint16_t group, uint16_t element, const char *value)
{
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG(group, element), value, NULL), DS_OK);
}

/* A file of two frames of a slope with some noise. */
static struct ds_bytes make_file(void)
{
    struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    struct dicom_dataset *d = NULL;
    struct dicom_pixels p = {.columns = SIDE,
                             .rows = SIDE,
                             .frames = 2,
                             .samples_per_pixel = 1,
                             .bits_allocated = 8,
                             .bits_stored = 8,
                             .high_bit = 7,
                             .photometric = "MONOCHROME2",
                             .cells = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES)};
    assert_int_equal(dicom_init(NULL), DS_OK);
    assert_int_equal(dicom_dataset_new(&d, NULL), DS_OK);
    set(d, 0x0008, 0x0016, "1.2.840.10008.5.1.4.1.1.7.2");
    set(d, 0x0008, 0x0018, "2.25.1");
    set(d, 0x0020, 0x000d, "2.25.2");
    set(d, 0x0020, 0x000e, "2.25.3");
    set(d, 0x0028, 0x0002, "1");
    set(d, 0x0028, 0x0004, "MONOCHROME2");
    set(d, 0x0028, 0x0008, "2");
    set(d, 0x0028, 0x0010, "2064");
    set(d, 0x0028, 0x0011, "2064");
    set(d, 0x0028, 0x0100, "8");
    set(d, 0x0028, 0x0101, "8");
    set(d, 0x0028, 0x0102, "7");
    set(d, 0x0028, 0x0103, "0");
    assert_int_equal(ds_bytes_resize(&p.cells, 2 * FRAME_BYTES, NULL), DS_OK);
    uint32_t noise = 1;
    for (size_t i = 0; i < p.cells.len; i++) {
        noise = noise * 1664525U + 1013904223U;
        p.cells.data[i] = (uint8_t)(60 + (i % SIDE) / 20 + (noise >> 30));
    }
    assert_int_equal(dicom_pixels_write(d, &p, NULL), DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, &file, NULL), DS_OK);
    dicom_pixels_free(&p);
    dicom_dataset_free(d);
    return file;
}

static struct stego_capsule *seal(const struct carrier_original *o, struct carrier_slot *slot)
{
    const struct carrier_plan_options options = {.unsuitable = CARRIER_HOLD, .instances = 1};
    const struct stego_document document = {"report.txt", "text/plain", (const uint8_t *)"x", 1};
    const struct stego_seal_request request = {.origin = "CLINIC_A",
                                               .created_utc_us = ds_clock_utc_us(),
                                               .documents = &document,
                                               .document_count = 1,
                                               .password = password};
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    assert_int_equal(carrier_plan_new(&plan, &options, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
    assert_int_equal(carrier_plan_seal(plan, &request, slot, 1, &capsule, NULL), DS_OK);
    carrier_plan_free(plan);
    return capsule;
}

/* The last bytes of both are the cells of both frames. */
static void expect_second_frame_untouched(const struct ds_bytes *original,
                                          const struct carrier_made *made)
{
    const uint8_t *was = original->data + original->len - 2 * FRAME_BYTES;
    const uint8_t *is = made->dataset.data + made->dataset.len - 2 * FRAME_BYTES;
    assert_memory_not_equal(is, was, FRAME_BYTES);
    assert_memory_equal(is + FRAME_BYTES, was + FRAME_BYTES, FRAME_BYTES);
}

static void expect_restored(const struct ds_bytes *carrier, const struct ds_bytes *original)
{
    struct ds_error err = {0};
    struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    assert_true(carrier_is_carrier(carrier->data, carrier->len));
    assert_int_equal(carrier_found_load(&f, carrier->data, carrier->len, &keys, NULL, NULL), DS_OK);
    if (carrier_restore(f, NULL, &keys, &r, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(r.file_proven);
    assert_memory_equal(r.file.data + r.file.len - 2 * FRAME_BYTES,
                        original->data + original->len - 2 * FRAME_BYTES, 2 * FRAME_BYTES);
    carrier_restored_free(&r);
    carrier_found_free(f);
}

static void first_frames_carry_and_every_frame_is_proven(void **state)
{
    (void)state;
    struct ds_bytes file = make_file();
    struct ds_bytes carrier = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    struct carrier_original *o = NULL;
    struct carrier_found *f = NULL;
    struct carrier_slot slot = {0};
    struct carrier_made made = {0};
    struct ds_error err = {0};
    assert_int_equal(carrier_original_load(&o, file.data, file.len, NULL), DS_OK);
    assert_int_equal(carrier_original_image(o)->frames, 1);
    struct stego_capsule *capsule = seal(o, &slot);
    assert_int_equal(slot.placement, CARRIER_IN_PIXELS);
    const struct stego_rect second = {.width = 9, .height = 9, .frame = 1};
    const struct carrier_hiding keep = {.preserve = &second, .preserve_count = 1};
    assert_int_equal(carrier_hiding_fits(&keep, carrier_original_image(o), &err), DS_EINVAL);
    const struct carrier_make_options options = {.station = "CLINIC_A"};
    if (carrier_make(capsule, o, &slot, &options, &made, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    expect_second_frame_untouched(&file, &made);
    assert_int_equal(carrier_made_part10(&made, &carrier, NULL), DS_OK);
    expect_restored(&carrier, &file);
    carrier.data[carrier.len - 100] ^= 1; /* in the frame that does not carry */
    assert_int_equal(carrier_found_load(&f, carrier.data, carrier.len, &keys, NULL, &err),
                     DS_EAUTH);
    stego_capsule_free(capsule);
    carrier_made_free(&made);
    carrier_original_free(o);
    ds_bytes_free(&carrier);
    ds_bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_frames_carry_and_every_frame_is_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/jpegls.h"

#include "base/file.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VALUES_MAX 4096

/* The pictures of tests/vectors/jpegls/make.py. */
static void paint(struct dicom_jpegls *b, const char *kind)
{
    const uint32_t mask = (UINT32_C(1) << b->depth) - 1;
    uint32_t seed = 2024;
    for (uint32_t i = 0; i < b->columns * b->rows; i++) {
        const uint32_t x = i % b->columns;
        const uint32_t y = i / b->columns;
        seed = seed * 1664525U + 1013904223U;
        uint32_t v = 0;
        if (strcmp(kind, "slope") == 0) {
            v = 3 * x + 5 * y + (seed >> 30);
        } else if (strcmp(kind, "dots") == 0) {
            v = seed >> 26 == 0 ? seed >> 8 : mask >> 1;
        } else if (strcmp(kind, "noise") == 0) {
            v = seed >> (32 - b->depth);
        } else {
            v = ((x / 9 + y / 5) % 2 != 0 ? mask : 0) ^ seed >> 31;
        }
        b->values[i] = v & mask;
    }
}

/* Codes the picture behind what scans has, and decodes it again. */
static void append_scan(struct ds_bytes *scans, const char *kind, unsigned depth, uint32_t columns,
                        uint32_t rows)
{
    uint32_t values[VALUES_MAX];
    uint32_t again[VALUES_MAX] = {0};
    struct dicom_jpegls b = {values, columns, rows, depth, {0}, 0};
    struct dicom_jpegls decoded = {again, columns, rows, depth, {0}, 0};
    const size_t start = scans->len;
    paint(&b, kind);
    assert_int_equal(dicom_jpegls_encode(&b, scans, NULL), DS_OK);
    assert_int_equal(dicom_jpegls_decode(&decoded, scans->data + start, scans->len - start, NULL),
                     DS_OK);
    assert_memory_equal(again, values, (size_t)columns * rows * sizeof(uint32_t));
}

static void check_line(const char *line)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 40}, {23, 17}, {150, 12}};
    unsigned depth = 0;
    char kind[16] = "";
    size_t len = 0;
    char hex[2 * DS_SHA256_BYTES + 1] = "";
    assert_int_equal(sscanf(line, "%u %15s %zu %64s", &depth, kind, &len, hex), 4);
    struct ds_bytes scans = DS_BYTES_INIT(1U << 20);
    for (size_t i = 0; i < DS_ARRAY_SIZE(sizes); i++) {
        append_scan(&scans, kind, depth, sizes[i][0], sizes[i][1]);
    }
    uint8_t want[DS_SHA256_BYTES];
    uint8_t have[DS_SHA256_BYTES];
    assert_true(ds_unhex(hex, want, sizeof(want)));
    assert_int_equal(ds_sha256_of(scans.data, scans.len, have, NULL), DS_OK);
    if (scans.len != len || memcmp(have, want, sizeof(want)) != 0) {
        fail_msg("%u bits, %s: not the scans of CharLS", depth, kind);
    }
    ds_bytes_free(&scans);
}

static void scans_are_those_of_charls_to_the_byte(void **state)
{
    (void)state;
    const char *root = getenv("DICOMSTEGO_SOURCE");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/tests/vectors/jpegls/charls.txt",
                   root == NULL ? "." : root);
    struct ds_bytes text = DS_BYTES_INIT(1U << 16);
    assert_int_equal(ds_file_read(path, &text, NULL), DS_OK);
    assert_int_equal(ds_bytes_put_u8(&text, 0, NULL), DS_OK);
    size_t lines = 0;
    char *rest = (char *)text.data;
    for (char *line = strtok_r(rest, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        check_line(line);
        lines++;
    }
    assert_int_equal(lines, 28);
    ds_bytes_free(&text);
}

/* ITU-T T.87, H.3 */
static void the_standards_own_example_is_coded_as_it_says(void **state)
{
    (void)state;
    static const uint8_t scan[] = {0xc0, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e, 0x01, 0xc0, 0x00,
                                   0x00, 0x57, 0x40, 0x00, 0x00, 0x6e, 0xe6, 0x00, 0x00, 0x01,
                                   0xbc, 0x18, 0x00, 0x00, 0x05, 0xd8, 0x00, 0x00, 0x91, 0x60};
    uint32_t values[] = {0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145};
    const struct dicom_jpegls b = {values, 4, 4, 8, {0}, 0};
    struct ds_bytes out = DS_BYTES_INIT(1000);
    assert_int_equal(dicom_jpegls_encode(&b, &out, NULL), DS_OK);
    assert_int_equal(out.len, sizeof(scan));
    assert_memory_equal(out.data, scan, sizeof(scan));
    ds_bytes_free(&out);
}

static void a_scan_must_be_complete_and_nothing_may_follow(void **state)
{
    (void)state;
    uint32_t values[VALUES_MAX];
    struct dicom_jpegls b = {values, 40, 30, 12, {0}, 0};
    struct ds_bytes scan = DS_BYTES_INIT(1U << 16);
    paint(&b, "slope");
    assert_int_equal(dicom_jpegls_encode(&b, &scan, NULL), DS_OK);
    const size_t len = scan.len;
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(dicom_jpegls_decode(&b, scan.data, cut, NULL), DS_EFORMAT);
    }
    assert_int_equal(ds_bytes_put_u8(&scan, 0, NULL), DS_OK);
    assert_int_equal(dicom_jpegls_decode(&b, scan.data, len, NULL), DS_OK);
    assert_int_equal(dicom_jpegls_decode(&b, scan.data, len + 1, NULL), DS_EFORMAT);
    ds_bytes_free(&scan);
}

/* Run interruptions with errors far outside the range: what they add to the context's sum passes
 * 2^31 after seven of them. CharLS 2.4 fails an assertion here, or loops without one. */
static void errors_beyond_the_range_are_refused(void **state)
{
    (void)state;
    static const uint8_t scan[] = {
        0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
        0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x02, 0x00, 0x00, 0x80, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00,
        0x20, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x01, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x01, 0x00, 0x08, 0x48, 0xed, 0x06, 0x00,
        0x1f, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    uint32_t values[400];
    struct dicom_jpegls b = {values, 400, 1, 16, {0}, 0};
    assert_int_equal(dicom_jpegls_decode(&b, scan, sizeof(scan), NULL), DS_EFORMAT);
}

/* Whole scans but for a mapped error of 6, where two bits have none above 4. */
static void one_error_beyond_the_range_is_refused(void **state)
{
    (void)state;
    static const uint8_t interruption[] = {0x08}; /* run broken off: 0; 6 with k = 1: 0001 0 */
    static const uint8_t regular[] = {0x62};      /* 0; an error of 1: 1 1; then 0001 0 */
    uint32_t values[2];
    struct dicom_jpegls b = {values, 1, 1, 2, {0}, 0};
    assert_int_equal(dicom_jpegls_decode(&b, interruption, 1, NULL), DS_EFORMAT);
    b.columns = 2;
    assert_int_equal(dicom_jpegls_decode(&b, regular, 1, NULL), DS_EFORMAT);
    static const uint8_t sound[] = {0x70}; /* 0; an error of 1: 1 1; 0 with k = 1: 1 0 */
    assert_int_equal(dicom_jpegls_decode(&b, sound, 1, NULL), DS_OK);
}

static void depths_that_jpeg_ls_does_not_have_are_refused(void **state)
{
    (void)state;
    static const unsigned depths[] = {0, 1, 17, 32, 33, UINT32_MAX};
    uint32_t value = 0;
    struct ds_bytes out = DS_BYTES_INIT(100);
    for (size_t i = 0; i < DS_ARRAY_SIZE(depths); i++) {
        static const uint8_t zero[1];
        struct dicom_jpegls b = {&value, 1, 1, depths[i], {0}, 0};
        assert_int_equal(dicom_jpegls_encode(&b, &out, NULL), DS_EFORMAT);
        assert_int_equal(dicom_jpegls_decode(&b, zero, 1, NULL), DS_EFORMAT);
    }
    assert_int_equal(out.len, 0);
}

static void whatever_is_decoded_lies_within_the_depth(void **state)
{
    (void)state;
    uint32_t values[VALUES_MAX];
    uint32_t seed = 7;
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t scan[300];
        struct dicom_jpegls b = {values, 1 + round % 37, 1 + round % 11, 2 + round % 15, {0}, 0};
        for (size_t i = 0; i < sizeof(scan); i++) {
            seed = seed * 1664525U + 1013904223U;
            scan[i] = (uint8_t)(seed >> 24) & (round % 2 != 0 ? 0x7fU : 0xffU);
        }
        memset(values, 0, sizeof(values));
        const enum ds_status s = dicom_jpegls_decode(&b, scan, sizeof(scan), NULL);
        assert_true(s == DS_OK || s == DS_EFORMAT);
        for (size_t i = 0; i < VALUES_MAX; i++) {
            assert_true(values[i] >> b.depth == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_are_those_of_charls_to_the_byte),
        cmocka_unit_test(the_standards_own_example_is_coded_as_it_says),
        cmocka_unit_test(a_scan_must_be_complete_and_nothing_may_follow),
        cmocka_unit_test(errors_beyond_the_range_are_refused),
        cmocka_unit_test(one_error_beyond_the_range_is_refused),
        cmocka_unit_test(depths_that_jpeg_ls_does_not_have_are_refused),
        cmocka_unit_test(whatever_is_decoded_lies_within_the_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

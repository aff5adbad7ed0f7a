/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/rle.h"

#include "samples.h"

/* One segment of 8-bit cells: a literal "ab", then "c" four times, then padding. */
static const uint8_t body[] = {1, 'a', 'b', 0xfd, 'c', 0x80};

static size_t make_frame(uint8_t out[96], uint32_t segments, uint32_t offset)
{
    memset(out, 0, 96);
    out[0] = (uint8_t)segments;
    out[4] = (uint8_t)offset;
    memcpy(out + 64, body, sizeof body);
    return 64 + sizeof body;
}

static void runs_and_literals_unpack(void **state)
{
    (void)state;
    struct ds_error err;
    uint8_t frame[96];
    uint8_t out[6];
    const size_t len = make_frame(frame, 1, 64);
    assert_ok(dicom_rle_decode(frame, len, 6, 1, 1, out, &err), &err);
    assert_memory_equal(out, "abcccc", 6);
}

static void a_segment_that_ends_too_soon_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    uint8_t frame[96];
    uint8_t out[8];
    const size_t len = make_frame(frame, 1, 64);
    assert_int_equal(dicom_rle_decode(frame, len, 7, 1, 1, out, &err), DS_EFORMAT);
    for (size_t cut = 0; cut < len - 1; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, frame, cut);
        assert_int_equal(dicom_rle_decode(copy, cut, 6, 1, 1, out, &err), DS_EFORMAT);
        free(copy);
    }
}

static void a_header_that_lies_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    uint8_t frame[96];
    uint8_t out[12];
    size_t len = make_frame(frame, 2, 64);
    assert_int_equal(dicom_rle_decode(frame, len, 6, 1, 1, out, &err), DS_EFORMAT);
    assert_int_equal(dicom_rle_decode(frame, len, 6, 1, 2, out, &err), DS_EFORMAT);
    len = make_frame(frame, 1, 63);
    assert_int_equal(dicom_rle_decode(frame, len, 6, 1, 1, out, &err), DS_EFORMAT);
    len = make_frame(frame, 1, 200);
    assert_int_equal(dicom_rle_decode(frame, len, 6, 1, 1, out, &err), DS_EFORMAT);
    assert_int_equal(dicom_rle_decode(frame, len, 6, 4, 4, out, &err), DS_EUNSUPPORTED);
}

static void the_most_significant_byte_comes_first(void **state)
{
    (void)state;
    struct ds_error err;
    uint8_t frame[70] = {2, 0, 0, 0, 64, 0, 0, 0, 67};
    const uint8_t segments[] = {1, 0x12, 0x34, 1, 0x56, 0x78};
    uint8_t out[4];
    memcpy(frame + 64, segments, sizeof segments);
    assert_ok(dicom_rle_decode(frame, sizeof frame, 2, 1, 2, out, &err), &err);
    const uint8_t want[] = {0x56, 0x12, 0x78, 0x34};
    assert_memory_equal(out, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_and_literals_unpack),
        cmocka_unit_test(a_segment_that_ends_too_soon_is_refused),
        cmocka_unit_test(a_header_that_lies_is_refused),
        cmocka_unit_test(the_most_significant_byte_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Native Pixel Data that stay where they are, and the first frames of an image. */
#include "samples.h"

#define FRAME_PIXELS 16U
#define FRAME_BYTES  (2U * FRAME_PIXELS)
#define FRAMES       3U

static const char *const syntaxes[] = {IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE};

/* Three frames of 4x4 pixels with four bytes behind them, as they lie in a file. */
static struct ds_bytes make_file(const char *syntax)
{
    struct ds_error err;
    struct ds_bytes out;
    struct dicom_pixels p = make_pixels(4, 4 * FRAMES, 16, 12, false);
    struct dicom_dataset *d = make_image(&p);
    uint8_t value[FRAMES * FRAME_BYTES + 4];
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (uint8_t)((i & 1) == 0 ? 7 * i + 1 : i % 16);
    }
    set(d, 0x0028, 0x0010, "4");
    set(d, 0x0028, 0x0008, "3");
    dicom_pixels_free(&p);
    assert_ok(dicom_dataset_set_bytes(d, DICOM_TAG_PIXEL_DATA, NULL, value, sizeof value, &err),
              &err);
    struct dicom_pixels all;
    assert_ok(dicom_pixels_read(&all, d, &err), &err);
    assert_ok(dicom_pixels_write(d, &all, &err), &err); /* as words, which can be big endian */
    dicom_pixels_free(&all);
    write_as(d, syntax, &out);
    dicom_dataset_free(d);
    return out;
}

static struct dicom_dataset *view(const struct ds_bytes *file, const char *syntax)
{
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    assert_ok(dicom_dataset_view(&d, file->data, file->len, syntax, &err), &err);
    return d;
}

static struct dicom_pixels read_front(const struct dicom_dataset *d, size_t max_samples)
{
    struct ds_error err;
    struct dicom_pixels p;
    assert_ok(dicom_pixels_read_front(&p, d, max_samples, &err), &err);
    return p;
}

static void pixel_hash(const struct dicom_dataset *d, const struct dicom_pixels *front,
                       uint8_t out[DS_SHA256_BYTES])
{
    struct ds_error err;
    assert_ok(dicom_pixels_hash(d, front, out, &err), &err);
}

static void the_front_is_whole_frames_and_at_least_one(void **state)
{
    (void)state;
    static const struct {
        size_t samples;
        uint32_t frames;
    } cases[] = {{1, 1}, {FRAME_PIXELS, 1}, {2 * FRAME_PIXELS + 1, 2}, {SIZE_MAX, FRAMES}};
    for (size_t s = 0; s < DS_ARRAY_SIZE(syntaxes); s++) {
        struct ds_bytes file = make_file(syntaxes[s]);
        struct dicom_dataset *d = view(&file, syntaxes[s]);
        struct dicom_pixels all = read_front(d, SIZE_MAX);
        for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
            struct dicom_pixels p = read_front(d, cases[i].samples);
            assert_int_equal(p.frames, cases[i].frames);
            assert_int_equal(p.all_frames, FRAMES);
            assert_int_equal(p.all_bytes, FRAMES * FRAME_BYTES);
            assert_int_equal(p.cells.len, cases[i].frames * FRAME_BYTES);
            assert_memory_equal(p.cells.data, all.cells.data, p.cells.len);
            dicom_pixels_free(&p);
        }
        dicom_pixels_free(&all);
        dicom_dataset_free(d);
        ds_bytes_free(&file);
    }
}

static void a_front_that_is_written_changes_its_frames_alone(void **state)
{
    (void)state;
    struct ds_error err;
    uint8_t foretold[DS_SHA256_BYTES];
    uint8_t hash[DS_SHA256_BYTES];
    for (size_t s = 0; s < DS_ARRAY_SIZE(syntaxes); s++) {
        struct ds_bytes file = make_file(syntaxes[s]);
        struct ds_bytes written;
        struct dicom_dataset *d = view(&file, syntaxes[s]);
        struct dicom_pixels before = read_front(d, SIZE_MAX);
        struct dicom_pixels front = read_front(d, FRAME_PIXELS);
        front.cells.data[5] ^= 1;
        pixel_hash(d, &front, foretold);
        assert_ok(dicom_pixels_write(d, &front, &err), &err);
        pixel_hash(d, NULL, hash);
        assert_memory_equal(hash, foretold, sizeof hash);
        write_as(d, syntaxes[s], &written);
        struct dicom_dataset *again = view(&written, syntaxes[s]);
        struct dicom_pixels after = read_front(again, SIZE_MAX);
        before.cells.data[5] ^= 1;
        assert_memory_equal(after.cells.data, before.cells.data, FRAMES * FRAME_BYTES);
        if (s != 3) { /* deflated bytes are not comparable */
            assert_int_equal(written.len, file.len);
            assert_memory_equal(written.data + written.len - 4, file.data + file.len - 4, 4);
        }
        dicom_pixels_free(&before);
        dicom_pixels_free(&front);
        dicom_pixels_free(&after);
        dicom_dataset_free(again);
        dicom_dataset_free(d);
        ds_bytes_free(&written);
        ds_bytes_free(&file);
    }
}

static void a_front_of_another_image_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    struct ds_bytes file = make_file(EXPLICIT_LE);
    struct dicom_dataset *d = view(&file, EXPLICIT_LE);
    struct dicom_pixels front = read_front(d, FRAME_PIXELS);
    set(d, 0x0028, 0x0008, "2");
    assert_int_equal(dicom_pixels_write(d, &front, &err), DS_EINVAL);
    dicom_pixels_free(&front);
    dicom_dataset_free(d);
    ds_bytes_free(&file);
}

static void a_view_does_not_copy_and_a_data_set_that_is_read_does(void **state)
{
    (void)state;
    struct ds_error err;
    struct ds_bytes file = make_file(EXPLICIT_LE);
    struct dicom_dataset *borrowed = view(&file, EXPLICIT_LE);
    struct dicom_dataset *own = NULL;
    assert_ok(dicom_dataset_read(&own, file.data, file.len, EXPLICIT_LE, &err), &err);
    uint8_t before[DS_SHA256_BYTES];
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    pixel_hash(own, NULL, before);
    file.data[file.len - 5] ^= 1; /* the last pixel */
    pixel_hash(borrowed, NULL, one);
    pixel_hash(own, NULL, two);
    assert_memory_not_equal(one, before, sizeof one);
    assert_memory_equal(two, before, sizeof two);
    dicom_dataset_free(borrowed);
    dicom_dataset_free(own);
    ds_bytes_free(&file);
}

static void a_hollow_data_set_and_its_value_make_the_whole(void **state)
{
    (void)state;
    struct ds_error err;
    struct ds_bytes file = make_file(EXPLICIT_LE);
    struct ds_bytes hollow = DS_BYTES_INIT(FILE_MAX);
    struct dicom_dataset *d = view(&file, EXPLICIT_LE);
    size_t left_out = 0;
    assert_ok(dicom_dataset_write_hollow(d, &hollow, &left_out, &err), &err);
    assert_int_equal(left_out, FRAMES * FRAME_BYTES + 4);
    assert_int_equal(hollow.len + left_out, file.len);
    assert_memory_equal(hollow.data, file.data, hollow.len - 4);
    assert_memory_equal(hollow.data + hollow.len - 4, "\0\0\0\0", 4);
    hollow.len = 0;
    assert_ok(dicom_pixels_value(d, left_out + 1, false, &hollow, &err), &err);
    assert_int_equal(hollow.len, left_out + 1);
    assert_memory_equal(hollow.data, file.data + file.len - left_out, left_out);
    assert_int_equal(hollow.data[left_out], 0);
    dicom_dataset_free(d);
    ds_bytes_free(&hollow);
    ds_bytes_free(&file);
}

static void cells_that_lie_as_they_should_are_borrowed(void **state)
{
    (void)state;
    struct ds_error err;
    int32_t samples[2 * FRAME_PIXELS];
    int32_t some[3];
    for (size_t s = 0; s < DS_ARRAY_SIZE(syntaxes); s++) {
        struct ds_bytes file = make_file(syntaxes[s]);
        struct dicom_dataset *d = view(&file, syntaxes[s]);
        struct dicom_pixels copied = read_front(d, 2 * FRAME_PIXELS);
        struct dicom_pixels seen;
        assert_ok(dicom_pixels_view_front(&seen, d, 2 * FRAME_PIXELS, &err), &err);
        assert_int_equal(seen.is_borrowed, strcmp(syntaxes[s], EXPLICIT_BE) != 0);
        assert_int_equal(seen.frames, 2);
        assert_int_equal(seen.cells.len, copied.cells.len);
        assert_memory_equal(seen.cells.data, copied.cells.data, copied.cells.len);
        assert_ok(dicom_pixels_samples(&copied, samples, 2 * FRAME_PIXELS, &err), &err);
        assert_ok(dicom_pixels_plane_samples(&seen, 1, 0, FRAME_PIXELS - 3, 3, some, &err), &err);
        assert_memory_equal(some, samples + 2 * FRAME_PIXELS - 3, sizeof some);
        assert_int_equal(dicom_pixels_plane_samples(&seen, 1, 0, FRAME_PIXELS - 2, 3, some, &err),
                         DS_EINVAL);
        assert_int_equal(dicom_pixels_plane_samples(&seen, 2, 0, 0, 1, some, &err), DS_EINVAL);
        assert_int_equal(dicom_pixels_plane_samples(&seen, 0, 1, 0, 1, some, &err), DS_EINVAL);
        assert_int_equal(
            dicom_pixels_set_samples(&seen, samples, 2 * FRAME_PIXELS, DICOM_CELL_ZERO, &err),
            seen.is_borrowed ? DS_EINVAL : DS_OK);
        dicom_pixels_free(&seen);
        dicom_pixels_free(&copied);
        dicom_dataset_free(d);
        ds_bytes_free(&file);
    }
}

static void the_front_of_a_compressed_image_can_be_replaced(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *d = parse_sample("us/ybr-full-422-jpeg-baseline-30frames.dcm");
    struct dicom_pixels all = read_front(d, SIZE_MAX);
    struct dicom_pixels front = read_front(d, (size_t)7 * all.rows * all.columns * 3);
    assert_int_equal(all.frames, 30);
    assert_int_equal(front.frames, 7);
    memset(front.cells.data, 9, front.cells.len);
    assert_ok(dicom_pixels_write(d, &front, &err), &err);
    assert_string_equal(dicom_dataset_transfer_syntax(d), EXPLICIT_LE);
    struct dicom_pixels after = read_front(d, SIZE_MAX);
    assert_int_equal(after.cells.len, all.cells.len);
    assert_memory_equal(after.cells.data, front.cells.data, front.cells.len);
    assert_memory_equal(after.cells.data + front.cells.len, all.cells.data + front.cells.len,
                        all.cells.len - front.cells.len);
    dicom_pixels_free(&all);
    dicom_pixels_free(&front);
    dicom_pixels_free(&after);
    dicom_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_front_is_whole_frames_and_at_least_one),
        cmocka_unit_test(a_front_that_is_written_changes_its_frames_alone),
        cmocka_unit_test(a_front_of_another_image_is_refused),
        cmocka_unit_test(a_view_does_not_copy_and_a_data_set_that_is_read_does),
        cmocka_unit_test(a_hollow_data_set_and_its_value_make_the_whole),
        cmocka_unit_test(cells_that_lie_as_they_should_are_borrowed),
        cmocka_unit_test(the_front_of_a_compressed_image_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

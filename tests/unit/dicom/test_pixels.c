/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/pixels.h"

#include "samples.h"

struct tally {
    unsigned equal, undecodable, different, lossy_different;
};

static void compare_hash(const struct sample_row *row, void *context)
{
    struct tally *t = context;
    struct ds_error err;
    struct dicom_pixels p = {0};
    uint8_t hash[DS_SHA256_BYTES];
    char hex[DS_SHA256_HEX_BYTES];
    if (strcmp(row->pixel_hash, "-") == 0) {
        return;
    }
    struct dicom_dataset *d = parse_sample(row->path);
    const enum ds_status s = dicom_pixels_read(&p, d, &err);
    if (s != DS_OK) {
        dicom_dataset_free(d);
        t->undecodable++;
        print_message("not decoded: %s: %s\n", row->path, err.text);
        if (s != DS_EUNSUPPORTED) {
            fail_msg("%s: %s", row->path, err.text);
        }
        return;
    }
    assert_ok(dicom_pixels_hash(d, NULL, hash, &err), &err);
    ds_hex(hash, sizeof hash, hex);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
    if (strcmp(hex, row->pixel_hash) == 0) {
        t->equal++;
        return;
    }
    print_message("differs: %s%s\n", row->path, row->lossy ? " (lossy)" : "");
    t->different += row->lossy ? 0 : 1;
    t->lossy_different += row->lossy ? 1 : 0;
}

static void every_real_image_decodes_to_the_pixels_of_independent_decoders(void **state)
{
    (void)state;
    struct tally t = {0};
    each_sample(compare_hash, &t);
    print_message("%u equal, %u without a decoder here, %u lossy ones differ\n", t.equal,
                  t.undecodable, t.lossy_different);
    assert_int_equal(t.different, 0);
    assert_true(t.equal > 520);
}

static struct dicom_pixels read_back(const struct dicom_dataset *d)
{
    struct ds_error err;
    struct dicom_pixels p;
    assert_ok(dicom_pixels_read(&p, d, &err), &err);
    return p;
}

static void cells_written_are_the_cells_read_in_every_native_syntax(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE};
    struct dicom_pixels p = make_pixels(5, 3, 16, 12, false);
    struct dicom_dataset *d = make_image(&p);
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        struct ds_bytes b;
        write_as(d, syntaxes[i], &b);
        struct dicom_dataset *again = parse_as(&b, syntaxes[i]);
        struct dicom_pixels q = read_back(again);
        assert_int_equal(q.cells.len, p.cells.len);
        assert_memory_equal(q.cells.data, p.cells.data, p.cells.len);
        assert_int_equal(q.bits_stored, 12);
        assert_false(q.was_compressed);
        dicom_pixels_free(&q);
        dicom_dataset_free(again);
        ds_bytes_free(&b);
    }
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
}

static void an_odd_number_of_bytes_is_padded_in_the_file_and_not_in_the_cells(void **state)
{
    (void)state;
    struct dicom_pixels p = make_pixels(3, 3, 8, 8, false);
    struct dicom_dataset *d = make_image(&p);
    struct ds_bytes b;
    write_as(d, EXPLICIT_LE, &b);
    assert_int_equal(b.len % 2, 0);
    assert_int_equal(b.data[b.len - 1], 0);
    struct dicom_dataset *again = parse_as(&b, EXPLICIT_LE);
    struct dicom_pixels q = read_back(again);
    assert_int_equal(q.cells.len, 9);
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    hash_of(d, one);
    hash_of(again, two);
    assert_memory_equal(one, two, sizeof one);
    dicom_pixels_free(&q);
    dicom_dataset_free(again);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
}

static void put_cell(struct dicom_pixels *p, size_t i, uint16_t cell)
{
    p->cells.data[2 * i] = (uint8_t)cell;
    p->cells.data[2 * i + 1] = (uint8_t)(cell >> 8);
}

static void signed_samples_are_extended_from_bits_stored(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_pixels p = make_pixels(2, 1, 16, 12, true);
    int32_t samples[2];
    put_cell(&p, 0, 0x0fff);
    put_cell(&p, 1, 0xf7ff); /* what stands above bits stored does not count */
    assert_ok(dicom_pixels_samples(&p, samples, 2, &err), &err);
    assert_int_equal(samples[0], -1);
    assert_int_equal(samples[1], 0x7ff);
    dicom_pixels_free(&p);
}

static void samples_below_a_high_bit_are_shifted_down_and_back(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_pixels p = make_pixels(2, 1, 16, 12, false);
    int32_t samples[2];
    p.high_bit = 15;
    put_cell(&p, 0, 0xabc0);
    put_cell(&p, 1, 0x1230);
    assert_ok(dicom_pixels_samples(&p, samples, 2, &err), &err);
    assert_int_equal(samples[0], 0xabc);
    assert_int_equal(samples[1], 0x123);
    assert_int_equal(dicom_pixels_cell_rule(&p), DICOM_CELL_ZERO);
    samples[0] = 0xfed;
    assert_ok(dicom_pixels_set_samples(&p, samples, 2, DICOM_CELL_ZERO, &err), &err);
    const uint8_t want[] = {0xd0, 0xfe, 0x30, 0x12};
    assert_memory_equal(p.cells.data, want, sizeof want);
    dicom_pixels_free(&p);
}

static void assert_rule(uint16_t cell, bool is_signed, enum dicom_cell_rule rule)
{
    struct ds_error err;
    struct dicom_pixels p = make_pixels(1, 1, 16, 12, is_signed);
    int32_t sample;
    put_cell(&p, 0, cell);
    assert_int_equal(dicom_pixels_cell_rule(&p), rule);
    assert_ok(dicom_pixels_samples(&p, &sample, 1, &err), &err);
    put_cell(&p, 0, rule == DICOM_CELL_KEEP ? cell & 0xf000 : 0);
    assert_ok(dicom_pixels_set_samples(&p, &sample, 1, rule, &err), &err);
    assert_int_equal(p.cells.data[0] | p.cells.data[1] << 8, cell);
    dicom_pixels_free(&p);
}

static void each_rule_makes_the_very_cells_again(void **state)
{
    (void)state;
    assert_rule(0x0abc, false, DICOM_CELL_ZERO);
    assert_rule(0x0abc, true, DICOM_CELL_ZERO);
    assert_rule(0xfabc, true, DICOM_CELL_SIGN);
    assert_rule(0x5abc, false, DICOM_CELL_KEEP);
}

static void a_sample_that_does_not_fit_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_pixels p = make_pixels(2, 1, 16, 12, false);
    const int32_t high[] = {1, 4096};
    const int32_t low[] = {1, -1};
    uint8_t before[4];
    memcpy(before, p.cells.data, 4);
    assert_int_equal(dicom_pixels_set_samples(&p, high, 2, DICOM_CELL_ZERO, &err), DS_EINVAL);
    assert_int_equal(dicom_pixels_set_samples(&p, low, 2, DICOM_CELL_ZERO, &err), DS_EINVAL);
    assert_int_equal(dicom_pixels_set_samples(&p, high, 1, DICOM_CELL_ZERO, &err), DS_EINVAL);
    assert_memory_equal(p.cells.data, before, 4);
    dicom_pixels_free(&p);
}

/* Colour of one frame with cells that count up. */
static struct dicom_pixels make_colour(uint32_t columns, uint32_t rows, const char *photometric)
{
    const bool shared = strcmp(photometric, "YBR_FULL_422") == 0;
    struct dicom_pixels p = make_pixels(columns * (shared ? 2 : 3), rows, 8, 8, false);
    p.columns = columns;
    p.samples_per_pixel = 3;
    snprintf(p.photometric, sizeof p.photometric, "%s", photometric);
    return p;
}

static void assert_samples(const struct dicom_pixels *p, const int32_t *want, size_t count)
{
    struct ds_error err;
    struct dicom_planes planes;
    int32_t samples[64];
    assert_ok(dicom_pixels_planes(p, &planes, &err), &err);
    assert_int_equal(planes.count, count);
    assert_ok(dicom_pixels_samples(p, samples, count, &err), &err);
    assert_memory_equal(samples, want, count * sizeof *want);
}

static void colour_by_pixel_and_by_plane_comes_apart_into_the_same_planes(void **state)
{
    (void)state;
    static const int32_t by_pixel[] = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11};
    static const int32_t by_plane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    struct dicom_pixels p = make_colour(2, 2, "RGB");
    assert_samples(&p, by_pixel, 12);
    p.is_planar = true;
    assert_samples(&p, by_plane, 12);
    p.frames = 2; /* the same cells as two frames of 2x1 */
    p.rows = 1;
    assert_samples(&p, by_plane, 12);
    p.is_planar = false;
    static const int32_t frames[] = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11};
    assert_samples(&p, frames, 12);
    dicom_pixels_free(&p);
}

static void two_pixels_of_ybr_full_422_share_their_colour(void **state)
{
    (void)state;
    static const int32_t want[] = {0, 1, 4,  5,  8,  9,  12, 13, 16, 17, 20, 21, /* brightness */
                                   2, 6, 10, 14, 18, 22, 3,  7,  11, 15, 19, 23};
    struct dicom_pixels p = make_colour(4, 3, "YBR_FULL_422");
    assert_samples(&p, want, 24);
    dicom_pixels_free(&p);
}

static void pixels_of_32_bits_keep_their_order_as_samples(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_pixels p = make_pixels(3, 1, 32, 32, false);
    static const uint8_t cells[] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff};
    static const int32_t as_unsigned[] = {INT32_MIN, -1, INT32_MAX};
    static const int32_t as_signed[] = {0, INT32_MAX, -1};
    memcpy(p.cells.data, cells, sizeof cells);
    assert_samples(&p, as_unsigned, 3);
    assert_int_equal(dicom_pixels_sample_of(&p, 0), INT32_MIN);
    assert_ok(dicom_pixels_set_samples(&p, as_signed, 3, DICOM_CELL_ZERO, &err), &err);
    assert_samples(&p, as_signed, 3);
    p.is_signed = true;
    memcpy(p.cells.data, cells, sizeof cells);
    assert_samples(&p, as_signed, 3);
    p.bits_stored = 20;
    p.high_bit = 23;
    static const int32_t shifted[] = {0, -1, -1};
    assert_samples(&p, shifted, 3);
    dicom_pixels_free(&p);
}

static void assert_without_samples(struct dicom_pixels *p, const char *reason)
{
    struct ds_error err;
    struct dicom_planes planes;
    int32_t samples[64];
    assert_int_equal(dicom_pixels_planes(p, &planes, &err), DS_EUNSUPPORTED);
    assert_non_null(strstr(err.text, reason));
    assert_int_equal(dicom_pixels_samples(p, samples, 64, &err), DS_EUNSUPPORTED);
    assert_int_equal(dicom_pixels_set_samples(p, samples, 64, DICOM_CELL_ZERO, &err),
                     DS_EUNSUPPORTED);
}

static void pixels_without_samples_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const colours[] = {"YBR_PARTIAL_422", "YBR_RCT", "YBR_ICT", "HSV", ""};
    struct dicom_pixels p = make_colour(4, 3, "RGB");
    for (size_t i = 0; i < DS_ARRAY_SIZE(colours); i++) {
        snprintf(p.photometric, sizeof p.photometric, "%s", colours[i]);
        assert_without_samples(&p, "only greyscale, RGB");
    }
    dicom_pixels_free(&p);
    p = make_colour(3, 4, "YBR_FULL_422");
    assert_without_samples(&p, "odd number of columns");
    dicom_pixels_free(&p);
    p = make_pixels(4, 3, 8, 8, false);
    snprintf(p.photometric, sizeof p.photometric, "RGB"); /* with one sample a pixel */
    assert_without_samples(&p, "1 samples a pixel");
    snprintf(p.photometric, sizeof p.photometric, "PALETTE COLOR");
    assert_without_samples(&p, "palette");
    snprintf(p.photometric, sizeof p.photometric, "MONOCHROME2");
    p.bits_allocated = p.bits_stored = 64;
    assert_without_samples(&p, "64 bits");
    p.bits_allocated = p.bits_stored = 1;
    assert_without_samples(&p, "1 bit");
    dicom_pixels_free(&p);
}

struct coverage {
    unsigned grey, colour, halved, planar, wide;
};

static void count_kind(const struct dicom_pixels *p, const struct dicom_planes *planes,
                       struct coverage *seen)
{
    seen->grey += planes->components == 1 ? 1 : 0;
    seen->colour += planes->components == 3 ? 1 : 0;
    seen->halved += planes->chroma_halved ? 1 : 0;
    seen->planar += p->is_planar ? 1 : 0;
    seen->wide += p->bits_allocated == 32 ? 1 : 0;
}

static bool within_stored_bits(const struct dicom_pixels *p, const int32_t *samples, size_t count)
{
    const int64_t top = INT64_C(1) << p->bits_stored;
    for (size_t i = 0; i < count; i++) {
        const bool fits = p->is_signed || p->bits_stored == 32
                              ? samples[i] >= -top / 2 && samples[i] < top / 2
                              : samples[i] >= 0 && samples[i] < top;
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* Samples out, every cell spoiled, samples in again by the rule: the very cells. */
static void go_there_and_back(const struct sample_row *row, void *context)
{
    struct ds_error err;
    struct dicom_pixels p = {0};
    struct dicom_planes planes;
    struct dicom_dataset *d = parse_sample(row->path);
    const enum ds_status s = dicom_pixels_read(&p, d, &err);
    dicom_dataset_free(d);
    if (s != DS_OK || dicom_pixels_planes(&p, &planes, &err) != DS_OK) {
        dicom_pixels_free(&p);
        return;
    }
    count_kind(&p, &planes, context);
    int32_t *samples = calloc(planes.count, sizeof *samples);
    struct ds_bytes before = DS_BYTES_INIT(FILE_MAX);
    assert_non_null(samples);
    assert_ok(ds_bytes_append(&before, p.cells.data, p.cells.len, &err), &err);
    assert_ok(dicom_pixels_samples(&p, samples, planes.count, &err), &err);
    assert_true(within_stored_bits(&p, samples, planes.count));
    const enum dicom_cell_rule rule = dicom_pixels_cell_rule(&p);
    if (rule == DICOM_CELL_KEEP) {
        /* Flipping all stored bits of all samples leaves the others as they are. */
        const int32_t flip =
            (int32_t)(p.is_signed || p.bits_stored == 32 ? -1 : (INT64_C(1) << p.bits_stored) - 1);
        for (unsigned turn = 0; turn < 2; turn++) {
            for (size_t i = 0; i < planes.count; i++) {
                samples[i] ^= flip;
            }
            assert_ok(dicom_pixels_set_samples(&p, samples, planes.count, rule, &err), &err);
        }
    } else {
        memset(p.cells.data, 0x5a, p.cells.len);
        assert_ok(dicom_pixels_set_samples(&p, samples, planes.count, rule, &err), &err);
    }
    if (memcmp(before.data, p.cells.data, before.len) != 0) {
        fail_msg("%s: other cells than before", row->path);
    }
    free(samples);
    ds_bytes_free(&before);
    dicom_pixels_free(&p);
}

static void every_real_image_goes_to_samples_and_back_to_the_very_cells(void **state)
{
    (void)state;
    struct coverage seen = {0};
    each_sample(go_there_and_back, &seen);
    print_message("%u grey, %u colour: %u YBR_FULL_422, %u by plane; %u of 32 bits\n", seen.grey,
                  seen.colour, seen.halved, seen.planar, seen.wide);
    assert_true(seen.grey > 400 && seen.colour > 25);
    assert_true(seen.halved >= 2 && seen.planar >= 2 && seen.wide >= 5);
}

static void padding_is_read_by_the_sign_of_the_pixels(void **state)
{
    (void)state;
    struct dicom_pixels p = make_pixels(2, 2, 16, 16, true);
    struct dicom_dataset *d = make_image(&p);
    set(d, 0x0028, 0x0120, "-2000");
    struct dicom_pixels q = read_back(d);
    assert_true(q.has_padding);
    assert_int_equal(q.padding_min, -2000);
    assert_int_equal(q.padding_max, -2000);
    dicom_pixels_free(&q);
    set(d, 0x0028, 0x0121, "-1999");
    set(d, 0x0028, 0x0103, "0"); /* the same bits, now unsigned */
    q = read_back(d);
    assert_int_equal(q.padding_min, 63536);
    assert_int_equal(q.padding_max, 63537);
    dicom_pixels_free(&q);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
}

static void assert_refused(const struct dicom_dataset *d, enum ds_status want)
{
    struct ds_error err;
    struct dicom_pixels p;
    assert_int_equal(dicom_pixels_read(&p, d, &err), want);
    assert_null(p.cells.data);
}

static void attributes_that_contradict_the_length_are_refused(void **state)
{
    (void)state;
    struct dicom_pixels p = make_pixels(4, 4, 16, 12, false);
    struct dicom_dataset *d = make_image(&p);
    set(d, 0x0028, 0x0010, "5");
    assert_refused(d, DS_EFORMAT);
    set(d, 0x0028, 0x0010, "0");
    assert_refused(d, DS_EFORMAT);
    set(d, 0x0028, 0x0010, "4");
    set(d, 0x0028, 0x0008, "999999999");
    assert_refused(d, DS_EFORMAT);
    set(d, 0x0028, 0x0008, "-1");
    assert_refused(d, DS_EFORMAT);
    set(d, 0x0028, 0x0008, "1");
    set(d, 0x0028, 0x0101, "17");
    assert_refused(d, DS_EFORMAT);
    set(d, 0x0028, 0x0101, "12");
    set(d, 0x0028, 0x0100, "12");
    assert_refused(d, DS_EUNSUPPORTED);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
}

static void a_frame_count_that_lies_allocates_nothing_in_a_compressed_image(void **state)
{
    (void)state;
    struct dicom_dataset *d = parse_sample("other/MR_small_RLE.dcm");
    set(d, 0x0028, 0x0008, "400000");
    assert_refused(d, DS_EFORMAT);
    dicom_dataset_free(d);
}

static void a_large_frame_from_next_to_nothing_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_pixels p = make_pixels(16, 16, 8, 8, false);
    struct dicom_dataset *d = make_image(&p);
    struct ds_bytes b;
    write_as(d, "1.2.840.10008.1.2.4.90", &b);
    dicom_dataset_free(d);
    d = parse_as(&b, "1.2.840.10008.1.2.4.90");
    set(d, 0x0028, 0x0010, "60000");
    set(d, 0x0028, 0x0011, "60000");
    struct dicom_pixels q;
    assert_int_equal(dicom_pixels_read(&q, d, &err), DS_EFORMAT);
    assert_non_null(strstr(err.text, "from a stream of"));
    dicom_dataset_free(d);
    ds_bytes_free(&b);
    dicom_pixels_free(&p);
}

static void damaged_streams_are_refused_before_they_fill_a_frame(void **state)
{
    (void)state;
    static const char *const files[] = {
        "malformed/made/enc-jpeg-precision-differs.dcm", /* 8 bits for 16 */
        "malformed/made/rle-offset-past-end.dcm",
        "malformed/made/enc-jpegls-half.dcm",
        "malformed/made/enc-frame-missing.dcm",
        "malformed/made/enc-j2k-half.dcm",
        "malformed/made/enc-j2k-garbage.dcm",
        "malformed/made/enc-j2k-size-bomb.dcm",
        "malformed/made/enc-htj2k-half.dcm",
        "malformed/made/enc-htj2k-garbage.dcm",
        "malformed/made/enc-htj2k-size-bomb.dcm",
        "malformed/made/enc-jpegls-dims-bomb.dcm",
        "malformed/made/enc-jpegls-garbage.dcm",
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(files); i++) {
        struct dicom_dataset *d = parse_sample(files[i]);
        assert_refused(d, DS_EFORMAT);
        dicom_dataset_free(d);
    }
}

static void without_pixels_there_is_nothing_and_float_pixels_are_named(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_pixels p = make_pixels(2, 2, 8, 8, false);
    struct dicom_dataset *d = make_image(&p);
    dicom_dataset_remove(d, DICOM_TAG_PIXEL_DATA);
    assert_refused(d, DS_ENOTHING);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
    d = parse_sample("other/parametric_map_float.dcm");
    assert_int_equal(dicom_pixels_read(&p, d, &err), DS_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "Float Pixel Data"));
    dicom_dataset_free(d);
}

static void what_stands_behind_the_frames_stays_there(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *d = parse_sample("other/MR_small_padded.dcm");
    uint8_t before[DS_SHA256_BYTES];
    uint8_t after[DS_SHA256_BYTES];
    hash_of(d, before);
    struct dicom_pixels p = read_back(d);
    assert_int_equal(p.cells.len, 8192);
    assert_ok(dicom_pixels_write(d, &p, &err), &err);
    hash_of(d, after);
    assert_memory_equal(before, after, sizeof before);
    dicom_pixels_free(&p);
    dicom_dataset_free(d);
}

static void decoded_colour_is_written_by_pixel_and_says_so(void **state)
{
    (void)state;
    char value[17];
    struct ds_error err;
    struct dicom_dataset *d = parse_sample("syntaxes/made-us-rgb/jpeg-baseline-422.dcm");
    struct ds_bytes b;
    write_as(d, EXPLICIT_LE, &b);
    struct dicom_dataset *again = parse_as(&b, EXPLICIT_LE);
    assert_ok(dicom_dataset_get(again, DICOM_TAG(0x0028, 0x0006), value, sizeof value, &err), &err);
    assert_string_equal(value, "0");
    assert_ok(dicom_dataset_get(again, DICOM_TAG(0x0028, 0x0004), value, sizeof value, &err), &err);
    assert_string_equal(value, "YBR_FULL");
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    hash_of(d, one);
    hash_of(again, two);
    assert_memory_equal(one, two, sizeof one);
    dicom_dataset_free(again);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_written_are_the_cells_read_in_every_native_syntax),
        cmocka_unit_test(an_odd_number_of_bytes_is_padded_in_the_file_and_not_in_the_cells),
        cmocka_unit_test(signed_samples_are_extended_from_bits_stored),
        cmocka_unit_test(samples_below_a_high_bit_are_shifted_down_and_back),
        cmocka_unit_test(each_rule_makes_the_very_cells_again),
        cmocka_unit_test(a_sample_that_does_not_fit_is_refused_and_nothing_changes),
        cmocka_unit_test(colour_by_pixel_and_by_plane_comes_apart_into_the_same_planes),
        cmocka_unit_test(two_pixels_of_ybr_full_422_share_their_colour),
        cmocka_unit_test(pixels_of_32_bits_keep_their_order_as_samples),
        cmocka_unit_test(pixels_without_samples_are_refused_with_the_reason),
        cmocka_unit_test(padding_is_read_by_the_sign_of_the_pixels),
        cmocka_unit_test(attributes_that_contradict_the_length_are_refused),
        cmocka_unit_test(a_frame_count_that_lies_allocates_nothing_in_a_compressed_image),
        cmocka_unit_test(a_large_frame_from_next_to_nothing_is_refused),
        cmocka_unit_test(damaged_streams_are_refused_before_they_fill_a_frame),
        cmocka_unit_test(without_pixels_there_is_nothing_and_float_pixels_are_named),
        cmocka_unit_test(what_stands_behind_the_frames_stays_there),
        cmocka_unit_test(decoded_colour_is_written_by_pixel_and_says_so),
        cmocka_unit_test(every_real_image_goes_to_samples_and_back_to_the_very_cells),
        cmocka_unit_test(every_real_image_decodes_to_the_pixels_of_independent_decoders),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/difference.h"

#include "samples.h"

#define LISTED_MAX 32U

struct listed {
    dicom_tag tags[LISTED_MAX];
    enum dicom_difference how[LISTED_MAX];
    unsigned count;
};

static void list(void *context, dicom_tag tag, enum dicom_difference how)
{
    struct listed *l = context;
    assert_true(l->count < LISTED_MAX);
    l->tags[l->count] = tag;
    l->how[l->count++] = how;
}

static struct listed differences(const struct dicom_dataset *a, const struct dicom_dataset *b)
{
    struct listed l = {.count = 0};
    struct ds_error err;
    assert_ok(dicom_dataset_differences(a, b, list, &l, &err), &err);
    return l;
}

static struct dicom_dataset *copy_of(const struct dicom_dataset *d)
{
    struct dicom_dataset *copy = NULL;
    struct ds_error err;
    assert_ok(dicom_dataset_copy(&copy, d, &err), &err);
    return copy;
}

static struct dicom_dataset *in_syntax(const struct dicom_dataset *d, const char *syntax)
{
    struct ds_error err;
    struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
    struct dicom_dataset *out = NULL;
    assert_ok(dicom_dataset_write(d, syntax, &b, &err), &err);
    assert_ok(dicom_dataset_read(&out, b.data, b.len, syntax, &err), &err);
    ds_bytes_free(&b);
    return out;
}

static struct dicom_pixel_difference pixels(const struct dicom_dataset *a,
                                            const struct dicom_dataset *b)
{
    struct dicom_pixel_difference d;
    struct ds_error err;
    assert_ok(dicom_pixels_difference(a, b, &d, &err), &err);
    return d;
}

/* Adds by to one cell of 16 bits. */
static void move_cell(struct dicom_dataset *d, size_t at, int by)
{
    struct ds_error err;
    struct dicom_pixels p = {0};
    assert_ok(dicom_pixels_read(&p, d, &err), &err);
    const int v = (p.cells.data[2 * at] | p.cells.data[2 * at + 1] << 8) + by;
    p.cells.data[2 * at] = (uint8_t)v;
    p.cells.data[2 * at + 1] = (uint8_t)((unsigned)v >> 8);
    assert_ok(dicom_pixels_write(d, &p, &err), &err);
    dicom_pixels_free(&p);
}

static void every_change_is_named_once_and_in_order(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *a = parse_sample("ct/ge-hispeed/0001.dcm");
    struct dicom_dataset *b = copy_of(a);
    assert_int_equal(differences(a, b).count, 0);
    assert_ok(dicom_dataset_set(b, DICOM_TAG_PATIENT_ID, "COERCED", &err), &err);
    dicom_dataset_remove(b, DICOM_TAG_STUDY_DATE);
    assert_ok(dicom_dataset_set(b, DICOM_TAG(0x0008, 0x0054), "ARCHIVE", &err), &err);
    const struct listed l = differences(a, b);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.tags[0], DICOM_TAG_STUDY_DATE);
    assert_int_equal(l.how[0], DICOM_REMOVED);
    assert_int_equal(l.tags[1], DICOM_TAG(0x0008, 0x0054));
    assert_int_equal(l.how[1], DICOM_ADDED);
    assert_int_equal(l.tags[2], DICOM_TAG_PATIENT_ID);
    assert_int_equal(l.how[2], DICOM_CHANGED);
    dicom_dataset_free(a);
    dicom_dataset_free(b);
}

static void another_lossless_encoding_is_no_difference(void **state)
{
    (void)state;
    static const char *const others[] = {IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE,
                                         "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"};
    struct dicom_dataset *a = parse_sample("ct/ge-hispeed/0001.dcm");
    for (size_t i = 0; i < DS_ARRAY_SIZE(others); i++) {
        struct dicom_dataset *b = in_syntax(a, others[i]);
        assert_int_equal(differences(a, b).count, 0);
        assert_int_equal(differences(b, a).count, 0);
        const struct dicom_pixel_difference d = pixels(a, b);
        assert_true(d.same_geometry && d.total > 0);
        assert_int_equal(d.changed, 0);
        dicom_dataset_free(b);
    }
    dicom_dataset_free(a);
}

static void changed_pixels_are_counted_with_the_greatest_step(void **state)
{
    (void)state;
    struct dicom_dataset *a = parse_sample("ct/ge-hispeed/0001.dcm");
    struct dicom_dataset *b = copy_of(a);
    move_cell(b, 70000, 1);
    struct dicom_pixel_difference d = pixels(a, b);
    assert_true(d.same_geometry);
    assert_int_equal(d.changed, 1);
    assert_int_equal(d.greatest, 1);
    move_cell(b, 3, 7);
    d = pixels(b, a);
    assert_int_equal(d.changed, 2);
    assert_int_equal(d.greatest, 7);
    assert_int_equal(differences(a, b).count, 0); /* Pixel Data are no attribute */
    dicom_dataset_free(a);
    dicom_dataset_free(b);
}

static void an_image_of_another_shape_has_no_counterpart(void **state)
{
    (void)state;
    struct dicom_dataset *a = parse_sample("ct/ge-hispeed/0001.dcm");
    struct dicom_dataset *b = parse_sample("us/echo-palette-rle-single.dcm");
    const struct dicom_pixel_difference d = pixels(a, b);
    assert_false(d.same_geometry);
    assert_true(d.total > 0);
    assert_int_equal(d.changed, 0);
    dicom_dataset_free(a);
    dicom_dataset_free(b);
}

static void indices_and_bits_are_compared_as_they_stand(void **state)
{
    (void)state;
    static const char *const names[] = {"us/echo-palette-rle-single.dcm", "other/liver.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct ds_error err;
        struct dicom_pixels p = {0};
        struct dicom_dataset *a = parse_sample(names[i]);
        struct dicom_dataset *b = copy_of(a);
        assert_ok(dicom_pixels_read(&p, b, &err), &err);
        p.cells.data[17] ^= 1U;
        assert_ok(dicom_pixels_write(b, &p, &err), &err);
        dicom_pixels_free(&p);
        const struct dicom_pixel_difference d = pixels(a, b);
        assert_true(d.same_geometry);
        assert_int_equal(d.changed, 1);
        assert_int_equal(d.greatest, 1);
        dicom_dataset_free(a);
        dicom_dataset_free(b);
    }
}

static void keywords_are_those_of_the_standard(void **state)
{
    (void)state;
    char word[DICOM_KEYWORD_BYTES];
    dicom_tag_keyword(DICOM_TAG_PATIENT_ID, word);
    assert_string_equal(word, "PatientID");
    dicom_tag_keyword(DICOM_TAG(0x0009, 0x1001), word);
    assert_string_equal(word, "");
    dicom_tag_keyword(DICOM_TAG(0x0008, 0x9999), word);
    assert_string_equal(word, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_is_named_once_and_in_order),
        cmocka_unit_test(another_lossless_encoding_is_no_difference),
        cmocka_unit_test(changed_pixels_are_counted_with_the_greatest_step),
        cmocka_unit_test(an_image_of_another_shape_has_no_counterpart),
        cmocka_unit_test(indices_and_bits_are_compared_as_they_stand),
        cmocka_unit_test(keywords_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/envelope.h"

#include "samples.h"

static void swap_words(uint8_t *cells, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        const uint8_t low = cells[i];
        cells[i] = cells[i + 1];
        cells[i + 1] = low;
    }
}

struct tally {
    unsigned native;
};

static void hash_cells(const struct sample_row *row, void *context)
{
    struct tally *t = context;
    struct ds_error err;
    struct dicom_envelope e;
    struct dicom_pixels p;
    uint8_t hash[DS_SHA256_BYTES];
    char hex[DS_SHA256_HEX_BYTES];
    struct ds_bytes file = read_sample(row->path);
    assert_ok(dicom_envelope_scan(file.data, file.len, &e, &err), &err);
    if (e.has_native_pixels && strcmp(row->pixel_hash, "-") != 0) {
        struct dicom_dataset *d = parse_sample(row->path);
        assert_ok(dicom_pixels_read(&p, d, &err), &err);
        const size_t len = p.cells.len;
        assert_true(len <= e.pixel_len);
        assert_false(p.was_compressed);
        if (e.big_endian && e.cell_bytes == 2) {
            swap_words(file.data + e.pixel_offset, e.pixel_len);
        }
        assert_ok(ds_sha256_of(file.data + e.pixel_offset, len, hash, &err), &err);
        ds_hex(hash, sizeof hash, hex);
        assert_string_equal(hex, row->pixel_hash);
        t->native++;
        dicom_pixels_free(&p);
        dicom_dataset_free(d);
    }
    ds_bytes_free(&file);
}

static void the_pixels_of_every_real_native_file_are_found_exactly(void **state)
{
    (void)state;
    struct tally t = {0};
    each_sample(hash_cells, &t);
    print_message("%u native files\n", t.native);
    assert_true(t.native > 350);
}

static struct ds_bytes image_file(const char *syntax)
{
    struct ds_error err;
    struct dicom_pixels p = make_pixels(4, 2, 16, 12, false);
    struct dicom_dataset *d = make_image(&p);
    const struct dicom_value values[] = {{DICOM_TAG(0x0008, 0x1150), "1.2"}};
    assert_ok(dicom_dataset_append_item(d, DICOM_TAG(0x0008, 0x2112), values, 1, NULL, &err), &err);
    struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
    assert_ok(dicom_dataset_write_part10(d, syntax, &b, &err), &err);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
    return b;
}

static void no_prefix_of_a_file_passes_for_the_whole(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    struct ds_bytes b = image_file(EXPLICIT_LE);
    assert_ok(dicom_envelope_scan(b.data, b.len, &e, &err), &err);
    assert_int_equal(e.pixel_len, 16);
    assert_int_equal(e.pixel_offset + e.pixel_len, b.len);
    for (size_t len = 0; len < b.len; len++) {
        /* A copy of that very size, so that a read past it is seen. */
        uint8_t *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, b.data, len);
        if (dicom_envelope_scan(cut, len, &e, &err) == DS_OK) {
            assert_false(e.has_native_pixels); /* it ended between two elements */
        }
        free(cut);
    }
    ds_bytes_free(&b);
}

static void every_native_syntax_shows_its_pixels_and_a_deflated_one_does_not(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE};
    struct ds_error err;
    struct dicom_envelope e;
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        struct ds_bytes b = image_file(syntaxes[i]);
        assert_ok(dicom_envelope_scan(b.data, b.len, &e, &err), &err);
        assert_true(e.has_native_pixels);
        assert_int_equal(e.big_endian, strcmp(syntaxes[i], EXPLICIT_BE) == 0);
        assert_int_equal(e.cell_bytes, 2);
        assert_string_equal(e.transfer_syntax, syntaxes[i]);
        ds_bytes_free(&b);
    }
    struct ds_bytes b = image_file(DEFLATED_LE);
    assert_ok(dicom_envelope_scan(b.data, b.len, &e, &err), &err);
    assert_false(e.has_native_pixels);
    assert_true(e.deflated);
    ds_bytes_free(&b);
}

static void a_bare_data_set_begins_at_its_first_byte(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    struct ds_bytes file = image_file(EXPLICIT_LE);
    assert_ok(dicom_envelope_scan(file.data, file.len, &e, &err), &err);
    const uint8_t *bare = file.data + e.dataset_offset;
    const size_t len = file.len - e.dataset_offset;
    assert_ok(dicom_envelope_scan(bare, len, &e, &err), &err);
    assert_int_equal(e.dataset_offset, 0);
    assert_string_equal(e.transfer_syntax, EXPLICIT_LE);
    assert_int_equal(e.pixel_offset + e.pixel_len, len);
    ds_bytes_free(&file);
}

/* levels of sequences of undefined length, each with one item of undefined length, closed again. */
static struct ds_bytes nested(unsigned levels, bool explicit_vr)
{
    struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
    struct ds_error err;
    const uint8_t uid_explicit[] = {8, 0, 0x16, 0, 'U', 'I', 2, 0, '1', 0};
    const uint8_t uid_implicit[] = {8, 0, 0x16, 0, 2, 0, 0, 0, '1', 0};
    const uint8_t open_explicit[] = {8, 0, 0x12, 0x21, 'S', 'Q', 0, 0, 255, 255, 255, 255};
    const uint8_t open_implicit[] = {8, 0, 0x12, 0x21, 255, 255, 255, 255};
    const uint8_t item[] = {0xfe, 0xff, 0, 0xe0, 255, 255, 255, 255};
    const uint8_t close[] = {0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0,
                             0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0};
    assert_ok(ds_bytes_append(&b, explicit_vr ? uid_explicit : uid_implicit, 10, &err), &err);
    for (unsigned i = 0; i < levels; i++) {
        assert_ok(explicit_vr ? ds_bytes_append(&b, open_explicit, 12, &err)
                              : ds_bytes_append(&b, open_implicit, 8, &err),
                  &err);
        assert_ok(ds_bytes_append(&b, item, sizeof item, &err), &err);
    }
    for (unsigned i = 0; i < levels; i++) {
        assert_ok(ds_bytes_append(&b, close, sizeof close, &err), &err);
    }
    return b;
}

static void sequences_nest_only_so_deep(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    for (int explicit_vr = 0; explicit_vr < 2; explicit_vr++) {
        struct ds_bytes b = nested(DICOM_ENVELOPE_DEPTH, explicit_vr != 0);
        assert_ok(dicom_envelope_scan(b.data, b.len, &e, &err), &err);
        ds_bytes_free(&b);
        b = nested(DICOM_ENVELOPE_DEPTH + 1, explicit_vr != 0);
        assert_int_equal(dicom_envelope_scan(b.data, b.len, &e, &err), DS_EFORMAT);
        struct dicom_dataset *d = NULL;
        assert_int_equal(dicom_dataset_read(&d, b.data, b.len, NULL, &err), DS_EFORMAT);
        assert_null(d);
        ds_bytes_free(&b);
    }
}

static void an_implicit_value_that_only_looks_like_a_sequence_is_passed_over(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    const uint8_t file[] = {
        8,    0,    0x16, 0,    2,    0, 0, 0, '1', 0,       /* SOP class */
        9,    0,    0x10, 0x10, 12,   0, 0, 0,               /* a private value */
        0xfe, 0xff, 0,    0xe0, 0xff, 1, 2, 3, 4,   5, 6, 7, /* that begins like an item */
        0xe0, 0x7f, 0x10, 0,    4,    0, 0, 0, 1,   2, 3, 4,
    };
    assert_ok(dicom_envelope_scan(file, sizeof file, &e, &err), &err);
    assert_int_equal(e.pixel_offset, sizeof file - 4);
    assert_int_equal(e.pixel_len, 4);
}

static void an_implicit_sequence_of_the_dictionary_has_to_add_up(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    uint8_t file[] = {
        8,    0,    0x16, 0,    2,  0, 0, 0, '1', 0, /* SOP class */
        8,    0,    0x12, 0x21, 18, 0, 0, 0,         /* Source Image Sequence */
        0xfe, 0xff, 0,    0xe0, 10, 0, 0, 0,         /* an item */
        8,    0,    0x55, 0x11, 2,  0, 0, 0, '1', 0, /* an element of it */
    };
    assert_ok(dicom_envelope_scan(file, sizeof file, &e, &err), &err);
    file[sizeof file - 3] = 0xff; /* which claims 4 GB */
    assert_int_equal(dicom_envelope_scan(file, sizeof file, &e, &err), DS_EFORMAT);
    file[10] = 9; /* in a private element it may be anything */
    assert_ok(dicom_envelope_scan(file, sizeof file, &e, &err), &err);
}

static void a_nested_icon_is_not_taken_for_the_pixels(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    const uint8_t file[] = {
        8,    0,    0x16, 0,    'U', 'I', 2, 0, '1',  0,    0x88, 0,    0,
        2,    'S',  'Q',  0,    0,   24,  0, 0, 0, /* Icon Image Sequence */
        0xfe, 0xff, 0,    0xe0, 16,  0,   0, 0, 0xe0, 0x7f, 0x10, 0,    'O',
        'W',  0,    0,    4,    0,   0,   0, 9, 9,    9,    9,    0xe0, 0x7f,
        0x10, 0,    'O',  'B',  0,   0,   2, 0, 0,    0,    7,    8,
    };
    assert_ok(dicom_envelope_scan(file, sizeof file, &e, &err), &err);
    assert_int_equal(e.pixel_len, 2);
    assert_int_equal(file[e.pixel_offset], 7);
    assert_int_equal(e.cell_bytes, 1);
}

static void encapsulated_pixels_are_walked_and_not_called_native(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    uint8_t set_bytes[] = {
        0xe0, 0x7f, 0x10, 0,    'O', 'B', 0, 0, 255, 255, 255,  255, /* undefined length */
        0xfe, 0xff, 0,    0xe0, 0,   0,   0, 0,                      /* empty offset table */
        0xfe, 0xff, 0,    0xe0, 2,   0,   0, 0, 1,   2,   0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0,
    };
    const char rle[] = "1.2.840.10008.1.2.5";
    assert_ok(dicom_envelope_scan_dataset(set_bytes, sizeof set_bytes, rle, &e, &err), &err);
    assert_false(e.has_native_pixels);
    assert_int_equal(e.pixel_len, 0);
    set_bytes[24] = 200; /* the fragment claims more than there is */
    assert_int_equal(dicom_envelope_scan_dataset(set_bytes, sizeof set_bytes, rle, &e, &err),
                     DS_EFORMAT);
}

static void fragments_in_a_vr_that_cannot_hold_them_are_refused(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    /* As items of a sequence: a fragment with an element that claims 1.3 GB. */
    uint8_t set_bytes[] = {
        0xe0, 0x7f, 0x10, 0,  'O',  'B',  0,    0,    255, 255, 255, 255, 0xfe, 0xff,
        0,    0xe0, 10,   0,  0,    0,    0,    0,    0,   0,   'G', 'B', 0,    0,
        0,    0,    0,    80, 0xfe, 0xff, 0xdd, 0xe0, 0,   0,   0,   0,
    };
    const char rle[] = "1.2.840.10008.1.2.5";
    set_bytes[16] = 12;
    assert_ok(dicom_envelope_scan_dataset(set_bytes, sizeof set_bytes, rle, &e, &err), &err);
    for (const char *vr = "UNGBSQUL"; *vr != '\0'; vr += 2) {
        memcpy(set_bytes + 4, vr, 2);
        assert_int_equal(dicom_envelope_scan_dataset(set_bytes, sizeof set_bytes, rle, &e, &err),
                         DS_EFORMAT);
    }
}

static void a_transfer_syntax_without_a_length_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    uint8_t hash[DS_SHA256_BYTES];
    /* (0002,0010) as UN of undefined length, closed at once. */
    const uint8_t meta[] = {2,   0,   0x10, 0,    'U',  'N',  0, 0, 255, 255,
                            255, 255, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0,   0};
    uint8_t *file = calloc(1, 132 + sizeof meta);
    assert_non_null(file);
    memcpy(file + 128, "DICM", 4);
    memcpy(file + 132, meta, sizeof meta);
    assert_int_equal(dicom_envelope_locate(file, 132 + sizeof meta, &e, &err), DS_EFORMAT);
    assert_int_equal(dicom_envelope_scan(file, 132 + sizeof meta, &e, &err), DS_EFORMAT);
    assert_int_equal(dicom_file_hash(file, 132 + sizeof meta, hash, &err), DS_EFORMAT);
    free(file);
}

static void the_file_hash_does_not_depend_on_group_0002(void **state)
{
    (void)state;
    struct ds_error err;
    uint8_t whole[DS_SHA256_BYTES];
    uint8_t bare[DS_SHA256_BYTES];
    struct dicom_envelope e;
    struct ds_bytes b = image_file(EXPLICIT_LE);
    assert_ok(dicom_envelope_scan(b.data, b.len, &e, &err), &err);
    assert_ok(dicom_file_hash(b.data, b.len, whole, &err), &err);
    assert_ok(dicom_file_hash(b.data + e.dataset_offset, b.len - e.dataset_offset, bare, &err),
              &err);
    assert_memory_equal(whole, bare, sizeof whole);
    b.data[b.len - 1] ^= 1;
    assert_ok(dicom_file_hash(b.data, b.len, bare, &err), &err);
    assert_memory_not_equal(whole, bare, sizeof whole);
    ds_bytes_free(&b);
}

static void what_is_not_dicom_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_envelope e;
    uint8_t zeros[256] = {0};
    assert_int_equal(dicom_envelope_scan(zeros, 0, &e, &err), DS_EFORMAT);
    assert_int_equal(dicom_envelope_scan(zeros, sizeof zeros, &e, &err), DS_EFORMAT);
    memcpy(zeros + 128, "DICM", 4); /* a magic word without group 0002 */
    assert_int_equal(dicom_envelope_scan(zeros, sizeof zeros, &e, &err), DS_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_prefix_of_a_file_passes_for_the_whole),
        cmocka_unit_test(every_native_syntax_shows_its_pixels_and_a_deflated_one_does_not),
        cmocka_unit_test(a_bare_data_set_begins_at_its_first_byte),
        cmocka_unit_test(sequences_nest_only_so_deep),
        cmocka_unit_test(an_implicit_value_that_only_looks_like_a_sequence_is_passed_over),
        cmocka_unit_test(an_implicit_sequence_of_the_dictionary_has_to_add_up),
        cmocka_unit_test(a_nested_icon_is_not_taken_for_the_pixels),
        cmocka_unit_test(encapsulated_pixels_are_walked_and_not_called_native),
        cmocka_unit_test(fragments_in_a_vr_that_cannot_hold_them_are_refused),
        cmocka_unit_test(a_transfer_syntax_without_a_length_is_refused),
        cmocka_unit_test(the_file_hash_does_not_depend_on_group_0002),
        cmocka_unit_test(what_is_not_dicom_is_refused),
        cmocka_unit_test(the_pixels_of_every_real_native_file_are_found_exactly),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

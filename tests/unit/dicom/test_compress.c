/* SPDX-License-Identifier: Apache-2.0 */
/* Writing compressed: what was written is read back, and has the hashes that it had before. */
#include "dicom/codec.h"

#include "samples.h"

static const char *const syntaxes[] = {
    "1.2.840.10008.1.2.5",     "1.2.840.10008.1.2.1.98",  "1.2.840.10008.1.2.8.1",
    "1.2.840.10008.1.2.4.57",  "1.2.840.10008.1.2.4.70",  "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",  "1.2.840.10008.1.2.4.90",  "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203",
};

static void pixel_hash(const struct dicom_dataset *d, uint8_t out[DS_SHA256_BYTES])
{
    struct ds_error err;
    assert_ok(dicom_pixels_hash(d, NULL, out, &err), &err);
}

/* False when the syntax does not take the image. */
static bool go_through(const struct dicom_dataset *d, const char *syntax, const char *name)
{
    struct ds_error err;
    struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
    uint8_t before[2][DS_SHA256_BYTES];
    uint8_t after[2][DS_SHA256_BYTES];
    const enum ds_status s = dicom_dataset_write(d, syntax, &b, &err);
    if (s != DS_OK) {
        assert_int_equal(s, DS_EUNSUPPORTED);
        assert_int_equal(b.len, 0);
        ds_bytes_free(&b);
        return false;
    }
    struct dicom_dataset *again = parse_as(&b, syntax);
    hash_of(d, before[0]);
    pixel_hash(d, before[1]);
    hash_of(again, after[0]);
    pixel_hash(again, after[1]);
    if (memcmp(before, after, sizeof before) != 0) {
        fail_msg("%s through %s: other hashes", name, syntax);
    }
    dicom_dataset_free(again);
    ds_bytes_free(&b);
    return true;
}

struct tally {
    unsigned taken, refused;
};

/* One of each kind: what has been through already is not tried again. */
static void compress_sample(const struct sample_row *row, void *context)
{
    static const char *const kinds[] = {
        "ct/ge-hispeed/0001.dcm",        /* 16 bits, signed */
        "ct/philips-ingenuity/0001.dcm", /* 12 bits */
        "other/MR_small.dcm",            /* 16 bits, signed */
        "us/us1-rgb-uncompressed.dcm",   /* RGB */
        "us/example-rgb-planar.dcm",     /* RGB by plane */
        "other/made/",                   /* edges: 1x1, 1x4097, flat, noise, garbage above */
        "syntaxes/made-multiframe/",     /* 13 frames, in fragments of all kinds */
        "syntaxes/made-us-rgb/",         /* what was compressed is compressed again */
        "syntaxes/made-ct16s/",
        "other/MR_small_padded.dcm", /* bytes behind the frames */
        "other/liver",               /* 1 bit */
        "other/SC_rgb",              /* 8, 16 and 32 bit colour */
    };
    struct tally *t = context;
    bool wanted = false;
    for (size_t i = 0; i < DS_ARRAY_SIZE(kinds) && !wanted; i++) {
        wanted = strncmp(row->path, kinds[i], strlen(kinds[i])) == 0;
    }
    struct ds_error err;
    struct dicom_pixels p = {0};
    if (!wanted || strcmp(row->pixel_hash, "-") == 0) {
        return;
    }
    struct dicom_dataset *d = parse_sample(row->path);
    if (dicom_pixels_read(&p, d, &err) == DS_OK) {
        for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
            const bool taken = go_through(d, syntaxes[i], row->path);
            t->taken += taken ? 1 : 0;
            t->refused += taken ? 0 : 1;
        }
    }
    dicom_pixels_free(&p);
    dicom_dataset_free(d);
}

static void real_images_come_back_from_every_lossless_encoder(void **state)
{
    (void)state;
    struct tally t = {0};
    each_sample(compress_sample, &t);
    print_message("%u written and read back, %u refused\n", t.taken, t.refused);
    assert_true(t.taken > 300);
    assert_true(t.refused > 0);
}

static void every_depth_and_sign_comes_back(void **state)
{
    (void)state;
    for (uint16_t stored = 1; stored <= 16; stored++) {
        for (unsigned sign = 0; sign < 2; sign++) {
            struct dicom_pixels p = make_pixels(37, 21, stored > 8 ? 16 : 8, stored, sign != 0);
            uint32_t seed = stored;
            for (size_t i = 0; i < p.cells.len; i++) {
                seed = seed * 1664525U + 1013904223U;
                p.cells.data[i] = (uint8_t)(seed >> 24); /* garbage above the stored bits, too */
            }
            struct dicom_dataset *d = make_image(&p);
            for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
                assert_true(go_through(d, syntaxes[i], "noise"));
            }
            dicom_dataset_free(d);
            dicom_pixels_free(&p);
        }
    }
}

static void the_offset_table_is_filled(void **state)
{
    (void)state;
    struct dicom_pixels p = make_pixels(8, 8, 8, 8, false);
    p.rows = 2;
    p.frames = 4;
    struct dicom_dataset *d = make_image(&p);
    struct ds_bytes b;
    write_as(d, "1.2.840.10008.1.2.8.1", &b);
    static const uint8_t item[] = {0xfe, 0xff, 0x00, 0xe0, 16, 0, 0, 0, 0, 0, 0, 0};
    const uint8_t *found = memmem(b.data, b.len, item, sizeof item);
    assert_non_null(found);
    struct ds_cursor c = ds_cursor_over(found, b.len - (size_t)(found - b.data));
    (void)ds_cursor_bytes(&c, 8);
    uint64_t offsets[4];
    for (unsigned i = 0; i < 4; i++) {
        offsets[i] = ds_cursor_le(&c, 4);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(c.at, 24 + offsets[i]);
        assert_int_equal(ds_cursor_le(&c, 4), 0xe000fffe);
        const size_t len = (size_t)ds_cursor_le(&c, 4);
        assert_int_equal(len % 2, 0);
        assert_non_null(ds_cursor_bytes(&c, len));
    }
    ds_bytes_free(&b);
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
}

static void without_an_encoder_nothing_is_written(void **state)
{
    (void)state;
    static const char *const others[] = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.110",
                                         "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.100"};
    struct dicom_pixels p = make_pixels(8, 8, 8, 8, false);
    struct dicom_dataset *d = make_image(&p);
    for (size_t i = 0; i < DS_ARRAY_SIZE(others); i++) {
        assert_false(dicom_dataset_encodes(others[i]));
        assert_false(go_through(d, others[i], "no encoder"));
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        assert_true(dicom_dataset_encodes(syntaxes[i]));
    }
    dicom_dataset_free(d);
    dicom_pixels_free(&p);
}

static void a_depth_that_jpeg_ls_does_not_have_is_refused(void **state)
{
    (void)state;
    static const uint8_t stream[] = {
        0xff, 0xd8, 0xff, 0xf7, 0, 11, 65, 0, 8, 0, 8,    1,
        1,    0x11, 0, /* 65 bits */
        0xff, 0xf8, 0,    13,   1, 0,  1,  0, 3, 0, 7,    0,
        21,   0,    64, /* presets that are compared with it */
        0xff, 0xda, 0,    8,    1, 1,  0,  0, 0, 0, 0xff, 0xd9,
    };
    struct ds_error err;
    uint8_t cells[64];
    struct dicom_pixels p = make_pixels(8, 8, 8, 8, false);
    const struct dicom_codec *codec = dicom_codec_for("1.2.840.10008.1.2.4.80");
    assert_int_equal(codec->decode(&p, stream, sizeof stream, cells, sizeof cells, &err),
                     DS_EFORMAT);
    dicom_pixels_free(&p);
}

static void native_and_decoded_syntaxes_are_told_from_the_rest(void **state)
{
    (void)state;
    static const char *const decoded[] = {DICOM_IMPLICIT_LE, DICOM_EXPLICIT_BE, DICOM_DEFLATED_LE,
                                          "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.202"};
    static const char *const others[] = {"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.100",
                                         "1.2.840.10008.1.2.4.94", "1.2.3", ""};
    for (size_t i = 0; i < DS_ARRAY_SIZE(decoded); i++) {
        assert_true(dicom_dataset_decodes(decoded[i]));
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(others); i++) {
        assert_false(dicom_dataset_decodes(others[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_depth_that_jpeg_ls_does_not_have_is_refused),
        cmocka_unit_test(every_depth_and_sign_comes_back),
        cmocka_unit_test(the_offset_table_is_filled),
        cmocka_unit_test(without_an_encoder_nothing_is_written),
        cmocka_unit_test(native_and_decoded_syntaxes_are_told_from_the_rest),
        cmocka_unit_test(real_images_come_back_from_every_lossless_encoder),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

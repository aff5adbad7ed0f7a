/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/dataset.h"

#include "dicom/envelope.h"
#include "samples.h"

#include <dirent.h>
#include <unistd.h>

/* Bytes that the test holds, as a buffer that is only read. */
static struct ds_bytes borrow(const uint8_t *data, size_t len)
{
    return (struct ds_bytes){
        .data = (uint8_t *)(uintptr_t)data, .len = len, .capacity = len, .max = len};
}

static void get(const struct dicom_dataset *d, uint16_t group, uint16_t element, const char *want)
{
    struct ds_error err;
    char value[256];
    assert_ok(dicom_dataset_get(d, DICOM_TAG(group, element), value, sizeof value, &err), &err);
    assert_string_equal(value, want);
}

static struct dicom_dataset *fresh(void)
{
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    assert_ok(dicom_dataset_new(&d, &err), &err);
    set(d, 0x0008, 0x0018, "2.25.1");
    return d;
}

static void values_come_back_without_their_padding(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *d = fresh();
    set(d, 0x0008, 0x0060, "CT");
    set(d, 0x0010, 0x0010, "Phantom^One");
    set(d, 0x0028, 0x0010, "512");
    set(d, 0x0028, 0x0030, "0.5\\0.5");
    get(d, 0x0008, 0x0060, "CT");
    get(d, 0x0010, 0x0010, "Phantom^One");
    get(d, 0x0028, 0x0010, "512");
    get(d, 0x0028, 0x0030, "0.5\\0.5");
    get(d, 0x0008, 0x0050, "");
    assert_true(dicom_dataset_has(d, DICOM_TAG_MODALITY));
    assert_false(dicom_dataset_has(d, DICOM_TAG_ACCESSION_NUMBER));
    char small[4];
    assert_int_equal(dicom_dataset_get(d, DICOM_TAG_PATIENT_NAME, small, sizeof small, &err),
                     DS_EFORMAT);
    assert_string_equal(small, "");
    dicom_dataset_remove(d, DICOM_TAG_MODALITY);
    dicom_dataset_remove(d, DICOM_TAG_MODALITY);
    assert_false(dicom_dataset_has(d, DICOM_TAG_MODALITY));
    dicom_dataset_free(d);
}

static void odd_text_is_padded_with_a_space_and_a_uid_with_nul(void **state)
{
    (void)state;
    struct dicom_dataset *d = fresh();
    struct ds_bytes b;
    set(d, 0x0008, 0x0018, "2.25.123");
    set(d, 0x0008, 0x0060, "CTX");
    set(d, 0x0020, 0x000d, "2.25.12");
    write_as(d, EXPLICIT_LE, &b);
    const uint8_t want[] = {
        8,    0, 0x18, 0,    'U', 'I', 8,   0,   '2', '.', '2', '5', '.', '1',  '2',
        '3',  8, 0,    0x60, 0,   'C', 'S', 4,   0,   'C', 'T', 'X', ' ', 0x20, 0,
        0x0d, 0, 'U',  'I',  8,   0,   '2', '.', '2', '5', '.', '1', '2', 0,
    };
    assert_int_equal(b.len, sizeof want);
    assert_memory_equal(b.data, want, sizeof want);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

static void unusual_values_are_written_as_they_were_read(void **state)
{
    (void)state;
    /* A NUL in the middle, NUL where spaces belong, a UID padded with a space, leading blanks. */
    const uint8_t odd[] = {
        8,   0,   0x18, 0,   'U',  'I', 4,    0, '2',  '.',  '1',  ' ',  8,   0,    0x60, 0,
        'C', 'S', 4,    0,   'C',  'T', 0,    0, 8,    0,    0x30, 0x10, 'L', 'O',  6,    0,
        ' ', 'a', 0,    'b', ' ',  ' ', 8,    0, 0x3e, 0x10, 'L',  'O',  6,   0,    0,    'x',
        'y', 'z', ' ',  0,   0x10, 0,   0x10, 0, 'P',  'N',  4,    0,    ' ', '\\', ' ',  ' ',
    };
    const struct ds_bytes in = borrow(odd, sizeof odd);
    struct dicom_dataset *d = parse_as(&in, EXPLICIT_LE);
    get(d, 0x0008, 0x0060, "CT"); /* reading leaves no trace */
    get(d, 0x0008, 0x0018, "2.1");
    struct ds_bytes out;
    write_as(d, EXPLICIT_LE, &out);
    assert_int_equal(out.len, sizeof odd);
    assert_memory_equal(out.data, odd, sizeof odd);
    ds_bytes_free(&out);
    dicom_dataset_free(d);
}

static void rewrite_everywhere(const struct sample_row *row, void *context)
{
    static const char *const syntaxes[] = {EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE};
    unsigned *rewritten = context;
    uint8_t before[DS_SHA256_BYTES];
    uint8_t after[DS_SHA256_BYTES];
    struct ds_error err;
    struct dicom_dataset *d = parse_sample(row->path);
    hash_of(d, before);
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
        if (dicom_dataset_write_part10(d, syntaxes[i], &b, &err) == DS_OK) {
            struct dicom_dataset *again = parse_as(&b, NULL);
            hash_of(again, after);
            if (memcmp(before, after, sizeof before) != 0) {
                fail_msg("%s changes in %s", row->path, syntaxes[i]);
            }
            *rewritten += 1;
            dicom_dataset_free(again);
        }
        ds_bytes_free(&b);
    }
    dicom_dataset_free(d);
}

static void every_real_file_keeps_its_hash_in_every_native_syntax(void **state)
{
    (void)state;
    unsigned rewritten = 0;
    each_sample(rewrite_everywhere, &rewritten);
    print_message("%u rewritten\n", rewritten);
    assert_true(rewritten > 2000);
}

static void write_own_syntax(const struct sample_row *row, void *context)
{
    uint8_t before[DS_SHA256_BYTES];
    uint8_t after[DS_SHA256_BYTES];
    (void)context;
    struct dicom_dataset *d = parse_sample(row->path);
    const char *syntax = dicom_dataset_transfer_syntax(d);
    struct ds_bytes b;
    write_as(d, syntax, &b);
    struct dicom_dataset *again = parse_as(&b, syntax);
    hash_of(d, before);
    hash_of(again, after);
    if (memcmp(before, after, sizeof before) != 0) {
        fail_msg("%s changes in its own syntax", row->path);
    }
    dicom_dataset_free(again);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

static void every_real_file_can_be_written_in_its_own_syntax(void **state)
{
    (void)state;
    assert_true(each_sample(write_own_syntax, NULL) > 500);
}

static void lossless_variants_of_one_image_have_one_dataset_hash(void **state)
{
    (void)state;
    static const char *const variants[][6] = {
        {"syntaxes/made-mr12u/explicit-le.dcm", "syntaxes/made-mr12u/implicit-le.dcm",
         "syntaxes/made-mr12u/explicit-be.dcm", "syntaxes/made-mr12u/deflated.dcm",
         "syntaxes/made-mr12u/rle.dcm", "syntaxes/made-mr12u/jpegls-lossless.dcm"},
        {"syntaxes/nema-ct1/uncompressed.dcm", "syntaxes/made-ct16s/implicit-le.dcm",
         "syntaxes/made-ct16s/explicit-be.dcm", "syntaxes/made-ct16s/deflated.dcm",
         "syntaxes/made-ct16s/rle.dcm", "syntaxes/made-ct16s/jpegls-lossless.dcm"},
        {"syntaxes/made-us-rgb/rle.dcm", "syntaxes/made-us-rgb/implicit-le.dcm",
         "syntaxes/made-us-rgb/explicit-be.dcm", "syntaxes/made-us-rgb/deflated.dcm",
         "syntaxes/made-us-rgb/jpegls-lossless.dcm", "us/us1-rgb-uncompressed.dcm"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(variants); i++) {
        uint8_t first[DS_SHA256_BYTES];
        for (size_t j = 0; j < DS_ARRAY_SIZE(variants[i]); j++) {
            uint8_t hash[DS_SHA256_BYTES];
            struct dicom_dataset *d = parse_sample(variants[i][j]);
            hash_of(d, hash);
            dicom_dataset_free(d);
            if (j == 0) {
                memcpy(first, hash, sizeof first);
            } else if (memcmp(first, hash, sizeof hash) != 0) {
                fail_msg("%s differs", variants[i][j]);
            }
        }
    }
}

static void the_dataset_hash_sees_every_value(void **state)
{
    (void)state;
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    struct ds_error err;
    struct dicom_dataset *d = fresh();
    set(d, 0x0010, 0x0010, "Phantom^One");
    hash_of(d, one);
    struct ds_bytes b;
    write_as(d, EXPLICIT_LE, &b);
    assert_ok(ds_sha256_of(b.data, b.len, two, &err), &err);
    assert_memory_equal(one, two, sizeof one); /* no private elements: the hash of the bytes */
    set(d, 0x0010, 0x0010, "Phantom^Two");
    hash_of(d, two);
    assert_memory_not_equal(one, two, sizeof one);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

static void a_private_element_hashes_alike_with_and_without_its_vr(void **state)
{
    (void)state;
    const uint8_t known[] = {
        9, 0,    0x10, 0, 'L', 'O', 4,    0,    'T',  'E', 'S', 'T', 9,  0, 0x01, 0x10, 'U',  'S',
        2, 0,    1,    2, 9,   0,   0x02, 0x10, 'S',  'Q', 0,   0,   18, 0, 0,    0,    0xfe, 0xff,
        0, 0xe0, 10,   0, 0,   0,   8,    0,    0x60, 0,   'C', 'S', 2,  0, 'C',  'T',
    };
    const uint8_t unknown[] = {
        9, 0,    0x10, 0, 4, 0, 0, 0, 'T',  'E',  'S', 'T', 9, 0, 0x01, 0x10,
        2, 0,    0,    0, 1, 2, 9, 0, 0x02, 0x10, 18,  0,   0, 0, 0xfe, 0xff,
        0, 0xe0, 10,   0, 0, 0, 8, 0, 0x60, 0,    2,   0,   0, 0, 'C',  'T',
    };
    struct ds_bytes b = borrow(known, sizeof known);
    struct dicom_dataset *a = parse_as(&b, EXPLICIT_LE);
    b = borrow(unknown, sizeof unknown);
    struct dicom_dataset *c = parse_as(&b, IMPLICIT_LE);
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    hash_of(a, one);
    hash_of(c, two);
    assert_memory_equal(one, two, sizeof one);
    dicom_dataset_free(a);
    dicom_dataset_free(c);
}

static void group_lengths_and_sequence_encoding_do_not_count(void **state)
{
    (void)state;
    const uint8_t plain[] = {
        8,    0,  0x12, 0x21, 'S', 'Q', 0, 0,    18, 0,   0,   0, 0xfe, 0xff, 0,
        0xe0, 10, 0,    0,    0,   8,   0, 0x60, 0,  'C', 'S', 2, 0,    'C',  'T',
    };
    const uint8_t verbose[] = {
        8,    0,    0,   0,   'U',  'L', 4,    0,    58,   0,    0,    0,    8,    0,
        0x12, 0x21, 'S', 'Q', 0,    0,   255,  255,  255,  255,  0xfe, 0xff, 0,    0xe0,
        255,  255,  255, 255, 8,    0,   0,    0,    'U',  'L',  4,    0,    10,   0,
        0,    0,    8,   0,   0x60, 0,   'C',  'S',  2,    0,    'C',  'T',  0xfe, 0xff,
        0x0d, 0xe0, 0,   0,   0,    0,   0xfe, 0xff, 0xdd, 0xe0, 0,    0,    0,    0,
    };
    struct ds_bytes b = borrow(plain, sizeof plain);
    struct dicom_dataset *a = parse_as(&b, EXPLICIT_LE);
    b = borrow(verbose, sizeof verbose);
    struct dicom_dataset *c = parse_as(&b, EXPLICIT_LE);
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    hash_of(a, one);
    hash_of(c, two);
    assert_memory_equal(one, two, sizeof one);
    struct ds_bytes out;
    write_as(c, EXPLICIT_LE, &out);
    assert_int_equal(out.len, sizeof plain);
    assert_memory_equal(out.data, plain, sizeof plain);
    ds_bytes_free(&out);
    dicom_dataset_free(a);
    dicom_dataset_free(c);
}

static void a_tag_that_occurs_twice_is_refused(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    const uint8_t twice[] = {
        8, 0, 0x60, 0, 'C', 'S', 2, 0, 'C', 'T', 8, 0, 0x60, 0, 'C', 'S', 2, 0, 'M', 'R',
    };
    assert_int_equal(dicom_dataset_read(&d, twice, sizeof twice, EXPLICIT_LE, &err), DS_EFORMAT);
    assert_null(d);
    assert_ok(dicom_dataset_read(&d, twice, sizeof twice / 2, EXPLICIT_LE, &err), &err);
    dicom_dataset_free(d);
}

static void names_become_utf8_from_every_character_set(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name;
    } names[] = {
        {"other/charset/chrArab.dcm", "قباني^لنزار"},
        {"other/charset/chrFren.dcm", "Buc^Jérôme"},
        {"other/charset/chrGerm.dcm", "Äneas^Rüdiger"},
        {"other/charset/chrGreek.dcm", "Διονυσιος"},
        {"other/charset/chrHbrw.dcm", "שרון^דבורה"},
        {"other/charset/chrRuss.dcm", "Люкceмбypг"},
        {"other/charset/chrH31.dcm", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"other/charset/chrH32.dcm", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
        {"other/charset/chrI2.dcm", "Hong^Gildong=洪^吉洞=홍^길동"},
        {"other/charset/chrKoreanMulti.dcm", "김희중"},
        {"other/charset/chrX1.dcm", "Wang^XiaoDong=王^小東="},
        {"other/charset/chrX2.dcm", "Wang^XiaoDong=王^小东="},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        char value[256];
        struct ds_error err;
        struct dicom_dataset *d = parse_sample(names[i].file);
        assert_ok(dicom_dataset_get_utf8(d, DICOM_TAG_PATIENT_NAME, value, sizeof value, &err),
                  &err);
        dicom_dataset_free(d);
        if (strcmp(value, names[i].name) != 0) {
            fail_msg("%s: %s", names[i].file, value);
        }
    }
}

static void text_in_an_unknown_character_set_shows_its_ascii(void **state)
{
    (void)state;
    struct ds_error err;
    char value[64];
    struct dicom_dataset *d = fresh();
    set(d, 0x0008, 0x0005, "NO SUCH SET");
    set(d, 0x0010, 0x0010, "J\xe9r^A");
    assert_ok(dicom_dataset_get_utf8(d, DICOM_TAG_PATIENT_NAME, value, sizeof value, &err), &err);
    assert_string_equal(value, "J?r^A");
    dicom_dataset_free(d);
}

static void private_bytes_are_found_by_their_creator(void **state)
{
    (void)state;
    struct ds_error err;
    const dicom_tag tag = DICOM_TAG(0x0099, 0x0001);
    const uint8_t bytes[] = {1, 2, 3, 0};
    const uint8_t *found;
    size_t len;
    struct dicom_dataset *d = fresh();
    assert_ok(dicom_dataset_set_bytes(d, tag, "SOMEBODY", bytes, 2, &err), &err);
    assert_ok(dicom_dataset_set_bytes(d, tag, "US", bytes, 4, &err), &err);
    struct ds_bytes b;
    write_as(d, IMPLICIT_LE, &b);
    struct dicom_dataset *again = parse_as(&b, IMPLICIT_LE);
    get(again, 0x0099, 0x0011, "US");
    assert_ok(dicom_dataset_private_bytes(again, tag, "US", &found, &len, &err), &err);
    assert_int_equal(len, 4);
    assert_memory_equal(found, bytes, 4);
    assert_ok(dicom_dataset_private_bytes(again, tag, "NOBODY", &found, &len, &err), &err);
    assert_null(found);
    assert_int_equal(dicom_dataset_set_bytes(d, DICOM_TAG(0x0098, 1), "US", bytes, 4, &err),
                     DS_EINVAL);
    dicom_dataset_free(again);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

static bool collect(dicom_tag tag, void *context)
{
    struct ds_bytes *tags = context;
    assert_int_equal(ds_bytes_put_le(tags, tag, 4, NULL), DS_OK);
    return true;
}

static void elements_exported_and_imported_give_the_same_data_set(void **state)
{
    (void)state;
    static const char *const files[] = {
        "ct/philips-ingenuity/0001.dcm", "mr/siemens-prisma-t1/0001.dcm",
        "mr/ge-signa-wrist/0001.dcm", "enhanced/emri-small.dcm", "us/us1-rgb-uncompressed.dcm"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(files); i++) {
        struct ds_error err;
        uint8_t one[DS_SHA256_BYTES];
        uint8_t two[DS_SHA256_BYTES];
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", data_root(), files[i]);
        if (!ds_file_exists(path)) {
            print_message("no %s\n", files[i]);
            continue;
        }
        struct dicom_dataset *d = parse_sample(files[i]);
        struct dicom_dataset *copy = NULL;
        struct ds_bytes tags = DS_BYTES_INIT(FILE_MAX);
        struct ds_bytes exported = DS_BYTES_INIT(FILE_MAX);
        assert_ok(dicom_dataset_new(&copy, &err), &err);
        dicom_dataset_each(d, collect, &tags);
        struct ds_cursor c = ds_cursor_over(tags.data, tags.len);
        dicom_tag previous = 0;
        while (ds_cursor_left(&c) > 0) {
            const dicom_tag tag = (dicom_tag)ds_cursor_le(&c, 4);
            assert_true(previous < tag);
            previous = tag;
            if ((tag & 0xffffU) != 0) {
                assert_ok(dicom_dataset_export(d, tag, &exported, &err), &err);
            }
        }
        assert_ok(dicom_dataset_import(copy, exported.data, exported.len, &err), &err);
        assert_ok(dicom_dataset_import(copy, exported.data, exported.len, &err), &err);
        hash_of(d, one);
        hash_of(copy, two);
        assert_memory_equal(one, two, sizeof one);
        assert_int_equal(dicom_dataset_import(copy, exported.data, exported.len - 1, &err),
                         DS_EFORMAT);
        ds_bytes_free(&exported);
        ds_bytes_free(&tags);
        dicom_dataset_free(copy);
        dicom_dataset_free(d);
    }
}

static void an_item_carries_its_values_and_a_code(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *d = fresh();
    const struct dicom_value values[] = {{DICOM_TAG(0x0008, 0x1150), "1.2"},
                                         {DICOM_TAG(0x0008, 0x1155), "2.25.7"}};
    const struct dicom_value wrong[] = {{DICOM_TAG(0x0028, 0x0010), "many"}};
    const struct dicom_code code = {DICOM_TAG(0x0040, 0xa170), "121322", "DCM", "Source"};
    const dicom_tag sequence = DICOM_TAG(0x0008, 0x2112);
    assert_ok(dicom_dataset_append_item(d, sequence, values, 2, &code, &err), &err);
    struct ds_bytes b;
    write_as(d, EXPLICIT_LE, &b);
    const size_t one_item = b.len;
    ds_bytes_free(&b);
    assert_ok(dicom_dataset_append_item(d, sequence, values, 2, &code, &err), &err);
    assert_int_not_equal(dicom_dataset_append_item(d, sequence, wrong, 1, NULL, &err), DS_OK);
    write_as(d, EXPLICIT_LE, &b);
    assert_true(b.len > one_item);
    struct dicom_envelope e;
    assert_ok(dicom_envelope_scan_dataset(b.data, b.len, EXPLICIT_LE, &e, &err), &err);
    assert_non_null(memmem(b.data, b.len, "121322", 6));
    struct dicom_dataset *copy = NULL;
    assert_ok(dicom_dataset_copy(&copy, d, &err), &err);
    uint8_t one[DS_SHA256_BYTES];
    uint8_t two[DS_SHA256_BYTES];
    hash_of(d, one);
    hash_of(copy, two);
    assert_memory_equal(one, two, sizeof one);
    dicom_dataset_free(copy);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

static void a_copy_pads_odd_values_as_the_writer_does(void **state)
{
    (void)state;
    /* Implicit VR: Patient ID of 3 bytes at the top level and in an item, a UID of 5. */
    static const uint8_t bytes[] =
        "\x08\x00\x18\x00\x05\x00\x00\x00"
        "1.2.3"
        "\x10\x00\x20\x00\x03\x00\x00\x00"
        "A B"
        "\x10\x00\x02\x10\x13\x00\x00\x00\xfe\xff\x00\xe0\x0b\x00\x00\x00"
        "\x10\x00\x20\x00\x03\x00\x00\x00"
        "C\0D";
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    struct dicom_dataset *copy = NULL;
    struct ds_bytes one;
    struct ds_bytes two;
    assert_ok(dicom_dataset_read(&d, bytes, sizeof(bytes) - 1, IMPLICIT_LE, &err), &err);
    assert_ok(dicom_dataset_copy(&copy, d, &err), &err);
    write_as(d, EXPLICIT_LE, &one);
    write_as(copy, EXPLICIT_LE, &two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    assert_non_null(memmem(two.data, two.len, "A B ", 4));
    assert_non_null(memmem(two.data, two.len, "C\0D ", 4));
    ds_bytes_free(&one);
    ds_bytes_free(&two);
    dicom_dataset_free(copy);
    dicom_dataset_free(d);
}

static void a_uid_is_made_of_the_first_128_bits_of_a_digest(void **state)
{
    (void)state;
    char uid[DICOM_UID_BYTES];
    uint8_t digest[DS_SHA256_BYTES] = {0};
    dicom_uid_from_digest(digest, uid);
    /* 0x80 at byte 6 and 0x80 at byte 8: 2^79 + 2^63 */
    assert_string_equal(uid, "2.25.604472133179351442128896");
    memset(digest, 0xff, sizeof digest);
    dicom_uid_from_digest(digest, uid);
    /* ffffffff-ffff-8fff-bfff-ffffffffffff */
    assert_string_equal(uid, "2.25.340282366920937934553716840013076889599");
}

static void a_missing_file_and_a_cut_one_are_told_apart(void **state)
{
    (void)state;
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    assert_int_equal(dicom_dataset_read_file(&d, "/nonexistent/file.dcm", &err), DS_ENOTFOUND);
    assert_null(d);
    struct dicom_dataset *whole = fresh();
    set(whole, 0x0008, 0x0060, "CT");
    struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
    assert_ok(dicom_dataset_write_part10(whole, EXPLICIT_LE, &b, &err), &err);
    char path[] = "/tmp/dicomstego-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
    assert_ok(dicom_dataset_read_file(&d, path, &err), &err);
    dicom_dataset_free(d);
    assert_int_equal(ftruncate(fd, (off_t)b.len - 1), 0);
    assert_int_equal(dicom_dataset_read_file(&d, path, &err), DS_EFORMAT);
    assert_null(d);
    close(fd);
    unlink(path);
    ds_bytes_free(&b);
    dicom_dataset_free(whole);
}

static void a_data_set_without_meta_information_is_read(void **state)
{
    (void)state;
    struct dicom_dataset *d = parse_sample("xray/cr-chest-mono1-no-meta.dcm");
    assert_true(dicom_dataset_has(d, DICOM_TAG_PIXEL_DATA));
    dicom_dataset_free(d);
}

static void try_broken_file(const char *path)
{
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    struct dicom_pixels p;
    uint8_t hash[DS_SHA256_BYTES];
    if (dicom_dataset_read_file(&d, path, &err) != DS_OK) {
        assert_null(d);
        return;
    }
    if (dicom_pixels_read(&p, d, &err) == DS_OK) {
        assert_ok(dicom_pixels_hash(d, NULL, hash, &err), &err);
        dicom_pixels_free(&p);
    }
    (void)!dicom_dataset_hash(d, hash, &err);
    struct ds_bytes b = DS_BYTES_INIT(FILE_MAX);
    (void)!dicom_dataset_write_part10(d, EXPLICIT_LE, &b, &err);
    ds_bytes_free(&b);
    dicom_dataset_free(d);
}

static unsigned try_folder(const char *folder)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (entry->d_type == DT_DIR) {
            count += try_folder(path);
        } else {
            try_broken_file(path);
            count++;
        }
    }
    closedir(dir);
    return count;
}

static void no_broken_file_does_more_than_fail(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/malformed", data_root());
    assert_true(try_folder(path) > 100);
}

static void a_truncated_file_never_passes_for_a_whole_one(void **state)
{
    (void)state;
    static const char *const cuts[] = {
        "empty",        "one-byte",      "preamble-only",           "preamble-and-magic",
        "cut-in-meta",  "cut-in-header", "cut-in-pixeldata-header", "cut-half-pixels",
        "cut-last-byte"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(cuts); i++) {
        char path[4096];
        struct ds_error err;
        struct dicom_dataset *d = NULL;
        snprintf(path, sizeof path, "%s/malformed/made/trunc-%s.dcm", data_root(), cuts[i]);
        if (dicom_dataset_read_file(&d, path, &err) != DS_EFORMAT) {
            fail_msg("%s was taken", cuts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_without_their_padding),
        cmocka_unit_test(odd_text_is_padded_with_a_space_and_a_uid_with_nul),
        cmocka_unit_test(unusual_values_are_written_as_they_were_read),
        cmocka_unit_test(the_dataset_hash_sees_every_value),
        cmocka_unit_test(a_private_element_hashes_alike_with_and_without_its_vr),
        cmocka_unit_test(group_lengths_and_sequence_encoding_do_not_count),
        cmocka_unit_test(text_in_an_unknown_character_set_shows_its_ascii),
        cmocka_unit_test(private_bytes_are_found_by_their_creator),
        cmocka_unit_test(an_item_carries_its_values_and_a_code),
        cmocka_unit_test(a_copy_pads_odd_values_as_the_writer_does),
        cmocka_unit_test(a_uid_is_made_of_the_first_128_bits_of_a_digest),
        cmocka_unit_test(a_missing_file_and_a_cut_one_are_told_apart),
        cmocka_unit_test(a_data_set_without_meta_information_is_read),
        cmocka_unit_test(a_tag_that_occurs_twice_is_refused),
        cmocka_unit_test(names_become_utf8_from_every_character_set),
        cmocka_unit_test(elements_exported_and_imported_give_the_same_data_set),
        cmocka_unit_test(lossless_variants_of_one_image_have_one_dataset_hash),
        cmocka_unit_test(a_truncated_file_never_passes_for_a_whole_one),
        cmocka_unit_test(no_broken_file_does_more_than_fail),
        cmocka_unit_test(every_real_file_can_be_written_in_its_own_syntax),
        cmocka_unit_test(every_real_file_keeps_its_hash_in_every_native_syntax),
    };
    return cmocka_run_group_tests(tests, start_dicom, NULL);
}

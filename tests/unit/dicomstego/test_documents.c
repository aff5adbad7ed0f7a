/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/documents.h"

#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t *bytes_of(const char *text)
{
    return (const uint8_t *)text;
}

static struct stego_document text_document(const char *name, const char *text)
{
    return (struct stego_document){name, "text/plain; charset=utf-8", bytes_of(text), strlen(text)};
}

static enum ds_status unpack_text(const char *packed, struct stego_documents *out)
{
    return stego_documents_unpack(bytes_of(packed), strlen(packed), out, NULL);
}

static void documents_come_back_with_name_type_and_bytes(void **state)
{
    (void)state;
    static const uint8_t pdf[] = {'%', 'P', 'D', 'F', 0, 0xff, '\r', '\n', 0};
    const struct stego_document in[] = {
        text_document("Befund \"M\u00fcller\".txt", "Normal study.\n"),
        {"r.pdf", "application/pdf", pdf, sizeof(pdf)},
        {"empty", "application/octet-stream", NULL, 0},
    };
    struct ds_bytes packed = DS_BYTES_INIT(4096);
    assert_int_equal(stego_documents_pack(in, 3, &packed, NULL), DS_OK);
    struct stego_documents out;
    assert_int_equal(stego_documents_unpack(packed.data, packed.len, &out, NULL), DS_OK);
    assert_int_equal(out.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(out.items[i].name, in[i].name);
        assert_string_equal(out.items[i].media_type, in[i].media_type);
        assert_int_equal(out.items[i].data.len, in[i].len);
        if (in[i].len > 0) {
            assert_memory_equal(out.items[i].data.data, in[i].data, in[i].len);
        }
    }
    stego_documents_free(&out);
    ds_bytes_free(&packed);
}

static void a_text_is_written_as_documented(void **state)
{
    (void)state;
    const struct stego_document in = text_document("r.txt", "Hi");
    struct ds_bytes packed = DS_BYTES_INIT(4096);
    assert_int_equal(stego_documents_pack(&in, 1, &packed, NULL), DS_OK);
    const char expected[] = "Content-Type: text/plain; charset=utf-8\r\n"
                            "Content-Disposition: attachment; filename=\"r.txt\"\r\n"
                            "Content-Length: 2\r\n\r\nHi";
    assert_int_equal(packed.len, sizeof(expected) - 1);
    assert_memory_equal(packed.data, expected, packed.len);
    ds_bytes_free(&packed);
}

static void compression_is_used_when_it_helps_and_only_then(void **state)
{
    (void)state;
    static uint8_t noise[300000];
    static uint8_t zeros[300000];
    assert_int_equal(ds_random(noise, sizeof(noise), NULL), DS_OK);
    const struct stego_document a = {"n.pdf", "application/pdf", noise, sizeof(noise)};
    const struct stego_document b = {"z.pdf", "application/pdf", zeros, sizeof(zeros)};
    struct ds_bytes packed = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES);
    struct stego_documents out;
    assert_int_equal(stego_documents_pack(&a, 1, &packed, NULL), DS_OK);
    assert_memory_equal(packed.data, "Content-Type", 12);
    assert_int_equal(stego_documents_unpack(packed.data, packed.len, &out, NULL), DS_OK);
    assert_memory_equal(out.items[0].data.data, noise, sizeof(noise));
    stego_documents_free(&out);
    ds_bytes_free(&packed);
    assert_int_equal(stego_documents_pack(&b, 1, &packed, NULL), DS_OK);
    assert_true(packed.len < 400);
    assert_int_equal(stego_documents_unpack(packed.data, packed.len, &out, NULL), DS_OK);
    assert_int_equal(out.items[0].data.len, sizeof(zeros));
    stego_documents_free(&out);
    ds_bytes_free(&packed);
}

static void names_that_are_no_plain_file_names_are_not_sealed(void **state)
{
    (void)state;
    char long_name[300];
    memset(long_name, 'n', sizeof(long_name));
    long_name[STEGO_NAME_BYTES] = '\0';
    const char *const bad[] = {"",     ".",     "..",    "a/b",      "/etc/passwd",  "a\\b",
                               "a\nb", "a\x7f", "\xc3(", "\xc2\x85", "\xed\xa0\x80", long_name};
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        const struct stego_document d = text_document(bad[i], "x");
        struct ds_bytes packed = DS_BYTES_INIT(4096);
        assert_int_equal(stego_documents_pack(&d, 1, &packed, NULL), DS_EINVAL);
        ds_bytes_free(&packed);
    }
    const char *const bad_types[] = {"", "text/plain\r\nX: y", "t\x80"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad_types); i++) {
        const struct stego_document d = {"n", bad_types[i], NULL, 0};
        struct ds_bytes packed = DS_BYTES_INIT(4096);
        assert_int_equal(stego_documents_pack(&d, 1, &packed, NULL), DS_EINVAL);
        ds_bytes_free(&packed);
    }
}

static void hostile_names_become_safe_ones(void **state)
{
    (void)state;
    static const struct {
        const char *written, *read;
    } names[] = {
        {"../../etc/passwd", ".._.._etc_passwd"},
        {"..", "document"},
        {".", "document"},
        {"", "document"},
        {"a\\\\b", "a_b"},
        {"\xff\xfe", "__"},
        {"\xc2\x9b"
         "31m",
         "__31m"},
        {"ok.txt", "ok.txt"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        char packed[256];
        (void)snprintf(packed, sizeof(packed),
                       "Content-Type: text/plain\r\nContent-Disposition: attachment; "
                       "filename=\"%s\"\r\nContent-Length: 1\r\n\r\nx",
                       names[i].written);
        struct stego_documents out;
        assert_int_equal(unpack_text(packed, &out), DS_OK);
        assert_string_equal(out.items[0].name, names[i].read);
        stego_documents_free(&out);
    }
}

#define START "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=\"n\"\r\n"

static void anything_but_the_exact_form_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "x",
        START,
        START "Content-Length: 2\r\n\r\nx",
        START "Content-Length: 01\r\n\r\nx",
        START "Content-Length: -1\r\n\r\nx",
        START "Content-Length: \r\n\r\nx",
        START "Content-Length: 99999999999999999999\r\n\r\nx",
        START "Content-Length: 4294967297\r\n\r\nx",
        START "Content-Length: 1\n\nx",
        START "Content-Length: 1\r\nX: y\r\n\r\nx",
        START "Content-Length: 1\r\n\r\nxtrailing",
        "Content-Type: a\nb\r\nContent-Disposition: attachment; filename=\"n\"\r\n"
        "Content-Length: 0\r\n\r\n",
        "Content-Type: \r\nContent-Disposition: attachment; filename=\"n\"\r\n"
        "Content-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        struct stego_documents out;
        assert_int_equal(unpack_text(bad[i], &out), DS_EFORMAT);
        assert_int_equal(out.count, 0);
        assert_null(out.items);
    }
}

static void a_damaged_or_truncated_stream_is_refused(void **state)
{
    (void)state;
    static uint8_t zeros[5000];
    const struct stego_document d = {"z", "application/pdf", zeros, sizeof(zeros)};
    struct ds_bytes packed = DS_BYTES_INIT(4096);
    assert_int_equal(stego_documents_pack(&d, 1, &packed, NULL), DS_OK);
    for (size_t len = 6; len < packed.len; len++) {
        struct stego_documents out;
        assert_int_equal(stego_documents_unpack(packed.data, len, &out, NULL), DS_EFORMAT);
    }
    struct stego_documents out;
    assert_int_equal(ds_bytes_put_u8(&packed, 0, NULL), DS_OK);
    assert_int_equal(stego_documents_unpack(packed.data, packed.len, &out, NULL), DS_EFORMAT);
    ds_bytes_free(&packed);
}

static void more_than_the_limit_is_refused_before_it_is_compressed(void **state)
{
    (void)state;
    uint8_t *big = calloc(1, STEGO_REPORT_MAX_BYTES + 1U);
    assert_non_null(big);
    const struct stego_document d = {"z", "application/pdf", big, STEGO_REPORT_MAX_BYTES + 1U};
    struct ds_bytes packed = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES);
    assert_int_equal(stego_documents_pack(&d, 1, &packed, NULL), DS_EINVAL);
    const struct stego_document full = {"z", "application/pdf", big, STEGO_REPORT_MAX_BYTES};
    const struct stego_document twice[] = {full, full};
    assert_int_equal(stego_documents_pack(twice, 2, &packed, NULL), DS_EINVAL);
    ds_bytes_free(&packed);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_come_back_with_name_type_and_bytes),
        cmocka_unit_test(a_text_is_written_as_documented),
        cmocka_unit_test(compression_is_used_when_it_helps_and_only_then),
        cmocka_unit_test(names_that_are_no_plain_file_names_are_not_sealed),
        cmocka_unit_test(hostile_names_become_safe_ones),
        cmocka_unit_test(anything_but_the_exact_form_is_refused),
        cmocka_unit_test(a_damaged_or_truncated_stream_is_refused),
        cmocka_unit_test(more_than_the_limit_is_refused_before_it_is_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

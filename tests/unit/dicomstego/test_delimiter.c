/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/delimiter.h"

#include "draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool next(void *context, uint8_t *byte)
{
    struct ds_cursor *c = context;
    *byte = (uint8_t)ds_cursor_be(c, 1);
    return !c->failed;
}

static void what_is_escaped_never_holds_the_delimiter(void **unused)
{
    (void)unused;
    static const char *const delimiters[] = {"#####", "#",        "ab",   "aab",
                                             "\x1b",  "\x1c\x1b", "\x1e", "\xff\xfe"};
    struct draw d = {11};
    for (unsigned round = 0; round < 400; round++) {
        const char *delimiter = delimiters[round % DS_ARRAY_SIZE(delimiters)];
        const size_t end = strlen(delimiter);
        DS_AUTO(ds_bytes_free) struct ds_bytes stuffed = DS_BYTES_INIT(4096);
        DS_AUTO(ds_bytes_free) struct ds_bytes back = DS_BYTES_INIT(4096);
        uint8_t data[200];
        const size_t len = draw_from(&d, 0, sizeof(data));
        for (size_t i = 0; i < len; i++) { /* mostly bytes that mean something */
            const uint8_t special = (uint8_t)(0x1b + draw_below(&d, 4));
            data[i] = draw_below(&d, 2) != 0   ? (uint8_t)delimiter[draw_below(&d, end)]
                      : draw_below(&d, 2) != 0 ? special
                                               : (uint8_t)draw_u64(&d);
        }
        assert_int_equal(stego_delimiter_put(delimiter, data, len, &stuffed, NULL), DS_OK);
        assert_true(stuffed.len <= 2 * len + end);
        const uint8_t *first = memmem(stuffed.data, stuffed.len, delimiter, end);
        assert_ptr_equal(first, stuffed.data + stuffed.len - end);
        assert_int_equal(ds_bytes_append(&stuffed, "noise", 5, NULL), DS_OK);
        struct ds_cursor c = ds_cursor_over(stuffed.data, stuffed.len);
        assert_int_equal(stego_delimiter_get(delimiter, next, &c, &back, NULL), DS_OK);
        assert_int_equal(back.len, len);
        assert_true(len == 0 || memcmp(back.data, data, len) == 0);
        assert_int_equal(ds_cursor_left(&c), 5);
    }
}

static void what_was_altered_is_refused(void **unused)
{
    (void)unused;
    static const char *const altered[] = {"abc", "abc#", "abc#x", "a\x1bz##", "a\x1b"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(altered); i++) {
        DS_AUTO(ds_bytes_free) struct ds_bytes back = DS_BYTES_INIT(100);
        struct ds_cursor c = ds_cursor_over(altered[i], strlen(altered[i]));
        assert_int_equal(stego_delimiter_get("##", next, &c, &back, NULL), DS_EAUTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_escaped_never_holds_the_delimiter),
        cmocka_unit_test(what_was_altered_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What a log call writes, without the time; the line feed is checked and cut off. */
static char line[8192];

static void catch_begin(int *saved, FILE **file)
{
    *file = tmpfile();
    assert_non_null(*file);
    *saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(*file), STDERR_FILENO) >= 0);
}

static const char *catch_end(int saved, FILE *file)
{
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    rewind(file);
    const size_t len = fread(line, 1, sizeof(line) - 1, file);
    (void)fclose(file);
    line[len] = '\0';
    if (len > 0) {
        assert_int_equal(line[len - 1], '\n');
        line[len - 1] = '\0';
    }
    return line;
}

#define LOGGED(...) (catch_begin(&saved, &file), ds_log(__VA_ARGS__), catch_end(saved, file))

static int text(void **state)
{
    (void)state;
    ds_log_set_format(DS_LOG_TEXT);
    ds_log_set_level(DS_LOG_INFO);
    return 0;
}

static int json(void **state)
{
    (void)text(state);
    ds_log_set_format(DS_LOG_JSON);
    return 0;
}

/* Behind {"time":"2026-01-31T23:59:59.123456Z",  */
static const char *members(const char *l)
{
    assert_int_equal(strncmp(l, "{\"time\":\"2", 10), 0);
    assert_int_equal(strncmp(l + 36, "\",", 2), 0);
    return l + 38;
}

static void a_line_of_text_has_time_level_room_and_message(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    const char *l = LOGGED(DS_LOG_INFO, "scp", "assoc=%d stored %d", 7, 3);
    assert_int_equal(l[27], ' ');
    assert_string_equal(l + 28, "info scp assoc=7 stored 3");
}

static void what_is_below_the_level_is_not_written(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    assert_string_equal(LOGGED(DS_LOG_DEBUG, "scp", "quiet"), "");
}

static void nobody_forges_a_line(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    assert_string_equal(LOGGED(DS_LOG_ERROR, "scp", "peer=%s", "A\nB\x7f\x1b[31m") + 28,
                        "error scp peer=A?B??[31m");
}

static void fields_are_members_and_the_rest_is_the_message(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    assert_string_equal(
        members(LOGGED(DS_LOG_WARNING, "node", "study=%d rule=\"%s\" status=%04x the rest: a=b", 12,
                       "CT to B", 0xa700)),
        "\"level\":\"warning\",\"area\":\"node\",\"study\":\"12\",\"rule\":\"CT to B\","
        "\"status\":\"a700\",\"message\":\"the rest: a=b\"}");
    assert_string_equal(members(LOGGED(DS_LOG_INFO, "node", "removed=3")),
                        "\"level\":\"info\",\"area\":\"node\",\"removed\":\"3\",\"message\":\"\"}");
    assert_string_equal(members(LOGGED(DS_LOG_INFO, "node", "ready dicom=104")),
                        "\"level\":\"info\",\"area\":\"node\",\"message\":\"ready dicom=104\"}");
}

static void no_name_comes_twice(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    assert_string_equal(
        members(LOGGED(DS_LOG_INFO, "scp", "peer=A peer=B x")),
        "\"level\":\"info\",\"area\":\"scp\",\"peer\":\"A\",\"message\":\"peer=B x\"}");
    assert_string_equal(members(LOGGED(DS_LOG_INFO, "scp", "level=error x")),
                        "\"level\":\"info\",\"area\":\"scp\",\"message\":\"level=error x\"}");
}

static void what_json_cannot_hold_is_escaped_or_replaced(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    assert_string_equal(
        members(LOGGED(DS_LOG_INFO, "scp", "a \"b\" \\ \n \xff \xc3\xa9 \xed\xa0\x80 \xe2\x82")),
        "\"level\":\"info\",\"area\":\"scp\",\"message\":\"a \\\"b\\\" \\\\ ? ? \xc3\xa9 ??? "
        "??\"}");
    /* A quote that is not closed begins no field. */
    assert_string_equal(members(LOGGED(DS_LOG_INFO, "scp", "rule=\"x y")),
                        "\"level\":\"info\",\"area\":\"scp\",\"message\":\"rule=\\\"x y\"}");
}

static void a_message_too_long_is_cut_and_the_object_still_ends(void **state)
{
    (void)state;
    int saved;
    FILE *file;
    char longer[5000];
    memset(longer, '"', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const char *l = LOGGED(DS_LOG_INFO, "scp", "%s", longer);
    const size_t len = strlen(l);
    assert_true(len > 2000 && len < 4096);
    assert_string_equal(l + len - 4, "\\\"\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_of_text_has_time_level_room_and_message, text),
        cmocka_unit_test_setup(what_is_below_the_level_is_not_written, text),
        cmocka_unit_test_setup(nobody_forges_a_line, text),
        cmocka_unit_test_setup(fields_are_members_and_the_rest_is_the_message, json),
        cmocka_unit_test_setup(no_name_comes_twice, json),
        cmocka_unit_test_setup(what_json_cannot_hold_is_escaped_or_replaced, json),
        cmocka_unit_test_setup(a_message_too_long_is_cut_and_the_object_still_ends, json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/archive.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct ground {
    char folder[64];
    struct archive archive;
};

static int set_up(void **state)
{
    struct ground *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return -1;
    }
    (void)snprintf(g->folder, sizeof(g->folder), "/tmp/dicomstego-archive-XXXXXX");
    *state = g;
    return mkdtemp(g->folder) != NULL && archive_open(&g->archive, g->folder, NULL) == DS_OK ? 0
                                                                                             : -1;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    const enum ds_status s = ds_file_remove_tree(g->folder, NULL);
    free(g);
    return s == DS_OK ? 0 : -1;
}

static void write_file(const char *path, const char *text)
{
    assert_int_equal(ds_file_write(path, text, strlen(text), DS_FILE_REPLACE, 0600, NULL), DS_OK);
}

static void assert_content(const char *path, const char *text)
{
    struct ds_bytes b = DS_BYTES_INIT(1000);
    assert_int_equal(ds_file_read(path, &b, NULL), DS_OK);
    assert_int_equal(b.len, strlen(text));
    assert_memory_equal(b.data, text, b.len);
    ds_bytes_free(&b);
}

static void the_path_is_the_day_of_arrival(void **state)
{
    struct ground *g = *state;
    char path[ARCHIVE_PATH_BYTES];
    char expected[ARCHIVE_PATH_BYTES];
    /* 2026-01-31T23:59:59.999999Z and a microsecond later */
    const int64_t end_of_day = 1769903999999999;
    assert_int_equal(archive_path(&g->archive, end_of_day, "17", path, NULL), DS_OK);
    (void)snprintf(expected, sizeof(expected), "%s/archive/2026/01/31/17.dcm", g->folder);
    assert_string_equal(path, expected);
    assert_int_equal(archive_path(&g->archive, end_of_day + 1, "17", path, NULL), DS_OK);
    (void)snprintf(expected, sizeof(expected), "%s/archive/2026/02/01/17.dcm", g->folder);
    assert_string_equal(path, expected);
}

static void an_id_with_a_slash_gets_no_path(void **state)
{
    struct ground *g = *state;
    char path[ARCHIVE_PATH_BYTES];
    assert_int_equal(archive_path(&g->archive, 0, "../x", path, NULL), DS_EINVAL);
    assert_string_equal(path, "");
}

static void a_state_folder_too_long_for_paths_is_refused(void **state)
{
    (void)state;
    struct archive a;
    char longest[ARCHIVE_PATH_BYTES];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(archive_open(&a, longest, NULL), DS_ECONFIG);
}

static void the_folders_are_for_the_node_alone(void **state)
{
    struct ground *g = *state;
    char path[ARCHIVE_PATH_BYTES];
    const char *const names[] = {"archive", "quarantine"};
    for (size_t i = 0; i < 2; i++) {
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s/%s", g->folder, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
    }
}

static void moving_in_twice_is_the_same_as_once(void **state)
{
    struct ground *g = *state;
    char from[ARCHIVE_PATH_BYTES];
    char path[ARCHIVE_PATH_BYTES];
    (void)snprintf(from, sizeof(from), "%s/entry", g->folder);
    write_file(from, "instance");
    assert_int_equal(archive_path(&g->archive, 0, "1", path, NULL), DS_OK);
    assert_int_equal(archive_move_in(from, path, NULL), DS_OK);
    assert_int_equal(archive_move_in(from, path, NULL), DS_OK);
    assert_content(path, "instance");
    assert_false(ds_file_exists(from));
}

static void moving_in_nothing_to_nowhere_fails(void **state)
{
    struct ground *g = *state;
    char from[ARCHIVE_PATH_BYTES];
    char path[ARCHIVE_PATH_BYTES];
    (void)snprintf(from, sizeof(from), "%s/entry", g->folder);
    assert_int_equal(archive_path(&g->archive, 0, "2", path, NULL), DS_OK);
    assert_int_equal(archive_move_in(from, path, NULL), DS_EIO);
}

/* What a row names is there before the row is, and in the spool until after it. */
static void a_place_is_a_second_name_until_it_is_settled(void **state)
{
    struct ground *g = *state;
    bool taken = false;
    char from[ARCHIVE_PATH_BYTES];
    char path[ARCHIVE_PATH_BYTES];
    (void)snprintf(from, sizeof(from), "%s/entry", g->folder);
    write_file(from, "instance");
    assert_int_equal(archive_path(&g->archive, 0, "3", path, NULL), DS_OK);
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_OK);
    assert_false(taken);
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_OK);
    assert_true(taken);
    assert_content(path, "instance");
    assert_content(from, "instance");
    assert_int_equal(archive_settle(from, path, NULL), DS_OK);
    assert_false(ds_file_exists(from));
    assert_int_equal(archive_settle(from, path, NULL), DS_OK);
    assert_content(path, "instance");
}

static void what_the_spool_wrote_again_replaces_what_is_there(void **state)
{
    struct ground *g = *state;
    bool taken = false;
    char from[ARCHIVE_PATH_BYTES];
    char path[ARCHIVE_PATH_BYTES];
    (void)snprintf(from, sizeof(from), "%s/entry", g->folder);
    assert_int_equal(archive_path(&g->archive, 0, "4", path, NULL), DS_OK);
    write_file(from, "of a run bef");
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_OK);
    write_file(from, "of a run before");
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_OK);
    assert_int_equal(archive_settle(from, path, NULL), DS_OK);
    assert_content(path, "of a run before");
    assert_false(ds_file_exists(from));
}

static void an_archive_on_another_file_system_gets_a_copy(void **state)
{
    struct ground *g = *state;
    bool taken = false;
    char from[] = "/dev/shm/dicomstego-archive-XXXXXX";
    char path[ARCHIVE_PATH_BYTES];
    const int fd = mkstemp(from);
    struct stat here, there;
    if (fd < 0 || stat(from, &here) != 0 || stat(g->folder, &there) != 0 ||
        here.st_dev == there.st_dev) {
        (void)unlink(from);
        skip();
    }
    (void)close(fd);
    write_file(from, "instance");
    assert_int_equal(archive_path(&g->archive, 0, "7", path, NULL), DS_OK);
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_OK);
    assert_content(path, "instance");
    assert_content(from, "instance");
    assert_int_equal(archive_settle(from, path, NULL), DS_OK);
    assert_content(path, "instance");
    assert_false(ds_file_exists(from));
}

static void without_a_file_or_a_folder_there_is_no_place(void **state)
{
    struct ground *g = *state;
    bool taken = false;
    char from[ARCHIVE_PATH_BYTES];
    char path[ARCHIVE_PATH_BYTES];
    (void)snprintf(from, sizeof(from), "%s/entry", g->folder);
    assert_int_equal(archive_path(&g->archive, 0, "5", path, NULL), DS_OK);
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_ENOTFOUND);
    assert_int_equal(archive_settle(from, path, NULL), DS_EIO);
    write_file(from, "instance");
    char folder[ARCHIVE_PATH_BYTES];
    (void)snprintf(folder, sizeof(folder), "%s/archive/1971", g->folder);
    write_file(folder, "in the way");
    assert_int_equal(archive_path(&g->archive, 366 * 86400000000LL, "6", path, NULL), DS_OK);
    assert_int_equal(archive_place(from, path, &taken, NULL), DS_EIO);
    assert_content(from, "instance");
}

static void quarantine_keeps_the_file_and_its_reason(void **state)
{
    struct ground *g = *state;
    char from[ARCHIVE_PATH_BYTES];
    char path[ARCHIVE_PATH_BYTES];
    (void)snprintf(from, sizeof(from), "%s/entry", g->folder);
    write_file(from, "not DICOM");
    assert_int_equal(archive_quarantine(&g->archive, from, "9", "no reason", NULL), DS_OK);
    (void)snprintf(path, sizeof(path), "%s/quarantine/9.dcm", g->folder);
    assert_content(path, "not DICOM");
    (void)snprintf(path, sizeof(path), "%s/quarantine/9.reason", g->folder);
    assert_content(path, "no reason");
    assert_false(ds_file_exists(from));
}

static void the_same_bytes_have_the_same_id(void **state)
{
    (void)state;
    uint8_t digest[DS_SHA256_BYTES] = {0xab, 0xcd};
    char id[ARCHIVE_ID_BYTES];
    archive_id_of('r', digest, id);
    assert_string_equal(id, "r-abcd0000000000000000000000000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_path_is_the_day_of_arrival, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_id_with_a_slash_gets_no_path, set_up, tear_down),
        cmocka_unit_test(a_state_folder_too_long_for_paths_is_refused),
        cmocka_unit_test_setup_teardown(the_folders_are_for_the_node_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moving_in_twice_is_the_same_as_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moving_in_nothing_to_nowhere_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_is_a_second_name_until_it_is_settled, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_spool_wrote_again_replaces_what_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_archive_on_another_file_system_gets_a_copy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_file_or_a_folder_there_is_no_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(quarantine_keeps_the_file_and_its_reason, set_up,
                                        tear_down),
        cmocka_unit_test(the_same_bytes_have_the_same_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

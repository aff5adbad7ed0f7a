/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *in_folder(void **state, const char *name)
{
    char *path = ds_file_join(*state, name);
    assert_non_null(path);
    return path;
}

static int make_folder(void **state)
{
    char pattern[] = "/tmp/dicomstego-test-XXXXXX";
    *state = strdup(mkdtemp(pattern));
    return *state == NULL;
}

static int remove_folder(void **state)
{
    const enum ds_status s = ds_file_remove_tree(*state, NULL);
    free(*state);
    return s != DS_OK;
}

static unsigned entries_in(const char *folder)
{
    DIR *d = opendir(folder);
    assert_non_null(d);
    unsigned count = 0;
    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count - 2; /* without . and .. */
}

static void what_was_written_is_read_back(void **state)
{
    DS_AUTO(ds_string_free) char *path = in_folder(state, "a");
    assert_int_equal(ds_file_write(path, "abc", 3, DS_FILE_NEW, 0600, NULL), DS_OK);
    struct ds_bytes b = DS_BYTES_INIT(16);
    assert_int_equal(ds_file_read(path, &b, NULL), DS_OK);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "abc", 3);
    ds_bytes_free(&b);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(entries_in(*state), 1);
}

static void an_existing_file_is_only_replaced_when_asked(void **state)
{
    DS_AUTO(ds_string_free) char *path = in_folder(state, "b");
    assert_int_equal(ds_file_write(path, "old", 3, DS_FILE_NEW, 0600, NULL), DS_OK);
    const unsigned before = entries_in(*state);
    assert_int_equal(ds_file_write(path, "new", 3, DS_FILE_NEW, 0600, NULL), DS_EEXIST);
    assert_int_equal(entries_in(*state), before); /* nothing left behind */
    assert_int_equal(ds_file_write(path, "new", 3, DS_FILE_REPLACE, 0600, NULL), DS_OK);
    struct ds_bytes b = DS_BYTES_INIT(16);
    assert_int_equal(ds_file_read(path, &b, NULL), DS_OK);
    assert_memory_equal(b.data, "new", 3);
    ds_bytes_free(&b);
}

static void a_file_larger_than_the_buffers_limit_is_refused(void **state)
{
    DS_AUTO(ds_string_free) char *path = in_folder(state, "c");
    assert_int_equal(ds_file_write(path, "12345678", 8, DS_FILE_NEW, 0600, NULL), DS_OK);
    struct ds_bytes b = DS_BYTES_INIT(4);
    assert_int_equal(ds_file_read(path, &b, NULL), DS_EFORMAT);
    ds_bytes_free(&b);
}

static void a_missing_file_and_a_missing_folder_are_told_apart_from_success(void **state)
{
    DS_AUTO(ds_string_free) char *path = in_folder(state, "none/x");
    struct ds_bytes b = DS_BYTES_INIT(4);
    assert_int_equal(ds_file_read(path, &b, NULL), DS_ENOTFOUND);
    assert_int_equal(ds_file_read(*state, &b, NULL), DS_EIO);
    ds_bytes_free(&b);
    assert_int_equal(ds_file_write(path, "x", 1, DS_FILE_NEW, 0600, NULL), DS_EIO);
}

static void folders_are_made_with_their_parents(void **state)
{
    DS_AUTO(ds_string_free) char *path = in_folder(state, "p/q/r");
    assert_int_equal(ds_file_make_folders(path, 0700, NULL), DS_OK);
    assert_int_equal(ds_file_make_folders(path, 0700, NULL), DS_OK);
    assert_true(ds_file_exists(path));
    DS_AUTO(ds_string_free) char *file = in_folder(state, "p/file");
    assert_int_equal(ds_file_write(file, "x", 1, DS_FILE_NEW, 0600, NULL), DS_OK);
    assert_int_equal(ds_file_make_folders(file, 0700, NULL), DS_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(an_existing_file_is_only_replaced_when_asked),
        cmocka_unit_test(a_file_larger_than_the_buffers_limit_is_refused),
        cmocka_unit_test(a_missing_file_and_a_missing_folder_are_told_apart_from_success),
        cmocka_unit_test(folders_are_made_with_their_parents),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

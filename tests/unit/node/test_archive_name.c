/* SPDX-License-Identifier: Apache-2.0 */
#include "node/archive_name.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ds_error err;

static int make_folder(void **state)
{
    char *folder = strdup("/tmp/dicomstego-test-name-XXXXXX");
    assert_non_null(folder);
    assert_non_null(mkdtemp(folder));
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    const int result = ds_file_remove_tree(*state, &err) == DS_OK ? 0 : 1;
    free(*state);
    return result;
}

static void an_archive_keeps_its_name(void **state)
{
    char first[ARCHIVE_HOME_BYTES], second[ARCHIVE_HOME_BYTES];
    assert_int_equal(archive_home(*state, first, &err), DS_OK);
    assert_int_equal(strlen(first), 32);
    assert_int_equal(archive_home(*state, second, &err), DS_OK);
    assert_string_equal(first, second);
}

static void two_archives_have_two_names(void **state)
{
    char other_folder[256], first[ARCHIVE_HOME_BYTES], second[ARCHIVE_HOME_BYTES];
    (void)snprintf(other_folder, sizeof(other_folder), "%s/other", (const char *)*state);
    assert_int_equal(ds_file_make_folders(other_folder, 0700, &err), DS_OK);
    assert_int_equal(archive_home(*state, first, &err), DS_OK);
    assert_int_equal(archive_home(other_folder, second, &err), DS_OK);
    assert_string_not_equal(first, second);
}

static void a_shared_one_is_called_what_the_operator_says(void **state)
{
    (void)state;
    char name[ARCHIVE_NAME_BYTES];
    archive_name("0123456789abcdef0123456789abcdef", "clinic-a", name);
    assert_string_equal(name, "shared:clinic-a");
    archive_name("0123456789abcdef0123456789abcdef", NULL, name);
    assert_string_equal(name, "own:0123456789abcdef0123456789abcdef");
}

static void a_damaged_name_is_refused(void **state)
{
    char path[256], name[ARCHIVE_HOME_BYTES];
    (void)snprintf(path, sizeof(path), "%s/archive.name", (const char *)*state);
    const char *const wrong[] = {"", "0123", "0123456789abcdef0123456789abcdeX",
                                 "0123456789abcdef0123456789abcdef0"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        assert_int_equal(
            ds_file_write(path, wrong[i], strlen(wrong[i]), DS_FILE_REPLACE, 0600, &err), DS_OK);
        assert_int_equal(archive_home(*state, name, &err), DS_EFORMAT);
        assert_string_equal(name, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_archive_keeps_its_name, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(two_archives_have_two_names, make_folder, remove_folder),
        cmocka_unit_test(a_shared_one_is_called_what_the_operator_says),
        cmocka_unit_test_setup_teardown(a_damaged_name_is_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

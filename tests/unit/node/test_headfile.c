/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "node/headfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(call)   assert_int_equal(call, DS_OK)
#define PATH_BYTES 160U

static struct ds_error err;
static char folder[64];
static const uint8_t log_id[DS_SHA256_BYTES] = {0xab, 0xcd};
static struct headfile *file;

static int start(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/dicomstego-test-heads-XXXXXX");
    return mkdtemp(folder) == NULL || headfile_open(&file, folder, log_id, &err) != DS_OK;
}

static int stop(void **state)
{
    (void)state;
    headfile_close(file);
    return ds_file_remove_tree(folder, &err) == DS_OK ? 0 : 1;
}

static void path_of(const char *kind, char out[PATH_BYTES])
{
    (void)snprintf(out, PATH_BYTES, "%s/%s-abcd000000000000", folder, kind);
}

static void grow(struct provenance_tree *tree, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t hash[DS_SHA256_BYTES];
        OK(provenance_leaf_hash((const uint8_t *)&i, sizeof(i), hash, &err));
        OK(provenance_tree_append(tree, hash, NULL, NULL, &err));
    }
}

static struct db_head head_of(const struct provenance_tree *tree)
{
    struct db_head h = {.head = {.size = tree->size, .at_us = 1767225600000000},
                        .signature_len = 70};
    memcpy(h.head.log, log_id, sizeof(log_id));
    memset(h.signature, (int)tree->size, h.signature_len);
    OK(provenance_tree_root(tree, h.head.root, &err));
    return h;
}

static void add(struct provenance_tree *tree, unsigned count)
{
    grow(tree, count);
    const struct db_head h = head_of(tree);
    OK(headfile_add(file, &h, tree, &err));
}

static void assert_heads(const uint64_t *sizes, size_t count, bool is_damaged)
{
    struct headfile_reader *r;
    struct db_head h;
    bool damaged = false;
    OK(headfile_read(file, &r, &err));
    for (size_t i = 0; i < count; i++) {
        assert_true(headfile_next(r, &h, &damaged));
        assert_int_equal(h.head.size, sizes[i]);
        assert_int_equal(h.signature_len, 70);
    }
    assert_false(headfile_next(r, &h, &damaged));
    assert_int_equal(damaged, is_damaged);
    headfile_reader_free(r);
}

static void append_text(const char *kind, const char *text)
{
    char path[PATH_BYTES];
    path_of(kind, path);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void a_new_file_has_no_heads(void **state)
{
    (void)state;
    struct db_head h;
    struct provenance_tree tree;
    assert_int_equal(headfile_last(file, &h, &tree, &err), DS_ENOTFOUND);
    assert_heads(NULL, 0, false);
}

static void heads_come_back_and_the_tree_goes_on(void **state)
{
    (void)state;
    struct provenance_tree tree = {0}, back;
    struct db_head last;
    const uint64_t sizes[] = {1, 3, 303};
    add(&tree, 1);
    add(&tree, 2);
    add(&tree, 300);
    assert_heads(sizes, 3, false);
    OK(headfile_last(file, &last, &back, &err));
    const struct db_head wanted = head_of(&tree);
    assert_memory_equal(&last, &wanted, sizeof(last));
    grow(&tree, 9);
    grow(&back, 9);
    uint8_t a[DS_SHA256_BYTES], b[DS_SHA256_BYTES];
    OK(provenance_tree_root(&tree, a, &err));
    OK(provenance_tree_root(&back, b, &err));
    assert_memory_equal(a, b, sizeof(a));
}

static void a_line_that_a_crash_cut_off_costs_itself_alone(void **state)
{
    (void)state;
    struct provenance_tree tree = {0};
    const uint64_t sizes[] = {4, 8};
    add(&tree, 4);
    append_text("heads", "6 1767225600000000 5a5a");
    add(&tree, 4);
    assert_heads(sizes, 2, true);
}

static void an_edge_that_was_changed_is_refused(void **state)
{
    (void)state;
    struct provenance_tree tree = {0}, back;
    struct db_head last;
    char path[PATH_BYTES];
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(65536);
    add(&tree, 77);
    path_of("edge", path);
    OK(ds_file_read(path, &text, &err));
    for (size_t i = 0; i + 1 < text.len; i += 5) {
        const uint8_t was = text.data[i];
        text.data[i] = was == '0' ? '1' : '0';
        OK(ds_file_write(path, text.data, text.len, DS_FILE_REPLACE, 0600, &err));
        const enum ds_status s = headfile_last(file, &last, &back, &err);
        /* Time and signature are the signature's to protect. */
        if (s == DS_OK) {
            assert_true(last.head.at_us != 1767225600000000 || last.signature[0] != 77 ||
                        memcmp(last.signature, last.signature + 1, 69) != 0);
        } else {
            assert_int_equal(s, DS_EAUTH);
        }
        OK(ds_file_write(path, text.data, i, DS_FILE_REPLACE, 0600, &err));
        assert_int_equal(headfile_last(file, &last, &back, &err), DS_EAUTH);
        text.data[i] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_file_has_no_heads, start, stop),
        cmocka_unit_test_setup_teardown(heads_come_back_and_the_tree_goes_on, start, stop),
        cmocka_unit_test_setup_teardown(a_line_that_a_crash_cut_off_costs_itself_alone, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_edge_that_was_changed_is_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

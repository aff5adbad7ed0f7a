/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/spool.h"

#include "base/file.h"
#include "tests/unit/dicom/programs.h"
#include "tests/unit/scp/folder.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct spool_meta meta = {.calling_ae = "CT1",
                                       .called_ae = "NODE",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .sop_instance_uid = "1.2.3.4.5",
                                       .transfer_syntax = "1.2.840.10008.1.2.1"};

struct place {
    char folder[64];
    struct spool *spool;
};

static struct spool *must_open(const char *folder)
{
    struct ds_error err = {DS_OK, ""};
    const struct spool_options o = {.folder = folder};
    struct spool *s = NULL;
    if (spool_open(&s, &o, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/dicomstego-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    p->spool = must_open(p->folder);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    spool_close(p->spool);
    assert_int_equal(ds_file_remove_tree(p->folder, NULL), DS_OK);
    free(p);
    return 0;
}

static struct spool_entry must_store(struct spool *s, const char *data)
{
    struct spool_writer *w = NULL;
    struct spool_entry e;
    assert_int_equal(spool_begin(s, &meta, &w, NULL), DS_OK);
    const size_t half = strlen(data) / 2;
    assert_int_equal(spool_write(w, (const uint8_t *)data, half, NULL), DS_OK);
    assert_int_equal(spool_write(w, (const uint8_t *)data + half, strlen(data) - half, NULL),
                     DS_OK);
    assert_int_equal(spool_commit(w, &e, NULL), DS_OK);
    return e;
}

static void what_is_committed_is_a_part_10_file_with_the_same_bytes(void **state)
{
    struct place *p = *state;
    const struct spool_entry e = must_store(p->spool, "the data set");
    assert_int_equal(e.dataset_bytes, 12);
    assert_true(e.has_file_hash);
    uint8_t hash[DS_SHA256_BYTES];
    assert_int_equal(ds_sha256_of("the data set", 12, hash, NULL), DS_OK);
    assert_memory_equal(hash, e.file_hash, sizeof(hash));
    struct ds_bytes file = DS_BYTES_INIT(4096);
    assert_int_equal(ds_file_read(e.path, &file, NULL), DS_OK);
    assert_memory_equal(file.data + 128, "DICM\2\0\0\0UL\4\0", 12);
    struct ds_cursor c = ds_cursor_over(file.data + 140, 4);
    const size_t group = (size_t)ds_cursor_le(&c, 4);
    assert_int_equal(file.len, 144 + group + 12);
    assert_memory_equal(file.data + 144 + group, "the data set", 12);
    assert_non_null(memmem(file.data, file.len, "\2\0\x16\0AE\4\0CT1 ", 12));
    assert_non_null(memmem(file.data, file.len, "\2\0\x18\0AE\4\0NODE", 12));
    assert_non_null(memmem(file.data, file.len,
                           "\2\0\3\0UI\n\0"
                           "1.2.3.4.5\0",
                           18));
    assert_non_null(memmem(file.data, file.len,
                           "\2\0\x10\0UI\x14\0"
                           "1.2.840.10008.1.2.1\0",
                           28));
    ds_bytes_free(&file);
    assert_int_equal(files_in(p->folder, "tmp"), 0);
}

static void what_is_aborted_leaves_nothing(void **state)
{
    struct place *p = *state;
    struct spool_writer *w = NULL;
    assert_int_equal(spool_begin(p->spool, &meta, &w, NULL), DS_OK);
    assert_int_equal(spool_write(w, (const uint8_t *)"half", 4, NULL), DS_OK);
    assert_int_equal(files_in(p->folder, "tmp"), 1);
    spool_abort(w);
    assert_int_equal(files_in(p->folder, "tmp"), 0);
    assert_int_equal(files_in(p->folder, "new"), 0);
    spool_abort(NULL);
}

static void a_look_shows_what_was_written_so_far(void **state)
{
    struct place *p = *state;
    struct spool_writer *w = NULL;
    const uint8_t *data = NULL;
    size_t len = 1;
    assert_int_equal(spool_begin(p->spool, &meta, &w, NULL), DS_OK);
    assert_int_equal(spool_peek(w, &data, &len, NULL), DS_OK);
    assert_int_equal(len, 0);
    assert_int_equal(spool_write(w, (const uint8_t *)"half", 4, NULL), DS_OK);
    assert_int_equal(spool_peek(w, &data, &len, NULL), DS_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "half", 4);
    spool_abort(w);
}

struct visited {
    unsigned count, limit;
    char last[SPOOL_ID_BYTES];
    uint64_t bytes;
};

static bool visit(void *context, const struct spool_entry *e)
{
    struct visited *v = context;
    assert_true(strcmp(v->last, e->id) < 0);
    assert_false(e->has_file_hash);
    memcpy(v->last, e->id, sizeof(v->last));
    v->bytes = e->dataset_bytes;
    v->count++;
    return v->count < v->limit;
}

static void entries_are_found_again_oldest_first(void **state)
{
    struct place *p = *state;
    struct visited v = {.limit = 1000};
    assert_int_equal(spool_each(p->spool, visit, &v, NULL), DS_OK);
    assert_int_equal(v.count, 0);
    struct spool_entry e;
    for (unsigned i = 0; i < 100; i++) {
        e = must_store(p->spool, "0123456789");
    }
    spool_close(p->spool);
    p->spool = must_open(p->folder);
    assert_int_equal(spool_each(p->spool, visit, &v, NULL), DS_OK);
    assert_int_equal(v.count, 100);
    assert_int_equal(v.bytes, 10);
    assert_string_equal(v.last, e.id);
    v = (struct visited){.limit = 3};
    assert_int_equal(spool_each(p->spool, visit, &v, NULL), DS_OK);
    assert_int_equal(v.count, 3);
}

static void foreign_files_are_left_alone(void **state)
{
    struct place *p = *state;
    (void)must_store(p->spool, "0123456789");
    const char *const names[] = {"new/readme.txt", "new/0000000000000001-00000000.dcm",
                                 "new/000000000000000x-00000000.dcm", "new/link"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        char *path = ds_file_join(p->folder, names[i]);
        assert_int_equal(ds_file_write(path, "?", 1, DS_FILE_NEW, 0600, NULL), DS_OK);
        free(path);
    }
    struct visited v = {.limit = 10};
    assert_int_equal(spool_each(p->spool, visit, &v, NULL), DS_OK);
    assert_int_equal(v.count, 1);
    assert_int_equal(files_in(p->folder, "new"), 5);
}

static void ids_rise_even_when_the_clock_was_set_back(void **state)
{
    struct place *p = *state;
    const struct spool_entry e = must_store(p->spool, "0123456789");
    char *from = ds_file_join(p->folder, "future");
    char *to = ds_file_join(p->folder, "new/9000000000000000-00000000.dcm");
    assert_int_equal(rename(e.path, from), 0);
    assert_int_equal(rename(from, to), 0);
    spool_close(p->spool);
    p->spool = must_open(p->folder);
    const struct spool_entry next = must_store(p->spool, "0123456789");
    assert_true(strcmp(next.id, "9000000000000000-00000000") > 0);
    free(from);
    free(to);
}

static void below_the_watermark_nothing_is_begun(void **state)
{
    struct place *p = *state;
    assert_true(spool_has_room(p->spool));
    spool_close(p->spool);
    const struct spool_options o = {.folder = p->folder, .min_free_bytes = UINT64_MAX};
    assert_int_equal(spool_open(&p->spool, &o, NULL), DS_OK);
    assert_false(spool_has_room(p->spool));
    struct spool_writer *w = NULL;
    assert_int_equal(spool_begin(p->spool, &meta, &w, NULL), DS_ECAPACITY);
    assert_null(w);
    assert_int_equal(files_in(p->folder, "tmp"), 0);
}

static void a_spool_has_one_owner(void **state)
{
    struct place *p = *state;
    const struct spool_options o = {.folder = p->folder};
    struct spool *second = NULL;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(spool_open(&second, &o, &err), DS_EIO);
    assert_null(second);
    assert_non_null(strstr(err.text, "in use"));
}

static void texts_that_do_not_fit_group_0002_are_refused(void **state)
{
    struct place *p = *state;
    struct spool_writer *w = NULL;
    struct spool_meta bad = meta;
    bad.sop_instance_uid = "";
    assert_int_equal(spool_begin(p->spool, &bad, &w, NULL), DS_EINVAL);
    bad = meta;
    bad.calling_ae = "SEVENTEEN LETTERS";
    assert_int_equal(spool_begin(p->spool, &bad, &w, NULL), DS_EINVAL);
    bad = meta;
    bad.transfer_syntax = NULL;
    assert_int_equal(spool_begin(p->spool, &bad, &w, NULL), DS_EINVAL);
    assert_null(w);
    assert_int_equal(files_in(p->folder, "tmp"), 0);
}

static void a_killed_process_leaves_only_what_it_committed(void **state)
{
    struct place *p = *state;
    spool_close(p->spool);
    p->spool = NULL;
    const pid_t pid = fork();
    if (pid == 0) {
        struct spool *s = must_open(p->folder);
        struct spool_writer *w = NULL;
        (void)must_store(s, "committed!");
        if (spool_begin(s, &meta, &w, NULL) != DS_OK ||
            spool_write(w, (const uint8_t *)"half", 4, NULL) != DS_OK) {
            _exit(1);
        }
        (void)raise(SIGKILL);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(files_in(p->folder, "tmp"), 1);
    p->spool = must_open(p->folder);
    assert_int_equal(files_in(p->folder, "tmp"), 0);
    struct visited v = {.limit = 10};
    assert_int_equal(spool_each(p->spool, visit, &v, NULL), DS_OK);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.bytes, 10);
}

static void a_commit_that_fails_leaves_nothing(void **state)
{
    struct place *p = *state;
    struct spool_writer *w = NULL;
    struct spool_entry e;
    assert_int_equal(spool_begin(p->spool, &meta, &w, NULL), DS_OK);
    assert_int_equal(spool_write(w, (const uint8_t *)"data", 4, NULL), DS_OK);
    char *folder = ds_file_join(p->folder, "new");
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(spool_commit(w, &e, NULL), DS_EIO);
    assert_string_equal(e.id, "");
    assert_int_equal(files_in(p->folder, "tmp"), 0);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_is_a_part_10_file_with_the_same_bytes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_aborted_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_look_shows_what_was_written_so_far, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_are_found_again_oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_files_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_rise_even_when_the_clock_was_set_back, setup, teardown),
        cmocka_unit_test_setup_teardown(below_the_watermark_nothing_is_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spool_has_one_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_that_do_not_fit_group_0002_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_killed_process_leaves_only_what_it_committed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_commit_that_fails_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

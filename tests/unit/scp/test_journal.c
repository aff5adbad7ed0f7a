/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/journal.h"

#include "base/file.h"
#include "base/log.h"
#include "scp/journal_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD_BYTES 300U
#define ENTRIES    24U
#define BLOCK      RECORD_BLOCK_BYTES

/* ---- a disk that can refuse to flush ---- */

static atomic_bool flush_fails;

int fdatasync(int fd)
{
    if (atomic_load(&flush_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- a journal in a folder ---- */

struct place {
    char folder[64], copy[64];
    struct room room;
    int fd;
    struct journal *journal;
    uint8_t *file; /* where the next instance is put together */
};

static enum ds_status none_expected(void *context, const struct journal_entry *e,
                                    struct ds_error *err)
{
    (void)context;
    (void)e;
    (void)err;
    fail_msg("an entry in a new journal");
    return DS_EINVAL;
}

static struct journal *must_open(struct place *p, const char *folder,
                                 enum ds_status (*found)(void *, const struct journal_entry *,
                                                         struct ds_error *),
                                 void *context)
{
    struct ds_error err = {DS_OK, ""};
    struct journal *j = NULL;
    const struct journal_options o = {folder, JOURNAL_MIN_BYTES, &p->room};
    if (journal_open(&j, &o, found, context, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return j;
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/dicomstego-test-XXXXXX");
    (void)snprintf(p->copy, sizeof(p->copy), "/tmp/dicomstego-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    assert_non_null(mkdtemp(p->copy));
    p->fd = open(p->folder, O_RDONLY | O_DIRECTORY);
    room_init(&p->room, p->fd, 0);
    p->file = aligned_alloc(BLOCK, RECORD_FILE_MAX_BYTES + 2 * BLOCK);
    p->journal = must_open(p, p->folder, none_expected, NULL);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    atomic_store(&flush_fails, false);
    journal_close(p->journal);
    assert_int_equal(ds_file_remove_tree(p->folder, NULL), DS_OK);
    assert_int_equal(ds_file_remove_tree(p->copy, NULL), DS_OK);
    (void)close(p->fd);
    free(p->file);
    free(p);
    return 0;
}

/* ---- instances whose bytes follow from their number ---- */

static uint8_t byte_of(unsigned number, size_t at)
{
    return (uint8_t)((at * 31 + number * 97 + (at >> 8)) ^ (at >> 13));
}

static void fill(uint8_t *file, unsigned number, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        file[i] = byte_of(number, i);
    }
}

static bool is_instance(const uint8_t *file, unsigned number, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (file[i] != byte_of(number, i)) {
            return false;
        }
    }
    return true;
}

static void describe(struct record *r, unsigned number, const uint8_t *file, size_t len)
{
    assert_int_equal(entry_id_make(1000000 + number, r->id, NULL), DS_OK);
    r->arrival_us = 5000 + number;
    r->head_bytes = HEAD_BYTES;
    r->file_bytes = len;
    assert_int_equal(ds_sha256_of(file + HEAD_BYTES, len - HEAD_BYTES, r->hash, NULL), DS_OK);
}

static size_t length_of(unsigned number)
{
    static const size_t lengths[] = {HEAD_BYTES + 1, BLOCK, BLOCK + 1, 3 * BLOCK - 7, 5 * BLOCK};
    return lengths[number % DS_ARRAY_SIZE(lengths)];
}

static enum ds_status write_one(struct journal *j, struct journal_entry *e, uint8_t *file,
                                unsigned number, size_t len)
{
    fill(file, number, len);
    describe(&e->record, number, file, len);
    return journal_commit(j, e, file, NULL);
}

static void must_write(struct place *p, struct journal_entry *e, unsigned number, size_t len)
{
    memset(e, 0, sizeof(*e));
    assert_int_equal(write_one(p->journal, e, p->file, number, len), DS_OK);
}

/* ---- what a replay finds ---- */

struct finding {
    unsigned count;
    unsigned times[ENTRIES + 1];
    char last_id[ENTRY_ID_BYTES];
};

static enum ds_status found(void *context, const struct journal_entry *e, struct ds_error *err)
{
    struct finding *f = context;
    const unsigned number = (unsigned)(entry_id_us(e->record.id) - 1000000);
    uint8_t *file = aligned_alloc(BLOCK, (size_t)record_round_up(e->record.file_bytes));
    assert_true(number <= ENTRIES);
    assert_int_equal(e->record.arrival_us, 5000 + number);
    assert_int_equal(journal_read(e, file, err), DS_OK);
    assert_true(is_instance(file, number, (size_t)e->record.file_bytes));
    assert_true(strcmp(f->last_id, e->record.id) < 0);
    memcpy(f->last_id, e->record.id, sizeof(f->last_id));
    f->times[number]++;
    f->count++;
    free(file);
    return DS_OK;
}

static struct finding replay(struct place *p, const char *folder)
{
    struct finding f = {0};
    journal_close(must_open(p, folder, found, &f));
    return f;
}

/* ---- copies of the folder as a crash may have left them ---- */

static void copy_folder(const struct place *p)
{
    DIR *d = opendir(p->folder);
    assert_int_equal(ds_file_remove_tree(p->copy, NULL), DS_OK);
    assert_int_equal(mkdir(p->copy, 0700), 0);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.') {
            continue;
        }
        char *from = ds_file_join(p->folder, e->d_name);
        char *to = ds_file_join(p->copy, e->d_name);
        const int in = open(from, O_RDONLY);
        const int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
        struct stat st;
        assert_int_equal(fstat(in, &st), 0);
        assert_int_equal(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
        (void)close(in);
        (void)close(out);
        free(from);
        free(to);
    }
    (void)closedir(d);
}

/* The file of a segment, found by the path it was opened with. */
static int open_copy(const struct place *p, const struct segment *s)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", p->copy, strrchr(s->path, '/') + 1);
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static void what_is_committed_is_found_after_a_crash(void **state)
{
    struct place *p = *state;
    struct journal_entry e[ENTRIES];
    for (unsigned i = 0; i < ENTRIES; i++) {
        must_write(p, &e[i], i, length_of(i));
    }
    copy_folder(p);
    const struct finding f = replay(p, p->copy);
    assert_int_equal(f.count, ENTRIES);
    for (unsigned i = 0; i < ENTRIES; i++) {
        assert_int_equal(f.times[i], 1);
    }
}

static void what_was_not_committed_is_not_found(void **state)
{
    struct place *p = *state;
    struct journal_entry whole, half;
    memset(&half, 0, sizeof(half));
    fill(p->file, 1, 8 * BLOCK);
    assert_int_equal(journal_append(p->journal, &half, p->file, 8 * BLOCK, NULL), DS_OK);
    must_write(p, &whole, 2, 100 + BLOCK);
    copy_folder(p);
    const struct finding f = replay(p, p->copy);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.times[2], 1);
    journal_release(p->journal, &half);
}

/* Two writers take turns, so that each has its bytes between the other's. */
static void interleave(struct place *p, struct journal_entry e[2])
{
    uint8_t *files[2] = {p->file, aligned_alloc(BLOCK, 16 * BLOCK)};
    memset(e, 0, 2 * sizeof(e[0]));
    for (unsigned w = 0; w < 2; w++) {
        fill(files[w], w, 7 * BLOCK - 5);
        describe(&e[w].record, w, files[w], 7 * BLOCK - 5);
    }
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned w = 0; w < 2; w++) {
            assert_int_equal(
                journal_append(p->journal, &e[w], files[w] + e[w].written, 2 * BLOCK, NULL), DS_OK);
        }
    }
    for (unsigned w = 0; w < 2; w++) {
        assert_int_equal(journal_commit(p->journal, &e[w], files[w], NULL), DS_OK);
        assert_int_equal(e[w].record.extent_count, 4);
    }
    free(files[1]);
}

static void writers_may_take_turns(void **state)
{
    struct place *p = *state;
    struct journal_entry e[2];
    interleave(p, e);
    copy_folder(p);
    const struct finding f = replay(p, p->copy);
    assert_int_equal(f.count, 2);
}

/* The end of what an entry takes in its segment, record and all. */
static uint64_t end_of(const struct journal_entry *e)
{
    const struct record_extent *x = &e->record.extents[e->record.extent_count - 1];
    return x->offset + record_round_up(x->bytes) + BLOCK;
}

/* Whatever did not reach the disk before the crash is as it was: zeros. Blocks are lost from any
 * place on, whole and half. */
static void a_torn_end_costs_only_what_was_not_flushed(void **state)
{
    struct place *p = *state;
    struct journal_entry e[8];
    interleave(p, e);
    for (unsigned i = 2; i < 8; i++) {
        must_write(p, &e[i], i, length_of(i));
    }
    const struct segment *s = e[0].segments[0];
    const uint64_t end = end_of(&e[7]);
    for (uint64_t cut = BLOCK; cut <= end; cut += BLOCK / 2) {
        copy_folder(p);
        const int fd = open_copy(p, s);
        uint8_t *zeros = calloc(1, (size_t)(end - cut) + 1);
        assert_int_equal(pwrite(fd, zeros, (size_t)(end - cut), (off_t)cut), end - cut);
        (void)close(fd);
        free(zeros);
        const struct finding f = replay(p, p->copy);
        for (unsigned i = 0; i < 8; i++) {
            /* Half a record block has its seal in the other half; half a block of data may be all
             * zeros from there on, as the padding is. */
            if (end_of(&e[i]) <= cut) {
                assert_int_equal(f.times[i], 1);
            } else {
                assert_int_equal(f.times[i], 0);
            }
        }
    }
}

static void one_flipped_bit_costs_one_instance(void **state)
{
    struct place *p = *state;
    struct journal_entry e[6];
    for (unsigned i = 0; i < 6; i++) {
        must_write(p, &e[i], i, length_of(i));
    }
    const struct segment *s = e[0].segments[0];
    for (unsigned i = 0; i < 6; i++) {
        const uint64_t begin = e[i].record.extents[0].offset;
        const uint64_t record = end_of(&e[i]) - BLOCK;
        const uint64_t places[] = {begin,
                                   begin + HEAD_BYTES - 1,
                                   begin + HEAD_BYTES,
                                   begin + e[i].record.file_bytes - 1,
                                   record,
                                   record + 8,
                                   record + 16,
                                   record + 30,
                                   record + 64,
                                   record + 68,
                                   record + 72,
                                   record + 80,
                                   record + 112,
                                   record + 120,
                                   record + 128,
                                   record + 2000,
                                   record + BLOCK - 1};
        for (size_t k = 0; k < DS_ARRAY_SIZE(places); k++) {
            copy_folder(p);
            const int fd = open_copy(p, s);
            uint8_t b = 0;
            assert_int_equal(pread(fd, &b, 1, (off_t)places[k]), 1);
            b ^= 0x10;
            assert_int_equal(pwrite(fd, &b, 1, (off_t)places[k]), 1);
            (void)close(fd);
            const struct finding f = replay(p, p->copy);
            assert_int_equal(f.count, 5);
            assert_int_equal(f.times[i], 0);
        }
    }
}

static void nothing_of_an_earlier_life_is_believed(void **state)
{
    struct place *p = *state;
    struct journal_entry e[3];
    for (unsigned i = 0; i < 3; i++) {
        must_write(p, &e[i], i, length_of(i));
    }
    const struct segment *s = e[0].segments[0];
    const uint64_t life = s->life;
    for (unsigned i = 0; i < 3; i++) {
        journal_release(p->journal, &e[i]);
    }
    journal_recycle(p->journal);
    assert_true(s->life != life);
    assert_int_equal(s->state, SEGMENT_FREE);
    copy_folder(p);
    assert_int_equal(replay(p, p->copy).count, 0);
    /* A short instance over the first of the old ones: what is behind it is still there. */
    must_write(p, &e[0], 0, HEAD_BYTES + 1);
    copy_folder(p);
    const struct finding f = replay(p, p->copy);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.times[0], 1);
}

static void a_header_that_was_torn_has_nothing_behind_it(void **state)
{
    struct place *p = *state;
    struct journal_entry e;
    must_write(p, &e, 0, BLOCK);
    copy_folder(p);
    const int fd = open_copy(p, e.segments[0]);
    assert_int_equal(pwrite(fd, "x", 1, 9), 1);
    (void)close(fd);
    assert_int_equal(replay(p, p->copy).count, 0);
    assert_int_equal(replay(p, p->copy).count, 0); /* it has begun another life */
}

static void files_that_are_no_segments_do_no_harm(void **state)
{
    struct place *p = *state;
    struct journal_entry e;
    must_write(p, &e, 0, BLOCK);
    copy_folder(p);
    static const char *const names[] = {"readme", "000900.segment", "000901.segment", "123.segment",
                                        "000902.segment.damaged"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        char *path = ds_file_join(p->copy, names[i]);
        assert_int_equal(ds_file_write(path, "DSSEGMT1", i == 1 ? 0 : 8, DS_FILE_NEW, 0600, NULL),
                         DS_OK);
        free(path);
    }
    assert_int_equal(replay(p, p->copy).count, 1);
}

static void an_entry_that_is_found_stays_until_it_is_released(void **state)
{
    struct place *p = *state;
    struct journal_entry e;
    must_write(p, &e, 3, length_of(3));
    copy_folder(p);
    assert_int_equal(replay(p, p->copy).count, 1);
    assert_int_equal(replay(p, p->copy).count, 1);
}

static void a_full_journal_says_so_until_something_leaves(void **state)
{
    struct place *p = *state;
    struct journal_entry e[ENTRIES] = {0};
    const size_t len = journal_file_max_bytes(p->journal) - 100;
    unsigned n = 0;
    while (n < ENTRIES && write_one(p->journal, &e[n], p->file, n, len) == DS_OK) {
        n++;
    }
    assert_true(n >= 4 && n < 8);
    journal_release(p->journal, &e[n]);
    journal_recycle(p->journal);
    struct ds_error err = {0};
    memset(&e[n], 0, sizeof(e[n]));
    describe(&e[n].record, n, p->file, len);
    assert_int_equal(journal_commit(p->journal, &e[n], p->file, &err), DS_ECAPACITY);
    copy_folder(p);
    assert_int_equal(replay(p, p->copy).count, n);
    for (unsigned i = 0; i < n; i++) {
        journal_release(p->journal, &e[i]);
    }
    journal_recycle(p->journal);
    must_write(p, &e[0], 0, len);
}

static void after_a_failed_flush_the_segment_is_never_believed_again(void **state)
{
    struct place *p = *state;
    struct journal_entry good, bad = {0}, next;
    must_write(p, &good, 0, BLOCK);
    const struct segment *failed = good.segments[0];
    atomic_store(&flush_fails, true);
    assert_int_equal(write_one(p->journal, &bad, p->file, 1, BLOCK), DS_EIO);
    atomic_store(&flush_fails, false); /* as a disk that takes lost pages for written does */
    assert_int_equal(failed->state, SEGMENT_FAILED);
    must_write(p, &next, 2, BLOCK);
    assert_ptr_not_equal(next.segments[0], failed);
    /* What was flushed before can still be read, and only then the file goes. */
    assert_int_equal(journal_read(&good, p->file, NULL), DS_OK);
    assert_true(is_instance(p->file, 0, BLOCK));
    journal_release(p->journal, &bad);
    char *path = strdup(failed->path);
    journal_recycle(p->journal);
    assert_true(ds_file_exists(path));
    journal_release(p->journal, &good);
    journal_recycle(p->journal);
    assert_false(ds_file_exists(path));
    free(path);
}

static void below_the_watermark_no_segment_is_made(void **state)
{
    struct place *p = *state;
    struct journal *j = NULL;
    struct room low;
    room_init(&low, p->fd, UINT64_MAX);
    const struct journal_options o = {p->copy, JOURNAL_MIN_BYTES, &low};
    assert_int_equal(journal_open(&j, &o, none_expected, NULL, NULL), DS_OK);
    struct journal_entry e = {0};
    assert_int_equal(write_one(j, &e, p->file, 0, BLOCK), DS_ECAPACITY);
    journal_close(j);
}

static void what_could_not_be_made_is_tried_again_later(void **state)
{
    struct place *p = *state;
    struct journal *j = NULL;
    struct room room;
    room_init(&room, p->fd, UINT64_MAX);
    const struct journal_options o = {p->copy, JOURNAL_MIN_BYTES, &room};
    assert_int_equal(journal_open(&j, &o, none_expected, NULL, NULL), DS_OK);
    room.watermark_bytes = 0;
    char away[sizeof(p->copy) + 5];
    (void)snprintf(away, sizeof(away), "%s.away", p->copy);
    assert_int_equal(rename(p->copy, away), 0);
    assert_false(journal_prepare(j));
    assert_int_equal(rename(away, p->copy), 0);
    assert_false(journal_prepare(j)); /* not for each instance */
    j->grow_not_before_ms = 0;
    assert_true(journal_prepare(j));
    journal_close(j);
}

/* ---- many at once ---- */

#define THREADS 4U
#define EACH    40U

struct sender {
    struct place *place;
    unsigned number;
    pthread_t thread;
    atomic_uint *accepted;
};

static void *send(void *context)
{
    struct sender *s = context;
    uint8_t *file = aligned_alloc(BLOCK, 32 * BLOCK);
    for (unsigned i = 0; i < EACH; i++) {
        struct journal_entry e = {0};
        const size_t len = 9 * BLOCK + 100 * i;
        fill(file, s->number, len);
        describe(&e.record, s->number, file, len);
        bool good = true;
        while (len - e.written > 3 * BLOCK && good) {
            good =
                journal_append(s->place->journal, &e, file + e.written, 2 * BLOCK, NULL) == DS_OK;
        }
        if (good && journal_commit(s->place->journal, &e, file, NULL) == DS_OK) {
            atomic_fetch_add(s->accepted, 1);
            uint8_t *back = aligned_alloc(BLOCK, 32 * BLOCK);
            assert_int_equal(journal_read(&e, back, NULL), DS_OK);
            assert_true(is_instance(back, s->number, len));
            free(back);
        }
        journal_release(s->place->journal, &e);
    }
    free(file);
    return NULL;
}

static void senders_share_segments_that_are_recycled_behind_them(void **state)
{
    struct place *p = *state;
    atomic_uint accepted = 0;
    struct sender senders[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.place = p, .number = i, .accepted = &accepted};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send, &senders[i]), 0);
    }
    for (unsigned i = 0; i < 200; i++) {
        journal_recycle(p->journal);
        (void)usleep(500);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(senders[i].thread, NULL);
    }
    assert_true(atomic_load(&accepted) > THREADS * EACH / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_is_found_after_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_committed_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_may_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_end_costs_only_what_was_not_flushed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_flipped_bit_costs_one_instance, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_an_earlier_life_is_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_header_that_was_torn_has_nothing_behind_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(files_that_are_no_segments_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(an_entry_that_is_found_stays_until_it_is_released, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_journal_says_so_until_something_leaves, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(after_a_failed_flush_the_segment_is_never_believed_again,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(below_the_watermark_no_segment_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_not_be_made_is_tried_again_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(senders_share_segments_that_are_recycled_behind_them, setup,
                                        teardown),
    };
    ds_log_set_level(DS_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

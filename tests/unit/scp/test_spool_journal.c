/* SPDX-License-Identifier: Apache-2.0 */
/* The spool with its journal: what the files are that come out of it, whatever way they took. */
#include "scp/spool.h"

#include "base/file.h"
#include "base/log.h"
#include "tests/unit/scp/folder.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1024U * 1024U)

/* ---- a disk that can refuse to flush segments, to rename and to sync ---- */

static atomic_bool flush_fails, rename_fails, sync_fails;
static atomic_uint failed_syncs;

int fdatasync(int fd)
{
    char link[64], path[256] = "";
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    (void)!readlink(link, path, sizeof(path) - 1);
    if (atomic_load(&flush_fails) && strstr(path, ".segment") != NULL) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    if (atomic_load(&rename_fails)) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int syncfs(int fd)
{
    if (atomic_load(&sync_fails)) {
        atomic_fetch_add(&failed_syncs, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_syncfs, fd);
}

/* ---- a spool in a folder ---- */

static const struct spool_meta meta = {.calling_ae = "CT1",
                                       .called_ae = "NODE",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .sop_instance_uid = "1.2.3.4.5",
                                       .transfer_syntax = "1.2.840.10008.1.2.1"};

struct place {
    enum ds_digest_kind hash;
    char folder[64];
    struct spool *spool;
    pthread_mutex_t mutex;
    unsigned arrived;
    struct spool_entry last;
};

static void arrived(void *context, const struct spool_entry *entry)
{
    struct place *p = context;
    (void)pthread_mutex_lock(&p->mutex);
    p->arrived++;
    p->last = *entry;
    (void)pthread_mutex_unlock(&p->mutex);
}

static unsigned arrivals(struct place *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    const unsigned n = p->arrived;
    (void)pthread_mutex_unlock(&p->mutex);
    return n;
}

static void wait_arrived(struct place *p, unsigned wanted)
{
    for (unsigned i = 0; i < 4000 && arrivals(p) < wanted; i++) {
        (void)usleep(5000);
    }
    assert_int_equal(arrivals(p), wanted);
}

static void must_open(struct place *p)
{
    struct ds_error err = {DS_OK, ""};
    const struct spool_options o = {.folder = p->folder,
                                    .hash = p->hash,
                                    .journal_bytes = 16 * MIB,
                                    .arrived = arrived,
                                    .context = p};
    p->arrived = 0;
    if (spool_open(&p->spool, &o, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/dicomstego-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    (void)pthread_mutex_init(&p->mutex, NULL);
    must_open(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    atomic_store(&flush_fails, false);
    atomic_store(&rename_fails, false);
    atomic_store(&sync_fails, false);
    spool_close(p->spool);
    assert_int_equal(ds_file_remove_tree(p->folder, NULL), DS_OK);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p);
    return 0;
}

static void reopen(struct place *p)
{
    spool_close(p->spool);
    must_open(p);
}

static uint8_t *data_of(unsigned number, size_t len)
{
    uint8_t *data = malloc(len);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)((i * 7 + number * 13) ^ (i >> 9));
    }
    return data;
}

static enum ds_status store(struct spool *s, unsigned number, size_t len, struct spool_entry *e)
{
    struct spool_writer *w = NULL;
    uint8_t *data = data_of(number, len);
    enum ds_status st = spool_begin(s, &meta, &w, NULL);
    for (size_t at = 0; at < len && st == DS_OK; at += 100000) {
        st = spool_write(w, data + at, len - at < 100000 ? len - at : 100000, NULL);
    }
    free(data);
    if (st != DS_OK) {
        spool_abort(w);
        return st;
    }
    return spool_commit(w, e, NULL);
}

static bool file_ends_with(const char *path, unsigned number, size_t len)
{
    struct ds_bytes file = DS_BYTES_INIT(64U * MIB);
    uint8_t *data = data_of(number, len);
    const bool same = ds_file_read(path, &file, NULL) == DS_OK && file.len > len + 144 &&
                      memcmp(file.data + 128, "DICM", 4) == 0 &&
                      memcmp(file.data + file.len - len, data, len) == 0;
    free(data);
    ds_bytes_free(&file);
    return same;
}

/* One byte; around a block, a piece and the longest that the journal takes (2 MiB of its 4 MiB
 * segments, with the head of the file); and longer ones. */
static const size_t lengths[] = {1,      3800,          4096,          262144 - 400, 262144,
                                 530000, 2 * MIB - 500, 2 * MIB - 300, 2 * MIB,      5 * MIB};

static void every_length_becomes_the_same_file(void **state)
{
    struct place *p = *state;
    for (unsigned i = 0; i < DS_ARRAY_SIZE(lengths); i++) {
        struct spool_entry e;
        assert_int_equal(store(p->spool, i, lengths[i], &e), DS_OK);
        wait_arrived(p, i + 1);
        assert_string_equal(p->last.id, e.id);
        assert_string_equal(p->last.path, e.path);
        assert_int_equal(p->last.dataset_bytes, lengths[i]);
        assert_true(p->last.has_file_hash);
        assert_memory_equal(p->last.file_hash, e.file_hash, DS_SHA256_BYTES);
        assert_true(file_ends_with(e.path, i, lengths[i]));
    }
    assert_int_equal(files_in(p->folder, "tmp"), 0);
}

static void a_look_shows_what_is_in_the_buffer(void **state)
{
    struct place *p = *state;
    struct spool_writer *w = NULL;
    const uint8_t *data = NULL;
    size_t len = 0;
    assert_int_equal(spool_begin(p->spool, &meta, &w, NULL), DS_OK);
    assert_int_equal(spool_write(w, (const uint8_t *)"half", 4, NULL), DS_OK);
    assert_int_equal(spool_peek(w, &data, &len, NULL), DS_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "half", 4);
    spool_abort(w);
    assert_int_equal(files_in(p->folder, "new"), 0);
    assert_int_equal(files_in(p->folder, "tmp"), 0);
}

/* More than the journal holds: senders are never refused while there is disk. */
static void more_than_the_journal_holds_is_accepted(void **state)
{
    struct place *p = *state;
    atomic_store(&rename_fails, true); /* nothing leaves it */
    struct spool_entry e;
    unsigned n = 0;
    while (n < 40 && store(p->spool, n, 900000, &e) == DS_OK) {
        n++;
    }
    assert_true(n >= 10 && n < 40); /* then files were the way, and this disk has no names left */
    atomic_store(&rename_fails, false);
    wait_arrived(p, n);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(store(p->spool, i, 900000, &e), DS_OK);
    }
    wait_arrived(p, n + 20);
    assert_int_equal(files_in(p->folder, "new"), n + 20);
}

/* The journal knows it by another hash then, and nobody takes that for the file hash. */
static void with_blake3_instances_arrive_without_a_file_hash(void **state)
{
    struct place *p = *state;
    if (!ds_digest_has(DS_DIGEST_BLAKE3)) {
        skip();
    }
    static const uint8_t none[DS_SHA256_BYTES] = {0};
    struct spool_entry e;
    p->hash = DS_DIGEST_BLAKE3;
    reopen(p);
    for (unsigned i = 0; i < DS_ARRAY_SIZE(lengths); i++) {
        assert_int_equal(store(p->spool, i, lengths[i], &e), DS_OK);
        wait_arrived(p, i + 1);
        assert_false(e.has_file_hash || p->last.has_file_hash);
        assert_memory_equal(p->last.file_hash, none, sizeof(none));
        assert_true(file_ends_with(e.path, i, lengths[i]));
    }
}

static void a_failed_flush_takes_the_way_through_a_file(void **state)
{
    struct place *p = *state;
    struct spool_entry e;
    atomic_store(&flush_fails, true);
    assert_int_equal(store(p->spool, 1, 530000, &e), DS_OK);
    assert_int_equal(arrivals(p), 1);
    assert_true(file_ends_with(e.path, 1, 530000));
    atomic_store(&flush_fails, false);
    assert_int_equal(store(p->spool, 2, 530000, &e), DS_OK);
    wait_arrived(p, 2);
    assert_true(file_ends_with(e.path, 2, 530000));
    reopen(p);
    (void)usleep(50000);
    assert_int_equal(files_in(p->folder, "new"), 2);
}

/* After a sync whose outcome is unknown the files are made once more, as they were. */
static void a_failed_sync_makes_the_files_again(void **state)
{
    struct place *p = *state;
    struct spool_entry e;
    struct stat before, after;
    atomic_store(&sync_fails, true);
    assert_int_equal(store(p->spool, 1, 530000, &e), DS_OK);
    wait_arrived(p, 1);
    assert_int_equal(stat(e.path, &before), 0);
    assert_int_equal(unlink(e.path), 0); /* the disk has lost it */
    for (unsigned i = 0; i < 4000 && atomic_load(&failed_syncs) == 0; i++) {
        (void)usleep(5000);
    }
    atomic_store(&sync_fails, false);
    wait_arrived(p, 2);
    assert_int_equal(stat(e.path, &after), 0);
    assert_true(file_ends_with(e.path, 1, 530000));
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void when_all_is_synced_a_restart_finds_nothing_in_the_journal(void **state)
{
    struct place *p = *state;
    struct spool_entry e;
    assert_int_equal(store(p->spool, 1, 530000, &e), DS_OK);
    spool_close(p->spool);
    assert_int_equal(unlink(e.path), 0);
    must_open(p);
    (void)usleep(300000);
    assert_int_equal(arrivals(p), 0);
    assert_int_equal(files_in(p->folder, "new"), 0);
}

/* ---- kill -9 ---- */

#define SENDERS 4U
#define EACH    60U

/* What the killed process answered for, in memory that outlives it. */
struct acknowledged {
    atomic_uint count;
    struct {
        unsigned number, len;
        char path[256];
    } items[SENDERS * EACH];
};

struct sender {
    struct place *place;
    struct acknowledged *shared;
    unsigned number;
    pthread_t thread;
};

static void *send(void *context)
{
    const struct sender *s = context;
    for (unsigned i = 0; i < EACH; i++) {
        struct spool_entry e;
        const unsigned number = s->number * EACH + i;
        const unsigned len = 20000 + 7919 * i;
        if (store(s->place->spool, number, len, &e) == DS_OK) {
            const unsigned at = atomic_fetch_add(&s->shared->count, 1);
            s->shared->items[at].len = len;
            s->shared->items[at].number = number;
            (void)snprintf(s->shared->items[at].path, 256, "%.255s", e.path);
        }
    }
    return NULL;
}

static void send_until_killed(struct place *p, struct acknowledged *shared)
{
    struct sender senders[SENDERS];
    must_open(p);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.place = p, .shared = shared, .number = i};
        (void)pthread_create(&senders[i].thread, NULL, send, &senders[i]);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        (void)pthread_join(senders[i].thread, NULL);
    }
    (void)raise(SIGKILL);
}

static void crash_after(struct place *p, struct acknowledged *shared, unsigned ms)
{
    memset(shared, 0, sizeof(*shared));
    const pid_t pid = fork();
    if (pid == 0) {
        send_until_killed(p, shared);
    }
    (void)usleep(ms * 1000);
    (void)kill(pid, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void a_killed_process_leaves_every_accepted_one_whole(void **state)
{
    struct place *p = *state;
    struct acknowledged *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    for (unsigned round = 0; round < 6; round++) {
        spool_close(p->spool);
        p->spool = NULL;
        crash_after(p, shared, 30 + 50 * round);
        must_open(p);
        /* An item is counted before its path is there: the last of each sender may be empty. */
        unsigned seen = 0;
        const unsigned count = atomic_load(&shared->count);
        for (unsigned i = 0; i < count; i++) {
            const char *path = shared->items[i].path;
            for (unsigned k = 0; k < 2000 && path[0] != '\0' && !ds_file_exists(path); k++) {
                (void)usleep(5000);
            }
            if (path[0] != '\0') {
                assert_true(file_ends_with(path, shared->items[i].number, shared->items[i].len));
                assert_int_equal(unlink(path), 0);
                seen++;
            }
        }
        assert_true(seen + SENDERS >= count);
    }
    (void)munmap(shared, sizeof(*shared));
}

/* Renamed into its place, and its bytes never reached the disk: so may a file look after a power
 * cut, and nobody may take it for the instance. */
static void a_file_that_a_power_cut_left_short_is_made_again(void **state)
{
    struct place *p = *state;
    struct spool_entry *e =
        mmap(NULL, sizeof(*e), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(e, MAP_FAILED);
    spool_close(p->spool);
    p->spool = NULL;
    const pid_t pid = fork();
    if (pid == 0) {
        atomic_store(&sync_fails, true);
        must_open(p);
        if (store(p->spool, 5, 530000, e) == DS_OK) {
            wait_arrived(p, 1);
        }
        (void)raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(truncate(e->path, 10000), 0);
    must_open(p);
    assert_false(ds_file_exists(e->path) && !file_ends_with(e->path, 5, 530000));
    wait_arrived(p, 1);
    assert_true(file_ends_with(e->path, 5, 530000));
    (void)munmap(e, sizeof(*e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_length_becomes_the_same_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_look_shows_what_is_in_the_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_the_journal_holds_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(with_blake3_instances_arrive_without_a_file_hash, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failed_flush_takes_the_way_through_a_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_makes_the_files_again, setup, teardown),
        cmocka_unit_test_setup_teardown(when_all_is_synced_a_restart_finds_nothing_in_the_journal,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_process_leaves_every_accepted_one_whole, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_that_a_power_cut_left_short_is_made_again, setup,
                                        teardown),
    };
    ds_log_set_level(DS_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/segment.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEAL_AT         (RECORD_BLOCK_BYTES - DS_SHA256_BYTES)
#define ZERO_STEP_BYTES (1024U * 1024U)

static const uint8_t magic[8] = {'D', 'S', 'S', 'E', 'G', 'M', 'T', '1'};

static enum ds_status io_fail(struct ds_error *err, const char *what, int why)
{
    const enum ds_status s = why == ENOSPC || why == EDQUOT ? DS_ECAPACITY : DS_EIO;
    return ds_fail(err, s, "journal: %s: %s", what, strerror(why));
}

/* ---- memory that O_DIRECT takes ---- */

static void free_aligned(uint8_t **p)
{
    free(*p);
    *p = NULL;
}

static uint8_t *new_aligned(size_t len)
{
    uint8_t *p = aligned_alloc(RECORD_BLOCK_BYTES, len);
    if (p != NULL) {
        memset(p, 0, len);
    }
    return p;
}

/* ---- reading and writing ---- */

static enum ds_status write_whole(int fd, uint64_t offset, const uint8_t *data, size_t len,
                                  struct ds_error *err)
{
    while (len > 0) {
        const ssize_t n = pwrite(fd, data, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return io_fail(err, "writing", n < 0 ? errno : EIO);
        }
        data += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return DS_OK;
}

enum ds_status segment_read(const struct segment *s, uint64_t offset, uint8_t *data, size_t len,
                            struct ds_error *err)
{
    while (len > 0) {
        const ssize_t n = pread(s->fd, data, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return io_fail(err, "reading", n < 0 ? errno : EIO);
        }
        data += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return DS_OK;
}

static void mark_failed(struct segment *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->failed = true;
    (void)pthread_mutex_unlock(&s->lock);
}

bool segment_has_failed(struct segment *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const bool failed = s->failed;
    (void)pthread_mutex_unlock(&s->lock);
    return failed;
}

enum ds_status segment_write(struct segment *s, uint64_t offset, const uint8_t *data, size_t len,
                             struct ds_error *err)
{
    const enum ds_status st = write_whole(s->fd, offset, data, len, err);
    if (st != DS_OK) {
        mark_failed(s);
    }
    return st;
}

enum ds_status segment_flush(struct segment *s, struct ds_error *err)
{
    (void)pthread_mutex_lock(&s->lock);
    const uint64_t mine = ++s->drawn;
    while (s->covered < mine && !s->failed) {
        if (s->flushing) {
            (void)pthread_cond_wait(&s->flushed, &s->lock);
            continue;
        }
        s->flushing = true;
        const uint64_t upto = s->drawn;
        (void)pthread_mutex_unlock(&s->lock);
        const bool good = fdatasync(s->fd) == 0;
        (void)pthread_mutex_lock(&s->lock);
        s->flushing = false;
        s->covered = good ? upto : s->covered;
        s->failed = s->failed || !good;
        (void)pthread_cond_broadcast(&s->flushed);
    }
    const bool covered = s->covered >= mine;
    (void)pthread_mutex_unlock(&s->lock);
    return covered ? DS_OK : ds_fail(err, DS_EIO, "journal: a segment has failed");
}

/* ---- the header ---- */

static enum ds_status put_header(uint8_t *block, uint64_t life, uint64_t bytes,
                                 struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes b = DS_BYTES_INIT(64);
    enum ds_status st = ds_bytes_append(&b, magic, sizeof(magic), err);
    st = st == DS_OK ? ds_bytes_put_le(&b, life, 8, err) : st;
    st = st == DS_OK ? ds_bytes_put_le(&b, bytes, 8, err) : st;
    if (st != DS_OK) {
        return st;
    }
    memcpy(block, b.data, b.len);
    return ds_sha256_of(block, SEAL_AT, block + SEAL_AT, err);
}

static uint64_t life_in(const uint8_t *block, uint64_t bytes)
{
    uint8_t digest[DS_SHA256_BYTES];
    if (memcmp(block, magic, sizeof(magic)) != 0 ||
        ds_sha256_of(block, SEAL_AT, digest, NULL) != DS_OK ||
        memcmp(digest, block + SEAL_AT, sizeof(digest)) != 0) {
        return 0;
    }
    struct ds_cursor c = ds_cursor_over(block + sizeof(magic), 16);
    const uint64_t life = ds_cursor_le(&c, 8);
    return ds_cursor_le(&c, 8) == bytes ? life : 0;
}

static enum ds_status flush_alone(struct segment *s, struct ds_error *err)
{
    if (fdatasync(s->fd) != 0) {
        const int why = errno;
        mark_failed(s);
        return io_fail(err, "fdatasync", why);
    }
    return DS_OK;
}

enum ds_status segment_renew(struct segment *s, struct ds_error *err)
{
    DS_AUTO(free_aligned) uint8_t *block = new_aligned(RECORD_BLOCK_BYTES);
    if (block == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    uint64_t life = 0;
    enum ds_status st = ds_random(&life, sizeof(life), err);
    life = life == 0 ? 1 : life; /* 0 is no life */
    st = st == DS_OK ? put_header(block, life, s->bytes, err) : st;
    st = st == DS_OK ? segment_write(s, 0, block, RECORD_BLOCK_BYTES, err) : st;
    st = st == DS_OK ? flush_alone(s, err) : st;
    if (st == DS_OK) {
        s->life = life;
        s->tail = SEGMENT_FIRST_BYTE;
    }
    return st;
}

/* ---- files ---- */

void segment_close(struct segment *s)
{
    if (s == NULL) {
        return;
    }
    ds_file_close(&s->fd);
    (void)pthread_cond_destroy(&s->flushed);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

static void segment_auto(struct segment **s)
{
    segment_close(*s);
}

static struct segment *new_segment(const char *path)
{
    struct segment *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->fd = -1;
    s->tail = SEGMENT_FIRST_BYTE;
    (void)pthread_mutex_init(&s->lock, NULL); /* default attributes: never fails on Linux */
    (void)pthread_cond_init(&s->flushed, NULL);
    s->path = strdup(path);
    if (s->path == NULL) {
        segment_close(s);
        return NULL;
    }
    return s;
}

/* Some file systems refuse O_DIRECT when a file is opened (tmpfs of old), some when it is used. */
static int open_direct(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_DIRECT, 0600);
    return fd >= 0 || errno != EINVAL ? fd : open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static enum ds_status fill(struct segment *s, struct ds_error *err)
{
    const int full = posix_fallocate(s->fd, 0, (off_t)s->bytes);
    if (full != 0) {
        return io_fail(err, "no room for a segment", full);
    }
    DS_AUTO(free_aligned) uint8_t *zeros = new_aligned(ZERO_STEP_BYTES);
    if (zeros == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    uint64_t at = 0;
    if (pwrite(s->fd, zeros, RECORD_BLOCK_BYTES, 0) < 0 && errno == EINVAL) {
        (void)fcntl(s->fd, F_SETFL, 0); /* without O_DIRECT: alignment is of no use here */
    }
    while (at < s->bytes) {
        const uint64_t left = s->bytes - at;
        const size_t n = left < ZERO_STEP_BYTES ? (size_t)left : ZERO_STEP_BYTES;
        const enum ds_status st = write_whole(s->fd, at, zeros, n, err);
        if (st != DS_OK) {
            return st;
        }
        at += n;
    }
    /* The size and the blocks, once; later flushes find them as they are. */
    return fsync(s->fd) == 0 ? DS_OK : io_fail(err, "fsync", errno);
}

enum ds_status segment_create(struct segment **out, const char *path, uint64_t bytes,
                              struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(segment_auto) struct segment *s = new_segment(path);
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    s->bytes = bytes;
    s->fd = open_direct(path, O_RDWR | O_CREAT | O_EXCL);
    if (s->fd < 0) {
        return io_fail(err, "creating a segment", errno);
    }
    enum ds_status st = fill(s, err);
    st = st == DS_OK ? segment_renew(s, err) : st;
    if (st != DS_OK) {
        (void)unlink(path);
        return st;
    }
    *out = s;
    s = NULL;
    return DS_OK;
}

static enum ds_status read_header(struct segment *s, struct ds_error *err)
{
    DS_AUTO(free_aligned) uint8_t *block = new_aligned(RECORD_BLOCK_BYTES);
    if (block == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    if (s->bytes < 2 * RECORD_BLOCK_BYTES) {
        return DS_OK; /* no header, no life */
    }
    enum ds_status st = segment_read(s, 0, block, RECORD_BLOCK_BYTES, err);
    if (st == DS_OK) {
        s->life = life_in(block, s->bytes);
    }
    return st;
}

enum ds_status segment_open(struct segment **out, const char *path, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(segment_auto) struct segment *s = new_segment(path);
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    struct stat st;
    s->fd = open_direct(path, O_RDWR);
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        return io_fail(err, "opening a segment", errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return ds_fail(err, DS_EIO, "journal: a segment is no file");
    }
    s->bytes = (uint64_t)st.st_size;
    const enum ds_status read = read_header(s, err);
    if (read == DS_OK) {
        *out = s;
        s = NULL;
    }
    return read;
}

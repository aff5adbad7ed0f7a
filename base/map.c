/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- which memory is a mapped file ---- */

/* madvise(2) wipes anonymous memory, so what is forgotten must be known to be a file's. */
struct range {
    uintptr_t begin, end;
    struct range *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *ranges;

static bool note_range(const void *data, size_t len)
{
    struct range *r = malloc(sizeof(*r));
    if (r == NULL) {
        return false;
    }
    r->begin = (uintptr_t)data;
    r->end = r->begin + len;
    (void)pthread_mutex_lock(&lock);
    r->next = ranges;
    ranges = r;
    (void)pthread_mutex_unlock(&lock);
    return true;
}

static void drop_range(const void *data)
{
    (void)pthread_mutex_lock(&lock);
    struct range **at = &ranges;
    while (*at != NULL && (*at)->begin != (uintptr_t)data) {
        at = &(*at)->next;
    }
    struct range *gone = *at;
    if (gone != NULL) {
        *at = gone->next;
    }
    (void)pthread_mutex_unlock(&lock);
    free(gone);
}

void ds_map_forget(const void *data, size_t len)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)data + len) / page * page;
    if (end <= begin) {
        return;
    }
    /* Under the lock, so that the range cannot become other memory meanwhile. */
    (void)pthread_mutex_lock(&lock);
    for (const struct range *r = ranges; r != NULL; r = r->next) {
        if (begin >= r->begin && begin < r->end) {
            if (r->end - r->begin < DS_MAP_STEP_BYTES) {
                break; /* no burden, and reading it again would cost more than it frees */
            }
            const uintptr_t last = (r->end + page - 1) / page * page;
            (void)madvise((void *)begin, (end < last ? end : last) - begin, MADV_DONTNEED);
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

/* ---- files ---- */

static enum ds_status map_file(struct ds_map *out, int fd, const char *path, size_t max_bytes,
                               struct ds_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return ds_fail(err, DS_EIO, "unable to read '%s': not a file", path);
    }
    const size_t len = (size_t)st.st_size;
    if (len > max_bytes) {
        return ds_fail(err, DS_EFORMAT, "'%s' is larger than %zu bytes", path, max_bytes);
    }
    if (len == 0) {
        return DS_OK;
    }
    /* What is small is read whole, at once. */
    const int flags = MAP_SHARED | (len < DS_MAP_STEP_BYTES ? MAP_POPULATE : 0);
    void *data = mmap(NULL, len, PROT_READ, flags, fd, 0);
    if (data == MAP_FAILED) {
        return ds_fail(err, DS_EIO, "unable to read '%s': %s", path, strerror(errno));
    }
    if (!note_range(data, len)) {
        (void)munmap(data, len);
        return ds_fail(err, DS_ENOMEM, "no memory for a mapped file");
    }
    *out = (struct ds_map){data, len};
    return DS_OK;
}

enum ds_status ds_map_open(struct ds_map *out, const char *path, size_t max_bytes,
                           struct ds_error *err)
{
    *out = (struct ds_map){NULL, 0};
    DS_AUTO(ds_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const enum ds_status s = errno == ENOENT ? DS_ENOTFOUND : DS_EIO;
        return ds_fail(err, s, "unable to open '%s': %s", path, strerror(errno));
    }
    return map_file(out, fd, path, max_bytes, err);
}

void ds_map_close(struct ds_map *m)
{
    if (m->data != NULL) {
        drop_range(m->data);
        (void)munmap((void *)(uintptr_t)m->data, m->len);
    }
    *m = (struct ds_map){NULL, 0};
}

/* ---- scratch ---- */

static const char *scratch_folder;

void ds_scratch_set_folder(const char *folder)
{
    scratch_folder = folder;
}

static int open_scratch(struct ds_error *err)
{
    const char *folder = scratch_folder != NULL ? scratch_folder : getenv("TMPDIR");
    folder = folder != NULL && folder[0] != '\0' ? folder : "/var/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        DS_AUTO(ds_string_free) char *path = ds_file_join(folder, "dicomstego.XXXXXX");
        fd = path == NULL ? -1 : mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            (void)unlink(path);
        }
    }
    if (fd < 0) {
        (void)ds_fail(err, DS_EIO, "unable to make a scratch file in '%s': %s", folder,
                      strerror(errno));
    }
    return fd;
}

/* The file first, then the memory over it: a page without a block behind it would be a signal. */
static enum ds_status grow(struct ds_scratch *s, size_t capacity, struct ds_error *err)
{
    const int full = posix_fallocate(s->fd, (off_t)s->capacity, (off_t)(capacity - s->capacity));
    if (full != 0) {
        return ds_fail(err, DS_EIO, "no room for a scratch file of %zu bytes: %s", capacity,
                       strerror(full));
    }
    void *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (data == MAP_FAILED) {
        return ds_fail(err, DS_ENOMEM, "no address space for %zu bytes", capacity);
    }
    if (!note_range(data, capacity)) {
        (void)munmap(data, capacity);
        return ds_fail(err, DS_ENOMEM, "no memory for a scratch file");
    }
    if (s->data != NULL) {
        drop_range(s->data);
        (void)munmap(s->data, s->capacity);
    }
    s->data = data;
    s->capacity = capacity;
    return DS_OK;
}

enum ds_status ds_scratch_reserve(struct ds_scratch *s, size_t capacity, struct ds_error *err)
{
    if (capacity <= s->capacity) {
        return DS_OK;
    }
    const bool fresh = s->fd < 0;
    if (fresh) {
        s->fd = open_scratch(err);
        if (s->fd < 0) {
            return DS_EIO;
        }
    }
    const enum ds_status r = grow(s, capacity, err);
    if (r != DS_OK && fresh) {
        ds_file_close(&s->fd);
    }
    return r;
}

void ds_scratch_free(struct ds_scratch *s)
{
    if (s->data != NULL) {
        drop_range(s->data);
        (void)munmap(s->data, s->capacity);
    }
    ds_file_close(&s->fd);
    *s = DS_SCRATCH_INIT;
}

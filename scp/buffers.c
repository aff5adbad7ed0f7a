/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/buffers.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

struct buffers {
    pthread_mutex_t lock;
    uint8_t *idle[BUFFERS_MAX];
    unsigned idle_count, made;
};

enum ds_status buffers_new(struct buffers **out, struct ds_error *err)
{
    struct buffers *b = calloc(1, sizeof(*b));
    *out = b;
    if (b == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    (void)pthread_mutex_init(&b->lock, NULL); /* default attributes: never fails on Linux */
    return DS_OK;
}

void buffers_free(struct buffers *b)
{
    if (b == NULL) {
        return;
    }
    while (b->idle_count > 0) {
        (void)munmap(b->idle[--b->idle_count], BUFFERS_EACH_BYTES);
    }
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static uint8_t *map_one(void)
{
    void *p =
        mmap(NULL, BUFFERS_EACH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* The one given back last has its pages in the processor's cache. */
uint8_t *buffers_take(struct buffers *b)
{
    uint8_t *buffer = NULL;
    (void)pthread_mutex_lock(&b->lock);
    if (b->idle_count > 0) {
        buffer = b->idle[--b->idle_count];
    } else if (b->made < BUFFERS_MAX) {
        buffer = map_one();
        b->made += buffer != NULL ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&b->lock);
    return buffer;
}

void buffers_give(struct buffers *b, uint8_t *buffer, size_t touched_bytes)
{
    if (buffer == NULL) {
        return;
    }
    if (touched_bytes > BUFFERS_KEEP_BYTES) {
        (void)madvise(buffer + BUFFERS_KEEP_BYTES, BUFFERS_EACH_BYTES - BUFFERS_KEEP_BYTES,
                      MADV_DONTNEED);
    }
    (void)pthread_mutex_lock(&b->lock);
    b->idle[b->idle_count++] = buffer;
    (void)pthread_mutex_unlock(&b->lock);
}

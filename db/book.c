/* SPDX-License-Identifier: Apache-2.0 */
#include "db/book.h"

#include "base/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Some hours of a busy node whose database takes events, but no leaves. Beyond that rows stay
 * without a number, and every verification says so. */
#define LEAVES_MAX (4U * 1024U * 1024U)

struct list {
    struct db_leaf *items;
    size_t count, room;
};

struct db_book {
    uint8_t log[DS_SHA256_BYTES], tag_key[DS_SHA256_BYTES];
    pthread_mutex_t lock;
    struct list waiting; /* committed */
    struct list unsure;  /* whose commit was not answered */
    uint64_t lost;
};

enum ds_status db_book_new(struct db_book **out, const uint8_t log[DS_SHA256_BYTES],
                           const uint8_t tag_key[DS_SHA256_BYTES], struct ds_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the book of events");
    }
    memcpy((*out)->log, log, DS_SHA256_BYTES);
    memcpy((*out)->tag_key, tag_key, DS_SHA256_BYTES);
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    return DS_OK;
}

void db_book_free(struct db_book *b)
{
    if (b == NULL) {
        return;
    }
    ds_wipe(b->tag_key, sizeof(b->tag_key));
    free(b->waiting.items);
    free(b->unsure.items);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

const uint8_t *db_book_log(const struct db_book *b)
{
    return b->log;
}

const uint8_t *db_book_tag_key(const struct db_book *b)
{
    return b->tag_key;
}

/* False: no room. */
static bool add(struct list *l, const struct db_leaf *leaves, size_t count)
{
    if (count > LEAVES_MAX - l->count) {
        return false;
    }
    if (l->count + count > l->room) {
        const size_t room = 2 * (l->count + count);
        struct db_leaf *items = realloc(l->items, room * sizeof(*items));
        if (items == NULL) {
            return false;
        }
        l->items = items;
        l->room = room;
    }
    memcpy(l->items + l->count, leaves, count * sizeof(*leaves));
    l->count += count;
    return true;
}

void db_book_add(struct db_book *b, const struct db_leaf *leaves, size_t count, bool is_sure)
{
    if (count == 0) {
        return;
    }
    (void)pthread_mutex_lock(&b->lock);
    b->lost += add(is_sure ? &b->waiting : &b->unsure, leaves, count) ? 0 : count;
    (void)pthread_mutex_unlock(&b->lock);
}

size_t db_book_waiting(struct db_book *b)
{
    (void)pthread_mutex_lock(&b->lock);
    const size_t count = b->waiting.count;
    (void)pthread_mutex_unlock(&b->lock);
    return count;
}

uint64_t db_book_lost(struct db_book *b)
{
    (void)pthread_mutex_lock(&b->lock);
    const uint64_t lost = b->lost;
    (void)pthread_mutex_unlock(&b->lock);
    return lost;
}

static size_t look(struct db_book *b, const struct list *l, struct db_leaf *out, size_t max)
{
    (void)pthread_mutex_lock(&b->lock);
    const size_t count = l->count < max ? l->count : max;
    if (count > 0) {
        memcpy(out, l->items, count * sizeof(*out));
    }
    (void)pthread_mutex_unlock(&b->lock);
    return count;
}

static void done(struct db_book *b, struct list *l, size_t count)
{
    (void)pthread_mutex_lock(&b->lock);
    l->count -= count;
    if (l->count > 0) {
        memmove(l->items, l->items + count, l->count * sizeof(*l->items));
    }
    (void)pthread_mutex_unlock(&b->lock);
}

size_t db_book_look(struct db_book *b, struct db_leaf *out, size_t max)
{
    return look(b, &b->waiting, out, max);
}

void db_book_done(struct db_book *b, size_t count)
{
    done(b, &b->waiting, count);
}

size_t db_book_look_unsure(struct db_book *b, struct db_leaf *out, size_t max)
{
    return look(b, &b->unsure, out, max);
}

void db_book_done_unsure(struct db_book *b, size_t count)
{
    done(b, &b->unsure, count);
}

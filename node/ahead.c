/* SPDX-License-Identifier: Apache-2.0 */
#include "node/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ahead {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct db_instance *wanted; /* NULL: nothing under way, and nothing loaded */
    bool loaded;                      /* what follows is that of wanted */
    bool stopping;
    struct outgoing out;
    enum ds_status status;
    struct ds_error err;
};

static void load_next(struct ahead *a)
{
    const struct db_instance *instance = a->wanted;
    (void)pthread_mutex_unlock(&a->lock);
    struct ds_error err = {DS_OK, ""};
    struct outgoing out = {0};
    const enum ds_status s = outgoing_load(instance, instance->transfer_syntax, &out, &err);
    (void)pthread_mutex_lock(&a->lock);
    a->out = out;
    a->status = s;
    a->err = err;
    a->loaded = true;
    (void)pthread_cond_broadcast(&a->changed);
}

static void *run(void *context)
{
    struct ahead *a = context;
    (void)pthread_mutex_lock(&a->lock);
    while (!a->stopping) {
        if (a->wanted != NULL && !a->loaded) {
            load_next(a);
        } else {
            (void)pthread_cond_wait(&a->changed, &a->lock);
        }
    }
    (void)pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct ahead *ahead_new(void)
{
    struct ahead *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->changed, NULL);
    if (pthread_create(&a->thread, NULL, run, a) != 0) {
        (void)pthread_cond_destroy(&a->changed);
        (void)pthread_mutex_destroy(&a->lock);
        free(a);
        return NULL;
    }
    return a;
}

/* Under the lock: what was begun is over, and nobody wants it. */
static void forget(struct ahead *a)
{
    while (a->wanted != NULL && !a->loaded) {
        (void)pthread_cond_wait(&a->changed, &a->lock);
    }
    outgoing_free(&a->out);
    a->wanted = NULL;
    a->loaded = false;
}

void ahead_free(struct ahead *a)
{
    if (a == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    forget(a);
    a->stopping = true;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->lock);
    (void)pthread_join(a->thread, NULL);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

void ahead_begin(struct ahead *a, const struct db_instance *instance)
{
    if (a == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    if (a->wanted == NULL) {
        a->wanted = instance;
        (void)pthread_cond_broadcast(&a->changed);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

/* False: that was not begun. */
static bool take_loaded(struct ahead *a, const struct db_instance *instance,
                        const char *transfer_syntax, struct outgoing *out, enum ds_status *status,
                        struct ds_error *err)
{
    (void)pthread_mutex_lock(&a->lock);
    const bool is_it =
        a->wanted == instance && strcmp(instance->transfer_syntax, transfer_syntax) == 0;
    while (is_it && !a->loaded) {
        (void)pthread_cond_wait(&a->changed, &a->lock);
    }
    if (is_it) {
        *out = a->out;
        *status = a->status;
        if (err != NULL && a->status != DS_OK) {
            *err = a->err;
        }
        memset(&a->out, 0, sizeof(a->out));
    }
    forget(a);
    (void)pthread_mutex_unlock(&a->lock);
    return is_it;
}

enum ds_status ahead_take(struct ahead *a, const struct db_instance *instance,
                          const char *transfer_syntax, struct outgoing *out, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    if (a != NULL && take_loaded(a, instance, transfer_syntax, out, &s, err)) {
        return s;
    }
    return outgoing_load(instance, transfer_syntax, out, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/committer.h"

#include "base/clock.h"
#include "node/answering.h"
#include "node/asking.h"
#include "node/thread.h"

#include <stdlib.h>
#include <string.h>

#define THREADS       3U
#define LOOK_EVERY_MS 1000

struct committer {
    struct services *services;
    struct thread threads[THREADS];
    unsigned thread_count;
    pthread_mutex_t lock;
    /* Under lock. Whom each thread asks at this moment, and when all peers were last looked at. */
    char busy[THREADS][DB_UID_BYTES];
    unsigned numbers;
};

static bool take_peer(struct committer *c, unsigned number, const char *name)
{
    bool is_free = true;
    (void)pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < THREADS; i++) {
        is_free = is_free && strcmp(c->busy[i], name) != 0;
    }
    if (is_free) {
        const size_t len = strnlen(name, sizeof(c->busy[number]) - 1);
        memcpy(c->busy[number], name, len);
        c->busy[number][len] = '\0';
    }
    (void)pthread_mutex_unlock(&c->lock);
    return is_free;
}

static void give_peer(struct committer *c, unsigned number)
{
    (void)pthread_mutex_lock(&c->lock);
    c->busy[number][0] = '\0';
    (void)pthread_mutex_unlock(&c->lock);
}

static bool ask_peers(struct committer *c, unsigned number, struct db *db)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(c->services);
    const struct config *config = settings_config(settings);
    bool any = false;
    for (size_t i = 0; i < config->peer_count && !services_stopping(c->services); i++) {
        const struct config_peer *peer = &config->peers[i];
        if (peer->commitment == CONFIG_COMMITMENT_NONE || !take_peer(c, number, peer->name)) {
            continue;
        }
        any = asking_serve(c->services, db, settings, peer) || any;
        give_peer(c, number);
    }
    return any;
}

static void run(void *context)
{
    struct committer *c = context;
    struct services *s = c->services;
    (void)pthread_mutex_lock(&c->lock);
    const unsigned number = c->numbers++;
    (void)pthread_mutex_unlock(&c->lock);
    while (!services_stopping(s)) {
        struct db *db = services_db(s);
        const bool answered = db != NULL && answering_serve(s, db);
        const bool asked = db != NULL && ask_peers(c, number, db);
        if (!answered && !asked) {
            services_sleep(s, LOOK_EVERY_MS);
        }
    }
}

enum ds_status committer_start(struct committer **out, struct services *services,
                               struct ds_error *err)
{
    *out = NULL;
    struct committer *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    c->services = services;
    (void)pthread_mutex_init(&c->lock, NULL);
    *out = c; /* also on failure: the caller stops what has started */
    enum ds_status s = DS_OK;
    while (s == DS_OK && c->thread_count < THREADS) {
        s = thread_start(&c->threads[c->thread_count], run, c, err);
        c->thread_count += s == DS_OK ? 1 : 0;
    }
    return s;
}

bool committer_stop(struct committer *c, int64_t until_ms)
{
    if (c == NULL) {
        return true;
    }
    bool all = true;
    for (unsigned i = 0; i < c->thread_count; i++) {
        all = thread_join(&c->threads[i], until_ms) && all;
    }
    if (all) {
        (void)pthread_mutex_destroy(&c->lock);
        free(c);
    }
    return all;
}

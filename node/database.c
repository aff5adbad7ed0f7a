/* SPDX-License-Identifier: Apache-2.0 */
#include "node/database.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define CONNECTIONS   12U
#define LOOK_AGAIN_MS 500
#define TRY_AGAIN_MS  2000

struct database {
    struct services *services;
    struct db_cluster *cluster; /* of the thread alone */
    struct db *db;              /* the one in force */
    struct db *old[16];         /* earlier ones: others may still hold them until the end */
    unsigned old_count;
    char *url;
    atomic_bool ending;
    struct bell bell;
    pthread_t thread;
};

/* Starts the private server when it is not running. *url is the database's. */
static enum ds_status ensure_server(struct database *d, const struct config *c, char **url,
                                    struct ds_error *err)
{
    *url = NULL;
    if (c->database_url != NULL) {
        *url = strdup(c->database_url);
        return *url != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
    }
    db_cluster_stop(d->cluster);
    d->cluster = NULL;
    return db_cluster_start(&d->cluster, c->state_dir, url, err);
}

/* Opens a pool for url unless the present one is for the same. */
static enum ds_status ensure_pool(struct database *d, const struct config *c, char *url,
                                  struct ds_error *err)
{
    if (d->db != NULL && strcmp(d->url, url) == 0) {
        return DS_OK;
    }
    if (d->old_count == DS_ARRAY_SIZE(d->old)) {
        return ds_fail(err, DS_EIO, "the private database moved too often; restart the node");
    }
    struct db *fresh = NULL;
    char *kept = strdup(url);
    if (kept == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const enum ds_status s = db_open(&fresh, url, CONNECTIONS, c->ae_title, err);
    if (s != DS_OK) {
        free(kept);
        return s;
    }
    if (d->db != NULL) {
        d->old[d->old_count++] = d->db;
    }
    free(d->url);
    d->url = kept;
    d->db = fresh;
    return DS_OK;
}

static enum ds_status bring_up(struct database *d, struct ds_error *err)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(d->services);
    const struct config *c = settings_config(settings);
    char *url = NULL;
    enum ds_status s = ensure_server(d, c, &url, err);
    if (s == DS_OK) {
        s = ensure_pool(d, c, url, err);
    }
    free(url);
    return s == DS_OK ? db_migrate(d->db, err) : s;
}

static bool server_is_gone(const struct database *d)
{
    return d->cluster != NULL && !db_cluster_is_alive(d->cluster);
}

static void pause_ms(struct database *d, int64_t ms)
{
    const uint64_t seen = bell_count(&d->bell);
    if (!atomic_load(&d->ending)) {
        bell_wait(&d->bell, seen, ms);
    }
}

static void *run(void *context)
{
    struct database *d = context;
    bool up = false;
    bool told = false;
    while (!atomic_load(&d->ending)) {
        struct ds_error err = {0};
        if (up && server_is_gone(d)) {
            ds_log(DS_LOG_WARNING, "node", "the private database ended by itself; starting it");
            up = false;
        }
        if (up) {
            pause_ms(d, LOOK_AGAIN_MS);
        } else if (bring_up(d, &err) == DS_OK) {
            up = true;
            told = false;
            atomic_store(&d->services->db, d->db);
            bell_ring(&d->services->bell);
            ds_log(DS_LOG_INFO, "node", "the database is there");
        } else {
            ds_log(told ? DS_LOG_DEBUG : DS_LOG_WARNING, "node",
                   "status=%s the database is away, intake goes on: %s", ds_status_name(err.status),
                   err.text);
            told = true;
            pause_ms(d, TRY_AGAIN_MS);
        }
    }
    db_cluster_stop(d->cluster);
    d->cluster = NULL;
    return NULL;
}

enum ds_status database_start(struct database **out, struct services *services,
                              struct ds_error *err)
{
    *out = NULL;
    struct database *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    d->services = services;
    atomic_init(&d->ending, false);
    bell_init(&d->bell);
    if (pthread_create(&d->thread, NULL, run, d) != 0) {
        bell_finish(&d->bell);
        free(d);
        return ds_fail(err, DS_ENOMEM, "cannot start the database's thread");
    }
    *out = d;
    return DS_OK;
}

void database_abandon(struct database *d)
{
    atomic_store(&d->ending, true);
    bell_ring(&d->bell);
    (void)pthread_join(d->thread, NULL);
}

void database_stop(struct database *d)
{
    if (d == NULL) {
        return;
    }
    atomic_store(&d->services->db, NULL);
    database_abandon(d);
    db_close(d->db);
    for (unsigned i = 0; i < d->old_count; i++) {
        db_close(d->old[i]);
    }
    bell_finish(&d->bell);
    free(d->url);
    free(d);
}

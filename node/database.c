/* SPDX-License-Identifier: Apache-2.0 */
#include "node/database.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "db/clock.h"
#include "db/roles.h"
#include "node/archive_name.h"
#include "node/logkeeper.h"
#include "node/messenger.h"

#include <stdlib.h>
#include <string.h>

#define CONNECTIONS   12U
#define LOOK_AGAIN_MS 500
#define TRY_AGAIN_MS  2000
#define CLOCK_MS      2000

struct database {
    struct services *services;
    struct db_cluster *cluster; /* of the thread alone */
    struct db *db;              /* the one in force */
    struct db *old[16];         /* earlier ones: others may still hold them until the end */
    unsigned old_count;
    char *url;
    struct db_clock clock;
    int64_t clock_looked_ms;
    int64_t step_us; /* by which it was set, and not mended yet */
    uint8_t process[DB_PROCESS_BYTES];
    atomic_bool ending;
    struct bell bell;
    pthread_t thread;
};

/* Addresses of one database: as the role that the node works as, and as the owner of the tables. */
struct addresses {
    char *node, *owner; /* owner NULL: the same role */
};

static void free_url(char *url)
{
    if (url != NULL) {
        ds_wipe(url, strlen(url)); /* may hold a password */
    }
    free(url);
}

static void addresses_free(struct addresses *a)
{
    free_url(a->node);
    free_url(a->owner);
}

/* Starts the private server when it is not running. */
static enum ds_status ensure_server(struct database *d, const struct config *c,
                                    struct addresses *out, struct ds_error *err)
{
    if (c->database_url != NULL) {
        out->node = strdup(c->database_url);
        out->owner = c->database_migrate_url == NULL ? NULL : strdup(c->database_migrate_url);
        return out->node != NULL && (out->owner != NULL || c->database_migrate_url == NULL)
                   ? DS_OK
                   : ds_fail(err, DS_ENOMEM, "out of memory");
    }
    db_cluster_stop(d->cluster);
    d->cluster = NULL;
    const enum ds_status s = db_cluster_start(&d->cluster, c->state_dir, &out->owner, err);
    return s == DS_OK ? db_cluster_node_url(d->cluster, &out->node, err) : s;
}

/* The owner's pool lives as long as it takes. */
static enum ds_status migrate_as_owner(struct database *d, const char *url, const char *ae_title,
                                       struct ds_error *err)
{
    char role[DB_ROLE_BYTES];
    struct db *owner = NULL;
    enum ds_status s = db_role(d->db, role, err);
    if (s == DS_OK) {
        s = db_open(&owner, url, 1, ae_title, err);
    }
    if (s == DS_OK) {
        s = db_migrate(owner, err);
    }
    if (s == DS_OK) {
        s = db_grant(owner, role, err);
    }
    db_close(owner);
    return s;
}

static enum ds_status migrate(struct database *d, const struct addresses *a, const char *ae_title,
                              struct ds_error *err)
{
    bool may = false;
    enum ds_status s =
        a->owner == NULL ? db_migrate(d->db, err) : migrate_as_owner(d, a->owner, ae_title, err);
    if (s == DS_OK) {
        s = db_may_change_log(d->db, &may, err);
    }
    if (may) {
        ds_log(DS_LOG_WARNING, "node",
               "the database role could change the provenance log; database.migrate_url gives the "
               "tables another owner");
    }
    return s;
}

/* Who we are there: whose archive, whose leases. The spool is locked, so that nobody else is at
 * home in this folder. */
static enum ds_status introduce(const struct database *d, const struct config *c, struct db *fresh,
                                struct ds_error *err)
{
    char home[ARCHIVE_HOME_BYTES], name[ARCHIVE_NAME_BYTES];
    enum ds_status s = archive_home(d->services->archive.state_dir, home, err);
    if (s != DS_OK) {
        return s;
    }
    archive_name(home, c->shared_archive, name);
    db_set_book(fresh, logkeeper_book(d->services->logkeeper));
    s = db_set_archive(fresh, name, err);
    return s == DS_OK ? db_set_home(fresh, home, d->process, err) : s;
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
    enum ds_status s = db_open(&fresh, url, CONNECTIONS, c->ae_title, err);
    if (s == DS_OK) {
        s = introduce(d, c, fresh, err);
    }
    if (s != DS_OK) {
        db_close(fresh);
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
    DS_AUTO(addresses_free) struct addresses addresses = {NULL, NULL};
    enum ds_status s = ensure_server(d, c, &addresses, err);
    if (s == DS_OK) {
        s = ensure_pool(d, c, addresses.node, err);
    }
    if (s == DS_OK) {
        s = migrate(d, &addresses, c->ae_title, err);
    }
    if (s == DS_OK) {
        s = logkeeper_take_up(d->services->logkeeper, d->db, err);
    }
    if (s == DS_OK) {
        messenger_take_up(d->services, d->db);
    }
    uint64_t count = 0;
    if (s == DS_OK) {
        s = db_delivery_take_back(d->db, &count, err);
    }
    if (count > 0) {
        ds_log(DS_LOG_INFO, "node", "deliveries=%llu were on their way when the node ended",
               (unsigned long long)count);
    }
    return s;
}

static bool server_is_gone(const struct database *d)
{
    return d->cluster != NULL && !db_cluster_is_alive(d->cluster);
}

/* A database whose clock is set back would let everything wait that waits for a time; one whose
 * clock is set forwards would take leases from their living holders. */
static void watch_clock(struct database *d)
{
    const int64_t now = ds_clock_monotonic_ms();
    int64_t step_us = 0;
    if (now - d->clock_looked_ms < CLOCK_MS) {
        return;
    }
    d->clock_looked_ms = now;
    if (db_clock_look(d->db, &d->clock, &step_us, NULL) != DS_OK) {
        return; /* away: whoever needs it says so */
    }
    d->step_us += step_us;
    if (d->step_us != 0) {
        if (db_clock_mend(d->db, d->step_us, NULL) != DS_OK) {
            return;
        }
        ds_log(DS_LOG_WARNING, "node", "the database's clock was set %s by %lld s: %s",
               d->step_us < 0 ? "back" : "forwards", llabs(d->step_us) / 1000000,
               d->step_us < 0 ? "what waits is due now" : "leases stay with who holds them");
        d->step_us = 0;
    }
    db_clock_believe(d->db, &d->clock);
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
            watch_clock(d);
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
    const enum ds_status drawn = ds_random(d->process, sizeof(d->process), err);
    if (drawn != DS_OK) {
        free(d);
        return drawn;
    }
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

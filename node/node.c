/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "config/control.h"
#include "node/committer.h"
#include "node/completer.h"
#include "node/control.h"
#include "node/database.h"
#include "node/deliverer.h"
#include "node/describer.h"
#include "node/dropfolder.h"
#include "node/indexer.h"
#include "node/intake.h"
#include "node/logkeeper.h"
#include "node/messenger.h"
#include "node/operator.h"
#include "node/readback.h"
#include "node/retention.h"
#include "node/stamper.h"
#include "node/thread.h"
#include "node/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ten seconds in all: what peers get to finish, what our own threads get, and the rest for the
 * database's shutdown. */
#define DRAIN_PEERS_MS   3000
#define DRAIN_THREADS_MS 6000
#define QUEUE_ENTRIES    65536U
#define WAKE_EVERY_MS    1000U

struct node {
    struct services services;
    char *config_path;
    struct indexer *indexer;
    struct intake *intake;
    struct watch *watch;
    struct control *control;
    struct database *database;
    struct completer *completer;
    struct dropfolder *dropfolder;
    struct deliverer *deliverer;
    struct committer *committer;
    struct retention *retention;
    struct readback *readback;
    struct messenger *messenger;
    struct stamper *stamper;
    struct describer *describer;
    struct thread waker;
    bool waker_started;
};

/* Rings the bells when another node, or we, have planned deliveries or heard of a study. */
static void wake(void *context)
{
    struct services *s = context;
    while (!services_stopping(s)) {
        struct db *db = services_db(s);
        bool woken = false;
        if (db == NULL || db_wait(db, WAKE_EVERY_MS, &woken, NULL) != DS_OK) {
            services_sleep(s, WAKE_EVERY_MS);
        } else if (woken) {
            bell_ring(&s->bell);
            bell_ring(&s->planning);
        }
    }
}

/* ---- start ---- */

/* state_dir holds nothing itself but folders of 0700. Started by root, the database's unprivileged
 * user must be able to pass through it. */
static enum ds_status make_state_dir(const struct config *c, struct ds_error *err)
{
    const mode_t mode = geteuid() == 0 && c->database_url == NULL ? 0711 : 0700;
    return ds_file_make_folders(c->state_dir, mode, err);
}

/* A file is there to be indexed. */
static void arrived(void *context, const struct spool_entry *entry)
{
    struct services *s = context;
    arrivals_add(s->arrivals, entry->id, entry->has_file_hash ? entry->file_hash : NULL);
}

static enum ds_status open_spool(struct node *n, const struct config *c, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *folder = ds_file_join(c->state_dir, "spool");
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const struct spool_options options = {.folder = folder,
                                          .min_free_bytes = c->min_free_bytes,
                                          .journal_bytes = c->journal_bytes,
                                          .hash = c->hash == CONFIG_HASH_BLAKE3 ? DS_DIGEST_BLAKE3
                                                                                : DS_DIGEST_SHA256,
                                          .arrived = arrived,
                                          .context = &n->services};
    return spool_open(&n->services.spool, &options, err);
}

static enum ds_status open_state(struct node *n, struct ds_error *err)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(&n->services);
    const struct config *c = settings_config(settings);
    ds_log_set_level(c->log_level);
    ds_log_set_format(c->log_format);
    enum ds_status s = make_state_dir(c, err);
    if (s == DS_OK) {
        s = archive_open(&n->services.archive, c->state_dir, err);
    }
    if (s == DS_OK) {
        ds_scratch_set_folder(n->services.archive.state_dir);
        s = arrivals_new(&n->services.arrivals, QUEUE_ENTRIES, err);
    }
    if (s == DS_OK) {
        s = offers_new(&n->services.offers, err);
    }
    if (s == DS_OK) {
        s = logkeeper_new(&n->services.logkeeper, &n->services, err);
    }
    return s == DS_OK ? open_spool(n, c, err) : s;
}

static enum ds_status start_control(struct node *n, struct ds_error *err)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(&n->services);
    DS_AUTO(ds_string_free)
    char *path = ds_file_join(n->services.archive.state_dir, CONTROL_SOCKET);
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    return control_start(&n->control, path, settings_config(settings)->control_group,
                         operator_verbs, &n->services, err);
}

static enum ds_status start_threads(struct node *n, struct ds_error *err)
{
    struct services *services = &n->services;
    enum ds_status s = indexer_start(&n->indexer, services, err);
    if (s == DS_OK) {
        s = recorder_start(&services->recorder, services, err);
    }
    if (s == DS_OK) {
        s = intake_start(&n->intake, services, err);
    }
    if (s == DS_OK) {
        const struct ports listeners = {.dicom = intake_port(n->intake),
                                        .tls = intake_tls_port(n->intake)};
        s = watch_start(&n->watch, services, &listeners, err);
    }
    if (s == DS_OK) {
        s = start_control(n, err);
    }
    if (s == DS_OK) {
        s = database_start(&n->database, services, err);
    }
    if (s == DS_OK) {
        s = logkeeper_start(services->logkeeper, err);
    }
    if (s == DS_OK) {
        s = completer_start(&n->completer, services, err);
    }
    if (s == DS_OK) {
        s = dropfolder_start(&n->dropfolder, services, err);
    }
    if (s == DS_OK) {
        s = deliverer_start(&n->deliverer, services, err);
    }
    if (s == DS_OK) {
        s = committer_start(&n->committer, services, err);
    }
    if (s == DS_OK) {
        s = retention_start(&n->retention, services, err);
    }
    if (s == DS_OK) {
        s = readback_start(&n->readback, services, err);
    }
    if (s == DS_OK) {
        s = messenger_start(&n->messenger, services, err);
    }
    if (s == DS_OK) {
        s = stamper_start(&n->stamper, services, err);
    }
    if (s == DS_OK) {
        s = describer_start(&n->describer, services, err);
    }
    if (s == DS_OK) {
        s = thread_start(&n->waker, wake, services, err);
        n->waker_started = s == DS_OK;
    }
    return s;
}

static enum ds_status start(struct node *n, const char *config_path, struct ds_error *err)
{
    struct settings *settings = NULL;
    enum ds_status s = settings_load(&settings, config_path, err);
    if (s != DS_OK) {
        return s;
    }
    services_set_settings(&n->services, settings);
    n->config_path = strdup(config_path);
    if (n->config_path == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    s = dicom_init(err);
    if (s == DS_OK) {
        s = open_state(n, err);
    }
    return s == DS_OK ? start_threads(n, err) : s;
}

enum ds_status node_start(struct node **out, const char *config_path, struct ds_error *err)
{
    *out = NULL;
    struct node *n = calloc(1, sizeof(*n));
    if (n == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    services_init(&n->services);
    const enum ds_status s = start(n, config_path, err);
    if (s != DS_OK) {
        const bool clean = node_stop(n);
        (void)clean; /* the process ends next either way */
        return s;
    }
    ds_log(DS_LOG_INFO, "node", "ready dicom=%u tls=%u web=%u", intake_port(n->intake),
           intake_tls_port(n->intake), watch_web_port(n->watch));
    *out = n;
    return DS_OK;
}

/* ---- reload ---- */

static bool lists_differ(const struct config_list *a, const struct config_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(a->items[i], b->items[i]) == 0;
    }
    return !same;
}

static bool differ(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a != NULL && b != NULL && strcmp(a, b) != 0);
}

/* What the listeners and the state folder were opened with stays until a restart. */
static void say_what_needs_restart(const struct config *before, const struct config *after)
{
    const struct {
        bool changed;
        const char *key;
    } fixed[] = {
        {before->dicom_port != after->dicom_port, "node.dicom.port"},
        {before->tls_port != after->tls_port, "node.dicom.tls_port"},
        {differ(before->address, after->address), "node.dicom.address"},
        {before->max_associations != after->max_associations, "node.dicom.max_associations"},
        {before->dicom_timeout_ms != after->dicom_timeout_ms, "node.dicom.timeout"},
        {differ(before->ae_title, after->ae_title), "node.ae_title (for who calls us)"},
        {differ(before->state_dir, after->state_dir), "node.state_dir"},
        {differ(before->shared_archive, after->shared_archive), "node.shared_archive"},
        {differ(before->control_group, after->control_group), "node.control_group"},
        {differ(before->database_url, after->database_url), "database.url"},
        {differ(before->database_migrate_url, after->database_migrate_url), "database.migrate_url"},
        {differ(before->key, after->key), "node.key (for the provenance log)"},
        {differ(before->web_address, after->web_address), "node.web.address"},
        {before->web_port != after->web_port, "node.web.port"},
        {lists_differ(&before->query.carriers, &after->query.carriers), "query.views.carriers"},
        {lists_differ(&before->query.restored, &after->query.restored), "query.views.restored"},
        {before->min_free_bytes != after->min_free_bytes, "node.min_free"},
        {before->journal_bytes != after->journal_bytes, "node.journal"},
        {before->hash != after->hash, "node.hash"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(fixed); i++) {
        if (fixed[i].changed) {
            ds_log(DS_LOG_WARNING, "node", "%s changes with the next restart", fixed[i].key);
        }
    }
}

enum ds_status node_reload(struct node *n, struct ds_error *err)
{
    struct settings *fresh = NULL;
    enum ds_status s = settings_load(&fresh, n->config_path, err);
    s = s == DS_OK ? intake_reload(n->intake, fresh, err) : s;
    if (s != DS_OK) {
        settings_release(fresh);
        return s;
    }
    DS_AUTO(settings_auto) struct settings *before = services_settings(&n->services);
    say_what_needs_restart(settings_config(before), settings_config(fresh));
    ds_log_set_level(settings_config(fresh)->log_level);
    ds_log_set_format(settings_config(fresh)->log_format);
    services_set_settings(&n->services, fresh);
    return deliverer_reload(n->deliverer, err);
}

/* ---- stop ---- */

static bool stop_threads(struct node *n, int64_t until_ms)
{
    bool clean = control_stop(n->control, until_ms);
    clean = recorder_stop(n->services.recorder, until_ms) && clean;
    clean = watch_stop(n->watch, until_ms) && clean;
    clean = indexer_stop(n->indexer, until_ms) && clean;
    clean = completer_stop(n->completer, until_ms) && clean;
    clean = dropfolder_stop(n->dropfolder, until_ms) && clean;
    clean = deliverer_stop(n->deliverer, until_ms) && clean;
    clean = committer_stop(n->committer, until_ms) && clean;
    clean = retention_stop(n->retention, until_ms) && clean;
    clean = readback_stop(n->readback, until_ms) && clean;
    clean = messenger_stop(n->messenger, until_ms) && clean;
    clean = stamper_stop(n->stamper, until_ms) && clean;
    clean = describer_stop(n->describer, until_ms) && clean;
    if (n->waker_started) {
        clean = thread_join(&n->waker, until_ms) && clean;
    }
    /* The last: what the others wrote is under its last head. */
    return logkeeper_stop(n->services.logkeeper, until_ms) && clean;
}

bool node_stop(struct node *n)
{
    const int64_t begun = ds_clock_monotonic_ms();
    /* Workers and planning end while peers finish what they are sending. */
    services_stop(&n->services);
    intake_stop(n->intake, DRAIN_PEERS_MS);
    if (!stop_threads(n, begun + DRAIN_THREADS_MS)) {
        if (n->database != NULL) {
            database_abandon(n->database);
        }
        return false;
    }
    database_stop(n->database);
    logkeeper_free(n->services.logkeeper);
    services_finish(&n->services);
    free(n->config_path);
    free(n);
    return true;
}

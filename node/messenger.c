/* SPDX-License-Identifier: Apache-2.0 */
#include "node/messenger.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "db/telling.h"
#include "node/backoff.h"
#include "node/logkeeper.h"
#include "node/rendering.h"
#include "node/thread.h"
#include "provenance/syslog.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY_MS    1000
#define LOT_MAX          1024U                   /* events */
#define QUIET_US         (INT64_C(5) * 1000000)  /* after which a transfer is over */
#define DELAY_MAX_US     (INT64_C(60) * 1000000) /* of what goes on and on */
#define TIMEOUT_MS       4000U                   /* the node's own stop must not wait longer */
#define REPOSITORY_BYTES 320U
#define MESSAGE_BYTES    (1024U * 1024U)

/* RFC 5424 6.2.1: security/authorization messages (10), notice (5), as PS3.15 A.6 has it. */
#define FACILITY 10U
#define SEVERITY 5U

struct messenger {
    struct services *services;
    struct thread thread;
    bool started;
    char machine[256], process[24];
    /* Where we are with the repository that is configured now. */
    char repository[REPOSITORY_BYTES];
    bool is_begun;
    int64_t told, sure;
    unsigned failures; /* in a row */
    int64_t next_try_ms;
};

/* ---- what only we know ---- */

static void write_down(struct db *db, const char *kind, const char *actor, json_t *detail)
{
    struct ds_error err = {0};
    char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
    const struct db_event event = {.kind = kind, .actor = actor, .detail = text};
    if (db_event_add(db, &event, 1, &err) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "the provenance lacks %s: %s", kind, err.text);
    }
    free(text);
    json_decref(detail);
}

static void write_refusals(struct messenger *m, struct db *db)
{
    struct refusal taken[REFUSALS_KINDS_MAX];
    uint64_t others = 0;
    const size_t count = refusals_take(&m->services->refusals, taken, &others);
    for (size_t i = 0; i < count; i++) {
        const char *who = taken[i].calling_ae[0] != '\0' ? taken[i].calling_ae : "unknown";
        write_down(db, "association-refused", who,
                   json_pack("{s:s, s:I}", "address", taken[i].address, "count",
                             (json_int_t)taken[i].count));
    }
    if (others > 0) {
        write_down(db, "association-refused", "unknown",
                   json_pack("{s:I}", "count", (json_int_t)others));
    }
}

/* ---- a lot ---- */

static bool is_due(const struct db_told *events, size_t count)
{
    int64_t oldest_us = INT64_MAX;
    int64_t newest_us = 0;
    for (size_t i = 0; i < count; i++) {
        if (rendering_is_urgent(&events[i])) {
            return true;
        }
        if (rendering_tells(&events[i])) {
            oldest_us = events[i].at_us < oldest_us ? events[i].at_us : oldest_us;
            newest_us = events[i].at_us > newest_us ? events[i].at_us : newest_us;
        }
    }
    const int64_t now_us = ds_clock_utc_us();
    return count == LOT_MAX || now_us - newest_us >= QUIET_US || newest_us > now_us ||
           now_us - oldest_us >= DELAY_MAX_US;
}

static size_t count_told(const struct db_told *events, size_t count)
{
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        told += rendering_tells(&events[i]) ? 1 : 0;
    }
    return told;
}

static enum ds_status send_one(struct messenger *m, struct syslog_link *link, const uint8_t *xml,
                               size_t len, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes message = DS_BYTES_INIT(2 * MESSAGE_BYTES);
    const struct syslog_header header = {.facility = FACILITY,
                                         .severity = SEVERITY,
                                         .at_us = ds_clock_utc_us(),
                                         .host = m->machine,
                                         .application = "dicomstegod",
                                         .process = m->process,
                                         .message_id = "DICOM+RFC3881"};
    const enum ds_status s = syslog_format(&header, xml, len, &message, err);
    return s == DS_OK ? syslog_write(link, message.data, message.len, err) : s;
}

static enum ds_status send_all(struct messenger *m, const struct config *config,
                               struct syslog_link *link, const struct db_told *events, size_t count,
                               uint64_t *sent, struct ds_error *err)
{
    const struct rendering rendering = {.config = config, .machine = m->machine};
    bool done[LOT_MAX] = {false};
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        if (done[i] || !rendering_tells(&events[i])) {
            continue;
        }
        DS_AUTO(ds_bytes_free) struct ds_bytes xml = DS_BYTES_INIT(MESSAGE_BYTES);
        s = rendering_message(&rendering, events, count, i, done, &xml, err);
        if (s == DS_OK) {
            s = send_one(m, link, xml.data, xml.len, err);
        }
        *sent += s == DS_OK ? 1 : 0;
    }
    return s == DS_OK ? syslog_end(link, err) : s;
}

static enum ds_status send_lot(struct messenger *m, const struct config *config,
                               const struct db_told *events, size_t count, struct ds_error *err)
{
    const struct syslog_target target = {.host = config->audit.host,
                                         .port = config->audit.port,
                                         .trusted = config->audit.certificate,
                                         .key = config->key,
                                         .certificate = config->certificate,
                                         .timeout_ms = TIMEOUT_MS};
    struct syslog_link *link = NULL;
    uint64_t sent = 0;
    enum ds_status s = syslog_open(&link, &target, err);
    if (s == DS_OK) {
        s = send_all(m, config, link, events, count, &sent, err);
    }
    syslog_free(link);
    ds_metric_add(DS_METRIC_AUDIT_MESSAGES, s == DS_OK ? "taken" : "unsure", NULL, sent);
    return s;
}

/* ---- the cursor ---- */

static void failed(struct messenger *m, const struct ds_error *err)
{
    m->told = m->sure; /* what it had read it may have lost */
    m->failures++;
    m->next_try_ms = ds_clock_monotonic_ms() + backoff_drawn_ms(m->failures < 6 ? m->failures : 6);
    ds_log(m->failures == 1 ? DS_LOG_WARNING : DS_LOG_DEBUG, "node",
           "audit messages wait in the log: %s", err->text);
}

static enum ds_status move_on(struct messenger *m, struct db *db, int64_t told, bool reached,
                              struct ds_error *err)
{
    const int64_t sure = reached ? m->told : m->sure;
    const enum ds_status s = db_telling_done(db, m->repository, told, sure, err);
    if (s == DS_OK) {
        m->told = told;
        m->sure = sure;
    }
    if (s == DS_OK && reached && m->failures > 0) {
        ds_log(DS_LOG_INFO, "node", "the audit repository is reached again");
    }
    m->failures = s == DS_OK ? 0 : m->failures;
    return s;
}

static void show_lag(const struct db_told *events, size_t count)
{
    int64_t lag_us = 0;
    for (size_t i = 0; i < count && lag_us == 0; i++) {
        lag_us = rendering_tells(&events[i]) ? ds_clock_utc_us() - events[i].at_us : 0;
    }
    ds_metric_set(DS_METRIC_AUDIT_LAG, NULL, NULL, lag_us > 0 ? (double)lag_us / 1e6 : 0);
}

/* True when there may be more. */
static bool tell(struct messenger *m, struct db *db, const struct config *config)
{
    struct db_told *events = NULL;
    size_t count = 0;
    struct ds_error err = {0};
    bool more = false;
    enum ds_status s = db_telling_read(db, logkeeper_log(m->services->logkeeper), m->told, LOT_MAX,
                                       &events, &count, &err);
    show_lag(events, count);
    if (s == DS_OK && count > 0 && is_due(events, count)) {
        const bool sends = count_told(events, count) > 0;
        s = sends ? send_lot(m, config, events, count, &err) : DS_OK;
        if (s == DS_OK) {
            s = move_on(m, db, events[count - 1].place, sends, &err);
        }
        more = s == DS_OK && count == LOT_MAX;
    }
    if (s != DS_OK) {
        failed(m, &err);
    }
    db_told_free(events, count);
    return more;
}

static void name_of(const struct config *config, char out[REPOSITORY_BYTES])
{
    (void)snprintf(out, REPOSITORY_BYTES, "%.300s:%u", config->audit.host, config->audit.port);
}

void messenger_take_up(struct services *s, struct db *db)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(s);
    const struct config *config = settings_config(settings);
    char name[REPOSITORY_BYTES];
    struct ds_error err = {0};
    int64_t sure = 0;
    if (atomic_exchange(&s->is_announced, true)) {
        return;
    }
    if (config->audit.given) {
        name_of(config, name);
        if (db_telling_begin(db, logkeeper_log(s->logkeeper), name, &sure, &err) != DS_OK) {
            ds_log(DS_LOG_WARNING, "node", "audit messages: %s", err.text);
        }
    }
    write_down(db, "node-started", "node", json_pack("{s:s}", "version", DICOMSTEGO_VERSION));
}

/* A repository that is new in the configuration begins with now. */
static bool begin(struct messenger *m, struct db *db, const struct config *config)
{
    char name[REPOSITORY_BYTES];
    name_of(config, name);
    if (m->is_begun && strcmp(name, m->repository) == 0) {
        return true;
    }
    struct ds_error err = {0};
    (void)snprintf(m->repository, sizeof(m->repository), "%s", name);
    m->is_begun =
        db_telling_begin(db, logkeeper_log(m->services->logkeeper), name, &m->sure, &err) == DS_OK;
    m->told = m->sure;
    m->failures = 0;
    m->next_try_ms = 0;
    if (!m->is_begun) {
        ds_log(DS_LOG_DEBUG, "node", "audit messages: %s", err.text);
    }
    return m->is_begun;
}

static bool look(struct messenger *m, struct db *db)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(m->services);
    const struct config *config = settings_config(settings);
    const bool tells = config->audit.given && begin(m, db, config);
    write_refusals(m, db);
    return tells && ds_clock_monotonic_ms() >= m->next_try_ms && tell(m, db, config);
}

static void run(void *context)
{
    struct messenger *m = context;
    while (!services_stopping(m->services)) {
        struct db *db = services_db(m->services);
        if (db == NULL || !look(m, db)) {
            services_sleep(m->services, LOOK_EVERY_MS);
        }
    }
    struct db *db = services_db(m->services);
    if (db != NULL) {
        write_refusals(m, db);
        write_down(db, "node-stopped", "node", NULL);
    }
}

enum ds_status messenger_start(struct messenger **out, struct services *services,
                               struct ds_error *err)
{
    *out = NULL;
    struct messenger *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    m->services = services;
    if (gethostname(m->machine, sizeof(m->machine) - 1) != 0) {
        m->machine[0] = '\0';
    }
    (void)snprintf(m->process, sizeof(m->process), "%ld", (long)getpid());
    *out = m; /* also on failure: the caller stops what has started */
    const enum ds_status s = thread_start(&m->thread, run, m, err);
    m->started = s == DS_OK;
    return s;
}

bool messenger_stop(struct messenger *m, int64_t until_ms)
{
    if (m == NULL) {
        return true;
    }
    if (m->started && !thread_join(&m->thread, until_ms)) {
        return false;
    }
    free(m);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One run: study by study, what lies at the peer is listed, fetched one by one, and judged. */
#include "node/readback_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "scu/scu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WRITE_EVERY_MS  1000
#define WINDOW_EVERY_MS 60000 /* how often a closed window is looked at */
#define MOVED_WAIT_MS   2000  /* for what the peer says it has moved to us */
#define DATABASE_MS     60000 /* how long an outcome waits for the database */

/* ---- what was found ---- */

static void findings_free(struct back_run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->findings[i].detail);
    }
    r->count = 0;
}

static enum ds_status write_rows(struct back_run *r, struct ds_error *err)
{
    struct db_back_result rows[BACK_BATCH];
    for (size_t i = 0; i < r->count; i++) {
        struct back_finding *f = &r->findings[i];
        rows[i] = f->result;
        rows[i].sop_uid = f->sop_uid;
        rows[i].study_uid = f->study_uid;
        rows[i].detail = f->detail;
    }
    return db_back_write(r->db, r->row, rows, r->count, err);
}

/* The database may be away for a moment; when it is for longer, the run is taken up again later and
 * looks at these once more. */
static enum ds_status flush(struct back_run *r, struct ds_error *err)
{
    const int64_t until = ds_clock_monotonic_ms() + DATABASE_MS;
    enum ds_status s = write_rows(r, err);
    while (s == DS_EIO && !services_stopping(r->services) && ds_clock_monotonic_ms() < until) {
        services_sleep(r->services, 500);
        s = write_rows(r, err);
    }
    for (size_t i = 0; s == DS_OK && i < r->count; i++) {
        ds_metric_add(DS_METRIC_READ_BACK, r->peer->name,
                      db_back_outcome_name(r->findings[i].result.outcome), 1);
    }
    findings_free(r);
    r->written_ms = ds_clock_monotonic_ms();
    return s;
}

/* After the next finding was filled in. */
static enum ds_status keep(struct back_run *r, struct ds_error *err)
{
    r->count++;
    return r->count == BACK_BATCH || ds_clock_monotonic_ms() - r->written_ms >= WRITE_EVERY_MS
               ? flush(r, err)
               : DS_OK;
}

/* ---- may it go on ---- */

bool back_window_is_open(const struct config_windows *w)
{
    const time_t now = (time_t)(ds_clock_utc_us() / 1000000);
    struct tm local;
    return w->count == 0 || localtime_r(&now, &local) == NULL ||
           config_window_is_open(w, (unsigned)(local.tm_hour * 60 + local.tm_min));
}

enum step { STEP_ON, STEP_LATER, STEP_LOST };

/* Between two instances: the peer's rate, our lease, the hours of a scheduled run. */
static enum step step(struct back_run *r)
{
    while (!services_stopping(r->services)) {
        const int64_t now = ds_clock_monotonic_ms();
        const int64_t bytes = rate_wait_ms(&r->rate, now);
        const int64_t wait = r->next_ms - now > bytes ? r->next_ms - now : bytes;
        if (now - r->renewed_ms > (int64_t)BACK_LEASE_MS / 4) {
            bool held = false;
            if (db_back_renew(r->db, r->row->id, BACK_LEASE_MS, &held, NULL) == DS_OK && !held) {
                return STEP_LOST;
            }
            r->renewed_ms = now;
        }
        if (r->row->scheduled && !back_window_is_open(&r->peer->read_back.window)) {
            return STEP_LATER;
        }
        if (wait <= 0) {
            r->next_ms = now + 1000 / r->peer->read_back.rate;
            return STEP_ON;
        }
        services_sleep(r->services, wait < 1000 ? wait : 1000);
    }
    return STEP_LOST;
}

/* ---- fetching ---- */

struct fetched {
    struct ds_bytes file;
    bool came;
    uint16_t status;
    struct ds_error why; /* of what keeps the peer from giving it */
};

static enum ds_status get(struct back_run *r, const struct scu_wanted *w, struct fetched *f,
                          struct ds_error *err)
{
    const enum ds_status s = scu_reader_get(r->reader, w, &f->file, &f->came, &f->status, err);
    r->takes_no_get = r->takes_no_get || s == DS_EREFUSED;
    return s;
}

static enum ds_status move(struct back_run *r, const struct scu_wanted *w, struct fetched *f,
                           struct ds_error *err)
{
    struct awaited_one *x = NULL;
    const char *own = settings_config(r->settings)->ae_title;
    enum ds_status s = awaited_begin(&r->services->awaited, r->peer->ae_title, w->sop_uid, &x, err);
    if (s != DS_OK) {
        return s;
    }
    s = scu_reader_move(r->reader, w, own, &f->status, err);
    const bool is_done = s == DS_OK && f->status == DICOM_STATUS_SUCCESS;
    awaited_end(&r->services->awaited, x, is_done ? MOVED_WAIT_MS : 0, &f->file, &f->came);
    return s;
}

/* By C-GET; or moved to us, where that is not taken, or did not bring it. */
static enum ds_status fetch_once(struct back_run *r, const struct scu_wanted *w, struct fetched *f,
                                 struct ds_error *err)
{
    enum ds_status s = r->takes_no_get ? DS_EREFUSED : get(r, w, f, err);
    if ((s == DS_OK && !f->came) || s == DS_EREFUSED) {
        const uint16_t by_get = f->status;
        const bool was_answered = s == DS_OK;
        s = move(r, w, f, err);
        if (s == DS_EREFUSED && was_answered) {
            f->status = by_get; /* the peer has answered once: that is what is said */
            s = DS_OK;
        }
    }
    return s;
}

/* Is it there at all? */
static bool peer_answers(struct back_run *r)
{
    struct scu_link *link = NULL;
    if (scu_link_new(&link, &r->calling.options, NULL) != DS_OK) {
        return false;
    }
    const struct scu_outcome o = scu_link_echo(link);
    scu_link_free(link);
    return scu_was_delivered(&o) || (o.verdict == SCU_PERMANENT && !o.of_link);
}

/* An association that breaks on an instance may be the instance's fault: that one is unread, and
 * the others are looked at. */
static enum ds_status fetch(struct back_run *r, const struct scu_wanted *w, struct fetched *f,
                            struct ds_error *err)
{
    enum ds_status s = fetch_once(r, w, f, err);
    if (s == DS_EIO && !services_stopping(r->services)) {
        s = fetch_once(r, w, f, err);
    }
    if (s == DS_EIO && !services_stopping(r->services) && peer_answers(r)) {
        f->why = *err;
        s = DS_OK;
    } else if (s == DS_EFORMAT) {
        f->why = *err;
        s = DS_OK;
    }
    f->came = f->came && s == DS_OK;
    return s;
}

/* ---- one study ---- */

struct study {
    struct db_back_item *items;
    size_t item_count;
    struct scu_held *held; /* by SOP Instance UID */
    size_t held_count;
};

static void study_free(struct study *s)
{
    free(s->items);
    free(s->held);
}

static int by_uid(const void *a, const void *b)
{
    return strcmp(((const struct scu_held *)a)->sop_uid, ((const struct scu_held *)b)->sop_uid);
}

static const struct scu_held *held_as(const struct study *s, const char *uid)
{
    struct scu_held key = {.sop_uid = ""};
    (void)snprintf(key.sop_uid, sizeof(key.sop_uid), "%s", uid);
    return s->held_count == 0 ? NULL
                              : bsearch(&key, s->held, s->held_count, sizeof(*s->held), by_uid);
}

static enum ds_status list_study(struct back_run *r, const char *study_uid, struct study *s,
                                 struct ds_error *err)
{
    enum ds_status status = scu_reader_list(r->reader, study_uid, &s->held, &s->held_count, err);
    if (status == DS_EIO && !services_stopping(r->services)) {
        status = scu_reader_list(r->reader, study_uid, &s->held, &s->held_count, err);
    }
    if (status == DS_OK && s->held_count > 0) {
        qsort(s->held, s->held_count, sizeof(*s->held), by_uid);
    }
    return status;
}

static enum ds_status judge_one(struct back_run *r, const struct db_back_item *item,
                                const struct scu_held *held, struct ds_error *err)
{
    const struct scu_wanted wanted = {
        .study_uid = item->delivery.instance.study_uid,
        .series_uid = held->series_uid,
        .sop_uid = held->sop_uid,
        .sop_class_uid = item->part == DB_BACK_SIDECAR ? CARRIER_SIDECAR_CLASS
                                                       : item->delivery.instance.sop_class_uid,
        .transfer_syntax = item->part == DB_BACK_SIDECAR || item->has_sent
                               ? ""
                               : item->delivery.instance.transfer_syntax};
    struct fetched f = {.file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES)};
    struct back_finding *out = &r->findings[r->count];
    enum ds_status s = fetch(r, &wanted, &f, err);
    rate_spend(&r->rate, f.file.len, ds_clock_monotonic_ms());
    if (s == DS_OK && f.came) {
        s = back_judge(r, item, &f.file, out, err);
    } else if (s == DS_OK) {
        s = back_say(item, DB_BACK_UNREAD,
                     f.why.text[0] != '\0' ? f.why.text : "the peer names it and does not give it",
                     f.status, out, err);
    }
    ds_bytes_free(&f.file);
    return s == DS_OK ? keep(r, err) : s;
}

/* Where it lies; NULL: nowhere. */
static enum ds_status find_item(struct back_run *r, const struct study *s,
                                const struct db_back_item *item, const struct scu_held **held,
                                struct ds_error *err)
{
    *held = held_as(s, item->sop_uid);
    if (*held != NULL || item->part != DB_BACK_BESIDE) {
        return DS_OK;
    }
    char uid[DICOM_UID_BYTES];
    const enum ds_status status = back_beside_uid(r, item, uid, err);
    *held = status == DS_OK && uid[0] != '\0' ? held_as(s, uid) : NULL;
    return status;
}

static enum ds_status look_at_item(struct back_run *r, const struct study *s,
                                   const struct db_back_item *item, struct ds_error *err)
{
    const struct scu_held *held = NULL;
    enum ds_status status = find_item(r, s, item, &held, err);
    if (status == DS_OK && held != NULL) {
        return judge_one(r, item, held, err);
    }
    if (status == DS_OK) {
        status = back_say(item, DB_BACK_MISSING, "the peer does not name it", 0,
                          &r->findings[r->count], err);
    }
    return status == DS_OK ? keep(r, err) : status;
}

/* ---- what we have not sent ---- */

/* Series in which something that we sent lies. */
struct series_set {
    const char **uids;
    size_t count;
};

static bool has_series(const struct series_set *set, const char *uid)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->uids[i], uid) == 0) {
            return true;
        }
    }
    return false;
}

static void mark(const struct study *s, const char *uid, bool *known, struct series_set *series)
{
    const struct scu_held *held = held_as(s, uid);
    if (held == NULL) {
        return;
    }
    known[held - s->held] = true;
    if (!has_series(series, held->series_uid)) {
        series->uids[series->count++] = held->series_uid;
    }
}

static enum ds_status mark_known(struct back_run *r, const struct study *s, bool *known,
                                 struct series_set *series, struct ds_error *err)
{
    struct db_back_known *sent = NULL;
    size_t count = 0;
    const char *study_uid = s->items[0].delivery.instance.study_uid;
    const char *site = settings_config(r->settings)->site;
    enum ds_status status = db_back_known_uids(r->db, r->peer->name, study_uid, &sent, &count, err);
    for (size_t i = 0; status == DS_OK && i < count; i++) {
        char uid[DICOM_UID_BYTES];
        mark(s, sent[i].sop_uid, known, series);
        if (sent[i].may_be_renamed &&
            carrier_derived_uid(CARRIER_UID_INSTANCE, site, sent[i].sop_uid, NULL, uid, NULL) ==
                DS_OK) {
            mark(s, uid, known, series);
        }
    }
    free(sent);
    return status;
}

static enum ds_status say_extra(struct back_run *r, const struct study *s,
                                const struct scu_held *held, bool is_second, struct ds_error *err)
{
    struct back_finding *out = &r->findings[r->count];
    memset(out, 0, sizeof(*out));
    memcpy(out->sop_uid, held->sop_uid, sizeof(out->sop_uid));
    (void)snprintf(out->study_uid, sizeof(out->study_uid), "%s",
                   s->items[0].delivery.instance.study_uid);
    out->result.outcome = DB_BACK_EXTRA_THERE;
    out->result.study_id = s->items[0].delivery.instance.study_id;
    out->detail = strdup(is_second ? "{\"cause\": \"the peer names this UID more than once\"}"
                                   : "{\"cause\": \"it lies in a series of ours, and we have not "
                                     "sent it\"}");
    return out->detail != NULL ? keep(r, err) : ds_fail(err, DS_ENOMEM, "out of memory");
}

static enum ds_status look_for_extra(struct back_run *r, const struct study *s,
                                     struct ds_error *err)
{
    bool *known = calloc(s->held_count + 1, sizeof(*known));
    struct series_set series = {calloc(s->held_count + 1, sizeof(*series.uids)), 0};
    enum ds_status status = known != NULL && series.uids != NULL
                                ? mark_known(r, s, known, &series, err)
                                : ds_fail(err, DS_ENOMEM, "out of memory");
    for (size_t i = 0; status == DS_OK && i < s->held_count; i++) {
        const struct scu_held *held = &s->held[i];
        const bool is_second = i > 0 && strcmp(held->sop_uid, s->held[i - 1].sop_uid) == 0;
        const bool is_ours = known[held_as(s, held->sop_uid) - s->held]; /* it is in there */
        if (has_series(&series, held->series_uid) && (is_second || !is_ours)) {
            status = say_extra(r, s, held, is_second, err);
        }
    }
    free(known);
    free(series.uids);
    return status;
}

/* ---- the run ---- */

enum course { COURSE_DONE, COURSE_LATER, COURSE_LEFT, COURSE_BROKEN };

static enum course look_at_study(struct back_run *r, struct study *s, struct ds_error *err)
{
    enum ds_status status = list_study(r, s->items[0].delivery.instance.study_uid, s, err);
    if (status == DS_OK) {
        status = look_for_extra(r, s, err);
    }
    for (size_t i = 0; status == DS_OK && i < s->item_count; i++) {
        const enum step next = step(r);
        if (next != STEP_ON) {
            return next == STEP_LATER ? COURSE_LATER : COURSE_LEFT;
        }
        status = look_at_item(r, s, &s->items[i], err);
    }
    if (status == DS_OK) {
        status = flush(r, err);
    }
    return status == DS_OK ? COURSE_DONE : COURSE_BROKEN;
}

/* Does what is open, study by study. */
static enum course go_through(struct back_run *r, struct ds_error *err)
{
    enum course course = COURSE_DONE;
    while (course == COURSE_DONE) {
        struct study s = {.items = NULL};
        if (db_back_study(r->db, r->row->id, &s.items, &s.item_count, err) != DS_OK) {
            return COURSE_BROKEN;
        }
        if (s.item_count == 0) {
            return COURSE_DONE;
        }
        course = look_at_study(r, &s, err);
        study_free(&s);
    }
    return course;
}

static enum ds_status prepare(struct back_run *r, struct ds_error *err)
{
    const struct config *c = settings_config(r->settings);
    enum ds_status s = stego_trust_new(&r->trust, err);
    if (s == DS_OK && c->certificate != NULL) {
        s = stego_trust_add(r->trust, c->certificate, err);
    }
    r->keyring = (struct stego_keyring){.trust = r->trust};
    calling_init(&r->calling, r->settings, r->peer);
    if (r->peer->read_back.ae_title != NULL) {
        r->calling.options.called_ae = r->peer->read_back.ae_title;
    }
    return s == DS_OK ? scu_reader_new(&r->reader, &r->calling.options, err) : s;
}

static void say_over(const struct back_run *r, const char *cause)
{
    struct db_back_run now;
    if (db_back_run_get(r->db, r->row->id, &now, NULL) != DS_OK) {
        return;
    }
    const uint64_t intact = now.counts[DB_BACK_INTACT];
    const bool all = intact == now.total;
    ds_log(all ? DS_LOG_INFO : DS_LOG_WARNING, "node",
           "peer=%s read-back=%lld %s: %llu of %llu intact, %llu attributes changed, %llu pixels "
           "changed, %llu lossy, %llu missing, %llu extra, %llu unread, %llu not looked at%s%s",
           r->peer->name, (long long)r->row->id, now.state, (unsigned long long)intact,
           (unsigned long long)now.total,
           (unsigned long long)now.counts[DB_BACK_ATTRIBUTES_CHANGED],
           (unsigned long long)now.counts[DB_BACK_PIXELS_CHANGED],
           (unsigned long long)now.counts[DB_BACK_LOSSY],
           (unsigned long long)now.counts[DB_BACK_MISSING],
           (unsigned long long)now.counts[DB_BACK_EXTRA_THERE],
           (unsigned long long)now.counts[DB_BACK_UNREAD], (unsigned long long)now.open,
           cause[0] == '\0' ? "" : ": ", cause);
}

static void end(struct back_run *r, enum course course, const struct ds_error *why)
{
    struct ds_error err = {0};
    enum ds_status s = DS_OK;
    if (course == COURSE_LATER || course == COURSE_LEFT) {
        (void)flush(r, &err);
        s = db_back_put_off(r->db, r->row->id, course == COURSE_LATER ? WINDOW_EVERY_MS : 0, &err);
    } else {
        const char *cause = course == COURSE_BROKEN ? why->text : "";
        (void)flush(r, &err);
        s = db_back_finish(r->db, r->row->id, cause, &err);
        if (s == DS_OK) {
            say_over(r, cause);
        }
    }
    if (s != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "peer=%s read-back=%lld: %s", r->row->peer,
               (long long)r->row->id, err.text);
    }
}

static void serve(struct back_run *r)
{
    struct ds_error err = {0};
    enum course course = COURSE_BROKEN;
    if (prepare(r, &err) == DS_OK) {
        course = go_through(r, &err);
    }
    if (course == COURSE_BROKEN && services_stopping(r->services)) {
        course = COURSE_LEFT;
    }
    end(r, course, &err);
    findings_free(r);
    scu_reader_free(r->reader);
    stego_trust_free(r->trust);
}

void back_run_serve(struct services *services, struct db *db, const struct settings *settings,
                    const struct db_back_run *row)
{
    struct ds_error err = {0};
    struct back_run *r = calloc(1, sizeof(*r));
    const struct config_peer *peer = config_peer_named(settings_config(settings), row->peer);
    if (r == NULL || peer == NULL || peer->host == NULL) {
        const char *cause =
            r == NULL ? "out of memory" : "the configuration has no such peer, or no host for it";
        if (db_back_finish(db, row->id, cause, &err) != DS_OK) {
            ds_log(DS_LOG_WARNING, "node", "read-back=%lld: %s", (long long)row->id, err.text);
        }
        free(r);
        return;
    }
    r->services = services;
    r->db = db;
    r->settings = settings;
    r->peer = peer;
    r->row = row;
    r->renewed_ms = r->written_ms = ds_clock_monotonic_ms();
    originals_init(&r->kept);
    rate_init(&r->rate, peer->bandwidth);
    serve(r);
    rate_finish(&r->rate);
    originals_finish(&r->kept);
    capsule_cache_free(&r->cache);
    free(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/stamper.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/witness.h"
#include "node/logkeeper.h"
#include "node/post.h"
#include "node/thread.h"
#include "provenance/timestamp.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 1000
#define RETRY_MS      10000
#define TIMEOUT_MS    30000U

struct stamper {
    struct services *services;
    struct thread thread;
    bool failing;    /* said already */
    int64_t wait_ms; /* after the last failure */
    int64_t next_ms; /* monotonic: not before */
};

static bool is_stopping(void *services)
{
    return services_stopping(services);
}

static enum ds_status digest_of(const struct provenance_head *h, uint8_t out[DS_SHA256_BYTES],
                                struct ds_error *err)
{
    char text[PROVENANCE_HEAD_TEXT_BYTES];
    const size_t len = provenance_head_text(h, text);
    return ds_sha256_of(text, len, out, err);
}

/* Appends a token that has been verified. */
static enum ds_status ask(struct stamper *s, const struct config_provenance *c,
                          const struct provenance_head *h, struct ds_bytes *token,
                          struct ds_error *err)
{
    uint8_t digest[DS_SHA256_BYTES];
    DS_AUTO(ds_bytes_free) struct ds_bytes request = DS_BYTES_INIT(PROVENANCE_STAMP_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes answer = DS_BYTES_INIT(PROVENANCE_STAMP_MAX_BYTES);
    const struct post post = {.url = c->stamp_url,
                              .type = "application/timestamp-query",
                              .accept = "application/timestamp-reply",
                              .body = &request,
                              .timeout_ms = TIMEOUT_MS,
                              .stopping = is_stopping,
                              .context = s->services};
    enum ds_status status = digest_of(h, digest, err);
    if (status == DS_OK) {
        status = provenance_stamp_request(digest, &request, err);
    }
    if (status == DS_OK) {
        status = post_send(&post, &answer, err);
    }
    return status == DS_OK ? provenance_stamp_accept(&request, answer.data, answer.len,
                                                     c->stamp_certificate, token, err)
                           : status;
}

static enum ds_status keep(struct db *db, const struct provenance_head *h,
                           const struct ds_bytes *token, struct ds_error *err)
{
    uint8_t digest[DS_SHA256_BYTES];
    struct provenance_stamp stamp;
    enum ds_status s = digest_of(h, digest, err);
    if (s == DS_OK) {
        s = provenance_stamp_check(token->data, token->len, digest, NULL, 0, &stamp, err);
    }
    return s == DS_OK
               ? db_stamp_add(db, h->log, h->size, stamp.utc_us, token->data, token->len, err)
               : s;
}

/* *due: there was a head to stamp. */
static enum ds_status stamp_newest(struct stamper *s, struct db *db,
                                   const struct config_provenance *c, bool *due,
                                   struct ds_error *err)
{
    const uint8_t *log = logkeeper_log(s->services->logkeeper);
    struct db_head last;
    uint64_t size = 0;
    DS_AUTO(ds_bytes_free) struct ds_bytes token = DS_BYTES_INIT(PROVENANCE_STAMP_MAX_BYTES);
    enum ds_status status = logkeeper_head(s->services->logkeeper, &last, err);
    *due = false;
    if (status != DS_OK || last.head.size == 0) {
        return status == DS_ENOTFOUND ? DS_OK : status; /* no head yet, or of nothing */
    }
    status = db_stamp_first(db, log, last.head.size, &size, &token, err);
    if (status != DS_ENOTFOUND) {
        return status; /* stamped already */
    }
    *due = true;
    status = ask(s, c, &last.head, &token, err);
    return status == DS_OK ? keep(db, &last.head, &token, err) : status;
}

/* Once for each outage. */
static void say(struct stamper *s, enum ds_status status, const struct ds_error *err)
{
    if (status != DS_OK && !s->failing) {
        ds_log(DS_LOG_WARNING, "node", "status=%s no time stamp: %s", ds_status_name(status),
               err->text);
    } else if (status == DS_OK && s->failing) {
        ds_log(DS_LOG_INFO, "node", "tree heads are time-stamped again");
    }
    s->failing = status != DS_OK;
}

static void look(struct stamper *s, struct db *db)
{
    struct ds_error err = {0};
    bool due = false;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(s->services);
    const struct config_provenance *c = &settings_config(settings)->provenance;
    if (!c->stamped) {
        return;
    }
    const enum ds_status status = stamp_newest(s, db, c, &due, &err);
    if (services_stopping(s->services)) {
        return;
    }
    if (status != DS_OK) {
        const int64_t twice = s->wait_ms == 0 ? RETRY_MS : 2 * s->wait_ms;
        s->wait_ms = twice < c->stamp_every_ms ? twice : c->stamp_every_ms;
    } else {
        s->wait_ms = 0;
    }
    if (status != DS_OK || due) {
        say(s, status, &err);
        s->next_ms = ds_clock_monotonic_ms() + (status == DS_OK ? c->stamp_every_ms : s->wait_ms);
    }
}

static void run(void *context)
{
    struct stamper *s = context;
    while (!services_stopping(s->services)) {
        struct db *db = services_db(s->services);
        if (db != NULL && ds_clock_monotonic_ms() >= s->next_ms) {
            look(s, db);
        }
        services_sleep(s->services, LOOK_EVERY_MS);
    }
}

enum ds_status stamper_start(struct stamper **out, struct services *services, struct ds_error *err)
{
    *out = NULL;
    struct stamper *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    s->services = services;
    const enum ds_status status = thread_start(&s->thread, run, s, err);
    if (status != DS_OK) {
        free(s);
        return status;
    }
    *out = s;
    return DS_OK;
}

bool stamper_stop(struct stamper *s, int64_t until_ms)
{
    if (s == NULL) {
        return true;
    }
    const bool ended = thread_join(&s->thread, until_ms);
    if (ended) {
        free(s);
    }
    return ended;
}

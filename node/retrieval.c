/* SPDX-License-Identifier: Apache-2.0 */
#include "node/retrieval.h"

#include "base/log.h"
#include "dicom/transfer_syntax.h"
#include "node/outgoing.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define CHOICES         3U
#define CONTEXTS_MAX    120U
#define SILENT_MAX      3U
#define RECORD_TRIES    3
#define RECORD_PAUSE_MS 500

/* ---- in which syntax ---- */

static bool accepts(const struct retrieval *r, const char *class_uid, const char *syntax)
{
    return r->link != NULL ? scu_link_accepts(r->link, class_uid, syntax)
                           : dicom_operation_accepts(r->operation, class_uid, syntax);
}

/* As it is stored; else without compression, which everybody takes (PS3.5 10.1) and nothing is lost
 * in. Best first. */
static size_t choices_of(const struct db_instance *i, const char *out[CHOICES])
{
    const char *own = i->transfer_syntax;
    size_t n = 0;
    out[n++] = own;
    if (dicom_dataset_decodes(own)) {
        const char *const plain[] = {DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE};
        for (size_t k = 0; k < DS_ARRAY_SIZE(plain); k++) {
            if (strcmp(own, plain[k]) != 0) {
                out[n++] = plain[k];
            }
        }
    }
    return n;
}

static size_t accepted_choices(const struct retrieval *r, const struct db_instance *i,
                               const char *out[CHOICES])
{
    const char *all[CHOICES];
    const size_t n = choices_of(i, all);
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        if (accepts(r, i->sop_class_uid, all[k])) {
            out[count++] = all[k];
        }
    }
    return count;
}

static bool is_listed(const struct dicom_context *contexts, size_t count, const char *class_uid,
                      const char *syntax)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(contexts[i].sop_class_uid, class_uid) == 0 &&
            strcmp(contexts[i].transfer_syntax, syntax) == 0) {
            return true;
        }
    }
    return false;
}

/* What does not fit any more is proposed when its turn comes. */
static void add_contexts(struct dicom_context *contexts, size_t *count, const struct db_instance *i)
{
    const char *syntaxes[CHOICES];
    const size_t n = choices_of(i, syntaxes);
    for (size_t k = 0; k < n && *count < CONTEXTS_MAX; k++) {
        if (!is_listed(contexts, *count, i->sop_class_uid, syntaxes[k])) {
            contexts[(*count)++] = (struct dicom_context){i->sop_class_uid, syntaxes[k]};
        }
    }
}

static void give_up(struct retrieval *r, const char *comment)
{
    r->given_up = true;
    r->comment = comment;
}

/* Nothing, when they are agreed on already. */
static bool propose(struct retrieval *r, const struct dicom_context *contexts, size_t count)
{
    if (r->link == NULL) {
        return true;
    }
    const struct scu_outcome o = scu_link_prepare(r->link, contexts, count);
    if (scu_was_delivered(&o)) {
        return true;
    }
    ds_log(DS_LOG_WARNING, "node", "assoc=%" PRIu64 " peer=%s C-MOVE to=%s not possible: %s",
           r->request->peer->association, r->request->peer->calling_ae, r->destination, o.cause);
    give_up(r, "the destination cannot be reached");
    return false;
}

void retrieval_prepare(struct retrieval *r, const struct db_instance *page, size_t count)
{
    struct dicom_context contexts[CONTEXTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        add_contexts(contexts, &n, &page[i]);
    }
    (void)propose(r, contexts, n);
}

/* ---- what became of it ---- */

static char *detail_of(const struct retrieval *r, const char *syntax,
                       const struct scu_outcome *outcome)
{
    json_t *detail = json_pack("{s:s, s:s, s:s*, s:s*}", "by", r->link != NULL ? "C-MOVE" : "C-GET",
                               "to", r->destination, "transfer_syntax", syntax, "cause",
                               outcome->cause[0] != '\0' ? outcome->cause : NULL);
    char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
    json_decref(detail);
    return text;
}

static void note_event(struct retrieval *r, const struct db_instance *i, const char *syntax,
                       const struct scu_outcome *outcome)
{
    char *status = r->outcomes[r->event_count];
    (void)snprintf(status, sizeof(r->outcomes[0]), "none");
    if (outcome->answered) {
        (void)snprintf(status, sizeof(r->outcomes[0]), "%04x", (unsigned)outcome->dimse_status);
    }
    r->details[r->event_count] = detail_of(r, syntax, outcome);
    struct db_event *e = &r->events[r->event_count];
    *e = (struct db_event){.kind = scu_was_delivered(outcome) ? "retrieved" : "retrieve-failed",
                           .instance_id = i->id,
                           .study_id = i->study_id,
                           .actor = r->request->peer->calling_ae,
                           .sop_uid = i->sop_uid,
                           .study_uid = i->study_uid,
                           .peer = r->peer,
                           .outcome = status,
                           .has_before = true,
                           .detail = r->details[r->event_count]};
    memcpy(e->before, i->file_hash, sizeof(e->before));
    r->event_count++;
}

bool retrieval_record(struct retrieval *r)
{
    struct ds_error err = {DS_OK, ""};
    enum ds_status s = DS_OK;
    for (int i = 0; r->event_count > 0 && i < RECORD_TRIES; i++) {
        struct db *db = services_db(r->services);
        s = db == NULL ? ds_fail(&err, DS_EIO, "the database is away")
                       : db_event_add(db, r->events, r->event_count, &err);
        if (s == DS_OK) {
            break;
        }
        services_sleep(r->services, RECORD_PAUSE_MS);
    }
    if (s != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "assoc=%" PRIu64 " peer=%s %zu retrievals not recorded: %s",
               r->request->peer->association, r->request->peer->calling_ae, r->event_count,
               err.text);
    }
    for (size_t i = 0; i < r->event_count; i++) {
        free(r->details[i]);
    }
    r->event_count = 0;
    return s == DS_OK;
}

void retrieval_finish(struct retrieval *r)
{
    scu_link_free(r->link);
    ds_bytes_free(&r->failed);
}

/* PS3.4 C.4.2.1.4.2. A list that grows too long ends: the count says how many there are. */
static void list_failed(struct retrieval *r, const char *sop_uid)
{
    if (r->failed.len + strlen(sop_uid) + 1 > RETRIEVAL_FAILED_MAX_BYTES) {
        return;
    }
    if (r->failed.len > 0 && ds_bytes_put_u8(&r->failed, '\\', NULL) != DS_OK) {
        return;
    }
    (void)!ds_bytes_append(&r->failed, sop_uid, strlen(sop_uid), NULL);
}

static void take_one(struct retrieval *r)
{
    if (r->counts.remaining > 0) {
        r->counts.remaining--;
    }
}

void retrieval_fail(struct retrieval *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        take_one(r);
        r->counts.failed++;
    }
}

static void count_outcome(struct retrieval *r, const struct db_instance *i,
                          const struct scu_outcome *o)
{
    take_one(r);
    switch (o->verdict) {
    case SCU_DELIVERED:
        r->counts.completed++;
        break;
    case SCU_WARNING:
        r->counts.warning++;
        break;
    default:
        r->counts.failed++;
        list_failed(r, i->sop_uid);
        ds_log(DS_LOG_WARNING, "node", "assoc=%" PRIu64 " peer=%s instance=%lld not sent to %s: %s",
               r->request->peer->association, r->request->peer->calling_ae, (long long)i->id,
               r->destination, o->cause);
        break;
    }
}

/* ---- sending ---- */

static struct scu_outcome store_back(struct retrieval *r, const struct scu_object *o)
{
    struct scu_outcome out = {.verdict = SCU_DELIVERED};
    struct ds_error err = {DS_OK, ""};
    const enum ds_status s =
        dicom_operation_store(r->operation, o->sop_class_uid, o->sop_instance_uid,
                              o->transfer_syntax, o->data, o->len, &out.dimse_status, &err);
    out.answered = s == DS_OK;
    out.verdict = s == DS_OK ? scu_verdict_of(out.dimse_status) : scu_verdict_of_failure(s);
    if (s != DS_OK) {
        memcpy(out.cause, err.text, sizeof(out.cause));
    } else if (out.verdict != SCU_DELIVERED) {
        (void)snprintf(out.cause, sizeof(out.cause), "the peer answered status %04x",
                       (unsigned)out.dimse_status);
    }
    return out;
}

static struct scu_outcome failure(enum ds_status s, const char *cause)
{
    struct scu_outcome o = {.verdict = scu_verdict_of_failure(s)};
    (void)snprintf(o.cause, sizeof(o.cause), "%s", cause);
    return o;
}

static enum ds_status load(struct retrieval *r, const struct db_instance *i, const char *syntax,
                           struct outgoing *out, struct ds_error *err)
{
    const bool rewritten = strcmp(syntax, i->transfer_syntax) != 0;
    const bool is_native = dicom_transfer_syntax_is_native(i->transfer_syntax);
    DS_AUTO(budget_give) struct budget_share share = {0};
    if (rewritten) {
        share = budget_take(&r->services->budget, budget_for_carrier(i->path, is_native));
    }
    return ahead_take(r->ahead, i, syntax, out, err);
}

static void expect(struct retrieval *r, const struct db_instance *i)
{
    if (accepts(r, i->sop_class_uid, i->transfer_syntax)) {
        ahead_begin(r->ahead, i);
    }
}

static struct scu_outcome send_in(struct retrieval *r, const struct db_instance *i,
                                  const struct db_instance *next, const char *syntax,
                                  enum ds_status *loaded)
{
    DS_AUTO(outgoing_free) struct outgoing out = {0};
    struct ds_error err = {DS_OK, ""};
    *loaded = load(r, i, syntax, &out, &err);
    if (*loaded != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "instance=%lld %s cannot be retrieved: %s", (long long)i->id,
               i->path, err.text);
        return failure(*loaded, err.text);
    }
    if (next != NULL) {
        expect(r, next);
    }
    const struct scu_object object = {.sop_class_uid = i->sop_class_uid,
                                      .sop_instance_uid = i->sop_uid,
                                      .transfer_syntax = syntax,
                                      .data = out.data,
                                      .len = out.len};
    struct scu_outcome o =
        r->link != NULL ? scu_link_send(r->link, &object) : store_back(r, &object);
    if (o.verdict == SCU_DELIVERED) {
        outgoing_note(out.stored_in, syntax, o.cause, sizeof(o.cause));
    }
    return o;
}

/* A receiver that has gone, or says nothing time after time, costs the rest. */
static void judge_receiver(struct retrieval *r, enum ds_status loaded, const struct scu_outcome *o)
{
    if (loaded != DS_OK) {
        return;
    }
    r->silent = o->answered ? 0 : r->silent + 1;
    if (o->of_link || r->silent >= SILENT_MAX) {
        give_up(r, "the destination does not answer");
    }
}

void retrieval_send(struct retrieval *r, const struct db_instance *i,
                    const struct db_instance *next)
{
    const char *syntaxes[CHOICES];
    struct dicom_context contexts[CHOICES];
    size_t n = 0;
    add_contexts(contexts, &n, i);
    if (!propose(r, contexts, n)) {
        retrieval_fail(r, 1);
        return;
    }
    n = accepted_choices(r, i, syntaxes);
    struct scu_outcome o = failure(DS_EREFUSED, "the receiver accepts no presentation context for "
                                                "the SOP class in a syntax that can be sent");
    enum ds_status loaded = DS_EUNSUPPORTED;
    const char *syntax = NULL;
    for (size_t k = 0; k < n && loaded == DS_EUNSUPPORTED; k++) {
        syntax = syntaxes[k];
        o = send_in(r, i, next, syntax, &loaded);
    }
    judge_receiver(r, loaded, &o);
    count_outcome(r, i, &o);
    note_event(r, i, loaded == DS_OK ? syntax : NULL, &o);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/testimony.h"

#include "base/clock.h"
#include "db/audit.h"
#include "db/witness.h"
#include "dicomstego/statement.h"
#include "provenance/timestamp.h"

#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_MAX_BYTES 65536U
#define SEEN_MAX              100000U

/* A file in the making. */
struct testimony {
    struct db *db;
    const struct stego_identity *by;
    struct ds_bytes *out;
    char (*uids)[DB_UID_BYTES]; /* of the instance; NULL for other files */
    size_t uid_count;
    uint8_t own[DS_SHA256_BYTES]; /* this node's log */
};

/* One log while its lines are written. */
struct chapter {
    struct testimony *t;
    const uint8_t *log;
    struct db_log_nodes *nodes;
    struct db_head head;
    uint64_t events, last_leaf;
    struct ds_bytes leaf;
};

static void chapter_finish(struct chapter *c)
{
    db_log_nodes_free(c->nodes);
    ds_bytes_free(&c->leaf);
}

static void free_memory(void *pointer)
{
    free(*(void **)pointer);
}

enum ds_status testimony_log_of(const struct stego_certificate *c, uint8_t out[DS_SHA256_BYTES],
                                struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    const enum ds_status s = stego_certificate_public_key(c, &key, err);
    return s == DS_OK ? provenance_log_id(key.data, key.len, out, err) : s;
}

/* ---- the head of a log ---- */

static enum ds_status put_party(struct testimony *t, const uint8_t log[DS_SHA256_BYTES],
                                struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes certificate = DS_BYTES_INIT(CERTIFICATE_MAX_BYTES);
    const enum ds_status s = db_log_key(t->db, log, &key, &certificate, err);
    return s == DS_OK ? evidence_put_party(
                            t->out, EVIDENCE_LOG, (struct provenance_bytes){key.data, key.len},
                            (struct provenance_bytes){certificate.data, certificate.len}, err)
                      : s;
}

static enum ds_status put_head(struct chapter *c, struct ds_error *err)
{
    const struct provenance_bytes signature = {c->head.signature, c->head.signature_len};
    return evidence_put_head(c->t->out, &c->head.head, signature, err);
}

static enum ds_status stamped_head(struct chapter *c, uint64_t size, struct ds_error *err)
{
    struct db_head *heads = NULL;
    size_t count = 0;
    enum ds_status s = db_heads(c->t->db, c->log, size, 1, &heads, &count, err);
    if (s == DS_OK && (count == 0 || heads[0].head.size != size)) {
        s = ds_fail(err, DS_ENOTFOUND, "the head of a time stamp is not there");
    } else if (s == DS_OK) {
        c->head = heads[0];
    }
    free(heads);
    return s;
}

/* Of the heads that cover all events the first that has a time stamp says most; without one, the
 * newest. */
static enum ds_status put_best_head(struct chapter *c, uint64_t covered, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes token = DS_BYTES_INIT(PROVENANCE_STAMP_MAX_BYTES);
    uint64_t size = 0;
    enum ds_status s = covered == 0 ? ds_fail(err, DS_ENOTFOUND, "no events")
                                    : db_stamp_first(c->t->db, c->log, covered, &size, &token, err);
    if (s == DS_ENOTFOUND) {
        return put_head(c, err);
    }
    if (s == DS_OK) {
        s = stamped_head(c, size, err);
    }
    if (s == DS_OK) {
        s = put_head(c, err);
    }
    return s == DS_OK ? evidence_put_stamp(c->t->out,
                                           (struct provenance_bytes){token.data, token.len}, err)
                      : s;
}

/* ---- events ---- */

static enum ds_status count_event(void *context, const struct db_audit_row *row,
                                  struct ds_error *err)
{
    struct chapter *c = context;
    (void)err;
    c->events++;
    c->last_leaf = row->leaf;
    return DS_OK;
}

static enum ds_status put_event(void *context, const struct db_audit_row *row, struct ds_error *err)
{
    struct chapter *c = context;
    struct provenance_proof path;
    const struct provenance_nodes nodes = db_log_nodes_of(c->nodes);
    c->leaf.len = 0;
    enum ds_status s = provenance_event_bytes(&row->event, &c->leaf, err);
    if (s == DS_OK) {
        s = provenance_prove_leaf(&nodes, row->leaf, c->head.head.size, &path, err);
    }
    return s == DS_OK ? evidence_put_event(c->t->out, row->leaf,
                                           (struct provenance_bytes){c->leaf.data, c->leaf.len},
                                           &path, err)
                      : s;
}

static enum ds_status each_event(struct chapter *c, db_audit_take *take, struct ds_error *err)
{
    return db_audit_of(c->t->db, c->log, c->head.head.size, (const char(*)[DB_UID_BYTES])c->t->uids,
                       c->t->uid_count, take, c, err);
}

/* ---- who has seen the log ---- */

static enum ds_status put_witness(void *context, const struct db_seen *seen, struct ds_error *err)
{
    struct chapter *c = context;
    struct provenance_proof prefix;
    const struct provenance_nodes nodes = db_log_nodes_of(c->nodes);
    enum ds_status s =
        evidence_put_party(c->t->out, EVIDENCE_WITNESS, seen->key, seen->certificate, err);
    if (s == DS_OK) {
        s = evidence_put_seen(c->t->out, &seen->head,
                              (struct provenance_bytes){seen->signature, seen->signature_len}, err);
    }
    if (s == DS_OK) {
        s = provenance_prove_prefix(&nodes, seen->head.size, c->head.head.size, &prefix, err);
    }
    return s == DS_OK ? evidence_put_prefix(c->t->out, &prefix, err) : s;
}

/* *events: of the instance in this log. */
static enum ds_status put_chapter(struct testimony *t, const uint8_t log[DS_SHA256_BYTES],
                                  uint64_t *events, struct ds_error *err)
{
    DS_AUTO(chapter_finish)
    struct chapter c = {.t = t, .log = log, .leaf = DS_BYTES_INIT(EVIDENCE_MAX_BYTES)};
    enum ds_status s = db_head_last(t->db, log, &c.head, err);
    if (s == DS_OK && c.head.head.size == 0) {
        s = ds_fail(err, DS_ENOTFOUND, "the log has no events yet");
    }
    if (s == DS_OK && t->uids != NULL) {
        s = each_event(&c, count_event, err);
    }
    if (s == DS_OK) {
        s = put_party(t, log, err);
    }
    if (s == DS_OK) {
        s = put_best_head(&c, c.events > 0 ? c.last_leaf + 1 : 0, err);
    }
    if (s == DS_OK) {
        s = db_log_nodes_new(&c.nodes, t->db, log, err);
    }
    if (s == DS_OK && c.events > 0) {
        s = each_event(&c, put_event, err);
    }
    if (s == DS_OK) {
        s = db_witnesses(t->db, log, c.head.head.size, put_witness, &c, err);
    }
    *events += c.events;
    return s;
}

/* ---- the files ---- */

static enum ds_status begin(struct testimony *t, enum evidence_kind kind, struct ds_error *err)
{
    enum ds_status s = testimony_log_of(stego_identity_certificate(t->by), t->own, err);
    if (s == DS_OK) {
        s = evidence_put_title(t->out, kind, err);
    }
    for (size_t i = 0; i < t->uid_count && s == DS_OK; i++) {
        s = evidence_put_uid(t->out, i == 0 ? EVIDENCE_INSTANCE : EVIDENCE_ALSO, t->uids[i], err);
    }
    return s == DS_OK ? evidence_put_made(t->out, ds_clock_utc_us(), err) : s;
}

static enum ds_status put_chapters(struct testimony *t, struct ds_error *err)
{
    DS_AUTO(free_memory) uint8_t(*logs)[DS_SHA256_BYTES] = NULL;
    size_t count = 0;
    uint64_t events = 0;
    enum ds_status s = db_audit_logs(t->db, (const char(*)[DB_UID_BYTES])t->uids, t->uid_count,
                                     &logs, &count, err);
    if (s == DS_OK) {
        s = put_chapter(t, t->own, &events, err); /* first: it seals */
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        if (memcmp(logs[i], t->own, DS_SHA256_BYTES) != 0) {
            s = put_chapter(t, logs[i], &events, err);
        }
    }
    return s == DS_OK && events == 0
               ? ds_fail(err, DS_ENOTFOUND, "no event of this instance is in the log")
               : s;
}

enum ds_status testimony_of_instance(struct db *db, const struct stego_identity *by,
                                     const char *sop_uid, struct ds_bytes *out,
                                     struct ds_error *err)
{
    struct testimony t = {.db = db, .by = by, .out = out};
    enum ds_status s = db_audit_uids(db, sop_uid, &t.uids, &t.uid_count, err);
    if (s == DS_OK) {
        s = begin(&t, EVIDENCE_BUNDLE, err);
    }
    if (s == DS_OK) {
        s = put_chapters(&t, err);
    }
    free(t.uids);
    return s == DS_OK ? evidence_put_seal(out, by, err) : s;
}

enum ds_status testimony_of_head(struct db *db, const struct stego_identity *by,
                                 struct ds_bytes *out, struct ds_error *err)
{
    struct testimony t = {.db = db, .by = by, .out = out};
    uint64_t events = 0;
    enum ds_status s = begin(&t, EVIDENCE_HEAD, err);
    if (s == DS_OK) {
        s = put_chapter(&t, t.own, &events, err);
    }
    return s == DS_OK ? evidence_put_seal(out, by, err) : s;
}

static enum ds_status put_seen(struct testimony *t, const struct stego_certificate *peer,
                               struct ds_error *err)
{
    uint8_t log[DS_SHA256_BYTES];
    DS_AUTO(free_memory) struct db_seen *seen = NULL;
    size_t count = 0;
    enum ds_status s = testimony_log_of(peer, log, err);
    if (s == DS_OK) {
        s = db_seen_list(t->db, log, t->own, SEEN_MAX, &seen, &count, err);
    }
    if (s == DS_OK && count == 0) {
        return ds_fail(err, DS_ENOTFOUND, "no carrier of this peer named a head of its log");
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = evidence_put_seen(t->out, &seen[i].head,
                              (struct provenance_bytes){seen[i].signature, seen[i].signature_len},
                              err);
    }
    return s;
}

enum ds_status testimony_of_seen(struct db *db, const struct stego_identity *by,
                                 const struct stego_certificate *peer, struct ds_bytes *out,
                                 struct ds_error *err)
{
    struct testimony t = {.db = db, .by = by, .out = out};
    enum ds_status s = begin(&t, EVIDENCE_SEEN, err);
    if (s == DS_OK) {
        s = put_party(&t, t.own, err);
    }
    if (s == DS_OK) {
        s = put_seen(&t, peer, err);
    }
    return s == DS_OK ? evidence_put_seal(out, by, err) : s;
}

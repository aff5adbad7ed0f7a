/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "base/clock.h"
#include "db/audit.h"
#include "db/operate.h"
#include "db/witness.h"
#include "node/logkeeper.h"
#include "node/testimony.h"
#include "node/witness.h"

#include <string.h>

#define SETTLE_MS 10000

/* ---- log and export ---- */

/* Rows are sent as they are read: {"leaf": 17 or null, "event": "the bytes that were hashed"}. */
struct sending {
    struct services *services;
    struct control_answer *answer;
    struct ds_bytes event;
};

static enum ds_status send_event(void *context, const struct db_audit_row *row,
                                 struct ds_error *err)
{
    struct sending *to = context;
    to->event.len = 0;
    enum ds_status s = provenance_event_bytes(&row->event, &to->event, err);
    if (s == DS_OK) {
        s = ds_bytes_append(&to->event, "", 1, err);
    }
    return s == DS_OK ? control_row(to->answer,
                                    json_pack("{s:o, s:o}", "leaf",
                                              row->has_leaf ? json_integer((json_int_t)row->leaf)
                                                            : json_null(),
                                              "event", control_text((const char *)to->event.data)),
                                    err)
                      : s;
}

/* limit may be NULL: it is refused then. */
static enum ds_status take_filter(const struct control_request *request,
                                  struct db_audit_filter *out, json_int_t *limit,
                                  struct ds_error *err)
{
    json_int_t since = 0;
    json_int_t until = 0;
    json_int_t none = 0;
    *out = (struct db_audit_filter){0};
    const enum ds_status s = operator_arguments(
        request, err, "{s?s, s?s, s?s, s?s, s?s, s?I, s?I, s?I}", "study", &out->study_uid,
        "patient", &out->patient_id, "peer", &out->peer, "kind", &out->kind, "instance",
        &out->sop_uid, "since", &since, "until", &until, "limit", limit != NULL ? limit : &none);
    out->since_us = since;
    out->until_us = until;
    return s == DS_OK && none != 0 ? ds_fail(err, DS_EINVAL, "an export has no limit") : s;
}

enum ds_status operator_audit_log(void *services, const struct control_request *request,
                                  struct control_answer *answer, struct ds_error *err)
{
    struct db_audit_filter filter;
    json_int_t limit = 0;
    unsigned max = 0;
    struct db *db = NULL;
    struct sending to = {services, answer, DS_BYTES_INIT(EVIDENCE_MAX_BYTES)};
    enum ds_status s = take_filter(request, &filter, &limit, err);
    if (s == DS_OK) {
        s = operator_limit(limit, &max, err);
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    if (s == DS_OK) {
        s = db_audit_newest(db, &filter, max, send_event, &to, err);
    }
    ds_bytes_free(&to.event);
    return s;
}

static enum ds_status send_event_unless_stopping(void *context, const struct db_audit_row *row,
                                                 struct ds_error *err)
{
    const struct sending *to = context;
    return services_stopping(to->services) ? ds_fail(err, DS_EIO, "the node is stopping")
                                           : send_event(context, row, err);
}

enum ds_status operator_audit_export(void *services, const struct control_request *request,
                                     struct control_answer *answer, struct ds_error *err)
{
    struct db_audit_filter filter;
    struct db *db = NULL;
    struct sending to = {services, answer, DS_BYTES_INIT(EVIDENCE_MAX_BYTES)};
    enum ds_status s = take_filter(request, &filter, NULL, err);
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    if (s == DS_OK) {
        s = db_audit_all(db, &filter, send_event_unless_stopping, &to, err);
    }
    ds_bytes_free(&to.event);
    return s;
}

/* ---- evidence ---- */

static enum ds_status send_lines(struct control_answer *answer, const struct ds_bytes *text,
                                 struct ds_error *err)
{
    size_t at = 0;
    enum ds_status s = DS_OK;
    while (s == DS_OK && at < text->len) {
        const char *line = (const char *)text->data + at;
        const size_t len = (size_t)((const char *)memchr(line, '\n', text->len - at) - line);
        s = control_row(answer, json_pack("{s:o}", "line", json_stringn(line, len)), err);
        at += len + 1;
    }
    return s;
}

/* All that was done before the question is under a head when it is answered. */
static enum ds_status settle(struct services *services, struct db **db, struct ds_error *err)
{
    const enum ds_status s = operator_db(services, db, err);
    return s == DS_OK ? logkeeper_settle(services->logkeeper, SETTLE_MS, err) : s;
}

static const struct stego_identity *identity_of(const struct services *services)
{
    return logkeeper_identity(services->logkeeper);
}

enum ds_status operator_audit_prove(void *services, const struct control_request *request,
                                    struct control_answer *answer, struct ds_error *err)
{
    const char *uid = NULL;
    struct db *db = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    enum ds_status s = operator_arguments(request, err, "{s:s}", "instance", &uid);
    if (s == DS_OK) {
        s = settle(services, &db, err);
    }
    if (s == DS_OK) {
        s = testimony_of_instance(db, identity_of(services), uid, &text, err);
    }
    return s == DS_OK ? send_lines(answer, &text, err) : s;
}

enum ds_status operator_audit_head(void *services, const struct control_request *request,
                                   struct control_answer *answer, struct ds_error *err)
{
    struct db *db = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    enum ds_status s = operator_arguments(request, err, "{}");
    if (s == DS_OK) {
        s = settle(services, &db, err);
    }
    if (s == DS_OK) {
        s = testimony_of_head(db, identity_of(services), &text, err);
    }
    return s == DS_OK ? send_lines(answer, &text, err) : s;
}

enum ds_status operator_audit_seen(void *services, const struct control_request *request,
                                   struct control_answer *answer, struct ds_error *err)
{
    const char *peer = NULL;
    struct db *db = NULL;
    const struct stego_certificate *certificate = NULL;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    enum ds_status s = operator_arguments(request, err, "{s:s}", "peer", &peer);
    if (s == DS_OK) {
        certificate = settings_certificate(settings, peer);
        s = certificate != NULL
                ? operator_db(services, &db, err)
                : ds_fail(err, DS_ENOTFOUND, "the configuration has no certificate of this peer");
    }
    if (s == DS_OK) {
        s = testimony_of_seen(db, identity_of(services), certificate, &text, err);
    }
    return s == DS_OK ? send_lines(answer, &text, err) : s;
}

/* ---- prefix ---- */

static enum ds_status send_proof(struct control_answer *answer,
                                 const struct provenance_proof *proof, struct ds_error *err)
{
    json_t *hashes = json_array();
    for (size_t i = 0; i < proof->count; i++) {
        char hex[DS_SHA256_HEX_BYTES];
        ds_hex(proof->hashes[i], DS_SHA256_BYTES, hex);
        (void)json_array_append_new(hashes, json_string(hex));
    }
    return control_row(answer, json_pack("{s:o}", "hashes", hashes), err);
}

static enum ds_status prove_prefix(struct db *db, const uint8_t log[DS_SHA256_BYTES], uint64_t old,
                                   uint64_t size, struct provenance_proof *out,
                                   struct ds_error *err)
{
    struct db_log_nodes *nodes = NULL;
    struct db_head last;
    enum ds_status s = db_head_last(db, log, &last, err);
    if (s == DS_OK && (old == 0 || old > size || size > last.head.size)) {
        s = ds_fail(err, DS_EINVAL, "the log has not so many events");
    }
    if (s == DS_OK) {
        s = db_log_nodes_new(&nodes, db, log, err);
    }
    if (s == DS_OK) {
        const struct provenance_nodes from = db_log_nodes_of(nodes);
        s = provenance_prove_prefix(&from, old, size, out, err);
    }
    db_log_nodes_free(nodes);
    return s;
}

enum ds_status operator_audit_prefix(void *services, const struct control_request *request,
                                     struct control_answer *answer, struct ds_error *err)
{
    const char *name = NULL;
    json_int_t old = 0;
    json_int_t size = 0;
    uint8_t log[DS_SHA256_BYTES];
    struct db *db = NULL;
    struct provenance_proof proof = {0};
    enum ds_status s = operator_arguments(request, err, "{s:s, s:I, s:I}", "log", &name, "old",
                                          &old, "size", &size);
    if (s == DS_OK && (strlen(name) != 2 * sizeof(log) || !ds_unhex(name, log, sizeof(log)) ||
                       old <= 0 || size <= 0)) {
        s = ds_fail(err, DS_EINVAL, "log, old and size do not name two heads");
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    if (s == DS_OK) {
        s = prove_prefix(db, log, (uint64_t)old, (uint64_t)size, &proof, err);
    }
    return s == DS_OK ? send_proof(answer, &proof, err) : s;
}

/* ---- witness ---- */

/* Hexadecimal in text into *out. */
static enum ds_status take_hex(const char *text, struct ds_bytes *out, struct ds_error *err)
{
    const size_t len = strlen(text) / 2;
    const enum ds_status s = ds_bytes_resize(out, len, err);
    if (s != DS_OK || len == 0) {
        return s;
    }
    return ds_unhex(text, out->data, len) ? DS_OK
                                          : ds_fail(err, DS_EINVAL, "a value is not hexadecimal");
}

struct countersignature {
    struct db_seen seen;
    struct ds_bytes key, certificate, signature;
};

static void countersignature_free(struct countersignature *c)
{
    ds_bytes_free(&c->key);
    ds_bytes_free(&c->certificate);
    ds_bytes_free(&c->signature);
}

static enum ds_status take_countersignature(const struct control_request *request,
                                            struct countersignature *c, struct ds_error *err)
{
    const char *key = NULL;
    const char *certificate = "";
    const char *log = NULL;
    const char *root = NULL;
    const char *signature = NULL;
    json_int_t size = 0;
    json_int_t at = 0;
    struct db_seen *seen = &c->seen;
    enum ds_status s =
        operator_arguments(request, err, "{s:s, s?s, s:s, s:I, s:s, s:I, s:s}", "key", &key,
                           "certificate", &certificate, "log", &log, "size", &size, "root", &root,
                           "at", &at, "signature", &signature);
    if (s == DS_OK &&
        (strlen(log) != 2 * sizeof(seen->head.log) ||
         !ds_unhex(log, seen->head.log, sizeof(seen->head.log)) ||
         strlen(root) != 2 * sizeof(seen->head.root) ||
         !ds_unhex(root, seen->head.root, sizeof(seen->head.root)) || size <= 0 || at <= 0)) {
        s = ds_fail(err, DS_EINVAL, "log, size, root and time do not name a head");
    }
    s = s == DS_OK ? take_hex(key, &c->key, err) : s;
    s = s == DS_OK ? take_hex(certificate, &c->certificate, err) : s;
    s = s == DS_OK ? take_hex(signature, &c->signature, err) : s;
    if (s != DS_OK) {
        return s;
    }
    seen->head.size = (uint64_t)size;
    seen->head.at_us = at;
    seen->key = (struct provenance_bytes){c->key.data, c->key.len};
    seen->certificate = (struct provenance_bytes){c->certificate.data, c->certificate.len};
    seen->signature_len = c->signature.len;
    memcpy(seen->signature, c->signature.data, c->signature.len);
    return DS_OK;
}

enum ds_status operator_audit_witness(void *services, const struct control_request *request,
                                      struct control_answer *answer, struct ds_error *err)
{
    struct db *db = NULL;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    DS_AUTO(countersignature_free)
    struct countersignature c = {.key = DS_BYTES_INIT(EVIDENCE_VALUE_MAX),
                                 .certificate = DS_BYTES_INIT(EVIDENCE_VALUE_MAX),
                                 .signature = DS_BYTES_INIT(DB_SIGNATURE_BYTES)};
    enum ds_status s = take_countersignature(request, &c, err);
    if (s == DS_OK) {
        s = settle(services, &db, err);
    }
    if (s == DS_OK) {
        s = witness_accept(services, db, settings, &c.seen, err);
    }
    return s == DS_OK
               ? control_row(answer, json_pack("{s:I}", "size", (json_int_t)c.seen.head.size), err)
               : s;
}

/* ---- verify ---- */

struct verifying {
    struct control_answer *answer;
    enum ds_status status; /* of who listens */
};

static void send_finding(void *context, const struct db_finding *finding)
{
    struct verifying *v = context;
    struct ds_error err;
    if (v->status == DS_OK) {
        v->status = control_row(
            v->answer,
            json_pack("{s:s, s:o, s:I, s:I, s:I}", "kind", db_finding_name(finding->kind),
                      "finding", control_text(finding->text), "event",
                      (json_int_t)finding->event_id, "leaf", (json_int_t)finding->leaf, "count",
                      (json_int_t)finding->count),
            &err);
    }
}

enum ds_status operator_audit_verify(void *services, const struct control_request *request,
                                     struct control_answer *answer, struct ds_error *err)
{
    const struct services *with = services;
    struct db *db = NULL;
    struct verifying v = {answer, DS_OK};
    struct db_log_report report = {0};
    enum ds_status s = operator_arguments(request, err, "{}");
    if (s == DS_OK) {
        s = settle(services, &db, err);
        s = s == DS_EAUTH ? DS_OK : s; /* a log that has ended can be read all the same */
    }
    if (s == DS_OK) {
        s = logkeeper_verify(with->logkeeper, db, send_finding, &v, &report, err);
    }
    return s == DS_OK
               ? control_row(answer,
                             json_pack("{s:I, s:I, s:I, s:I}", "events", (json_int_t)report.leaves,
                                       "heads", (json_int_t)report.heads, "waiting",
                                       (json_int_t)report.waiting, "findings",
                                       (json_int_t)report.findings),
                             err)
               : s;
}

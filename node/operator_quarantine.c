/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "carrier/carrier.h"
#include "config/control.h"
#include "db/operate.h"
#include "node/description.h"
#include "node/quarantine.h"
#include "node/retention.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX     1000U
#define PIECE_BYTES (3U * 1024U * 1024U) /* of three, so that base64 needs no padding inside */

_Static_assert(PIECE_BYTES % 3 == 0 && PIECE_BYTES / 3 * 4 < CONTROL_LINE_MAX_BYTES - 4096,
               "a piece fits a line");

static json_t *hash_text(bool has, const uint8_t hash[DS_SHA256_BYTES])
{
    char hex[2 * DS_SHA256_BYTES + 1];
    ds_hex(hash, DS_SHA256_BYTES, hex);
    return has ? json_string(hex) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : control_text(text);
}

static json_t *row_of(const struct db_quarantine_row *q)
{
    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "id",
                     (json_int_t)q->id, "state", db_quarantine_state_name(q->state), "class",
                     db_quarantine_class_name(q->class_), "reason", control_text(q->reason),
                     "sender", text_or_null(q->calling_ae), "held", operator_time(q->held_us),
                     "study", text_or_null(q->study_uid), "instance", text_or_null(q->sop_uid),
                     "bytes", (json_int_t)q->file_bytes, "decided", operator_time(q->decided_us),
                     "decided_by", text_or_null(q->decided_by), "decision",
                     text_or_null(q->decision));
}

/* ---- list ---- */

static enum ds_status read_filter(struct db_quarantine_filter *f, const char *state,
                                  const char *class_, int all, struct ds_error *err)
{
    enum db_quarantine_state wanted = DB_HELD;
    enum db_quarantine_class of = DB_UNREADABLE;
    if (state != NULL && !db_quarantine_state_from(state, &wanted)) {
        return ds_fail(err, DS_EINVAL, "no such state; expected held, released or discarded");
    }
    if (class_ != NULL && !db_quarantine_class_from(class_, &of)) {
        return ds_fail(err, DS_EINVAL,
                       "no such class; expected unreadable, unverified, no-key, incomplete, "
                       "damaged or collision");
    }
    if (all != 0 && state != NULL) {
        return ds_fail(err, DS_EINVAL, "all states, or one of them");
    }
    f->state = all != 0 ? -1 : (int)wanted;
    f->class_ = class_ == NULL ? -1 : (int)of;
    return DS_OK;
}

enum ds_status operator_quarantine_list(void *services, const struct control_request *request,
                                        struct control_answer *answer, struct ds_error *err)
{
    struct db_quarantine_filter f = DB_QUARANTINE_ALL;
    const char *state = NULL;
    const char *class_ = NULL;
    int all = 0;
    json_int_t limit = 0;
    json_int_t after = 0;
    unsigned max = 0;
    struct db *db = NULL;
    enum ds_status s = operator_arguments(
        request, err, "{s?s, s?s, s?s, s?s, s?b, s?I, s?I}", "peer", &f.calling_ae, "state", &state,
        "study", &f.study_uid, "class", &class_, "all", &all, "limit", &limit, "after", &after);
    if (s == DS_OK) {
        s = read_filter(&f, state, class_, all, err);
    }
    if (s == DS_OK) {
        s = operator_limit(limit, &max, err);
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    struct db_quarantine_row *rows = NULL;
    size_t count = 0;
    if (s == DS_OK) {
        s = db_quarantine_list(db, &f, max, after, &rows, &count, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = control_row(answer, row_of(&rows[i]), err);
    }
    free(rows);
    return s;
}

static enum ds_status find_one(struct services *services, json_int_t id, struct db **db,
                               struct db_quarantine_row *out, struct ds_error *err)
{
    struct db_quarantine_filter f = DB_QUARANTINE_ALL;
    struct db_quarantine_row *rows = NULL;
    size_t count = 0;
    f.id = id;
    enum ds_status s = operator_db(services, db, err);
    if (s == DS_OK) {
        s = db_quarantine_list(*db, &f, 1, 0, &rows, &count, err);
    }
    if (s == DS_OK && (count == 0 || id <= 0)) {
        s = ds_fail(err, DS_ENOTFOUND, "nothing in quarantine has number %lld", (long long)id);
    }
    if (s == DS_OK) {
        *out = rows[0];
    }
    free(rows);
    return s;
}

/* ---- show: what it would be judged to be at this moment ---- */

static const char *signature_text(enum stego_origin_state state)
{
    static const char *const names[] = {"unsigned", "signed, not checked", "verified"};
    return (unsigned)state < DS_ARRAY_SIZE(names) ? names[state] : "";
}

/* What the manifest says of itself, whoever signed it: a claim until "verifies" is true. */
static void add_claims(json_t *out, const uint8_t *file, size_t len)
{
    DS_AUTO(carrier_found_auto) struct carrier_found *found = NULL;
    const struct stego_keyring nobody = {0};
    if (carrier_found_load(&found, file, len, &nobody, NULL, NULL) != DS_OK) {
        return;
    }
    const struct stego_part *part = carrier_found_part(found);
    const struct stego_manifest *m = stego_part_manifest(part);
    char capsule[2 * STEGO_CAPSULE_ID_BYTES + 1];
    ds_hex(m->capsule_id, STEGO_CAPSULE_ID_BYTES, capsule);
    (void)json_object_set_new(out, "claims",
                              json_pack("{s:o, s:o, s:s, s:s, s:o, s:o}", "origin",
                                        control_text(m->origin), "created",
                                        operator_time(m->created_utc_us), "signature",
                                        signature_text(stego_part_origin(part)), "capsule", capsule,
                                        "original_pixel_hash", hash_text(true, m->pixel_hash),
                                        "original_dataset_hash", hash_text(true, m->dataset_hash)));
}

/* With the keys and certificates in force: what an operator asks before he has it judged again. */
static json_t *judge_now(struct services *services, const uint8_t *file, size_t len)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    DS_AUTO(carrier_found_auto) struct carrier_found *found = NULL;
    const struct stego_identity *own = settings_identity(settings);
    const struct stego_keyring keyring = {.identities = &own,
                                          .identity_count = own == NULL ? 0 : 1,
                                          .trust = settings_trust(settings)};
    struct ds_error why = {0};
    const enum ds_status s = carrier_found_load(&found, file, len, &keyring, NULL, &why);
    const bool carries = s != DS_ENOTHING;
    json_t *out = json_pack("{s:b, s:b, s:o}", "carries", carries, "verifies", s == DS_OK, "says",
                            s == DS_OK ? json_null() : control_text(why.text));
    if (carries) {
        add_claims(out, file, len);
    }
    return out;
}

static json_t *inspect(struct services *services, const char *path)
{
    struct ds_error why = {0};
    struct description *d = calloc(1, sizeof(*d));
    struct carrier_original *original = NULL;
    DS_AUTO(budget_give)
    struct budget_share share = budget_take(&services->budget, budget_for_carrier(path, false));
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    enum ds_status s = d == NULL ? ds_fail(&why, DS_ENOMEM, "out of memory")
                                 : description_open(d, path, NULL, &original, &why);
    if (s == DS_OK) {
        s = ds_map_open(&file, path, SIZE_MAX, &why);
    }
    json_t *out = json_pack("{s:b, s:o}", "reads", s == DS_OK, "says",
                            s == DS_OK ? json_null() : control_text(why.text));
    if (s == DS_OK) {
        (void)json_object_set_new(out, "sop_class", control_text(d->sop_class_uid));
        (void)json_object_set_new(out, "transfer_syntax", control_text(d->meta.transfer_syntax));
        (void)json_object_set_new(out, "modality", control_text(d->modality));
        (void)json_object_set_new(out, "carrier", judge_now(services, file.data, file.len));
    }
    carrier_original_free(original);
    free(d);
    return out;
}

enum ds_status operator_quarantine_show(void *services, const struct control_request *request,
                                        struct control_answer *answer, struct ds_error *err)
{
    json_int_t id = 0;
    struct db *db = NULL;
    struct db_quarantine_row q;
    char path[ARCHIVE_PATH_BYTES];
    enum ds_status s = operator_arguments(request, err, "{s:I}", "id", &id);
    if (s == DS_OK) {
        s = find_one(services, id, &db, &q, err);
    }
    if (s != DS_OK) {
        return s;
    }
    json_t *shown = row_of(&q);
    (void)json_object_set_new(shown, "entry", text_or_null(q.entry));
    (void)json_object_set_new(shown, "file_hash", hash_text(q.has_file_hash, q.file_hash));
    (void)json_object_set_new(shown, "pixel_hash", hash_text(q.has_pixel_hash, q.pixel_hash));
    (void)json_object_set_new(shown, "dataset_hash", hash_text(q.has_dataset_hash, q.dataset_hash));
    const bool here = quarantine_path(services, &q, path, NULL) == DS_OK;
    (void)json_object_set_new(shown, "file", here ? control_text(path) : json_null());
    (void)json_object_set_new(shown, "inspection", here ? inspect(services, path) : json_null());
    return control_row(answer, shown, err);
}

/* ---- read: the bytes, a piece at a time ---- */

static enum ds_status send_piece(const struct ds_map *file, size_t offset,
                                 struct control_answer *answer, struct ds_error *err)
{
    const size_t left = file->len - offset;
    const size_t len = left < PIECE_BYTES ? left : PIECE_BYTES;
    unsigned char *text = malloc(len / 3 * 4 + 8);
    if (text == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const int written = EVP_EncodeBlock(text, file->data + offset, (int)len);
    json_t *row = json_pack("{s:I, s:I, s:s%}", "total", (json_int_t)file->len, "bytes",
                            (json_int_t)len, "base64", (const char *)text, (size_t)written);
    free(text);
    return control_row(answer, row, err);
}

enum ds_status operator_quarantine_read(void *services, const struct control_request *request,
                                        struct control_answer *answer, struct ds_error *err)
{
    json_int_t id = 0;
    json_int_t offset = 0;
    struct db *db = NULL;
    struct db_quarantine_row q;
    char path[ARCHIVE_PATH_BYTES];
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    enum ds_status s = operator_arguments(request, err, "{s:I, s:I}", "id", &id, "offset", &offset);
    if (s == DS_OK) {
        s = find_one(services, id, &db, &q, err);
    }
    if (s == DS_OK) {
        s = quarantine_path(services, &q, path, err);
    }
    if (s == DS_OK) {
        s = ds_map_open(&file, path, SIZE_MAX, err);
    }
    if (s == DS_OK && (offset < 0 || (size_t)offset > file.len)) {
        s = ds_fail(err, DS_EINVAL, "the file has %zu bytes", file.len);
    }
    if (s == DS_OK && offset == 0) {
        s = db_quarantine_exported(db, &q, request->actor, err); /* before the bytes go */
    }
    return s == DS_OK ? send_piece(&file, (size_t)offset, answer, err) : s;
}

/* ---- release and discard ---- */

static enum ds_status decide(struct services *services, struct db *db,
                             const struct db_quarantine_decision *decision, bool discards,
                             bool retry, struct ds_error *err)
{
    struct db_quarantine_row row;
    const enum ds_status s = discards ? db_quarantine_discard(db, decision, &row, err)
                                      : db_quarantine_release(db, decision, retry, &row, err);
    if (s != DS_OK) {
        return s;
    }
    ds_log(DS_LOG_INFO, "node", "quarantine=%lld %s by %s", (long long)decision->id,
           discards ? "discarded"
           : retry  ? "released, to be judged again"
                    : "released as it is",
           decision->actor);
    row.state = discards ? DB_DISCARDED : DB_RELEASED;
    quarantine_follow(services, &row);
    return DS_OK;
}

/* Each of them by itself: what cannot be done for one is said, and the others are done. */
static enum ds_status decide_all(struct services *services, const struct control_request *request,
                                 struct control_answer *answer, bool discards, struct ds_error *err)
{
    json_t *ids = NULL;
    const char *reason = NULL;
    int retry = 0;
    struct db *db = NULL;
    enum ds_status s =
        discards ? operator_arguments(request, err, "{s:o, s?s}", "ids", &ids, "reason", &reason)
                 : operator_arguments(request, err, "{s:o, s?s, s?b}", "ids", &ids, "reason",
                                      &reason, "retry", &retry);
    if (s == DS_OK && (reason == NULL || reason[0] == '\0')) {
        s = ds_fail(err, DS_EINVAL, "a decision needs a reason, for the provenance");
    }
    if (s == DS_OK && (json_array_size(ids) == 0 || json_array_size(ids) > IDS_MAX)) {
        s = ds_fail(err, DS_EINVAL, "ids are a list of 1 to %u numbers", IDS_MAX);
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    for (size_t i = 0; s == DS_OK && i < json_array_size(ids); i++) {
        const struct db_quarantine_decision decision = {
            .id = json_integer_value(json_array_get(ids, i)), /* 0 of what is no number */
            .actor = request->actor,
            .reason = reason};
        struct ds_error why = {0};
        const enum ds_status done = decide(services, db, &decision, discards, retry != 0, &why);
        s = control_row(answer,
                        json_pack("{s:I, s:b, s:o}", "id", (json_int_t)decision.id, "done",
                                  done == DS_OK, "cause", text_or_null(why.text)),
                        err);
    }
    if (db != NULL && discards) {
        retention_remove_left(services, db);
    }
    if (db != NULL && !discards) {
        services_hurry(services);
        bell_ring(&services->planning);
    }
    return s;
}

enum ds_status operator_quarantine_release(void *services, const struct control_request *request,
                                           struct control_answer *answer, struct ds_error *err)
{
    return decide_all(services, request, answer, false, err);
}

enum ds_status operator_quarantine_discard(void *services, const struct control_request *request,
                                           struct control_answer *answer, struct ds_error *err)
{
    return decide_all(services, request, answer, true, err);
}

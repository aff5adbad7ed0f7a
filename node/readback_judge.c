/* SPDX-License-Identifier: Apache-2.0 */
#include "node/readback_private.h"

#include "carrier/readback.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was sent, once more ---- */

/* Everything that the data set lies in. */
struct reference {
    struct back_run *run;
    const struct db_back_item *item;
    struct ds_map file;
    struct carrier_made made;
    struct dicom_dataset *dataset; /* NULL: it can no longer be had */
    bool is_made;
};

static void reference_free(struct reference *r)
{
    dicom_dataset_free(r->dataset);
    carrier_made_free(&r->made);
    ds_map_close(&r->file);
}

static bool is_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, DS_SHA256_BYTES) == 0;
}

/* What is not ours to mend here (a file that retention has removed, a key that was replaced) only
 * keeps us from saying what differs. */
static enum ds_status only_passing(enum ds_status s, const struct ds_error *why,
                                   struct ds_error *err)
{
    return s == DS_ENOMEM ? ds_fail(err, s, "%s", why->text) : DS_OK;
}

/* A pure function of original, capsule and options: the same carrier once more. */
static enum ds_status make_again(struct reference *r, struct ds_error *err)
{
    struct back_run *run = r->run;
    struct ds_error why = {0};
    if (r->is_made) {
        return DS_OK;
    }
    const enum ds_status s =
        protector_make(&run->kept, &run->cache, run->db, run->settings, run->peer,
                       &r->item->delivery, DICOM_EXPLICIT_LE, DICOM_EXPLICIT_LE, &r->made, &why);
    r->is_made = s == DS_OK;
    return only_passing(s, &why, err);
}

static enum ds_status view(struct reference *r, const uint8_t *data, size_t len, const char *syntax,
                           struct ds_error *err)
{
    struct ds_error why = {0};
    return only_passing(dicom_dataset_view(&r->dataset, data, len, syntax, &why), &why, err);
}

static enum ds_status open_original(struct reference *r, struct ds_error *err)
{
    struct ds_error why = {0};
    const enum ds_status s = protector_map_file(&r->item->delivery.instance, &r->file, &why);
    return s == DS_OK ? view(r, r->file.data, r->file.len, NULL, err) : only_passing(s, &why, err);
}

/* Options may have changed since: only what hashes to what was recorded is what was sent. */
static enum ds_status open_made(struct reference *r, struct ds_error *err)
{
    const enum ds_status s = make_again(r, err);
    if (s != DS_OK || !r->is_made ||
        !is_equal(r->made.hashes.dataset, r->item->sent_dataset_hash)) {
        return s;
    }
    return view(r, r->made.dataset.data, r->made.dataset.len, r->made.transfer_syntax, err);
}

static enum ds_status open_beside(struct reference *r, struct ds_error *err)
{
    const enum ds_status s = make_again(r, err);
    if (s != DS_OK || !r->is_made || r->made.beside.len == 0) {
        return s == DS_OK ? open_original(r, err) : s;
    }
    return view(r, r->made.beside.data, r->made.beside.len, r->made.beside_syntax, err);
}

static enum ds_status give_reference(void *context, const struct dicom_dataset **out,
                                     struct ds_error *err)
{
    struct reference *r = context;
    enum ds_status s = DS_OK;
    if (r->dataset == NULL && r->item->part == DB_BACK_BESIDE) {
        s = open_beside(r, err);
    } else if (r->dataset == NULL && r->item->has_sent) {
        s = open_made(r, err);
    } else if (r->dataset == NULL) {
        s = open_original(r, err);
    }
    *out = s == DS_OK ? r->dataset : NULL;
    return s;
}

enum ds_status back_beside_uid(struct back_run *run, const struct db_back_item *item,
                               char uid[DICOM_UID_BYTES], struct ds_error *err)
{
    struct reference r = {.run = run, .item = item};
    const enum ds_status s = make_again(&r, err);
    uid[0] = '\0';
    if (s == DS_OK && r.is_made && r.made.beside.len > 0) {
        memcpy(uid, r.made.beside_sop_instance_uid, DICOM_UID_BYTES);
    }
    reference_free(&r);
    return s;
}

/* ---- what is expected ---- */

static struct carrier_hashes own_hashes(const struct db_instance *i)
{
    struct carrier_hashes h = {.has_pixels = i->has_pixel_hash};
    memcpy(h.pixel, i->pixel_hash, sizeof(h.pixel));
    memcpy(h.dataset, i->dataset_hash, sizeof(h.dataset));
    memcpy(h.file, i->file_hash, sizeof(h.file));
    return h;
}

static struct carrier_hashes sent_hashes(const struct db_back_item *item)
{
    if (!item->has_sent || item->part == DB_BACK_BESIDE) {
        return own_hashes(&item->delivery.instance);
    }
    struct carrier_hashes h = {.has_pixels = item->part == DB_BACK_SENT};
    memcpy(h.pixel, item->sent_pixel_hash, sizeof(h.pixel));
    memcpy(h.dataset, item->sent_dataset_hash, sizeof(h.dataset));
    memcpy(h.file, item->sent_file_hash, sizeof(h.file));
    return h;
}

/* The instance beside a sidecar may have gone rewritten: its hashes were never recorded, but are
 * those of what is made again. */
static enum ds_status expect_rewritten(struct reference *r, struct carrier_hashes *h,
                                       struct ds_error *err)
{
    const struct dicom_dataset *d = NULL;
    enum ds_status s = give_reference(r, &d, err);
    if (s != DS_OK || d == NULL || r->made.beside.len == 0) {
        return s;
    }
    s = dicom_dataset_hash(d, h->dataset, err);
    if (s == DS_OK) {
        s = ds_sha256_of(r->made.beside.data, r->made.beside.len, h->file, err);
    }
    if (s == DS_OK && h->has_pixels) {
        s = dicom_pixels_hash(d, NULL, h->pixel, err);
    }
    return s;
}

/* ---- what is said of it ---- */

static json_t *change_json(const struct carrier_back_change *c)
{
    static const char *const how[] = {
        [DICOM_CHANGED] = "changed", [DICOM_REMOVED] = "removed", [DICOM_ADDED] = "added"};
    char keyword[DICOM_KEYWORD_BYTES];
    char tag[16];
    dicom_tag_keyword(c->tag, keyword);
    (void)snprintf(tag, sizeof(tag), "(%04x,%04x)", (unsigned)(c->tag >> 16),
                   (unsigned)(c->tag & 0xffffU));
    return json_pack("{s:s, s:s, s:s}", "tag", tag, "keyword", keyword, "change", how[c->how]);
}

static void add_changes(json_t *out, const struct carrier_back *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->change_count && i < CARRIER_BACK_CHANGES_MAX; i++) {
        (void)json_array_append_new(list, change_json(&b->changes[i]));
    }
    (void)json_object_set_new(out, "changed", list);
    (void)json_object_set_new(out, "changes", json_integer((json_int_t)b->change_count));
    (void)json_object_set_new(out, "private_removed", json_integer((json_int_t)b->private_removed));
}

static void add_pixels(json_t *out, const struct dicom_pixel_difference *p)
{
    (void)json_object_set_new(
        out, "pixels",
        p->same_geometry
            ? json_pack("{s:I, s:I, s:I}", "total", (json_int_t)p->total, "changed",
                        (json_int_t)p->changed, "greatest", (json_int_t)p->greatest)
            : json_pack("{s:I, s:s}", "total", (json_int_t)p->total, "cause", "another geometry"));
}

static json_t *detail_json(const struct carrier_back *b)
{
    static const char *const proofs[] = {[CARRIER_BACK_NOT_ASKED] = NULL,
                                         [CARRIER_BACK_PROVEN] = "proven",
                                         [CARRIER_BACK_SEALED] = "sealed",
                                         [CARRIER_BACK_LOST] = "lost"};
    json_t *out = json_pack("{s:s, s:b}", "transfer_syntax", b->transfer_syntax, "reencoded",
                            (int)b->reencoded);
    if (out != NULL && proofs[b->proof] != NULL) {
        (void)json_object_set_new(out, "carrier", json_string(proofs[b->proof]));
    }
    if (out != NULL && b->compared) {
        add_changes(out, b);
    } else if (out != NULL && b->verdict != CARRIER_BACK_INTACT) {
        (void)json_object_set_new(out, "cause",
                                  json_string("what was sent can no longer be had to compare"));
    }
    if (out != NULL && b->pixels_compared) {
        add_pixels(out, &b->pixels);
    }
    return out;
}

/* Takes json. */
static enum ds_status set_detail(struct back_finding *out, json_t *json, struct ds_error *err)
{
    out->detail = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    out->result.detail = out->detail;
    return out->detail != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

static void begin_finding(struct back_finding *out, const struct db_back_item *item,
                          enum db_back_outcome outcome)
{
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->sop_uid, sizeof(out->sop_uid), "%s", item->sop_uid);
    (void)snprintf(out->study_uid, sizeof(out->study_uid), "%s", item->delivery.instance.study_uid);
    const struct carrier_hashes sent = sent_hashes(item);
    out->result = (struct db_back_result){.item = item->id,
                                          .instance_id = item->delivery.instance_id,
                                          .study_id = item->delivery.instance.study_id,
                                          .outcome = outcome,
                                          .has_before = true,
                                          .has_file_before = true};
    memcpy(out->result.before, sent.dataset, DS_SHA256_BYTES);
    memcpy(out->result.file_before, sent.file, DS_SHA256_BYTES);
}

enum ds_status back_say(const struct db_back_item *item, enum db_back_outcome outcome,
                        const char *cause, uint16_t status, struct back_finding *out,
                        struct ds_error *err)
{
    char text[8];
    begin_finding(out, item, outcome);
    json_t *detail = json_pack("{s:s}", "cause", cause);
    if (detail == NULL) { /* a peer's words that are no UTF-8 */
        detail = json_pack("{s:s}", "cause", "it cannot be read");
    }
    if (detail != NULL && status != 0) {
        (void)snprintf(text, sizeof(text), "%04x", (unsigned)status);
        (void)json_object_set_new(detail, "status", json_string(text));
    }
    return set_detail(out, detail, err);
}

static enum db_back_outcome outcome_of(enum carrier_back_verdict verdict)
{
    switch (verdict) {
    case CARRIER_BACK_ATTRIBUTES:
        return DB_BACK_ATTRIBUTES_CHANGED;
    case CARRIER_BACK_PIXELS:
        return DB_BACK_PIXELS_CHANGED;
    case CARRIER_BACK_LOSSY:
        return DB_BACK_LOSSY;
    case CARRIER_BACK_INTACT:
        break;
    }
    return DB_BACK_INTACT;
}

static enum ds_status write_finding(const struct db_back_item *item, const struct carrier_back *b,
                                    struct back_finding *out, struct ds_error *err)
{
    begin_finding(out, item, outcome_of(b->verdict));
    out->result.has_after = true;
    out->result.has_file_after = true;
    memcpy(out->result.after, b->hashes.dataset, DS_SHA256_BYTES);
    memcpy(out->result.file_after, b->hashes.file, DS_SHA256_BYTES);
    return set_detail(out, detail_json(b), err);
}

enum ds_status back_judge(struct back_run *run, const struct db_back_item *item,
                          const struct ds_bytes *file, struct back_finding *out,
                          struct ds_error *err)
{
    const struct db_instance *i = &item->delivery.instance;
    DS_AUTO(budget_give)
    struct budget_share share = budget_take(
        &run->services->budget,
        budget_for_carrier(i->path, dicom_transfer_syntax_is_native(i->transfer_syntax)));
    struct reference reference = {.run = run, .item = item};
    const struct carrier_hashes original = own_hashes(i);
    struct carrier_back *b = calloc(1, sizeof(*b));
    const bool speaks = item->has_sent && item->part != DB_BACK_BESIDE;
    struct carrier_back_expected expected = {.hashes = sent_hashes(item),
                                             .original = speaks ? &original : NULL,
                                             .keyring = &run->keyring,
                                             .sent = give_reference,
                                             .context = &reference};
    struct ds_error why = {0};
    enum ds_status s = b != NULL ? DS_OK : ds_fail(&why, DS_ENOMEM, "out of memory");
    if (s == DS_OK && item->part == DB_BACK_BESIDE) {
        s = expect_rewritten(&reference, &expected.hashes, &why);
    }
    if (s == DS_OK) {
        s = carrier_read_back(&expected, file->data, file->len, b, &why);
    }
    if (s == DS_OK) {
        s = write_finding(item, b, out, &why);
    } else if (s != DS_ENOMEM && s != DS_EIO) {
        s = back_say(item, DB_BACK_UNREAD, why.text, 0, out, &why);
    }
    reference_free(&reference);
    free(b);
    return s == DS_OK ? DS_OK : ds_fail(err, s, "%s", why.text);
}

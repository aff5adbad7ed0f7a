/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/evidence_check.h"

#include "dicomstego/statement.h"
#include "provenance/timestamp.h"
#include "provenance/witness.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 256U

/* A log or a witness, as far as its lines have been read. */
struct party {
    const struct evidence_item *line, *key, *certificate;
};

struct checking {
    const struct evidence *e;
    const struct evidence_trust *trust;
    evidence_report *report;
    void *context;
    struct party log, witness, *party; /* party: the one whose lines these are */
    struct provenance_head head;       /* of the log at hand */
    bool has_leaf;                     /* an event of it came before, */
    uint64_t leaf;                     /* this one */
    enum ds_status status;             /* of the first step that failed */
    struct ds_error *err;              /* its text */
    char text[TEXT_BYTES];             /* of the step at hand */
};

static void tell(struct checking *c, const char *name, const struct evidence_item *item,
                 enum ds_status status, const struct ds_error *why)
{
    const char *text = status == DS_OK ? c->text : why->text;
    const struct evidence_step step = {name, item, status, text};
    if (c->status == DS_OK && status != DS_OK) {
        c->status = ds_fail(c->err, status, "%s: %s", name, text);
    }
    c->report(c->context, &step);
    c->text[0] = '\0';
}

/* ---- whose key ---- */

static void check_key(struct checking *c, const struct evidence_item *item)
{
    uint8_t id[DS_SHA256_BYTES];
    struct ds_error why = {0};
    enum ds_status s = provenance_log_id(item->bytes.data, item->bytes.len, id, &why);
    c->party->key = item;
    if (s == DS_OK && memcmp(id, c->party->line->id, sizeof(id)) != 0) {
        s = ds_fail(&why, DS_EAUTH, "the key is not the one that the log is named by");
    }
    tell(c, "key", item, s, &why);
}

/* When everything of the party is known that says whose it is: at_us is its signature's time. */
static void check_certificate(struct checking *c, const struct evidence_item *item, int64_t at_us)
{
    char subject[STEGO_SUBJECT_BYTES];
    struct ds_error why = {0};
    const struct evidence_item *certificate = c->party->certificate;
    const struct provenance_bytes none = {0};
    const struct provenance_bytes der = certificate != NULL ? certificate->bytes : none;
    const enum ds_status s =
        stego_trust_key(c->trust->signers, c->party->key->bytes.data, c->party->key->bytes.len,
                        der.data, der.len, at_us, subject, &why);
    (void)snprintf(c->text, sizeof(c->text), "%s%s%s",
                   c->trust->signers != NULL ? "trusted" : "not asked whose it is",
                   subject[0] != '\0' ? ": " : "", subject);
    tell(c, "certificate", certificate != NULL ? certificate : item, s, &why);
}

/* ---- a log ---- */

static void check_head(struct checking *c, const struct evidence_item *item)
{
    struct ds_error why = {0};
    check_certificate(c, item, item->head.at_us);
    c->head = item->head;
    memcpy(c->head.log, c->log.line->id, sizeof(c->head.log));
    const struct provenance_bytes key = c->log.key->bytes;
    const enum ds_status s = provenance_head_verify(&c->head, key.data, key.len, item->bytes.data,
                                                    item->bytes.len, &why);
    tell(c, "head", item, s, &why);
}

static void check_stamp(struct checking *c, const struct evidence_item *item)
{
    struct ds_error why = {0};
    struct provenance_stamp stamp = {0};
    char head[PROVENANCE_HEAD_TEXT_BYTES];
    uint8_t digest[DS_SHA256_BYTES];
    const size_t len = provenance_head_text(&c->head, head);
    enum ds_status s = ds_sha256_of(head, len, digest, &why);
    if (s == DS_OK) {
        s = provenance_stamp_check(item->bytes.data, item->bytes.len, digest,
                                   c->trust->stamp_ca_paths, c->trust->stamp_ca_count, &stamp,
                                   &why);
    }
    (void)snprintf(c->text, sizeof(c->text), "%s: %s",
                   stamp.trusted ? "trusted" : "not asked whose it is", stamp.signer);
    tell(c, "time stamp", item, s, &why);
}

/* Does the text begin so; moves behind it. */
static bool take(const char **at, const char *end, const char *what)
{
    const size_t len = strlen(what);
    if ((size_t)(end - *at) < len || memcmp(*at, what, len) != 0) {
        return false;
    }
    *at += len;
    return true;
}

static bool is_of_log(const struct evidence_item *item, const uint8_t log[DS_SHA256_BYTES])
{
    char name[DS_SHA256_HEX_BYTES];
    const char *at = item->text.data;
    const char *end = at + item->text.len;
    ds_hex(log, DS_SHA256_BYTES, name);
    return take(&at, end, "{\"v\":1,\"log\":\"") && take(&at, end, name) && take(&at, end, "\"");
}

/* Quotes in a string are escaped and detail stands behind, so the first match is the member. */
static bool is_about(const struct evidence_item *item, const struct provenance_text uid)
{
    static const char member[] = ",\"sop_uid\":\"";
    const char *end = item->text.data + item->text.len;
    const char *at = memmem(item->text.data, item->text.len, member, sizeof(member) - 1);
    if (at == NULL) {
        return false;
    }
    at += sizeof(member) - 1;
    return (size_t)(end - at) > uid.len && memcmp(at, uid.data, uid.len) == 0 && at[uid.len] == '"';
}

static bool is_about_any(const struct evidence *e, const struct evidence_item *item)
{
    for (size_t i = 0; i < e->count && e->items[i].word <= EVIDENCE_MADE; i++) {
        const enum evidence_word word = e->items[i].word;
        if ((word == EVIDENCE_INSTANCE || word == EVIDENCE_ALSO) &&
            is_about(item, e->items[i].text)) {
            return true;
        }
    }
    return false;
}

static enum ds_status check_leaf(const struct checking *c, const struct evidence_item *event,
                                 const struct evidence_item *path, struct ds_error *why)
{
    uint8_t hash[DS_SHA256_BYTES];
    struct provenance_proof proof;
    evidence_proof(path, &proof);
    const enum ds_status s =
        provenance_leaf_hash((const uint8_t *)event->text.data, event->text.len, hash, why);
    return s == DS_OK
               ? provenance_verify_leaf(hash, event->leaf, c->head.size, c->head.root, &proof, why)
               : s;
}

/* item: the event; its path is behind it. */
static void check_event(struct checking *c, const struct evidence_item *item)
{
    struct ds_error why = {0};
    enum ds_status s = check_leaf(c, item, item + 1, &why);
    if (s == DS_OK && !is_of_log(item, c->head.log)) {
        s = ds_fail(&why, DS_EAUTH, "the event is of another log");
    } else if (s == DS_OK && c->has_leaf && item->leaf <= c->leaf) {
        s = ds_fail(&why, DS_EAUTH, "the events are not in the log's order");
    } else if (s == DS_OK && !is_about_any(c->e, item)) {
        s = ds_fail(&why, DS_EAUTH, "the event is of another instance");
    }
    c->has_leaf = true;
    c->leaf = item->leaf;
    tell(c, "event", item, s, &why);
}

/* ---- a witness ---- */

static void check_seen(struct checking *c, const struct evidence_item *item)
{
    struct ds_error why = {0};
    check_certificate(c, item, item->head.at_us);
    const struct provenance_bytes key = c->party->key->bytes;
    const enum ds_status s = provenance_witness_verify(&item->head, key.data, key.len,
                                                       item->bytes.data, item->bytes.len, &why);
    tell(c, "witness", item, s, &why);
}

/* item: the proof that the seen head before it begins the log's. */
static void check_prefix(struct checking *c, const struct evidence_item *item)
{
    struct ds_error why = {0};
    const struct provenance_head *seen = &(item - 1)->head;
    struct provenance_proof proof;
    evidence_proof(item, &proof);
    const enum ds_status s = memcmp(seen->log, c->head.log, sizeof(seen->log)) != 0
                                 ? ds_fail(&why, DS_EAUTH, "the witness has seen another log")
                                 : provenance_verify_prefix(seen->size, seen->root, c->head.size,
                                                            c->head.root, &proof, &why);
    tell(c, "prefix", item, s, &why);
}

/* ---- all of it ---- */

static void check_seal(struct checking *c, const struct evidence_item *item,
                       const struct evidence_item *key)
{
    struct ds_error why = {0};
    const enum ds_status s =
        stego_statement_verify(key->bytes.data, key->bytes.len, c->e->text, item->at,
                               item->bytes.data, item->bytes.len, &why);
    tell(c, "seal", item, s, &why);
}

static void enter(struct checking *c, struct party *party, const struct evidence_item *item)
{
    *party = (struct party){.line = item};
    c->party = party;
}

static void check_item(struct checking *c, const struct evidence_item *item)
{
    switch (item->word) {
    case EVIDENCE_LOG:
        enter(c, &c->log, item);
        c->has_leaf = false;
        break;
    case EVIDENCE_WITNESS:
        enter(c, &c->witness, item);
        break;
    case EVIDENCE_KEY:
        check_key(c, item);
        break;
    case EVIDENCE_CERTIFICATE:
        c->party->certificate = item;
        break;
    case EVIDENCE_HEAD_LINE:
        check_head(c, item);
        break;
    case EVIDENCE_STAMP:
        check_stamp(c, item);
        break;
    case EVIDENCE_EVENT:
        check_event(c, item);
        break;
    case EVIDENCE_SEEN_LINE:
        check_seen(c, item);
        break;
    case EVIDENCE_PREFIX:
        check_prefix(c, item);
        break;
    case EVIDENCE_TITLE:
    case EVIDENCE_INSTANCE:
    case EVIDENCE_ALSO:
    case EVIDENCE_MADE:
    case EVIDENCE_PATH:
    case EVIDENCE_SEAL:
    case EVIDENCE_WORDS:
        break;
    }
}

static const struct evidence_item *first_key(const struct evidence *e)
{
    size_t i = 0;
    while (e->items[i].word != EVIDENCE_KEY) { /* the form has one before any seal */
        i++;
    }
    return &e->items[i];
}

enum ds_status evidence_check(const struct evidence *e, const struct evidence_trust *trust,
                              evidence_report *report, void *context, struct ds_error *err)
{
    struct checking c = {
        .e = e, .trust = trust, .report = report, .context = context, .status = DS_OK, .err = err};
    for (size_t i = 0; i < e->count; i++) {
        check_item(&c, &e->items[i]);
    }
    check_seal(&c, &e->items[e->count - 1], first_key(e));
    return c.status;
}

const struct evidence_item *evidence_head_of(const struct evidence *e,
                                             const uint8_t log[DS_SHA256_BYTES])
{
    const struct evidence_item *line = NULL;
    for (size_t i = 0; i < e->count; i++) {
        const struct evidence_item *item = &e->items[i];
        line = item->word == EVIDENCE_LOG ? item : line;
        if (item->word == EVIDENCE_HEAD_LINE &&
            (log == NULL || memcmp(line->id, log, DS_SHA256_BYTES) == 0)) {
            return item;
        }
    }
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consistency: is what an older file says of a log still a part of what a newer one says?
 *
 * A claim is a head of a log: that of a bundle or a head file, or what a witness has seen. For each
 * claim of OLD about a log that NEW has a head of, a proof must lead from one root to the other
 * (RFC 9162 2.1.4). The proof itself needs no trust, so it is taken from wherever it is: none is
 * needed for equal sizes, NEW may hold it, else the node is asked.
 */
#include "cli/audit.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct comparing {
    struct audit_request *r;
    struct audit_file old, new;
    json_t *rows; /* --json */
    size_t compared, failed;
};

/* ---- where the proof is ---- */

static bool is_same(const struct provenance_head *a, const struct provenance_head *b)
{
    return a->size == b->size && memcmp(a->root, b->root, sizeof(a->root)) == 0;
}

/* In NEW, where a witness has seen the same. */
static bool find_proof(const struct evidence *e, const struct provenance_head *old,
                       struct provenance_proof *out)
{
    for (size_t i = 1; i < e->count; i++) {
        const struct provenance_head *seen = &e->items[i - 1].head;
        if (e->items[i].word == EVIDENCE_PREFIX && is_same(seen, old) &&
            memcmp(seen->log, old->log, sizeof(old->log)) == 0) {
            evidence_proof(&e->items[i], out);
            return true;
        }
    }
    return false;
}

static enum ds_status take_proof(void *context, json_t *row, struct ds_error *err)
{
    struct provenance_proof *proof = context;
    const json_t *hashes = json_object_get(row, "hashes");
    size_t i = 0;
    const json_t *hash = NULL;
    json_array_foreach(hashes, i, hash)
    {
        const char *text = json_string_value(hash);
        if (i >= PROVENANCE_PROOF_MAX || text == NULL || strlen(text) != 2U * DS_SHA256_BYTES ||
            !ds_unhex(text, proof->hashes[i], DS_SHA256_BYTES)) {
            return ds_fail(err, DS_EFORMAT, "the node's answer cannot be read");
        }
        proof->count = i + 1;
    }
    return DS_OK;
}

static enum ds_status ask_proof(const struct comparing *c, const struct provenance_head *old,
                                uint64_t size, struct provenance_proof *out, struct ds_error *err)
{
    char log[DS_SHA256_HEX_BYTES];
    struct audit_request ask = *c->r;
    ds_hex(old->log, sizeof(old->log), log);
    ask.command = "prefix";
    ask.arguments = json_pack("{s:s, s:I, s:I}", "log", log, "old", (json_int_t)old->size, "size",
                              (json_int_t)size);
    const enum ds_status s = audit_ask(&ask, take_proof, out, err);
    json_decref(ask.arguments);
    return s;
}

/* ---- one claim ---- */

static enum ds_status compare(const struct comparing *c, const struct provenance_head *old,
                              const struct provenance_head *now, struct ds_error *err)
{
    struct provenance_proof proof = {0};
    if (old->size > now->size) {
        return ds_fail(err, DS_EAUTH, "the log had %" PRIu64 " events then and has %" PRIu64 " now",
                       old->size, now->size);
    }
    enum ds_status s = DS_OK;
    if (old->size < now->size && !find_proof(&c->new.evidence, old, &proof)) {
        s = ask_proof(c, old, now->size, &proof, err);
    }
    return s == DS_OK
               ? provenance_verify_prefix(old->size, old->root, now->size, now->root, &proof, err)
               : s;
}

static void print(struct comparing *c, const struct provenance_head *old,
                  const struct provenance_head *now, const char *why)
{
    char log[DS_SHA256_HEX_BYTES];
    ds_hex(old->log, sizeof(old->log), log);
    c->compared++;
    c->failed += why != NULL ? 1 : 0;
    if (c->r->json) {
        (void)json_array_append_new(c->rows,
                                    json_pack("{s:s, s:I, s:I, s:b, s:s}", "log", log, "old",
                                              (json_int_t)old->size, "size", (json_int_t)now->size,
                                              "ok", why == NULL, "text", why != NULL ? why : ""));
        return;
    }
    (void)printf("%-4s  log %.16s: %" PRIu64 " events, now %" PRIu64 "%s%s\n",
                 why == NULL ? "ok" : "FAIL", log, old->size, now->size, why != NULL ? ": " : "",
                 why != NULL ? why : "");
}

/* line: the log line before a head, whose id the head has not. DS_EAUTH is told, not returned. */
static enum ds_status take_claim(struct comparing *c, const struct evidence_item *line,
                                 const struct evidence_item *claim, struct ds_error *err)
{
    struct provenance_head old = claim->head;
    if (claim->word == EVIDENCE_HEAD_LINE) {
        memcpy(old.log, line->id, sizeof(old.log));
    }
    const struct evidence_item *now = evidence_head_of(&c->new.evidence, old.log);
    if (now == NULL) {
        return DS_OK; /* of a log that NEW says nothing about */
    }
    const enum ds_status s = compare(c, &old, &now->head, err);
    if (s == DS_OK || s == DS_EAUTH) {
        print(c, &old, &now->head, s == DS_OK ? NULL : err->text);
        return DS_OK;
    }
    return s;
}

/* ---- all ---- */

static enum ds_status load(const struct comparing *c, struct audit_file *f, const char *path,
                           struct ds_error *err)
{
    enum ds_status s = audit_file_read(f, path, err);
    if (s == DS_OK) {
        s = audit_file_check(c->r, f, err);
    }
    /* Of a file that is no evidence nothing can be shown: it does not verify. */
    return s == DS_OK ? s : ds_fail_context(err, s == DS_EFORMAT ? DS_EAUTH : s, "%s", path);
}

static enum ds_status take_claims(struct comparing *c, struct ds_error *err)
{
    const struct evidence *e = &c->old.evidence;
    const struct evidence_item *line = NULL;
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < e->count && s == DS_OK; i++) {
        const struct evidence_item *item = &e->items[i];
        line = item->word == EVIDENCE_LOG ? item : line;
        if (item->word == EVIDENCE_HEAD_LINE || item->word == EVIDENCE_SEEN_LINE) {
            s = take_claim(c, line, item, err);
        }
    }
    return s == DS_OK && c->compared == 0
               ? ds_fail(err, DS_ENOTHING, "the two files speak of different logs")
               : s;
}

static void finish(struct comparing *c)
{
    audit_file_free(&c->old);
    audit_file_free(&c->new);
    json_decref(c->rows);
}

int audit_consistency(struct audit_request *r)
{
    struct ds_error err = {0};
    DS_AUTO(finish) struct comparing c = {.r = r, .rows = json_array()};
    enum ds_status s = load(&c, &c.old, r->operands[0], &err);
    if (s == DS_OK) {
        s = load(&c, &c.new, r->operands[1], &err);
    }
    if (s == DS_OK) {
        s = take_claims(&c, &err);
    }
    if (r->json) {
        char *text = json_dumps(c.rows, JSON_INDENT(2));
        (void)puts(text != NULL ? text : "[]");
        free(text);
    }
    if (s != DS_OK) {
        return cli_complain("audit consistency", &err);
    }
    return c.failed > 0 ? CLI_ALTERED : CLI_DONE;
}

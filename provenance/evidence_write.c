/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/evidence.h"

#include "base/clock.h"
#include "base/secret.h"
#include "dicomstego/statement.h"
#include "provenance/evidence_private.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static const char *const words[EVIDENCE_WORDS] = {
    [EVIDENCE_TITLE] = "dicomstego",
    [EVIDENCE_INSTANCE] = "instance",
    [EVIDENCE_ALSO] = "also",
    [EVIDENCE_MADE] = "made",
    [EVIDENCE_LOG] = "log",
    [EVIDENCE_KEY] = "key",
    [EVIDENCE_CERTIFICATE] = "certificate",
    [EVIDENCE_HEAD_LINE] = "head",
    [EVIDENCE_STAMP] = "stamp",
    [EVIDENCE_EVENT] = "event",
    [EVIDENCE_PATH] = "path",
    [EVIDENCE_WITNESS] = "witness",
    [EVIDENCE_SEEN_LINE] = "seen",
    [EVIDENCE_PREFIX] = "prefix",
    [EVIDENCE_SEAL] = "seal",
};
static const char *const kinds[] = {
    [EVIDENCE_BUNDLE] = "bundle", [EVIDENCE_HEAD] = "head", [EVIDENCE_SEEN] = "seen"};

const char *evidence_word_name(enum evidence_word word)
{
    return words[word];
}

const char *evidence_kind_name(enum evidence_kind kind)
{
    return kinds[kind];
}

/* A line in the making; the first failure sticks. */
struct line {
    struct ds_bytes *out;
    struct ds_error *err;
    enum ds_status status;
};

static void put(struct line *l, const void *data, size_t len)
{
    if (l->status == DS_OK && len > 0) {
        l->status = ds_bytes_append(l->out, data, len, l->err);
    }
}

static struct line begin(struct ds_bytes *out, enum evidence_word word, struct ds_error *err)
{
    struct line l = {out, err, DS_OK};
    put(&l, words[word], strlen(words[word]));
    return l;
}

static void put_word(struct line *l, const char *text)
{
    put(l, " ", 1);
    put(l, text, strlen(text));
}

static enum ds_status end(struct line *l)
{
    put(l, "\n", 1);
    return l->status;
}

static void put_hash(struct line *l, const uint8_t hash[DS_SHA256_BYTES])
{
    char text[DS_SHA256_HEX_BYTES];
    ds_hex(hash, DS_SHA256_BYTES, text);
    put_word(l, text);
}

static void put_number(struct line *l, uint64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, n);
    put_word(l, text);
}

static void put_time(struct line *l, int64_t utc_us)
{
    char text[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(utc_us, text);
    put_word(l, text);
}

static void put_base64(struct line *l, struct provenance_bytes b)
{
    if (l->status == DS_OK && (b.len == 0 || b.len > EVIDENCE_VALUE_MAX)) {
        l->status = ds_fail(l->err, DS_EINVAL, "a value of %zu bytes in evidence", b.len);
    }
    put(l, " ", 1);
    const size_t room = EVIDENCE_BASE64_BYTES(b.len);
    if (l->status == DS_OK) {
        l->status = ds_bytes_reserve(l->out, room, l->err);
    }
    if (l->status == DS_OK) {
        const int n = EVP_EncodeBlock(l->out->data + l->out->len, b.data, (int)b.len);
        l->out->len += (size_t)n;
    }
}

enum ds_status evidence_put_title(struct ds_bytes *out, enum evidence_kind kind,
                                  struct ds_error *err)
{
    struct line l = begin(out, EVIDENCE_TITLE, err);
    put_word(&l, "evidence 1");
    put_word(&l, kinds[kind]);
    return end(&l);
}

bool evidence_is_uid(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '.' && (text[i] < '0' || text[i] > '9')) {
            return false;
        }
    }
    return len > 0 && len <= EVIDENCE_UID_MAX;
}

enum ds_status evidence_put_uid(struct ds_bytes *out, enum evidence_word word, const char *uid,
                                struct ds_error *err)
{
    if (!evidence_is_uid(uid, strlen(uid))) {
        return ds_fail(err, DS_EINVAL, "'%.64s' is not a UID", uid);
    }
    struct line l = begin(out, word, err);
    put_word(&l, uid);
    return end(&l);
}

enum ds_status evidence_put_made(struct ds_bytes *out, int64_t utc_us, struct ds_error *err)
{
    struct line l = begin(out, EVIDENCE_MADE, err);
    put_time(&l, utc_us);
    return end(&l);
}

enum ds_status evidence_put_party(struct ds_bytes *out, enum evidence_word word,
                                  struct provenance_bytes key, struct provenance_bytes certificate,
                                  struct ds_error *err)
{
    uint8_t id[DS_SHA256_BYTES];
    enum ds_status s = provenance_log_id(key.data, key.len, id, err);
    if (s != DS_OK) {
        return s;
    }
    struct line l = begin(out, word, err);
    put_hash(&l, id);
    s = end(&l);
    if (s == DS_OK) {
        l = begin(out, EVIDENCE_KEY, err);
        put_base64(&l, key);
        s = end(&l);
    }
    if (s == DS_OK && certificate.len > 0) {
        l = begin(out, EVIDENCE_CERTIFICATE, err);
        put_base64(&l, certificate);
        s = end(&l);
    }
    return s;
}

static void put_head(struct line *l, const struct provenance_head *head,
                     struct provenance_bytes signature)
{
    put_number(l, head->size);
    put_hash(l, head->root);
    put_time(l, head->at_us);
    put_base64(l, signature);
}

enum ds_status evidence_put_head(struct ds_bytes *out, const struct provenance_head *head,
                                 struct provenance_bytes signature, struct ds_error *err)
{
    struct line l = begin(out, EVIDENCE_HEAD_LINE, err);
    put_head(&l, head, signature);
    return end(&l);
}

enum ds_status evidence_put_stamp(struct ds_bytes *out, struct provenance_bytes token,
                                  struct ds_error *err)
{
    struct line l = begin(out, EVIDENCE_STAMP, err);
    put_base64(&l, token);
    return end(&l);
}

static enum ds_status put_proof(struct ds_bytes *out, enum evidence_word word,
                                const struct provenance_proof *proof, struct ds_error *err)
{
    struct line l = begin(out, word, err);
    for (size_t i = 0; i < proof->count; i++) {
        put_hash(&l, proof->hashes[i]);
    }
    return end(&l);
}

enum ds_status evidence_put_event(struct ds_bytes *out, uint64_t leaf, struct provenance_bytes json,
                                  const struct provenance_proof *path, struct ds_error *err)
{
    if (json.len == 0 || memchr(json.data, '\n', json.len) != NULL) {
        return ds_fail(err, DS_EINVAL, "event %" PRIu64 " is not one line", leaf);
    }
    struct line l = begin(out, EVIDENCE_EVENT, err);
    put_number(&l, leaf);
    put(&l, " ", 1);
    put(&l, json.data, json.len);
    const enum ds_status s = end(&l);
    return s == DS_OK ? put_proof(out, EVIDENCE_PATH, path, err) : s;
}

enum ds_status evidence_put_seen(struct ds_bytes *out, const struct provenance_head *head,
                                 struct provenance_bytes signature, struct ds_error *err)
{
    struct line l = begin(out, EVIDENCE_SEEN_LINE, err);
    put_hash(&l, head->log);
    put_head(&l, head, signature);
    return end(&l);
}

enum ds_status evidence_put_prefix(struct ds_bytes *out, const struct provenance_proof *proof,
                                   struct ds_error *err)
{
    return put_proof(out, EVIDENCE_PREFIX, proof, err);
}

enum ds_status evidence_put_seal(struct ds_bytes *out, const struct stego_identity *by,
                                 struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes signature = DS_BYTES_INIT(STEGO_STATEMENT_MAX_BYTES);
    const enum ds_status s = stego_statement_sign(by, out->data, out->len, &signature, err);
    if (s != DS_OK) {
        return s;
    }
    struct line l = begin(out, EVIDENCE_SEAL, err);
    put_base64(&l, (struct provenance_bytes){signature.data, signature.len});
    return end(&l);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: one spelling for each value, one order of lines, and nothing else. */
#include "provenance/evidence.h"

#include "base/clock.h"
#include "provenance/evidence_private.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is left of a line. */
struct reader {
    struct evidence *e;
    const char *at, *end;
};

#define BIT(word) (1U << (unsigned)(word))

/* Which words may stand behind which; what the kind of file forbids is forbidden_in. */
static const uint32_t next_words[EVIDENCE_WORDS] = {
    [EVIDENCE_TITLE] = BIT(EVIDENCE_INSTANCE) | BIT(EVIDENCE_MADE),
    [EVIDENCE_INSTANCE] = BIT(EVIDENCE_ALSO) | BIT(EVIDENCE_MADE),
    [EVIDENCE_ALSO] = BIT(EVIDENCE_ALSO) | BIT(EVIDENCE_MADE),
    [EVIDENCE_MADE] = BIT(EVIDENCE_LOG),
    [EVIDENCE_LOG] = BIT(EVIDENCE_KEY),
    [EVIDENCE_KEY] = BIT(EVIDENCE_CERTIFICATE) | BIT(EVIDENCE_HEAD_LINE) | BIT(EVIDENCE_SEEN_LINE),
    [EVIDENCE_CERTIFICATE] = BIT(EVIDENCE_HEAD_LINE) | BIT(EVIDENCE_SEEN_LINE),
    [EVIDENCE_HEAD_LINE] = BIT(EVIDENCE_STAMP) | BIT(EVIDENCE_EVENT) | BIT(EVIDENCE_WITNESS) |
                           BIT(EVIDENCE_LOG) | BIT(EVIDENCE_SEAL),
    [EVIDENCE_STAMP] = BIT(EVIDENCE_STAMP) | BIT(EVIDENCE_EVENT) | BIT(EVIDENCE_WITNESS) |
                       BIT(EVIDENCE_LOG) | BIT(EVIDENCE_SEAL),
    [EVIDENCE_EVENT] = BIT(EVIDENCE_PATH),
    [EVIDENCE_PATH] =
        BIT(EVIDENCE_EVENT) | BIT(EVIDENCE_WITNESS) | BIT(EVIDENCE_LOG) | BIT(EVIDENCE_SEAL),
    [EVIDENCE_WITNESS] = BIT(EVIDENCE_KEY),
    [EVIDENCE_SEEN_LINE] = BIT(EVIDENCE_PREFIX) | BIT(EVIDENCE_SEEN_LINE) | BIT(EVIDENCE_SEAL),
    [EVIDENCE_PREFIX] = BIT(EVIDENCE_WITNESS) | BIT(EVIDENCE_LOG) | BIT(EVIDENCE_SEAL),
};

static const uint32_t forbidden_in[] = {
    [EVIDENCE_BUNDLE] = 0,
    [EVIDENCE_HEAD] = BIT(EVIDENCE_INSTANCE) | BIT(EVIDENCE_ALSO) | BIT(EVIDENCE_EVENT),
    [EVIDENCE_SEEN] = BIT(EVIDENCE_INSTANCE) | BIT(EVIDENCE_ALSO) | BIT(EVIDENCE_EVENT) |
                      BIT(EVIDENCE_HEAD_LINE) | BIT(EVIDENCE_WITNESS) | BIT(EVIDENCE_PREFIX),
};

/* ---- values ---- */

/* The next word; false when there is none or it does not fit. */
static bool take_word(struct reader *r, char *out, size_t room)
{
    if (r->at == r->end || *r->at != ' ') {
        return false;
    }
    const char *begin = r->at + 1;
    const char *stop = memchr(begin, ' ', (size_t)(r->end - begin));
    const size_t len = (size_t)((stop != NULL ? stop : r->end) - begin);
    if (len == 0 || len >= room) {
        return false;
    }
    memcpy(out, begin, len);
    out[len] = '\0';
    r->at = begin + len;
    return strlen(out) == len;
}

static bool take_number(struct reader *r, uint64_t *out)
{
    char text[24];
    char again[24];
    if (!take_word(r, text, sizeof(text))) {
        return false;
    }
    *out = strtoull(text, NULL, 10);
    (void)snprintf(again, sizeof(again), "%" PRIu64, *out);
    return strcmp(text, again) == 0 && *out <= PROVENANCE_TREE_MAX;
}

static bool take_hash(struct reader *r, uint8_t out[DS_SHA256_BYTES])
{
    char text[DS_SHA256_HEX_BYTES];
    char again[DS_SHA256_HEX_BYTES];
    if (!take_word(r, text, sizeof(text)) || strlen(text) != sizeof(text) - 1 ||
        !ds_unhex(text, out, DS_SHA256_BYTES)) {
        return false;
    }
    ds_hex(out, DS_SHA256_BYTES, again); /* lower case */
    return strcmp(text, again) == 0;
}

static bool take_time(struct reader *r, int64_t *out)
{
    char text[DS_CLOCK_TEXT_BYTES];
    char again[DS_CLOCK_TEXT_BYTES];
    struct tm utc = {0};
    if (!take_word(r, text, sizeof(text))) {
        return false;
    }
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == NULL || *rest != '.') {
        return false;
    }
    *out = (int64_t)timegm(&utc) * 1000000 + strtol(rest + 1, NULL, 10);
    ds_clock_format_utc(*out, again);
    return *out > 0 && strcmp(text, again) == 0;
}

/* Room in decoded is there from the beginning: what is decoded is shorter than its text. */
static bool take_base64(struct reader *r, struct provenance_bytes *out)
{
    if (r->at == r->end || *r->at != ' ') {
        return false;
    }
    const uint8_t *text = (const uint8_t *)r->at + 1;
    const size_t len = (size_t)(r->end - r->at) - 1;
    const size_t pad = len < 4 ? 0 : (text[len - 1] == '=') + (size_t)(text[len - 2] == '=');
    uint8_t *data = r->e->decoded.data + r->e->decoded.len;
    if (len == 0 || len % 4 != 0 || len > EVIDENCE_BASE64_BYTES(EVIDENCE_VALUE_MAX) ||
        EVP_DecodeBlock(data, text, (int)len) != (int)(len / 4 * 3)) {
        return false;
    }
    *out = (struct provenance_bytes){data, len / 4 * 3 - pad};
    uint8_t *again = malloc(EVIDENCE_BASE64_BYTES(out->len));
    const bool same = again != NULL &&
                      EVP_EncodeBlock(again, out->data, (int)out->len) == (int)len &&
                      memcmp(again, text, len) == 0;
    free(again);
    r->e->decoded.len += len / 4 * 3;
    r->at = r->end;
    return same;
}

static bool take_hashes(struct reader *r, struct evidence_item *item)
{
    item->bytes.data = r->e->decoded.data + r->e->decoded.len;
    while (r->at != r->end) {
        uint8_t *hash = r->e->decoded.data + r->e->decoded.len;
        if (item->hash_count == PROVENANCE_PROOF_MAX || !take_hash(r, hash)) {
            return false;
        }
        r->e->decoded.len += DS_SHA256_BYTES;
        item->bytes.len += DS_SHA256_BYTES;
        item->hash_count++;
    }
    return true;
}

/* The rest of the line, from behind one blank. */
static bool take_rest(struct reader *r, struct provenance_text *out)
{
    if (r->end - r->at < 2 || *r->at != ' ') {
        return false;
    }
    *out = (struct provenance_text){r->at + 1, (size_t)(r->end - r->at) - 1};
    r->at = r->end;
    return true;
}

static bool take_head(struct reader *r, struct evidence_item *item)
{
    return take_number(r, &item->head.size) && item->head.size > 0 &&
           take_hash(r, item->head.root) && take_time(r, &item->head.at_us) &&
           take_base64(r, &item->bytes);
}

static bool take_title(struct reader *r)
{
    char name[16];
    char version[4];
    char kind[16];
    if (!take_word(r, name, sizeof(name)) || strcmp(name, "evidence") != 0 ||
        !take_word(r, version, sizeof(version)) || strcmp(version, "1") != 0 ||
        !take_word(r, kind, sizeof(kind))) {
        return false;
    }
    for (unsigned k = EVIDENCE_BUNDLE; k <= EVIDENCE_SEEN; k++) {
        if (strcmp(kind, evidence_kind_name((enum evidence_kind)k)) == 0) {
            r->e->kind = (enum evidence_kind)k;
            return true;
        }
    }
    return false;
}

/* ---- lines ---- */

static bool take_values(struct reader *r, struct evidence_item *item)
{
    switch (item->word) {
    case EVIDENCE_TITLE:
        return take_title(r);
    case EVIDENCE_INSTANCE:
    case EVIDENCE_ALSO:
        return take_rest(r, &item->text) && evidence_is_uid(item->text.data, item->text.len);
    case EVIDENCE_MADE:
        return take_time(r, &item->at_us);
    case EVIDENCE_LOG:
    case EVIDENCE_WITNESS:
        return take_hash(r, item->id);
    case EVIDENCE_KEY:
    case EVIDENCE_CERTIFICATE:
    case EVIDENCE_STAMP:
    case EVIDENCE_SEAL:
        return take_base64(r, &item->bytes);
    case EVIDENCE_HEAD_LINE:
        return take_head(r, item);
    case EVIDENCE_SEEN_LINE:
        return take_hash(r, item->head.log) && take_head(r, item);
    case EVIDENCE_EVENT:
        return take_number(r, &item->leaf) && take_rest(r, &item->text);
    case EVIDENCE_PATH:
    case EVIDENCE_PREFIX:
        return take_hashes(r, item);
    case EVIDENCE_WORDS:
        break;
    }
    return false;
}

static enum evidence_word word_of(const char *begin, size_t len)
{
    for (unsigned w = 0; w < EVIDENCE_WORDS; w++) {
        const char *name = evidence_word_name((enum evidence_word)w);
        if (strlen(name) == len && memcmp(name, begin, len) == 0) {
            return (enum evidence_word)w;
        }
    }
    return EVIDENCE_WORDS;
}

/* A log has a head, and a witness what it has seen; in a seen file a log is a witness. */
static bool fits_party(const struct evidence *e, enum evidence_word party, enum evidence_word last,
                       enum evidence_word word)
{
    const bool sees = party == EVIDENCE_WITNESS || e->kind == EVIDENCE_SEEN;
    if (word == EVIDENCE_HEAD_LINE) {
        return !sees;
    }
    if (word == EVIDENCE_SEEN_LINE) {
        return sees && (e->kind == EVIDENCE_SEEN || last != EVIDENCE_SEEN_LINE);
    }
    return last != EVIDENCE_SEEN_LINE || e->kind == EVIDENCE_SEEN || word == EVIDENCE_PREFIX;
}

static bool fits(const struct evidence *e, enum evidence_word party, enum evidence_word word)
{
    if (e->count == 0) {
        return word == EVIDENCE_TITLE;
    }
    const enum evidence_word last = e->items[e->count - 1].word;
    const bool starts = last == EVIDENCE_TITLE;
    return (next_words[last] & BIT(word)) != 0 && (forbidden_in[e->kind] & BIT(word)) == 0 &&
           (!starts || (word == EVIDENCE_INSTANCE) == (e->kind == EVIDENCE_BUNDLE)) &&
           fits_party(e, party, last, word);
}

static struct evidence_item *add_item(struct evidence *e)
{
    if ((e->count & (e->count - 1)) == 0) { /* full at each power of two */
        struct evidence_item *grown =
            realloc(e->items, (e->count == 0 ? 1 : 2 * e->count) * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        e->items = grown;
    }
    struct evidence_item *item = &e->items[e->count];
    memset(item, 0, sizeof(*item));
    return item;
}

static enum ds_status parse_line(struct evidence *e, const char *begin, const char *end,
                                 enum evidence_word *party, struct ds_error *err)
{
    const char *blank = memchr(begin, ' ', (size_t)(end - begin));
    struct reader r = {e, blank != NULL ? blank : end, end};
    const enum evidence_word word = word_of(begin, (size_t)(r.at - begin));
    const size_t line = e->count + 1;
    if (word == EVIDENCE_WORDS || e->count == EVIDENCE_ITEMS_MAX || !fits(e, *party, word)) {
        return ds_fail(err, DS_EFORMAT, "line %zu may not stand here", line);
    }
    struct evidence_item *item = add_item(e);
    if (item == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu lines", line);
    }
    item->word = word;
    item->at = (size_t)((const uint8_t *)begin - e->text);
    if (!take_values(&r, item) || r.at != end) {
        return ds_fail(err, DS_EFORMAT, "line %zu, %s: its values are not as they must be written",
                       line, evidence_word_name(word));
    }
    *party = word == EVIDENCE_LOG || word == EVIDENCE_WITNESS ? word : *party;
    e->count++;
    return DS_OK;
}

enum ds_status evidence_parse(const uint8_t *text, size_t len, struct evidence *out,
                              struct ds_error *err)
{
    *out = (struct evidence){
        .text = text, .len = len, .decoded = DS_BYTES_INIT(EVIDENCE_MAX_BYTES + 4)};
    if (len == 0 || len > EVIDENCE_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a file of %zu bytes is no evidence", len);
    }
    enum ds_status s = ds_bytes_reserve(&out->decoded, len, err);
    const char *at = (const char *)text;
    const char *const stop = at + len;
    enum evidence_word party = EVIDENCE_LOG;
    while (s == DS_OK && at < stop) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        if (end == NULL) {
            return ds_fail(err, DS_EFORMAT, "the last line has no end");
        }
        s = parse_line(out, at, end, &party, err);
        at = end + 1;
    }
    if (s == DS_OK && out->items[out->count - 1].word != EVIDENCE_SEAL) {
        s = ds_fail(err, DS_EFORMAT, "the seal is missing: the file was cut short");
    }
    return s;
}

void evidence_free(struct evidence *e)
{
    free(e->items);
    ds_bytes_free(&e->decoded);
    *e = (struct evidence){0};
}

void evidence_proof(const struct evidence_item *item, struct provenance_proof *out)
{
    memset(out, 0, sizeof(*out));
    out->count = item->hash_count;
    if (item->bytes.len > 0) {
        memcpy(out->hashes, item->bytes.data, item->bytes.len);
    }
}

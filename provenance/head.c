/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/head.h"

#include "base/clock.h"
#include "dicomstego/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORMAT "dicomstego log head 1\nlog %s\nsize %" PRIu64 "\nroot %s\ntime %s\n"

size_t provenance_head_text(const struct provenance_head *h, char out[PROVENANCE_HEAD_TEXT_BYTES])
{
    char log[DS_SHA256_HEX_BYTES], root[DS_SHA256_HEX_BYTES], at[DS_CLOCK_TEXT_BYTES];
    ds_hex(h->log, sizeof(h->log), log);
    ds_hex(h->root, sizeof(h->root), root);
    ds_clock_format_utc(h->at_us, at);
    (void)snprintf(out, PROVENANCE_HEAD_TEXT_BYTES, FORMAT, log, h->size, root, at);
    return strlen(out);
}

/* "2026-01-31T23:59:59.123456Z"; what does not come out the same again is refused by the caller. */
static bool parse_time(const char *text, int64_t *out)
{
    struct tm utc = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == NULL || *rest != '.') {
        return false;
    }
    *out = (int64_t)timegm(&utc) * 1000000 + strtol(rest + 1, NULL, 10);
    return true;
}

/* The rest of the line that begins with word, as a string of its own; the text goes on behind it.
 */
static bool take_line(const char **at, const char *word, char *out, size_t size)
{
    const size_t word_len = strlen(word);
    if (strncmp(*at, word, word_len) != 0) {
        return false;
    }
    const char *begin = *at + word_len;
    const size_t len = strcspn(begin, "\n");
    if (len >= size || begin[len] != '\n') {
        return false;
    }
    memcpy(out, begin, len);
    out[len] = '\0';
    *at = begin + len + 1;
    return true;
}

static bool parse(const char *at, struct provenance_head *out)
{
    char value[DS_SHA256_HEX_BYTES];
    if (!take_line(&at, "dicomstego log head 1", value, 1) ||
        !take_line(&at, "log ", value, sizeof(value)) || strlen(value) != 2 * sizeof(out->log) ||
        !ds_unhex(value, out->log, sizeof(out->log)) ||
        !take_line(&at, "size ", value, sizeof(value))) {
        return false;
    }
    out->size = strtoull(value, NULL, 10);
    return take_line(&at, "root ", value, sizeof(value)) &&
           strlen(value) == 2 * sizeof(out->root) &&
           ds_unhex(value, out->root, sizeof(out->root)) &&
           take_line(&at, "time ", value, sizeof(value)) && parse_time(value, &out->at_us);
}

enum ds_status provenance_head_parse(const char *text, size_t len, struct provenance_head *out,
                                     struct ds_error *err)
{
    char kept[PROVENANCE_HEAD_TEXT_BYTES], again[PROVENANCE_HEAD_TEXT_BYTES];
    memset(out, 0, sizeof(*out));
    bool ok = len < sizeof(kept);
    if (ok) {
        memcpy(kept, text, len);
        kept[len] = '\0';
        ok = parse(kept, out);
    }
    /* One head has one text: what was read must be what would be written. */
    ok = ok && provenance_head_text(out, again) == len && memcmp(again, kept, len) == 0;
    return ok ? DS_OK : ds_fail(err, DS_EFORMAT, "this is not a tree head");
}

enum ds_status provenance_log_id(const uint8_t *public_key, size_t len,
                                 uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    return ds_sha256_of(public_key, len, out, err);
}

enum ds_status provenance_head_sign(const struct provenance_head *h,
                                    const struct stego_identity *by, struct ds_bytes *signature,
                                    struct ds_error *err)
{
    char text[PROVENANCE_HEAD_TEXT_BYTES];
    const size_t len = provenance_head_text(h, text);
    return stego_statement_sign(by, (const uint8_t *)text, len, signature, err);
}

enum ds_status provenance_head_verify(const struct provenance_head *h, const uint8_t *public_key,
                                      size_t public_key_len, const uint8_t *signature, size_t len,
                                      struct ds_error *err)
{
    uint8_t log[DS_SHA256_BYTES];
    char text[PROVENANCE_HEAD_TEXT_BYTES];
    const enum ds_status s = provenance_log_id(public_key, public_key_len, log, err);
    if (s != DS_OK) {
        return s;
    }
    if (memcmp(log, h->log, sizeof(log)) != 0) {
        return ds_fail(err, DS_EAUTH, "the tree head is of another log than the key");
    }
    const size_t text_len = provenance_head_text(h, text);
    return stego_statement_verify(public_key, public_key_len, (const uint8_t *)text, text_len,
                                  signature, len, err);
}

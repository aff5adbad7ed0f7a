/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/event.h"

#include "base/clock.h"

#include <inttypes.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_BYTES 24U

/* What is put together; the first failure sticks. */
struct line {
    struct ds_bytes *out;
    struct ds_error *err;
    enum ds_status status;
};

static void put(struct line *l, const char *data, size_t len)
{
    if (l->status == DS_OK && len > 0) {
        l->status = ds_bytes_append(l->out, data, len, l->err);
    }
}

static void put_word(struct line *l, const char *word)
{
    put(l, word, strlen(word));
}

static bool must_escape(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

static void put_escaped(struct line *l, char c)
{
    char text[8];
    if ((unsigned char)c < 0x20) {
        (void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)(unsigned char)c);
    } else {
        (void)snprintf(text, sizeof(text), "\\%c", c);
    }
    put_word(l, text);
}

static void put_string(struct line *l, const char *data, size_t len)
{
    put(l, "\"", 1);
    for (size_t at = 0; at < len;) {
        size_t run = 0;
        while (at + run < len && !must_escape(data[at + run])) {
            run++;
        }
        put(l, data + at, run);
        at += run;
        if (at < len) {
            put_escaped(l, data[at++]);
        }
    }
    put(l, "\"", 1);
}

static void put_text(struct line *l, const char *member, struct provenance_text t)
{
    put_word(l, member);
    if (t.data == NULL) {
        put_word(l, "null");
    } else {
        put_string(l, t.data, t.len);
    }
}

static void put_hex(struct line *l, const char *member, bool has, const uint8_t *data, size_t len)
{
    char text[DS_SHA256_HEX_BYTES];
    put_word(l, member);
    if (!has) {
        put_word(l, "null");
        return;
    }
    ds_hex(data, len, text); /* len is at most DS_SHA256_BYTES */
    put_string(l, text, 2 * len);
}

static void put_id(struct line *l, const char *member, int64_t id)
{
    char text[NUMBER_BYTES] = "null";
    if (id != 0) {
        (void)snprintf(text, sizeof(text), "%" PRId64, id);
    }
    put_word(l, member);
    put_word(l, text);
}

enum ds_status provenance_event_bytes(const struct provenance_event *e, struct ds_bytes *out,
                                      struct ds_error *err)
{
    struct line l = {out, err, DS_OK};
    char at[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(e->at_us, at);
    put_word(&l, "{\"v\":1");
    put_hex(&l, ",\"log\":", true, e->log, sizeof(e->log));
    put_id(&l, ",\"id\":", e->id);
    put_word(&l, ",\"at\":");
    put_string(&l, at, strlen(at));
    put_text(&l, ",\"node\":", e->node);
    put_text(&l, ",\"kind\":", e->kind);
    put_text(&l, ",\"actor\":", e->actor);
    put_id(&l, ",\"instance\":", e->instance_id);
    put_id(&l, ",\"study\":", e->study_id);
    put_text(&l, ",\"sop_uid\":", e->sop_uid);
    put_text(&l, ",\"study_uid\":", e->study_uid);
    put_text(&l, ",\"peer\":", e->peer);
    put_text(&l, ",\"outcome\":", e->outcome);
    put_hex(&l, ",\"before\":", e->has_before, e->before, sizeof(e->before));
    put_hex(&l, ",\"after\":", e->has_after, e->after, sizeof(e->after));
    put_word(&l, ",\"detail\":");
    if (e->detail.data == NULL) {
        put_word(&l, "null");
    } else {
        put(&l, e->detail.data, e->detail.len);
    }
    put(&l, "}", 1);
    return l.status;
}

struct provenance_text provenance_text_of(const char *text)
{
    const bool none = text == NULL || text[0] == '\0';
    return (struct provenance_text){none ? NULL : text, none ? 0 : strlen(text)};
}

enum ds_status provenance_event_tag(const uint8_t key[DS_SHA256_BYTES], const uint8_t *event,
                                    size_t len, uint8_t out[PROVENANCE_TAG_BYTES],
                                    struct ds_error *err)
{
    return HMAC(EVP_sha256(), key, DS_SHA256_BYTES, event, len, out, NULL) != NULL
               ? DS_OK
               : ds_fail(err, DS_ENOMEM, "HMAC");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file has otherwise than a style says: stale group lengths, values of odd length, a VR that
 * is none. docs/restore-record.md, "patch".
 */
#include "carrier/carrier_private.h"

#include <string.h>

#define ANCHOR 16U /* so many equal bytes end a difference */
#define REACH  64U /* and are looked for so far: headers and short values, not pixels */

struct gap { /* bytes of base dropped, bytes of want put in their place */
    size_t dropped, inserted;
};

/* Do both go on alike at their offsets? The rest of a file counts where it is shorter. */
static bool is_anchored(const uint8_t *base, size_t base_left, const uint8_t *want,
                        size_t want_left)
{
    if (base_left < ANCHOR || want_left < ANCHOR) {
        return base_left == want_left && (base_left == 0 || memcmp(base, want, base_left) == 0);
    }
    return memcmp(base, want, ANCHOR) == 0;
}

/* The smallest gap, counted in bytes on both sides, after which both go on alike. */
static bool find_gap(const uint8_t *base, size_t base_left, const uint8_t *want, size_t want_left,
                     struct gap *out)
{
    for (size_t sum = 1; sum <= 2 * (size_t)REACH; sum++) {
        const size_t least = sum > REACH ? sum - REACH : 0;
        for (size_t dropped = least; dropped <= sum && dropped <= REACH; dropped++) {
            const size_t inserted = sum - dropped;
            if (dropped <= base_left && inserted <= want_left &&
                is_anchored(base + dropped, base_left - dropped, want + inserted,
                            want_left - inserted)) {
                *out = (struct gap){dropped, inserted};
                return true;
            }
        }
    }
    return false;
}

static size_t equal_run(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t n = 0;
    while (n < a_len && n < b_len && a[n] == b[n]) {
        n++;
    }
    return n;
}

static enum ds_status put_gap(struct ds_bytes *out, size_t kept, const struct gap *gap,
                              const uint8_t *inserted, struct ds_error *err)
{
    enum ds_status s = carrier_put_number(out, (uint32_t)kept, err);
    if (s == DS_OK) {
        s = carrier_put_number(out, (uint32_t)gap->dropped, err);
    }
    if (s == DS_OK) {
        s = carrier_put_number(out, (uint32_t)gap->inserted, err);
    }
    return s == DS_OK && gap->inserted > 0 ? ds_bytes_append(out, inserted, gap->inserted, err) : s;
}

enum ds_status carrier_patch_describe(const struct ds_bytes *base, const uint8_t *want,
                                      size_t want_len, struct ds_bytes *out, struct ds_error *err)
{
    const size_t start = out->len;
    size_t at = 0;
    size_t wanted = 0;
    enum ds_status s = DS_OK;
    while (s == DS_OK) {
        const size_t kept =
            equal_run(base->data + at, base->len - at, want + wanted, want_len - wanted);
        struct gap gap = {0};
        at += kept;
        wanted += kept;
        if (at == base->len && wanted == want_len) {
            return DS_OK;
        }
        if (out->len - start > CARRIER_PATCH_MAX_BYTES ||
            !find_gap(base->data + at, base->len - at, want + wanted, want_len - wanted, &gap)) {
            out->len = start;
            return DS_ENOTFOUND;
        }
        s = put_gap(out, kept, &gap, want + wanted, err);
        at += gap.dropped;
        wanted += gap.inserted;
    }
    return s;
}

enum ds_status carrier_patch_apply(const uint8_t *patch, size_t patch_len,
                                   const struct ds_bytes *base, struct ds_bytes *out,
                                   struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(patch, patch_len);
    struct ds_cursor present = ds_cursor_over(base->data, base->len);
    enum ds_status s = DS_OK;
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        const uint32_t kept_len = carrier_get_number(&c);
        const uint8_t *kept = ds_cursor_bytes(&present, kept_len);
        (void)ds_cursor_bytes(&present, carrier_get_number(&c));
        const uint32_t inserted_len = carrier_get_number(&c);
        const uint8_t *inserted = ds_cursor_bytes(&c, inserted_len);
        if (c.failed || present.failed) {
            return ds_fail(err, DS_EFORMAT, "the restore record's patch is damaged");
        }
        s = kept_len > 0 ? ds_bytes_append(out, kept, kept_len, err) : DS_OK;
        if (s == DS_OK && inserted_len > 0) {
            s = ds_bytes_append(out, inserted, inserted_len, err);
        }
    }
    const size_t rest_len = ds_cursor_left(&present);
    const uint8_t *rest = ds_cursor_bytes(&present, rest_len);
    return s == DS_OK && rest_len > 0 ? ds_bytes_append(out, rest, rest_len, err) : s;
}

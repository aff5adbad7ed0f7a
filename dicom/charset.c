/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/charset.h"

#include <iconv.h>
#include <string.h>

/* Every set that a defined term names. pair: two bytes a character in G0; they are shifted into the
 * upper half and read as the EUC code named here, the supplementary plane behind its prefix. */
struct coded_set {
    const char *number; /* the end of "ISO_IR n" and "ISO 2022 IR n" */
    const char *escape; /* what follows ESC */
    const char *encoding;
    bool upper; /* G1: bytes from 0x80 on */
    uint8_t pair_prefix;
    bool pair;
};

static const struct coded_set coded_sets[] = {
    {"6", "(B", "ASCII", false, 0, false},
    {"13", "(J", "ASCII", false, 0, false}, /* romaji: ASCII but for yen and overline */
    {"13", ")I", "SHIFT_JIS", true, 0, false},
    {"100", "-A", "ISO-8859-1", true, 0, false},
    {"101", "-B", "ISO-8859-2", true, 0, false},
    {"109", "-C", "ISO-8859-3", true, 0, false},
    {"110", "-D", "ISO-8859-4", true, 0, false},
    {"144", "-L", "ISO-8859-5", true, 0, false},
    {"127", "-G", "ISO-8859-6", true, 0, false},
    {"126", "-F", "ISO-8859-7", true, 0, false},
    {"138", "-H", "ISO-8859-8", true, 0, false},
    {"148", "-M", "ISO-8859-9", true, 0, false},
    {"203", "-b", "ISO-8859-15", true, 0, false},
    {"166", "-T", "TIS-620", true, 0, false},
    {"87", "$B", "EUC-JP", false, 0, true},
    {"159", "$(D", "EUC-JP", false, 0x8f, true},
    {"149", "$)C", "EUC-KR", true, 0, false},
    {"58", "$)A", "GB2312", true, 0, false},
};

struct conversion {
    const struct coded_set *initial, *g0, *g1; /* NULL: ASCII, nothing */
    bool name;
    struct ds_bytes *out;
    struct ds_error *err;
};

static enum ds_status put_unknown(struct conversion *c, size_t len)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < len; i++) {
        s = ds_bytes_put_u8(c->out, '?', c->err);
    }
    return s;
}

/* All of in through iconv; a byte that it refuses becomes '?'. */
static enum ds_status convert(struct conversion *c, iconv_t how, char *in, size_t in_len)
{
    enum ds_status s = DS_OK;
    while (s == DS_OK && in_len > 0) {
        char piece[256];
        char *at = piece;
        size_t room = sizeof piece;
        const char *before = in;
        const size_t result = iconv(how, &in, &in_len, &at, &room);
        s = ds_bytes_append(c->out, piece, sizeof piece - room, c->err);
        if (s == DS_OK && result == (size_t)-1 && in == before && room == sizeof piece) {
            s = put_unknown(c, 1);
            in++;
            in_len--;
            (void)iconv(how, NULL, NULL, NULL, NULL);
        }
    }
    return s;
}

static enum ds_status convert_from(struct conversion *c, const char *encoding, const char *text,
                                   size_t len)
{
    iconv_t how = iconv_open("UTF-8", encoding);
    if (how == (iconv_t)-1) { /* NOLINT: the value that iconv_open fails with */
        return put_unknown(c, len);
    }
    char *copy = len == 0 ? NULL : malloc(len);
    enum ds_status s = DS_OK;
    if (copy != NULL) {
        memcpy(copy, text, len);
        s = convert(c, how, copy, len);
    } else if (len > 0) {
        s = ds_fail(c->err, DS_ENOMEM, "out of memory in text conversion");
    }
    free(copy);
    iconv_close(how);
    return s;
}

/* Characters of two bytes in G0, moved to where EUC has them. */
static enum ds_status convert_pairs(struct conversion *c, const char *text, size_t len)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i + 1 < len; i += 2) {
        char euc[3];
        size_t n = 0;
        if (c->g0->pair_prefix != 0) {
            euc[n++] = (char)c->g0->pair_prefix;
        }
        euc[n++] = (char)(text[i] | 0x80);
        euc[n++] = (char)(text[i + 1] | 0x80);
        s = convert_from(c, c->g0->encoding, euc, n);
    }
    return s;
}

/* A run of bytes that are all below or all above 0x80. */
static enum ds_status convert_run(struct conversion *c, const char *text, size_t len)
{
    const bool upper = (text[0] & 0x80) != 0;
    if (upper) {
        return c->g1 == NULL ? put_unknown(c, len) : convert_from(c, c->g1->encoding, text, len);
    }
    if (c->g0 != NULL && c->g0->pair) {
        return convert_pairs(c, text, len);
    }
    return ds_bytes_append(c->out, text, len, c->err);
}

/* The set whose escape sequence stands at text (behind ESC), or NULL. */
static const struct coded_set *escaped_set(const char *text, size_t len)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(coded_sets); i++) {
        const size_t n = strlen(coded_sets[i].escape);
        if (n <= len && memcmp(text, coded_sets[i].escape, n) == 0) {
            return &coded_sets[i];
        }
    }
    return NULL;
}

static void designate(struct conversion *c, const struct coded_set *set)
{
    if (set->upper) {
        c->g1 = set;
    } else {
        c->g0 = set;
    }
}

/* PS3.5 6.1.2.5.3: these bring the first set back. Among two-byte characters they are none. */
static bool is_delimiter(const struct conversion *c, char b)
{
    if (c->g0 != NULL && c->g0->pair) {
        return false;
    }
    return b == '\\' || b == '\r' || b == '\n' || b == '\f' || b == '\t' ||
           (c->name && (b == '^' || b == '='));
}

static size_t run_length(const struct conversion *c, const char *text, size_t len)
{
    size_t n = 1;
    while (n < len && text[n] != '\033' && (text[n] & 0x80) == (text[0] & 0x80) &&
           !is_delimiter(c, text[n])) {
        n++;
    }
    return n;
}

static enum ds_status convert_extended(struct conversion *c, const char *text, size_t len)
{
    enum ds_status s = DS_OK;
    size_t at = 0;
    while (s == DS_OK && at < len) {
        if (text[at] == '\033') {
            const struct coded_set *set = escaped_set(text + at + 1, len - at - 1);
            if (set != NULL) {
                designate(c, set);
                at += 1 + strlen(set->escape);
                continue;
            }
            s = put_unknown(c, 1);
            at++;
            continue;
        }
        if (is_delimiter(c, text[at])) {
            c->g0 = NULL;
            c->g1 = c->initial;
            s = ds_bytes_append(c->out, text + at, 1, c->err);
            at++;
            continue;
        }
        const size_t n = run_length(c, text + at, len - at);
        s = convert_run(c, text + at, n);
        at += n;
    }
    return s;
}

/* The set that holds before any escape: the upper one of the first value. */
static const struct coded_set *first_set(const char *sets)
{
    static const char *const prefixes[] = {"ISO_IR ", "ISO 2022 IR "};
    const size_t len = strcspn(sets, "\\");
    for (size_t i = 0; i < DS_ARRAY_SIZE(coded_sets); i++) {
        for (size_t j = 0; j < DS_ARRAY_SIZE(prefixes); j++) {
            const size_t n = strlen(prefixes[j]);
            const size_t m = strlen(coded_sets[i].number);
            if (coded_sets[i].upper && n + m == len && memcmp(sets, prefixes[j], n) == 0 &&
                memcmp(sets + n, coded_sets[i].number, m) == 0) {
                return &coded_sets[i];
            }
        }
    }
    return NULL;
}

enum ds_status dicom_charset_to_utf8(const char *text, size_t len, const char *sets, bool name,
                                     struct ds_bytes *out, struct ds_error *err)
{
    struct conversion c = {.name = name, .out = out, .err = err};
    static const struct {
        const char *term, *encoding;
    } whole[] = {{"ISO_IR 192", "UTF-8"}, {"GB18030", "GB18030"}, {"GBK", "GBK"}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(whole); i++) {
        if (strcmp(sets, whole[i].term) == 0) {
            return convert_from(&c, whole[i].encoding, text, len);
        }
    }
    c.initial = c.g1 = first_set(sets);
    return convert_extended(&c, text, len);
}

/* ---- from UTF-8 ---- */

/* What iconv calls it; NULL: not one that we write. */
static const char *encoding_of(const char *set)
{
    static const char single[] = "ISO_IR ";
    if (set[0] == '\0') {
        return "ASCII";
    }
    if (strcmp(set, "ISO_IR 192") == 0) {
        return "UTF-8";
    }
    if (strcmp(set, "GB18030") == 0 || strcmp(set, "GBK") == 0) {
        return set;
    }
    const struct coded_set *coded =
        strncmp(set, single, sizeof(single) - 1) == 0 ? first_set(set) : NULL;
    /* Of katakana the lower half is another one. */
    return coded == NULL || strcmp(coded->number, "13") == 0 ? NULL : coded->encoding;
}

enum ds_status dicom_charset_from_utf8(const char *text, size_t len, const char *set,
                                       struct ds_bytes *out, bool *fits, struct ds_error *err)
{
    const char *encoding = encoding_of(set);
    *fits = false;
    iconv_t how = encoding == NULL ? (iconv_t)-1 : iconv_open(encoding, "UTF-8"); /* NOLINT */
    if (how == (iconv_t)-1) {                                                     /* NOLINT */
        return DS_OK;
    }
    const size_t before = out->len;
    char *copy = malloc(len + 1);
    enum ds_status s =
        copy == NULL ? ds_fail(err, DS_ENOMEM, "out of memory in text conversion") : DS_OK;
    char *in = copy;
    if (s == DS_OK) {
        memcpy(copy, text, len);
    }
    *fits = s == DS_OK;
    while (s == DS_OK && *fits && len > 0) {
        char piece[256];
        char *at = piece;
        size_t room = sizeof piece;
        const size_t result = iconv(how, &in, &len, &at, &room);
        *fits = result != (size_t)-1 || room < sizeof piece;
        s = *fits ? ds_bytes_append(out, piece, sizeof piece - room, err) : DS_OK;
    }
    out->len = *fits ? out->len : before;
    free(copy);
    iconv_close(how);
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/query_value.h"

#include "dicom/person_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX      65536U /* UIDs in a list */
#define NAME_MAX_BYTES  65536U
#define DATE_DIGITS     8U
#define TIME_DIGITS     12U
#define DATETIME_DIGITS 20U

struct reading {
    const struct dicom_query_key *key;
    struct db_condition *conditions;
    size_t *count;
    struct query_text **texts;
};

void query_texts_free(struct query_text *texts)
{
    while (texts != NULL) {
        struct query_text *next = texts->next;
        free(texts);
        texts = next;
    }
}

/* Room that lives as long as the query; NULL without memory. */
static char *room(struct reading *r, size_t size)
{
    struct query_text *t = calloc(1, sizeof(*t) + size);
    if (t == NULL) {
        return NULL;
    }
    t->next = *r->texts;
    *r->texts = t;
    return t->text;
}

static bool is_vr(const struct reading *r, const char *vrs)
{
    return strstr(vrs, r->key->vr) != NULL;
}

static enum query_verdict add(struct reading *r, enum db_comparison how, const char *const *values,
                              size_t count)
{
    if (*r->count >= DB_CONDITIONS_MAX) {
        return QUERY_VALUE_TOO_MANY;
    }
    r->conditions[(*r->count)++] = (struct db_condition){
        .level = (enum db_level)r->key->level,
        .tag = r->key->tag,
        .sequence = r->key->sequence,
        .is_multiple = r->key->is_multiple && r->key->source == DICOM_KEY_OF_DATASET,
        .how = how,
        .values = values,
        .count = count,
    };
    return QUERY_VALUE_OK;
}

/* ---- lists ---- */

/* The values between backslashes, blanks around them left out; empty ones match nothing more and
 * are skipped. */
static const char **split(struct reading *r, const char *value, size_t *count)
{
    size_t most = 1;
    for (const char *c = value; *c != '\0'; c++) {
        most += *c == '\\';
    }
    char *copy = room(r, strlen(value) + 1);
    /* Pointers into a room of bytes: its start is aligned for a pointer (struct query_text). */
    const char **list =
        most > VALUES_MAX ? NULL : (const char **)(void *)room(r, most * sizeof(*list));
    *count = 0;
    if (copy == NULL || list == NULL) {
        return NULL;
    }
    memcpy(copy, value, strlen(value) + 1);
    for (char *at = copy; at != NULL;) {
        char *end = strchr(at, '\\');
        if (end != NULL) {
            *end++ = '\0';
        }
        at += strspn(at, " ");
        for (size_t len = strlen(at); len > 0 && at[len - 1] == ' '; len--) {
            at[len - 1] = '\0';
        }
        if (*at != '\0') {
            list[(*count)++] = at;
        }
        at = end;
    }
    return list;
}

static bool is_uid(const char *text)
{
    const size_t len = strlen(text);
    return len < DICOM_UID_BYTES && strspn(text, "0123456789.") == len;
}

/* As the database takes it for a number, too. */
static bool is_number(const char *text)
{
    text += *text == '+' || *text == '-';
    const size_t whole = strspn(text, "0123456789");
    text += whole;
    if (*text == '.') {
        text++;
        const size_t part = strspn(text, "0123456789");
        text += part;
        if (part > 16) {
            return false;
        }
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        const size_t power = strspn(text, "0123456789");
        text += power;
        if (power == 0 || power > 2) {
            return false;
        }
    }
    return whole > 0 && whole <= 16 && *text == '\0';
}

/* A value of * alone matches everything (PS3.4 C.2.2.2.4). */
static bool is_all(const char *value)
{
    return value[0] != '\0' && value[strspn(value, "* ")] == '\0';
}

static enum query_verdict read_list(struct reading *r, const char *value, enum db_comparison how,
                                    bool (*sound)(const char *))
{
    size_t count = 0;
    const char **list = split(r, value, &count);
    if (list == NULL) {
        return QUERY_VALUE_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        if (!sound(list[i])) {
            return QUERY_VALUE_BAD;
        }
    }
    return count == 0 ? QUERY_VALUE_UNIVERSAL : add(r, how, list, count);
}

/* Text: with wildcards where one is in it, else as it stands. */
static enum query_verdict read_text(struct reading *r, const char *value)
{
    size_t count = 0;
    const char **list = split(r, value, &count);
    if (list == NULL) {
        return QUERY_VALUE_NO_MEMORY;
    }
    const bool wild = strpbrk(value, "*?") != NULL;
    return count == 0 ? QUERY_VALUE_UNIVERSAL
                      : add(r, wild ? DB_COMPARE_LIKE : DB_COMPARE_EQUAL, list, count);
}

/* ---- dates and times ---- */

/* Only digits, as many as the form has, the rest filled up. False: not of this form. */
static bool fill_digits(const char *text, size_t len, size_t least, size_t digits, char fill,
                        char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const bool separator = text[i] == '.' || text[i] == ':';
        if (!separator && (text[i] < '0' || text[i] > '9' || n >= digits)) {
            return false;
        }
        if (!separator) {
            out[n++] = text[i];
        }
    }
    if (n < least || (n % 2 != 0 && n < digits - 6)) { /* only a fraction has an odd number */
        return false;
    }
    memset(out + n, fill, digits - n);
    out[digits] = '\0';
    return true;
}

/* Where a range is divided; NULL: it is none. Of a date-time -0500 at the end of a value is an
 * offset from UTC (PS3.4 C.2.2.2.5.2), which is left out of account. */
static const char *hyphen_of(const char *value, bool datetime)
{
    for (const char *h = strchr(value, '-'); h != NULL; h = strchr(h + 1, '-')) {
        const size_t digits = strspn(h + 1, "0123456789");
        const bool ends = h[1 + digits] == '\0' || h[1 + digits] == '-';
        if (!datetime || h == value || digits != 4 || !ends || strncmp(h + 1, "1400", 4) > 0) {
            return h;
        }
    }
    return NULL;
}

static size_t without_offset(const char *text, size_t len, bool datetime)
{
    for (size_t i = 1; datetime && i < len; i++) {
        if (text[i] == '+' || text[i] == '-') {
            return i;
        }
    }
    return len;
}

struct range_form {
    enum db_comparison how;
    size_t least, digits;
};

/* One end of a range; a time that is not precise to the second stands for all of its hour or
 * minute at the upper end. */
static bool read_end(const char *text, size_t len, const struct range_form *form, char fill,
                     char *out)
{
    len = without_offset(text, len, form->how == DB_COMPARE_DATETIME);
    while (len > 0 && text[len - 1] == ' ') {
        len--;
    }
    if (len == 0) {
        out[0] = '\0';
        return true;
    }
    return fill_digits(text, len, form->least, form->digits, fill, out);
}

/* Single values are ranges of one point; of a time, missing digits are zero then. */
static enum query_verdict read_range(struct reading *r, const char *value,
                                     const struct range_form *form)
{
    char *low = room(r, form->digits + 1);
    char *high = room(r, form->digits + 1);
    const char **ends = (const char **)(void *)room(r, 2 * sizeof(*ends));
    if (low == NULL || high == NULL || ends == NULL) {
        return QUERY_VALUE_NO_MEMORY;
    }
    value += strspn(value, " ");
    const char *hyphen = hyphen_of(value, form->how == DB_COMPARE_DATETIME);
    const size_t first = hyphen == NULL ? strlen(value) : (size_t)(hyphen - value);
    const char *second = hyphen == NULL ? value : hyphen + 1;
    if (!read_end(value, first, form, '0', low) ||
        !read_end(second, strlen(second), form, hyphen == NULL ? '0' : '9', high)) {
        return QUERY_VALUE_BAD;
    }
    if (low[0] == '\0' && high[0] == '\0') {
        return hyphen == NULL ? QUERY_VALUE_UNIVERSAL : QUERY_VALUE_BAD;
    }
    ends[0] = low;
    ends[1] = high;
    return add(r, form->how, ends, 2);
}

/* ---- names ---- */

static const char *form_of(struct reading *r, const char *name,
                           enum ds_status (*make)(const char *, struct ds_bytes *,
                                                  struct ds_error *))
{
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(NAME_MAX_BYTES);
    if (make(name, &out, NULL) != DS_OK) {
        return NULL;
    }
    char *kept = room(r, out.len + 1);
    if (kept != NULL && out.len > 0) {
        memcpy(kept, out.data, out.len);
    }
    return kept;
}

/* Of the words of a name each is a condition: it is there, or something that sounds like it. words:
 * " word ~S530 word "; cut in place. */
static enum query_verdict add_words(struct reading *r, char *words)
{
    enum query_verdict verdict = QUERY_VALUE_UNIVERSAL;
    char *save = NULL;
    char *word = strtok_r(words, " ", &save);
    while (word != NULL) {
        const char **list = (const char **)(void *)room(r, 2 * sizeof(*list));
        char *padded = room(r, strlen(word) + 3);
        if (list == NULL || padded == NULL) {
            return QUERY_VALUE_NO_MEMORY;
        }
        /* "word*" is the beginning of one. */
        const size_t len = strlen(word);
        const bool open = len > 1 && word[len - 1] == '*';
        (void)snprintf(padded, len + 3, " %.*s%s", (int)(open ? len - 1 : len), word,
                       open ? "" : " ");
        list[0] = padded;
        word = strtok_r(NULL, " ", &save);
        size_t count = 1;
        if (word != NULL && word[0] == '~') {
            list[count++] = word;
            word = strtok_r(NULL, " ", &save);
        }
        verdict = add(r, DB_COMPARE_WORDS, list, count);
        if (verdict != QUERY_VALUE_OK) {
            return verdict;
        }
    }
    return verdict;
}

/* Wildcards other than * at the end of a word are for exact comparison. */
static bool is_plain_enough(const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '?' || (*c == '*' && (c == value || strchr("^ =", c[1]) == NULL ||
                                        strchr("^ =", c[-1]) != NULL))) {
            return false;
        }
    }
    return true;
}

static enum query_verdict read_name(struct reading *r, const char *value, bool fuzzy)
{
    const bool of_patient = r->key->tag == DICOM_TAG_PATIENT_NAME;
    if (fuzzy && of_patient && is_plain_enough(value)) {
        const char *words = form_of(r, value, dicom_person_name_words);
        char *mine = words == NULL ? NULL : room(r, strlen(words) + 1);
        if (mine == NULL) {
            return QUERY_VALUE_NO_MEMORY;
        }
        memcpy(mine, words, strlen(words) + 1);
        return add_words(r, mine);
    }
    const char *key = form_of(r, value, dicom_person_name_key);
    const char **list = (const char **)(void *)room(r, sizeof(*list));
    if (key == NULL || list == NULL) {
        return QUERY_VALUE_NO_MEMORY;
    }
    list[0] = key;
    if (of_patient) {
        return add(r, DB_COMPARE_NAME, list, 1);
    }
    const enum query_verdict verdict = add(r, DB_COMPARE_LIKE, list, 1);
    if (verdict == QUERY_VALUE_OK) {
        r->conditions[*r->count - 1].is_folded = true;
    }
    return verdict;
}

enum query_verdict query_value_read(const struct dicom_query_key *key, const char *value,
                                    bool fuzzy, struct db_condition *conditions, size_t *count,
                                    struct query_text **texts)
{
    static const struct range_form date = {DB_COMPARE_DATE, DATE_DIGITS, DATE_DIGITS};
    static const struct range_form time = {DB_COMPARE_TIME, 2, TIME_DIGITS};
    static const struct range_form datetime = {DB_COMPARE_DATETIME, 4, DATETIME_DIGITS};
    struct reading r = {key, conditions, count, texts};
    if (value[0] == '\0' || is_all(value)) {
        return QUERY_VALUE_UNIVERSAL;
    }
    if (is_vr(&r, "UI")) {
        return read_list(&r, value, DB_COMPARE_EQUAL, is_uid);
    }
    if (is_vr(&r, "IS DS US")) {
        return read_list(&r, value, DB_COMPARE_NUMBER, is_number);
    }
    if (is_vr(&r, "DA TM DT")) {
        return read_range(&r, value, is_vr(&r, "DA") ? &date : is_vr(&r, "TM") ? &time : &datetime);
    }
    return is_vr(&r, "PN") ? read_name(&r, value, fuzzy) : read_text(&r, value);
}

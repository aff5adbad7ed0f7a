/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of single values: each says what it expected when it refuses one. */
#include "base/file.h"
#include "config/read.h"

#include <ctype.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},       {"min", 60000},
                                             {"h", 3600000}, {"d", 86400000LL}, {0}};
static const struct unit size_units[] = {{"B", 1},
                                         {"kB", 1000},
                                         {"MB", 1000000},
                                         {"GB", 1000000000LL},
                                         {"TB", 1000000000000LL},
                                         {"KiB", INT64_C(1) << 10},
                                         {"MiB", INT64_C(1) << 20},
                                         {"GiB", INT64_C(1) << 30},
                                         {"TiB", INT64_C(1) << 40},
                                         {0}};
static const struct unit rate_units[] = {{"B/s", 1},
                                         {"kB/s", 1000},
                                         {"MB/s", 1000000},
                                         {"GB/s", 1000000000LL},
                                         {"KiB/s", INT64_C(1) << 10},
                                         {"MiB/s", INT64_C(1) << 20},
                                         {"GiB/s", INT64_C(1) << 30},
                                         {0}};
static const struct unit percent_units[] = {{"%", 1}, {0}};
static const struct unit decibel_units[] = {{"dB", 1}, {0}};
static const struct unit no_units[] = {{"", 1}, {0}};

static enum ds_status keep(struct config_reader *r, const char *text, char **target)
{
    *target = strdup(text);
    return *target == NULL ? ds_fail(r->err, DS_ENOMEM, "no memory for the configuration") : DS_OK;
}

static bool is_plain(const struct config_value *v)
{
    return v->node == NULL || v->node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Digits, spaces, a unit of the list. */
static bool parse_quantity(const char *text, const struct unit *units, int64_t *out)
{
    int64_t n = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at); at++) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *at - '0', &n)) {
            return false;
        }
    }
    if (at == text) {
        return false;
    }
    while (*at == ' ') {
        at++;
    }
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strcmp(u->name, at) == 0) {
            return !__builtin_mul_overflow(n, u->factor, out);
        }
    }
    return false;
}

static enum ds_status read_quantity(struct config_reader *r, const struct config_key *key,
                                    const struct config_value *v, const struct unit *units,
                                    const char *expected, int64_t *out)
{
    *out = 0;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    if (!parse_quantity(text, units, out)) {
        return config_fail_at(r, v->node, "%s is '%.40s'; expected %s", v->where, text, expected);
    }
    if (*out < key->low || *out > key->high) {
        return config_fail_at(r, v->node, "%s is '%.40s', which is too %s; expected %s", v->where,
                              text, *out < key->low ? "small" : "large", expected);
    }
    return DS_OK;
}

static enum ds_status read_number(struct config_reader *r, const struct config_key *key,
                                  const struct config_value *v, int64_t *out)
{
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "a number from %lld to %lld", (long long)key->low,
                   (long long)key->high);
    const enum ds_status s = read_quantity(r, key, v, no_units, expected, out);
    if (s == DS_OK && !is_plain(v)) {
        return config_fail_at(r, v->node, "%s is a text; expected %s without quotes", v->where,
                              expected);
    }
    return s;
}

enum ds_status config_read_port(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    int64_t n;
    const enum ds_status s = read_number(r, key, v, &n);
    *(uint16_t *)target = (uint16_t)n; /* at most 65535 by the table */
    return s;
}

enum ds_status config_read_count(struct config_reader *r, const struct config_key *key,
                                 const struct config_value *v, void *target)
{
    int64_t n;
    const enum ds_status s = read_number(r, key, v, &n);
    *(unsigned *)target = (unsigned)n; /* the table's maximum is small */
    return s;
}

enum ds_status config_read_duration(struct config_reader *r, const struct config_key *key,
                                    const struct config_value *v, void *target)
{
    return read_quantity(r, key, v, duration_units,
                         "a whole number with ms, s, min, h or d, such as '60 s' (up to 30 d)",
                         target);
}

enum ds_status config_read_size(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    int64_t n;
    const enum ds_status s =
        read_quantity(r, key, v, size_units,
                      "a whole number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as "
                      "'2 GiB'",
                      &n);
    *(uint64_t *)target = (uint64_t)n;
    return s;
}

enum ds_status config_read_rate(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    int64_t n;
    const enum ds_status s =
        read_quantity(r, key, v, rate_units,
                      "a whole number with B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s or GiB/s, at least "
                      "1 kB/s, such as '10 MiB/s'",
                      &n);
    *(uint64_t *)target = (uint64_t)n;
    return s;
}

enum ds_status config_read_percent(struct config_reader *r, const struct config_key *key,
                                   const struct config_value *v, void *target)
{
    int64_t n;
    const enum ds_status s =
        read_quantity(r, key, v, percent_units, "0 % to 100 %, such as '25 %'", &n);
    *(unsigned *)target = (unsigned)n;
    return s;
}

enum ds_status config_read_decibel(struct config_reader *r, const struct config_key *key,
                                   const struct config_value *v, void *target)
{
    int64_t n;
    const enum ds_status s = read_quantity(
        r, key, v, decibel_units, "a whole number with dB, such as '80 dB' (1 dB to 200 dB)", &n);
    *(unsigned *)target = (unsigned)n;
    return s;
}

enum ds_status config_read_text(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    if (key->high > 0 && strlen(text) > (size_t)key->high) {
        return config_fail_at(r, v->node, "%s is longer than %lld bytes", v->where,
                              (long long)key->high);
    }
    return keep(r, text, target);
}

static enum ds_status read_choice(struct config_reader *r, const struct config_key *key,
                                  const struct config_value *v, int *out)
{
    *out = 0;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    char expected[128] = "";
    size_t at = 0;
    for (const struct config_choice *c = key->choices; c->name != NULL; c++) {
        if (strcmp(c->name, text) == 0) {
            *out = c->value;
            return DS_OK;
        }
        const int n =
            snprintf(expected + at, sizeof(expected) - at, "%s%s", at == 0 ? "" : ", ", c->name);
        at += n > 0 && at + (size_t)n < sizeof(expected) ? (size_t)n : 0;
    }
    return config_fail_at(r, v->node, "%s is '%.40s'; expected one of: %s", v->where, text,
                          expected);
}

/* For enum and int targets, which are both four bytes here. */
enum ds_status config_read_word(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    _Static_assert(sizeof(enum config_tls) == sizeof(int), "choices are stored as int");
    int value;
    const enum ds_status s = read_choice(r, key, v, &value);
    if (s == DS_OK && target != NULL) {
        memcpy(target, &value, sizeof(value));
    }
    return s;
}

enum ds_status config_read_bool(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    int value;
    const enum ds_status s = read_choice(r, key, v, &value);
    *(bool *)target = value != 0;
    return s;
}

enum ds_status config_read_log_level(struct config_reader *r, const struct config_key *key,
                                     const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK || ds_log_level_from_name(text, target)) {
        return s;
    }
    return config_fail_at(r, v->node, "%s is '%.40s'; expected one of: error, warning, info, debug",
                          v->where, text);
}

enum ds_status config_read_path(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK || text[0] == '/') {
        return s == DS_OK ? keep(r, text, target) : s;
    }
    char **path = target;
    *path = ds_file_join(r->folder, text);
    return *path == NULL ? ds_fail(r->err, DS_ENOMEM, "no memory for the configuration") : DS_OK;
}

/* The value is never shown: it may hold a password. */
enum ds_status config_read_url(struct config_reader *r, const struct config_key *key,
                               const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    if (strncmp(text, "postgresql://", 13) != 0 && strncmp(text, "postgres://", 11) != 0) {
        return config_fail_at(r, v->node,
                              "%s is not a database address; expected "
                              "'postgresql://USER@HOST:PORT/NAME'",
                              v->where);
    }
    return keep(r, text, target);
}

enum ds_status config_read_http_url(struct config_reader *r, const struct config_key *key,
                                    const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    const size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : 7;
    if ((scheme == 7 && strncmp(text, "http://", 7) != 0) || text[scheme] == '\0' ||
        strchr(text, ' ') != NULL) {
        return config_fail_at(r, v->node, "%s: expected 'http://HOST/PATH' or 'https://HOST/PATH'",
                              v->where);
    }
    return keep(r, text, target);
}

/* PS3.5 6.2, AE: 1 to 16 characters of the default repertoire without backslash, and not only
 * spaces. Spaces at the ends say nothing there, so none may stand here. */
enum ds_status config_read_ae(struct config_reader *r, const struct config_key *key,
                              const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    const size_t len = strlen(text);
    bool good = len <= 16 && text[0] != ' ' && text[len - 1] != ' ';
    for (size_t i = 0; i < len; i++) {
        good = good && (unsigned char)text[i] < 0x7f && text[i] != '\\';
    }
    if (!good) {
        return config_fail_at(r, v->node,
                              "%s is '%.40s'; expected an AE title: 1 to 16 ASCII "
                              "characters, no backslash, no space at the ends",
                              v->where, text);
    }
    return keep(r, text, target);
}

enum ds_status config_read_host(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    const enum ds_status s = config_scalar(r, v, &text);
    if (s != DS_OK) {
        return s;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr(".-_:%", *at) == NULL) {
            return config_fail_at(r, v->node, "%s is '%.60s'; expected a host name or an address",
                                  v->where, text);
        }
    }
    return keep(r, text, target);
}

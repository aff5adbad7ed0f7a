/* SPDX-License-Identifier: Apache-2.0 */
#include "db/query.h"

#include <string.h>

/* ---- values ---- */

void db_args_free(struct db_args *a)
{
    ds_bytes_free(&a->data);
}

static void put(struct db_args *a, const void *data, size_t len)
{
    if (a->status == DS_OK && len > 0) {
        a->status = ds_bytes_append(&a->data, data, len, NULL);
    }
}

static void put_be(struct db_args *a, uint64_t v, unsigned width)
{
    if (a->status == DS_OK) {
        a->status = ds_bytes_put_be(&a->data, v, width, NULL);
    }
}

static void begin(struct db_args *a, Oid type)
{
    if (a->count == DB_ARGS_MAX) {
        a->status = DS_EINVAL; /* a statement with more values than the room has */
        a->count--;
    }
    a->type[a->count] = type;
    a->at[a->count] = a->data.len;
}

static void end(struct db_args *a)
{
    /* DB_ARGS_MAX_BYTES is below INT_MAX, and so is any length. */
    a->length[a->count] = (int)(a->data.len - a->at[a->count]);
    a->count++;
}

void db_arg_int(struct db_args *a, int64_t v)
{
    begin(a, DB_INT8);
    put_be(a, (uint64_t)v, 8);
    end(a);
}

void db_arg_bool(struct db_args *a, bool v)
{
    begin(a, DB_BOOL);
    put_be(a, v, 1);
    end(a);
}

void db_arg_bytes(struct db_args *a, const uint8_t *data, size_t len)
{
    begin(a, DB_BYTEA);
    put(a, data, len);
    end(a);
}

/* The length of the well-formed UTF-8 sequence (RFC 3629) at t, or 0. The terminator ends the
 * text before any byte behind it is looked at. */
static size_t utf8_length(const unsigned char *t)
{
    if (t[0] < 0x80) {
        return 1;
    }
    const size_t len = t[0] >= 0xf0 ? 4 : t[0] >= 0xe0 ? 3 : 2;
    if (t[0] < 0xc2 || t[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((t[i] & 0xc0U) != 0x80U) {
            return 0;
        }
    }
    const bool overlong = (t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xf0 && t[1] < 0x90);
    const bool beyond = (t[0] == 0xed && t[1] > 0x9f) || (t[0] == 0xf4 && t[1] > 0x8f);
    return overlong || beyond ? 0 : len;
}

/* A wrong byte in a description must not keep an instance out of the index for ever. */
static void put_utf8(struct db_args *a, const char *text)
{
    const unsigned char *t = (const unsigned char *)(text == NULL ? "" : text);
    while (*t != '\0') {
        const unsigned char *run = t;
        size_t len;
        while (*t != '\0' && (len = utf8_length(t)) != 0) {
            t += len;
        }
        put(a, run, (size_t)(t - run));
        if (*t != '\0') {
            put(a, "?", 1);
            t++;
        }
    }
}

char *db_mended_text(const char *text, enum ds_status *status)
{
    const unsigned char *t = (const unsigned char *)text;
    while (*t != '\0' && utf8_length(t) != 0) {
        t += utf8_length(t);
    }
    if (*t == '\0') {
        return NULL;
    }
    char *mended = strdup(text);
    if (mended == NULL) {
        *status = DS_ENOMEM;
        return NULL;
    }
    /* As put_utf8 does it: one '?' for one byte. */
    for (unsigned char *m = (unsigned char *)mended; *m != '\0';) {
        const size_t len = utf8_length(m);
        *m = len == 0 ? '?' : *m;
        m += len == 0 ? 1 : len;
    }
    return mended;
}

void db_arg_text(struct db_args *a, const char *text)
{
    begin(a, DB_TEXT);
    put_utf8(a, text);
    end(a);
}

void db_arg_text_or_null(struct db_args *a, const char *text)
{
    db_arg_text(a, text);
    if (text == NULL) {
        a->length[a->count - 1] = -1;
    }
}

/* array_recv: dimensions, a flag, the item type, then length and lower bound of the dimension. */
void db_array_begin(struct db_args *a, enum db_type type)
{
    static const struct {
        enum db_type item;
        Oid array;
    } arrays[] = {
        {DB_BOOL, 1000}, {DB_BYTEA, 1001}, {DB_INT8, 1016}, {DB_TEXT, 1009}, {DB_FLOAT8, 1022}};
    Oid array = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(arrays); i++) {
        array = arrays[i].item == type ? arrays[i].array : array;
    }
    begin(a, array);
    put_be(a, 1, 4);
    put_be(a, 1, 4); /* may hold NULL */
    put_be(a, (uint64_t)type, 4);
    a->array_items_at = a->data.len;
    a->array_items = 0;
    put_be(a, 0, 4);
    put_be(a, 1, 4);
}

void db_array_end(struct db_args *a)
{
    for (unsigned i = 0; i < 4 && a->status == DS_OK; i++) {
        a->data.data[a->array_items_at + i] = (uint8_t)(a->array_items >> (24 - 8 * i));
    }
    end(a);
}

void db_item_int(struct db_args *a, int64_t v)
{
    a->array_items++;
    put_be(a, 8, 4);
    put_be(a, (uint64_t)v, 8);
}

void db_item_bool(struct db_args *a, bool v)
{
    a->array_items++;
    put_be(a, 1, 4);
    put_be(a, v, 1);
}

void db_item_float(struct db_args *a, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    a->array_items++;
    put_be(a, 8, 4);
    put_be(a, bits, 8);
}

void db_item_bytes(struct db_args *a, const uint8_t *data, size_t len)
{
    a->array_items++;
    put_be(a, len, 4); /* at most DB_ARGS_MAX_BYTES, or the append below fails */
    put(a, data, len);
}

void db_item_text(struct db_args *a, const char *text)
{
    a->array_items++;
    const size_t length_at = a->data.len;
    put_be(a, 0, 4);
    put_utf8(a, text);
    const size_t len = a->data.len - length_at - 4;
    for (unsigned i = 0; i < 4 && a->status == DS_OK; i++) {
        a->data.data[length_at + i] = (uint8_t)(len >> (24 - 8 * i));
    }
}

void db_item_hash(struct db_args *a, bool has, const uint8_t hash[DS_SHA256_BYTES])
{
    if (has) {
        db_item_bytes(a, hash, DS_SHA256_BYTES);
    } else {
        db_item_null(a);
    }
}

void db_item_text_or_null(struct db_args *a, const char *text)
{
    if (text == NULL) {
        db_item_null(a);
    } else {
        db_item_text(a, text);
    }
}

void db_item_null(struct db_args *a)
{
    a->array_items++;
    put_be(a, 0xffffffffU, 4);
}

void db_arg_ids(struct db_args *a, const int64_t *ids, size_t count)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, ids[i]);
    }
    db_array_end(a);
}

/* ---- failures ---- */

struct class_status {
    const char *class;
    enum ds_status status;
};

/* By SQLSTATE class (PostgreSQL, appendix A). What is not here is a fault of ours: DS_EINVAL. */
static const struct class_status classes[] = {
    {"08", DS_EIO}, /* connection */
    {"28", DS_EIO}, /* authorization: the operator mends it */
    {"3D", DS_EIO}, /* no such database */
    {"25", DS_EIO}, /* a standby is read-only; a transaction that sat idle too long */
    {"40", DS_EIO}, /* deadlock, serialization */
    {"53", DS_EIO}, /* disk full, too many connections */
    {"55", DS_EIO}, /* lock not available */
    {"57", DS_EIO}, /* shut down, cancelled */
    {"58", DS_EIO}, /* the system under it */
    {"XX", DS_EIO}, /* corrupted */
};

static enum ds_status status_of(const char *state)
{
    if (strcmp(state, "23505") == 0) {
        return DS_EEXIST; /* a unique key that is there */
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(classes); i++) {
        if (strncmp(classes[i].class, state, 2) == 0) {
            return classes[i].status;
        }
    }
    return DS_EINVAL;
}

enum ds_status db_result_failed(PGconn *conn, const PGresult *result, struct ds_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state == NULL || PQstatus(conn) != CONNECTION_OK) {
        return ds_fail(err, DS_EIO,
                       "database: the connection broke; it is opened again at the next try");
    }
    /* Class 22 quotes the value that is wrong, which may be a patient's. The detail and the context
     * are left out for the same reason. */
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const bool may_show = text != NULL && strncmp(state, "22", 2) != 0;
    return ds_fail(err, status_of(state), "database: SQLSTATE %s%s%.160s", state,
                   may_show ? ": " : "", may_show ? text : "");
}

/* ---- results ---- */

void db_clear(PGresult **result)
{
    PQclear(*result);
    *result = NULL;
}

uint64_t db_affected(const PGresult *result)
{
    /* libpq declares its argument without const, and does not change it. */
    PGresult *r;
    memcpy(&r, &result, sizeof(r));
    return strtoull(PQcmdTuples(r), NULL, 10);
}

size_t db_rows(const PGresult *result)
{
    const int n = PQntuples(result);
    return n > 0 ? (size_t)n : 0;
}

const uint8_t *db_bytes(const PGresult *result, size_t row, int column, size_t *len)
{
    *len = 0;
    if (PQgetisnull(result, (int)row, column)) {
        return NULL;
    }
    *len = (size_t)PQgetlength(result, (int)row, column);
    return (const uint8_t *)PQgetvalue(result, (int)row, column);
}

int64_t db_int(const PGresult *result, size_t row, int column)
{
    size_t len;
    const uint8_t *bytes = db_bytes(result, row, column, &len);
    if (bytes == NULL || len != 8) {
        return 0;
    }
    struct ds_cursor c = ds_cursor_over(bytes, len);
    return (int64_t)ds_cursor_be(&c, 8);
}

bool db_bool(const PGresult *result, size_t row, int column)
{
    size_t len;
    const uint8_t *bytes = db_bytes(result, row, column, &len);
    return bytes != NULL && len == 1 && bytes[0] != 0;
}

/* A text that is too long is cut before a character, not within one. */
void db_text(const PGresult *result, size_t row, int column, char *out, size_t size)
{
    size_t len;
    const uint8_t *bytes = db_bytes(result, row, column, &len);
    if (len >= size) {
        len = size - 1;
        while (len > 0 && (bytes[len] & 0xc0U) == 0x80U) {
            len--;
        }
    }
    if (len > 0) {
        memcpy(out, bytes, len);
    }
    out[len] = '\0';
}

/* libpq ends every value with a zero byte, binary ones too, and PostgreSQL has no text with one. */
const char *db_string(const PGresult *result, size_t row, int column)
{
    return PQgetisnull(result, (int)row, column) ? "" : PQgetvalue(result, (int)row, column);
}

bool db_hash(const PGresult *result, size_t row, int column, uint8_t out[DS_SHA256_BYTES])
{
    size_t len;
    const uint8_t *bytes = db_bytes(result, row, column, &len);
    if (bytes == NULL || len != DS_SHA256_BYTES) {
        memset(out, 0, DS_SHA256_BYTES);
        return false;
    }
    memcpy(out, bytes, DS_SHA256_BYTES);
    return true;
}

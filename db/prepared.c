/* SPDX-License-Identifier: Apache-2.0 */
#include "db/prepared.h"

#include <stdio.h>
#include <string.h>

/* BEGIN, COMMIT, NOTIFY: nothing to plan. */
#define WORTH_IT_BYTES 40U

static bool is_worth_it(const char *sql)
{
    return strnlen(sql, WORTH_IT_BYTES) == WORTH_IT_BYTES;
}

/* FNV-1a. */
static uint64_t hash_of(const char *text)
{
    uint64_t h = 14695981039346656037U;
    for (; *text != '\0'; text++) {
        h = (h ^ (uint8_t)*text) * 1099511628211U;
    }
    return h;
}

/* Where the statement is, or would be; DB_PREPARED_ROOM when there is no place for it. */
static size_t place_of(const struct db_prepared *p, const char *sql)
{
    const size_t start =
        (size_t)(p->by_text ? hash_of(sql) : (uintptr_t)sql >> 4) % DB_PREPARED_ROOM;
    for (size_t i = 0; i < DB_PREPARED_ROOM; i++) {
        const size_t at = (start + i) % DB_PREPARED_ROOM;
        if (p->rows[at].sql == NULL) {
            return at;
        }
        if (p->by_text && strcmp(p->rows[at].text, sql) == 0) {
            return at;
        }
        if (!p->by_text && p->rows[at].sql == sql) {
            return strcmp(p->rows[at].text, sql) == 0 ? at : DB_PREPARED_ROOM;
        }
    }
    return DB_PREPARED_ROOM;
}

/* NULL: prepared; else why not. */
static PGresult *prepare(struct db_prepared *p, PGconn *pg, size_t at, const char *name,
                         const char *sql, const struct db_args *a)
{
    char *text = strdup(sql);
    if (text == NULL) {
        return PQmakeEmptyPGresult(pg, PGRES_FATAL_ERROR);
    }
    const int count = a == NULL ? 0 : (int)a->count;
    PGresult *r = PQprepare(pg, name, sql, count, a == NULL ? NULL : a->type);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        free(text);
        return r;
    }
    PQclear(r);
    p->rows[at].sql = p->by_text ? text : sql;
    p->rows[at].text = text;
    return NULL;
}

PGresult *db_prepared_run(struct db_prepared *p, PGconn *pg, const char *sql,
                          const struct db_args *a, const char *const *values, const int *formats)
{
    const int count = a == NULL ? 0 : (int)a->count;
    const int *lengths = a == NULL ? NULL : a->length;
    const size_t at = is_worth_it(sql) ? place_of(p, sql) : DB_PREPARED_ROOM;
    if (at == DB_PREPARED_ROOM) {
        return PQexecParams(pg, sql, count, a == NULL ? NULL : a->type, values, lengths, formats,
                            1);
    }
    char name[16];
    (void)snprintf(name, sizeof(name), "%c%zu", p->by_text ? 'q' : 's', at);
    if (p->rows[at].sql == NULL) {
        PGresult *failed = prepare(p, pg, at, name, sql, a);
        if (failed != NULL) {
            return failed;
        }
    }
    return PQexecPrepared(pg, name, count, values, lengths, formats, 1);
}

void db_prepared_forget(struct db_prepared *p)
{
    for (size_t i = 0; i < DB_PREPARED_ROOM; i++) {
        free(p->rows[i].text);
        p->rows[i].text = NULL;
        p->rows[i].sql = NULL;
    }
}

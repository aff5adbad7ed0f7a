/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find_text - the words of a query in SQL; private to db.
 *
 * What comes from outside goes into the statement as a number (a tag, in hexadecimal) or as a bound
 * value, never as text. The first failure sticks. Aliases: st, se and i for the study, series and
 * instance; $1 is our archive.
 */
#ifndef DICOMSTEGO_DB_FIND_TEXT_H
#define DICOMSTEGO_DB_FIND_TEXT_H

#include "db/find.h"
#include "db/query.h"

#define DB_STATEMENT_MAX_BYTES (256U * 1024U)

struct db_text {
    struct ds_bytes sql;
    struct db_args args;
    unsigned kinds;
    enum ds_status status;
};

#define DB_TEXT_INIT                                                                               \
    ((struct db_text){DS_BYTES_INIT(DB_STATEMENT_MAX_BYTES), DB_ARGS_INIT, 0, DS_OK})
void db_text_free(struct db_text *t);
/* In words and patterns, each @ stands for "the instance x is shown". */
void db_text_put(struct db_text *t, const char *words);
/* "the instance alias is shown" */
void db_text_shown(struct db_text *t, const char *alias);
/* The value of an attribute as text, "" for none. */
void db_text_value(struct db_text *t, const struct db_wanted *w);
/* " AND ..." for each condition. */
void db_text_conditions(struct db_text *t, const struct db_condition *conditions, size_t count);

#endif

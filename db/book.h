/* SPDX-License-Identifier: Apache-2.0 */
/*
 * book - the inside of a struct db_book (log.h), for the other files of the room. Any thread.
 */
#ifndef DICOMSTEGO_DB_BOOK_H
#define DICOMSTEGO_DB_BOOK_H

#include "db/log.h"

const uint8_t *db_book_log(const struct db_book *b);
const uint8_t *db_book_tag_key(const struct db_book *b);
/* is_sure: the commit was answered. */
void db_book_add(struct db_book *b, const struct db_leaf *leaves, size_t count, bool is_sure);
/* As db_book_look and db_book_done, of those whose commit was not answered. */
size_t db_book_look_unsure(struct db_book *b, struct db_leaf *out, size_t max);
void db_book_done_unsure(struct db_book *b, size_t count);

#endif

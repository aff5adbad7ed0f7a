/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_row - rows of the table events, read as the bytes that were proven. Inside of db.
 */
#ifndef DICOMSTEGO_DB_EVENT_ROW_H
#define DICOMSTEGO_DB_EVENT_ROW_H

#include "db/log.h"
#include "db/query.h"

/* Microseconds of UTC as they were written; -1 for what the program never writes (infinity ...). */
#define DB_EVENT_US(column)                                                                        \
    "(CASE WHEN " column " BETWEEN '0001-01-01' AND '9999-12-31' "                                 \
    "THEN extract(epoch FROM " column ") * 1000000 ELSE -1 END)::bigint"
/* Over "events e". */
#define DB_EVENT_COLUMNS                                                                           \
    "e.id, (SELECT o.log_id FROM logs o WHERE o.id = e.log), " DB_EVENT_US(                        \
        "e.at") ", e.node, "                                                                       \
                "e.kind, e.actor, e.instance_id, e.study_id, e.sop_uid, e.study_uid, e.peer, "     \
                "e.outcome, "                                                                      \
                "e.before_hash, e.after_hash, e.detail::text, e.tag"
#define DB_EVENT_COLUMN_COUNT 16

/* Borrowed from the result. False: no row (the id is NULL), or without a log. */
bool db_event_from(const PGresult *r, size_t row, int first_column, struct provenance_event *out);

struct db_event_sums {
    uint8_t leaf[DS_SHA256_BYTES];
    bool is_tagged; /* the tag is right; false without a key */
};
DS_CHECKED enum ds_status db_event_sums(const PGresult *r, size_t row, int first_column,
                                        const uint8_t *tag_key, struct db_event_sums *out,
                                        struct ds_error *err);

#endif

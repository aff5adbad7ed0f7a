/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - the inside of db: a borrowed connection, bound values in binary, results in binary.
 *
 * A function of db.h opens a transaction with db_begin, runs statements, and commits; whatever
 * leaves early is rolled back and the connection given back by DS_AUTO(db_end). Values are
 * collected in struct db_args, whose first failure sticks and is reported by db_run.
 */
#ifndef DICOMSTEGO_DB_QUERY_H
#define DICOMSTEGO_DB_QUERY_H

#include "db/db.h"

#include <libpq-fe.h>

/* pg_type.dat: object identifiers of the built-in types never change. */
enum db_type {
    DB_BOOL = 16,
    DB_BYTEA = 17,
    DB_INT8 = 20,
    DB_TEXT = 25,
    DB_FLOAT8 = 701,
};

#define DB_ARGS_MAX       64U
#define DB_ARGS_MAX_BYTES (512U * 1024U * 1024U)

struct db_args {
    struct ds_bytes data;
    size_t at[DB_ARGS_MAX];
    int length[DB_ARGS_MAX]; /* -1: NULL */
    Oid type[DB_ARGS_MAX];
    unsigned count;
    size_t array_items_at; /* where the open array counts its items */
    uint32_t array_items;
    enum ds_status status;
};

#define DB_ARGS_INIT ((struct db_args){.data = DS_BYTES_INIT(DB_ARGS_MAX_BYTES)})
void db_args_free(struct db_args *a);

void db_arg_int(struct db_args *a, int64_t v);
void db_arg_bool(struct db_args *a, bool v);
void db_arg_text(struct db_args *a,
                 const char *text); /* NULL is ""; what is not UTF-8 becomes '?' */
void db_arg_text_or_null(struct db_args *a, const char *text);
void db_arg_bytes(struct db_args *a, const uint8_t *data, size_t len);
/* An array is opened, filled with items of its type, and closed. */
void db_array_begin(struct db_args *a, enum db_type type);
void db_item_int(struct db_args *a, int64_t v);
void db_item_bool(struct db_args *a, bool v);
void db_item_float(struct db_args *a, double v);
void db_item_text(struct db_args *a, const char *text);
void db_item_text_or_null(struct db_args *a, const char *text);
void db_item_bytes(struct db_args *a, const uint8_t *data, size_t len);
void db_item_null(struct db_args *a);
void db_array_end(struct db_args *a);
void db_item_hash(struct db_args *a, bool has, const uint8_t hash[DS_SHA256_BYTES]);
/* The text as it is stored, with '?' for bytes that are not UTF-8; NULL when that is the text
 * itself, free() otherwise. *status: DS_ENOMEM sticks. */
char *db_mended_text(const char *text, enum ds_status *status);
void db_arg_ids(struct db_args *a, const int64_t *ids, size_t count);

struct db_connection; /* one place of the pool */
struct db_leaf;

struct db_tx {
    struct db *d;
    struct db_connection *c;
    bool open;              /* BEGIN was answered, COMMIT was not */
    struct db_leaf *leaves; /* of the events put so far: they go into the book with the commit */
    size_t leaf_count;
};

#define DB_TX_INIT ((struct db_tx){NULL, NULL, false, NULL, 0})
DS_CHECKED enum ds_status db_begin(struct db_tx *t, struct db *d, struct ds_error *err);
DS_CHECKED enum ds_status db_commit(struct db_tx *t, struct ds_error *err);
void db_end(struct db_tx *t); /* rolls back when open; for DS_AUTO */

/* Runs one statement. result may be NULL; else PQclear. a may be NULL. */
DS_CHECKED enum ds_status db_run(struct db_tx *t, const char *sql, struct db_args *a,
                                 PGresult **result, struct ds_error *err);
/* One statement in a transaction of its own. */
DS_CHECKED enum ds_status db_ask(struct db *d, const char *sql, struct db_args *a,
                                 PGresult **result, struct ds_error *err);
/* The same with a text that was put together, and is gone after the call. */
DS_CHECKED enum ds_status db_ask_question(struct db *d, const char *sql, struct db_args *a,
                                          PGresult **result, struct ds_error *err);
/* Several statements without values: migrations. */
DS_CHECKED enum ds_status db_run_script(struct db_tx *t, const char *sql, struct ds_error *err);
void db_clear(PGresult **result); /* for DS_AUTO */
uint64_t db_affected(const PGresult *result);

/* Columns; a NULL or a length that does not fit is 0 or "". */
int64_t db_int(const PGresult *result, size_t row, int column);
bool db_bool(const PGresult *result, size_t row, int column);
void db_text(const PGresult *result, size_t row, int column, char *out, size_t size);
/* Borrowed from the result; NULL is "". */
const char *db_string(const PGresult *result, size_t row, int column);
/* False when NULL; out is zeroed then. */
bool db_hash(const PGresult *result, size_t row, int column, uint8_t out[DS_SHA256_BYTES]);
const uint8_t *db_bytes(const PGresult *result, size_t row, int column, size_t *len);
size_t db_rows(const PGresult *result);

/* Microseconds of UTC of a timestamptz, 0 for NULL, as an SQL expression. */
#define DB_US(column) "COALESCE((extract(epoch FROM " column ") * 1000000)::bigint, 0)"
/* The number of a delivery_state, which has the order of enum db_delivery_state. */
#define DB_STATE_NUMBER(column)                                                                    \
    "(array_position(enum_range(NULL::delivery_state), " column ") - 1)::bigint"
/* delivery_list.c: "deliveries d" joined to "instances i" and "studies st", and the conditions of a
 * filter over them, which db_args_filter binds to $1 to $4. */
#define DB_FILTER_FROM                                                                             \
    "deliveries d JOIN instances i ON i.id = d.instance_id JOIN studies st ON st.id = i.study_id "
#define DB_FILTER_WHERE                                                                            \
    "($1::text IS NULL OR d.peer = $1) AND ($2::text IS NULL OR d.state = $2::delivery_state) "    \
    "AND ($3::text IS NULL OR st.study_uid = $3) AND ($4::bigint[] IS NULL OR d.id = ANY($4)) "
struct db_delivery_filter;
DS_CHECKED enum ds_status db_args_filter(struct db_args *a, const struct db_delivery_filter *filter,
                                         struct ds_error *err);

/* pool.c, for the other files of the room */
const char *db_node(const struct db *d);
const char *db_owner(const struct db *d);    /* of leases: the node and this process */
const char *db_archive(const struct db *d);  /* "": none */
const char *db_home(const struct db *d);     /* "": none */
struct db_book *db_book(const struct db *d); /* NULL: none */

/* clock.c: how much the wall clock is ahead of our monotonic clock, as last believed, and what it
 * shows now at most, in us since 1970. DB_CLOCK_UNKNOWN_US (far in the future): nobody has looked.
 */
#define DB_CLOCK_UNKNOWN_US (253402300799LL * 1000000)
_Atomic int64_t *db_clock_ahead(struct db *d); /* in pool.c */
int64_t db_clock_latest_us(struct db *d);

/* Turns the failure of a statement into a status and a text without values of rows. */
DS_CHECKED enum ds_status db_result_failed(PGconn *conn, const PGresult *result,
                                           struct ds_error *err);

/* event.c: within a transaction, which hands them to the book when it is committed. at_us 0: now.
 * Order is kept. */
struct db_event_at {
    struct db_event event;
    int64_t at_us;
};
DS_CHECKED enum ds_status db_events_put(struct db_tx *t, const struct db_event_at *events,
                                        size_t count, struct ds_error *err);

/* commitment.c: the items of a transaction, by a query of class, UID and answer that takes its id.
 * *items: free() */
struct db_commitment_item;
DS_CHECKED enum ds_status db_commitment_items(struct db_tx *t, const char *sql, int64_t id,
                                              struct db_commitment_item **items, size_t *count,
                                              struct ds_error *err);

/* quarantine.c: rows for the operator, within a transaction. An instance that was quarantined, and
 * instances that a plan holds because they collided. */
DS_CHECKED enum ds_status db_quarantine_put(struct db_tx *t, int64_t instance_id,
                                            enum db_quarantine_class class_, const char *reason,
                                            struct ds_error *err);
DS_CHECKED enum ds_status db_quarantine_collisions(struct db_tx *t, const struct db_plan *plan,
                                                   struct ds_error *err);

/* quarantine.c: the columns of a struct db_quarantine_row, and where they come from. Open is a
 * collision while deliveries of it wait. */
#define DB_QUARANTINE_COLUMNS                                                                      \
    "q.id, COALESCE(q.instance_id, 0), COALESCE(q.entry, ''), q.class, q.state, q.reason, "        \
    "q.calling_ae, COALESCE(st.study_uid, ''), COALESCE(i.sop_uid, ''), "                          \
    "COALESCE(i.sop_class_uid, ''), COALESCE(i.transfer_syntax, ''), COALESCE(i.path, ''), "       \
    "q.file_bytes, COALESCE(i.file_hash, q.file_hash), i.pixel_hash, i.dataset_hash, " DB_US(      \
        "q.held_at") ", " DB_US("q.decided_at") ", q.decided_by, q.decision, "                     \
                                                "COALESCE(i.kind, 0)::bigint, q.archive"
#define DB_QUARANTINE_COLUMN_COUNT 22
#define DB_QUARANTINE_FROM                                                                         \
    " FROM quarantine q LEFT JOIN instances i ON i.id = q.instance_id "                            \
    "LEFT JOIN studies st ON st.id = i.study_id "
#define DB_QUARANTINE_IS_OPEN                                                                      \
    "(q.class <> 'collision' OR EXISTS (SELECT 1 FROM deliveries w "                               \
    "WHERE w.instance_id = q.instance_id AND (w.state = 'waiting' OR w.recalled = 'waiting')))"
struct db_quarantine_row;
void db_quarantine_row_from(const struct db *d, const PGresult *result, size_t row,
                            struct db_quarantine_row *out);

/* study.c: the columns of a struct db_instance, over "instances i" joined to "series se" and
 * "studies st". */
#define DB_INSTANCE_COLUMNS                                                                        \
    "i.id, i.study_id, i.series_id, i.kind::bigint, st.study_uid, i.sop_uid, i.sop_class_uid, "    \
    "i.transfer_syntax, se.modality, i.path, COALESCE(i.generation, 0)::bigint, i.pixel_hash, "    \
    "i.dataset_hash, i.file_hash, i.has_pixel_data, i.released_at IS NOT NULL"
#define DB_INSTANCE_JOINS                                                                          \
    " JOIN series se ON se.id = i.series_id JOIN studies st ON st.id = i.study_id "
#define DB_INSTANCE_COLUMN_COUNT 16
void db_instance_from(const PGresult *result, size_t row, int first_column,
                      struct db_instance *out);

#endif

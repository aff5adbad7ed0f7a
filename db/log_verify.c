/* SPDX-License-Identifier: Apache-2.0 */
#include "db/log_verify.h"

#include "db/book.h"
#include "db/event_row.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES_A_STEP 2048
#define ROWS_A_STEP   20000
#define HEADS_A_STEP  1024U

static const char sql_leaves[] =
    "SELECT f.leaf, f.event_id, f.hash, " DB_EVENT_COLUMNS " FROM (SELECT * FROM log_leaves "
    "WHERE log = (SELECT id FROM logs WHERE log_id = $1) AND leaf >= $2 ORDER BY leaf LIMIT $3) f "
    "LEFT JOIN events e ON e.id = f.event_id ORDER BY f.leaf";

static const char sql_subtree[] =
    "SELECT hash FROM log_subtrees WHERE log = (SELECT id FROM logs WHERE log_id = $1) "
    "AND level = $2 AND n = $3";

/* Subtrees of leaves that are not there. */
static const char sql_beyond[] =
    "SELECT level::bigint, n FROM log_subtrees WHERE log = (SELECT id FROM logs WHERE log_id = $1) "
    "AND (n + 1)::numeric * 2::numeric ^ level::integer > $2 LIMIT 100";

static const char sql_step[] = "SELECT max(id) FROM (SELECT id FROM events WHERE id > $1 "
                               "ORDER BY id LIMIT $2) b";
/* Of our log, or of none. A leaf of another log does not count. */
static const char sql_loose[] =
    "SELECT " DB_EVENT_COLUMNS " FROM events e WHERE e.id > $2 AND e.id <= $3 "
    "AND (e.log IS NULL OR e.log = (SELECT id FROM logs WHERE log_id = $1)) "
    "AND NOT EXISTS (SELECT 1 FROM log_leaves f WHERE f.event_id = e.id AND f.log = e.log) "
    "ORDER BY e.id";

static const char sql_size[] = "SELECT COALESCE(max(leaf) + 1, 0) FROM log_leaves "
                               "WHERE log = (SELECT id FROM logs WHERE log_id = $1)";

static const char sql_watermark[] =
    "SELECT min(event_id) FROM log_leaves WHERE log = (SELECT id FROM logs WHERE log_id = $1) "
    "AND leaf >= $2 AND leaf < $3";

struct run {
    struct db *d;
    const struct db_log_check *check;
    struct db_log_report *report;
    uint64_t next;         /* leaf */
    bool is_whole;         /* no gap so far: roots can be told */
    struct db_head *heads; /* of the database, a piece */
    size_t head_at, head_count;
    uint64_t heads_from;
    bool has_kept;
    struct db_head kept; /* the next of the caller's own */
};

const char *db_finding_name(enum db_finding_kind kind)
{
    static const char *const names[] = {"row-changed",   "row-missing",    "row-inserted",
                                        "leaf-changed",  "leaves-missing", "leaf-twice",
                                        "subtree-wrong", "head-wrong",     "head-missing",
                                        "head-unknown",  "log-key-wrong"};
    return (unsigned)kind < DS_ARRAY_SIZE(names) ? names[kind] : "";
}

static void tell(struct run *run, const struct db_finding *where, const char *fmt, ...)
    DS_PRINTF(3, 4);
static void tell(struct run *run, const struct db_finding *where, const char *fmt, ...)
{
    struct db_finding f = *where;
    va_list arguments;
    va_start(arguments, fmt);
    (void)vsnprintf(f.text, sizeof(f.text), fmt, arguments);
    va_end(arguments);
    run->report->findings++;
    if (run->check->found != NULL) {
        run->check->found(run->check->context, &f);
    }
}

/* ---- heads ---- */

static void next_kept(struct run *run)
{
    run->has_kept =
        run->check->next_kept != NULL && run->check->next_kept(run->check->context, &run->kept);
}

/* The next head of the database, read piece by piece; NULL: no more. */
static enum ds_status peek_head(struct run *run, const struct db_head **out, struct ds_error *err)
{
    *out = NULL;
    if (run->head_at == run->head_count && run->heads_from != UINT64_MAX) {
        free(run->heads);
        run->heads = NULL;
        run->head_at = run->head_count = 0;
        const enum ds_status s = db_heads(run->d, run->check->log, run->heads_from, HEADS_A_STEP,
                                          &run->heads, &run->head_count, err);
        if (s != DS_OK) {
            return s;
        }
        run->heads_from =
            run->head_count == 0 ? UINT64_MAX : run->heads[run->head_count - 1].head.size + 1;
    }
    *out = run->head_at < run->head_count ? &run->heads[run->head_at] : NULL;
    return DS_OK;
}

static enum ds_status judge_head(struct run *run, const struct db_head *h, const char *where,
                                 struct ds_error *err)
{
    const struct db_finding f = {.kind = DB_HEAD_WRONG, .leaf = h->head.size};
    uint8_t root[DS_SHA256_BYTES];
    run->report->heads++;
    enum ds_status s =
        provenance_head_verify(&h->head, run->check->public_key, run->check->public_key_len,
                               h->signature, h->signature_len, NULL);
    if (s == DS_ENOMEM) {
        return ds_fail(err, s, "no memory for a signature");
    }
    if (s != DS_OK) {
        tell(run, &f, "the head of size %" PRIu64 " in the %s is not signed by the log's key",
             h->head.size, where);
        return DS_OK;
    }
    if (h->head.size > run->report->tree.size) {
        tell(run, &f,
             "the head of size %" PRIu64 " in the %s is beyond the leaves, or behind a gap",
             h->head.size, where);
        return DS_OK;
    }
    s = provenance_tree_root(&run->report->tree, root, err);
    if (s == DS_OK && memcmp(root, h->head.root, sizeof(root)) != 0) {
        tell(run, &f, "the head of size %" PRIu64 " in the %s does not fit the leaves before it",
             h->head.size, where);
    }
    return s;
}

/* Heads of up to size leaves, when the tree is that large: those of the database and those that the
 * caller has kept must be the same. */
static enum ds_status check_heads(struct run *run, uint64_t size, struct ds_error *err)
{
    for (;;) {
        const struct db_head *there = NULL;
        enum ds_status s = peek_head(run, &there, err);
        if (s != DS_OK) {
            return s;
        }
        const uint64_t a = there == NULL ? UINT64_MAX : there->head.size;
        const uint64_t b = run->has_kept ? run->kept.head.size : UINT64_MAX;
        const uint64_t least = a < b ? a : b;
        if (least > size || least == UINT64_MAX) {
            return DS_OK;
        }
        if (a != least) {
            tell(run, &(struct db_finding){.kind = DB_HEAD_MISSING, .leaf = b},
                 "the head of size %" PRIu64 " is in the node's file and not in the database", b);
        } else if (b != least && run->check->next_kept != NULL) {
            tell(run, &(struct db_finding){.kind = DB_HEAD_UNKNOWN, .leaf = a},
                 "the head of size %" PRIu64 " is in the database and not in the node's file", a);
        }
        if (a == least) {
            s = judge_head(run, there, "database", err);
            run->head_at++;
        }
        if (s == DS_OK && b == least) {
            s = judge_head(run, &run->kept, "node's file", err);
            next_kept(run);
        }
        if (s != DS_OK) {
            return s;
        }
    }
}

/* ---- leaves ---- */

static enum ds_status check_subtree(void *context, unsigned level, uint64_t index,
                                    const uint8_t hash[DS_SHA256_BYTES], struct ds_error *err)
{
    struct run *run = context;
    uint8_t there[DS_SHA256_BYTES];
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, run->check->log, DS_SHA256_BYTES);
    db_arg_int(&a, level);
    db_arg_int(&a, (int64_t)index);
    const enum ds_status s = db_ask(run->d, sql_subtree, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    if (db_rows(r) != 1 || !db_hash(r, 0, 0, there) || memcmp(there, hash, sizeof(there)) != 0) {
        const struct db_finding f = {
            .kind = DB_SUBTREE_WRONG, .leaf = index << level, .count = 1ULL << level};
        tell(run, &f, "the subtree over leaves %" PRIu64 " to %" PRIu64 " %s", f.leaf,
             f.leaf + f.count - 1,
             db_rows(r) == 1 ? "does not fit them: one was changed or they were reordered"
                             : "is missing");
    }
    return DS_OK;
}

/* Which hash goes on in the tree: the row's when the row is right by its tag, else the leaf's. */
static enum ds_status judge_leaf(struct run *run, const PGresult *r, size_t row, uint8_t *hash,
                                 struct ds_error *err)
{
    struct db_finding f = {.leaf = (uint64_t)db_int(r, row, 0), .event_id = db_int(r, row, 1)};
    struct db_event_sums sums;
    size_t len;
    (void)db_hash(r, row, 2, hash);
    if (db_bytes(r, row, 3, &len) == NULL) {
        f.kind = DB_ROW_MISSING;
        tell(run, &f, "row %" PRId64 " (leaf %" PRIu64 ") is missing", f.event_id, f.leaf);
        return DS_OK;
    }
    const enum ds_status s = db_event_sums(r, row, 3, run->check->tag_key, &sums, err);
    if (s != DS_OK) {
        return s;
    }
    const bool is_same = memcmp(sums.leaf, hash, DS_SHA256_BYTES) == 0;
    if (sums.is_tagged && !is_same) {
        f.kind = DB_LEAF_CHANGED;
        tell(run, &f, "the hash of leaf %" PRIu64 " (row %" PRId64 ") was changed", f.leaf,
             f.event_id);
        memcpy(hash, sums.leaf, DS_SHA256_BYTES);
    } else if (!is_same || (run->check->tag_key != NULL && !sums.is_tagged)) {
        f.kind = DB_ROW_CHANGED;
        tell(run, &f, "row %" PRId64 " (leaf %" PRIu64 ") is not what the node wrote", f.event_id,
             f.leaf);
    }
    return DS_OK;
}

static void tell_gap(struct run *run, uint64_t from, uint64_t to)
{
    const struct db_finding f = {.kind = DB_LEAVES_MISSING, .leaf = from, .count = to - from};
    tell(run, &f, "leaves %" PRIu64 " to %" PRIu64 " are missing", from, to - 1);
    run->is_whole = false;
}

static enum ds_status take_leaf(struct run *run, const PGresult *r, size_t row,
                                struct ds_error *err)
{
    const int64_t number = db_int(r, row, 0);
    uint8_t hash[DS_SHA256_BYTES];
    enum ds_status s = judge_leaf(run, r, row, hash, err);
    if (s != DS_OK) {
        return s;
    }
    if ((uint64_t)number < run->next) {
        const struct db_finding f = {
            .kind = DB_LEAF_TWICE, .leaf = (uint64_t)number, .event_id = db_int(r, row, 1)};
        tell(run, &f, "leaf %" PRId64 " is there more than once", number);
        return DS_OK;
    }
    if ((uint64_t)number > run->next) {
        tell_gap(run, run->next, (uint64_t)number);
    }
    run->next = (uint64_t)number + 1;
    run->report->leaves++;
    if (!run->is_whole) {
        return DS_OK;
    }
    s = provenance_tree_append(&run->report->tree, hash, check_subtree, run, err);
    return s == DS_OK ? check_heads(run, run->report->tree.size, err) : s;
}

static enum ds_status walk_leaves(struct run *run, struct ds_error *err)
{
    for (;;) {
        DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
        DS_AUTO(db_clear) PGresult *r = NULL;
        db_arg_bytes(&a, run->check->log, DS_SHA256_BYTES);
        db_arg_int(&a, (int64_t)run->next);
        db_arg_int(&a, LEAVES_A_STEP);
        enum ds_status s = db_ask(run->d, sql_leaves, &a, &r, err);
        for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
            s = take_leaf(run, r, i, err);
        }
        if (s != DS_OK || db_rows(r) == 0) {
            return s;
        }
    }
}

static enum ds_status check_beyond(struct run *run, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, run->check->log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)run->next);
    const enum ds_status s = db_ask(run->d, sql_beyond, &a, &r, err);
    for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
        const struct db_finding f = {.kind = DB_SUBTREE_WRONG,
                                     .leaf = (uint64_t)db_int(r, i, 1) << db_int(r, i, 0)};
        tell(run, &f, "a subtree over leaves from %" PRIu64 " on, which are not there", f.leaf);
    }
    return s;
}

/* ---- rows without a leaf ---- */

typedef enum ds_status loose_fn(void *context, const PGresult *r, size_t row, struct ds_error *err);

static enum ds_status walk_loose(struct db *d, const uint8_t *log, int64_t after, loose_fn *take,
                                 void *context, struct ds_error *err)
{
    for (;;) {
        DS_AUTO(db_args_free) struct db_args step = DB_ARGS_INIT;
        DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
        DS_AUTO(db_clear) PGresult *last = NULL;
        DS_AUTO(db_clear) PGresult *r = NULL;
        size_t len;
        db_arg_int(&step, after);
        db_arg_int(&step, ROWS_A_STEP);
        enum ds_status s = db_ask(d, sql_step, &step, &last, err);
        if (s != DS_OK || db_rows(last) == 0 || db_bytes(last, 0, 0, &len) == NULL) {
            return s;
        }
        db_arg_bytes(&a, log, DS_SHA256_BYTES);
        db_arg_int(&a, after);
        db_arg_int(&a, db_int(last, 0, 0));
        s = db_ask(d, sql_loose, &a, &r, err);
        for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
            s = take(context, r, i, err);
        }
        if (s != DS_OK) {
            return s;
        }
        after = db_int(last, 0, 0);
    }
}

static enum ds_status judge_loose(void *context, const PGresult *r, size_t row,
                                  struct ds_error *err)
{
    struct run *run = context;
    struct db_event_sums sums;
    const enum ds_status s = db_event_sums(r, row, 0, run->check->tag_key, &sums, err);
    if (s == DS_OK && run->check->tag_key != NULL && !sums.is_tagged) {
        const struct db_finding f = {.kind = DB_ROW_INSERTED, .event_id = db_int(r, row, 0)};
        tell(run, &f, "row %" PRId64 " was not written by the node", f.event_id);
    } else if (s == DS_OK) {
        run->report->waiting++;
    }
    return s;
}

/* ---- the key ---- */

static enum ds_status check_key(struct run *run, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes key = DS_BYTES_INIT(1024 * 1024);
    DS_AUTO(ds_bytes_free) struct ds_bytes certificate = DS_BYTES_INIT(1024 * 1024);
    const enum ds_status s = db_log_key(run->d, run->check->log, &key, &certificate, err);
    if (s != DS_OK && s != DS_ENOTFOUND && s != DS_EFORMAT) {
        return s;
    }
    if (s != DS_OK || key.len != run->check->public_key_len ||
        memcmp(key.data, run->check->public_key, key.len) != 0) {
        tell(run, &(struct db_finding){.kind = DB_KEY_WRONG},
             "the database names another key for this log, or none");
    }
    return DS_OK;
}

/* Who begins behind the first leaf knows that there were so many. */
static enum ds_status check_reach(struct run *run, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, run->check->log, DS_SHA256_BYTES);
    const enum ds_status s = db_ask(run->d, sql_size, &a, &r, err);
    const uint64_t size = s == DS_OK ? (uint64_t)db_int(r, 0, 0) : run->next;
    if (size < run->next) {
        const struct db_finding f = {
            .kind = DB_LEAVES_MISSING, .leaf = size, .count = run->next - size};
        tell(run, &f, "leaves %" PRIu64 " to %" PRIu64 " are missing", size, run->next - 1);
    }
    return s;
}

static enum ds_status verify(struct run *run, struct ds_error *err)
{
    enum ds_status s = check_key(run, err);
    if (s == DS_OK) {
        s = check_reach(run, err);
    }
    if (s == DS_OK) {
        s = check_heads(run, run->next, err);
    }
    if (s == DS_OK) {
        s = walk_leaves(run, err);
    }
    if (s == DS_OK && run->next < run->check->min_size) {
        tell_gap(run, run->next, run->check->min_size);
    }
    if (s == DS_OK) {
        s = check_heads(run, UINT64_MAX - 1, err); /* those beyond the leaves */
    }
    if (s == DS_OK) {
        s = check_beyond(run, err);
    }
    const bool is_part = run->check->from != NULL;
    return s == DS_OK
               ? walk_loose(run->d, run->check->log, is_part ? run->check->after_event : INT64_MIN,
                            judge_loose, run, err)
               : s;
}

enum ds_status db_log_verify(struct db *d, const struct db_log_check *check,
                             struct db_log_report *report, struct ds_error *err)
{
    memset(report, 0, sizeof(*report));
    if (check->from != NULL) {
        report->tree = *check->from;
    }
    struct run run = {.d = d,
                      .check = check,
                      .report = report,
                      .next = report->tree.size,
                      .is_whole = true,
                      .heads_from = report->tree.size};
    next_kept(&run);
    const enum ds_status s = verify(&run, err);
    free(run.heads);
    return s;
}

/* ---- what a crash left without a number ---- */

struct adoption {
    struct db_book *book;
    void (*found)(void *context, const struct db_finding *finding);
    void *context;
    uint64_t *adopted;
};

static enum ds_status adopt(void *context, const PGresult *r, size_t row, struct ds_error *err)
{
    struct adoption *a = context;
    struct db_event_sums sums;
    struct db_leaf leaf = {.event_id = db_int(r, row, 0)};
    const enum ds_status s = db_event_sums(r, row, 0, db_book_tag_key(a->book), &sums, err);
    if (s == DS_OK && sums.is_tagged) {
        memcpy(leaf.hash, sums.leaf, sizeof(leaf.hash));
        db_book_add(a->book, &leaf, 1, true);
        *a->adopted += 1;
    } else if (s == DS_OK) {
        struct db_finding f = {.kind = DB_ROW_INSERTED, .event_id = leaf.event_id};
        (void)snprintf(f.text, sizeof(f.text), "row %" PRId64 " was not written by the node",
                       f.event_id);
        a->found(a->context, &f);
    }
    return s;
}

enum ds_status db_log_adopt(struct db *d, struct db_book *b, int64_t after,
                            void (*found)(void *context, const struct db_finding *finding),
                            void *context, uint64_t *adopted, struct ds_error *err)
{
    struct adoption a = {b, found, context, adopted};
    *adopted = 0;
    return walk_loose(d, db_book_log(b), after, adopt, &a, err);
}

enum ds_status db_log_watermark(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t size,
                                uint64_t count, int64_t *after, struct ds_error *err)
{
    *after = INT64_MIN;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    size_t len;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)(size > count ? size - count : 0));
    db_arg_int(&a, (int64_t)size);
    const enum ds_status s = db_ask(d, sql_watermark, &a, &r, err);
    if (s == DS_OK && size > count && db_bytes(r, 0, 0, &len) != NULL) {
        *after = db_int(r, 0, 0) - 1;
    }
    return s;
}

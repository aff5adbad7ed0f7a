/* SPDX-License-Identifier: Apache-2.0 */
/* The log is read again: at the start what came since the last head, and all of it when asked. */
#include "base/log.h"
#include "base/metrics.h"
#include "dicomstego/statement.h"
#include "node/logkeeper_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* So many are told one by one; a log that was put back may have millions. */
#define TOLD_MAX 20U
/* Rows with ids below those of so many leaves were numbered long ago (a transaction lasts a minute
 * at most); the verification of the whole log looks at them, too. */
#define RECENT_LEAVES 65536U

void logkeeper_found(void *findings, const struct db_finding *finding)
{
    struct logkeeper_findings *f = findings;
    if (f->count == 0) {
        f->first = *finding;
    }
    f->count++;
    ds_metric_add(DS_METRIC_LOG_FINDINGS, NULL, NULL, 1);
    if (f->count <= TOLD_MAX) {
        ds_log(DS_LOG_ERROR, "node", "finding=%s the provenance log is not as it was written: %s",
               db_finding_name(finding->kind), finding->text);
    }
    if (f->found != NULL) {
        f->found(f->context, finding);
    }
}

bool logkeeper_next_kept(void *findings, struct db_head *out)
{
    struct logkeeper_findings *f = findings;
    bool damaged = false;
    while (f->reader != NULL && headfile_next(f->reader, out, &damaged)) {
        if (out->head.size >= f->from) {
            return true;
        }
    }
    return false;
}

enum ds_status logkeeper_note(const struct logkeeper_findings *f, struct ds_error *err)
{
    if (f->count == 0) {
        return DS_OK;
    }
    char detail[512];
    (void)snprintf(detail, sizeof(detail),
                   "{\"findings\":%" PRIu64 ",\"first\":\"%s\",\"event\":%" PRId64
                   ",\"leaf\":%" PRIu64 "}",
                   f->count, db_finding_name(f->first.kind), f->first.event_id, f->first.leaf);
    const struct db_event event = {
        .kind = "log-damaged", .actor = "node", .outcome = "damaged", .detail = detail};
    return db_event_add(f->db, &event, 1, err);
}

static struct db_log_check check_of(const struct logkeeper *k, struct logkeeper_findings *f)
{
    struct db_log_check c = {.tag_key = k->tag_key,
                             .public_key = k->public_key.data,
                             .public_key_len = k->public_key.len,
                             .next_kept = f->reader == NULL ? NULL : logkeeper_next_kept,
                             .found = logkeeper_found,
                             .context = f};
    memcpy(c.log, k->log, sizeof(c.log));
    return c;
}

static void reader_auto(struct headfile_reader **r)
{
    headfile_reader_free(*r);
}

enum ds_status logkeeper_verify(struct logkeeper *k, struct db *db,
                                void (*found)(void *context, const struct db_finding *finding),
                                void *context, struct db_log_report *report, struct ds_error *err)
{
    DS_AUTO(reader_auto) struct headfile_reader *reader = NULL;
    enum ds_status s = headfile_read(k->file, &reader, err);
    if (s != DS_OK) {
        return s;
    }
    struct logkeeper_findings f = {
        .k = k, .db = db, .found = found, .context = context, .reader = reader};
    struct db_log_check check = check_of(k, &f);
    (void)pthread_mutex_lock(&k->lock);
    check.min_size = k->size;
    (void)pthread_mutex_unlock(&k->lock);
    s = db_log_verify(db, &check, report, err);
    const enum ds_status noted = logkeeper_note(&f, s == DS_OK ? err : NULL);
    return s == DS_OK ? noted : s;
}

/* ---- at the start ---- */

/* Without a file of our own (a new disk) the database's last head must do, when our key signed it
 * and the tree there is the one that it speaks of. kept: the size of the newest head in our file.
 */
static enum ds_status tree_from_database(struct logkeeper *k, struct db *db, uint64_t kept,
                                         struct ds_error *err)
{
    struct db_head head;
    struct db_log_nodes *nodes = NULL;
    enum ds_status s = db_head_last(db, k->log, &head, err);
    if (s == DS_ENOTFOUND) {
        return DS_OK;
    }
    if (s == DS_OK) {
        s = provenance_head_verify(&head.head, k->public_key.data, k->public_key.len,
                                   head.signature, head.signature_len, err);
    }
    if (s == DS_OK) {
        s = db_log_nodes_new(&nodes, db, k->log, err);
    }
    struct provenance_tree tree = {.size = head.head.size};
    uint64_t begin = 0;
    for (unsigned level = PROVENANCE_TREE_LEVELS; s == DS_OK && level-- > 0;) {
        if ((tree.size >> level & 1U) != 0) {
            const struct provenance_nodes source = db_log_nodes_of(nodes);
            s = source.get(source.context, level, begin >> level, tree.edge[level], err);
            begin += 1ULL << level;
        }
    }
    db_log_nodes_free(nodes);
    uint8_t root[DS_SHA256_BYTES];
    s = s == DS_OK ? provenance_tree_root(&tree, root, err) : s;
    if (s == DS_OK && memcmp(root, head.head.root, sizeof(root)) != 0) {
        s = ds_fail(err, DS_EAUTH, "the log's last head does not fit its leaves");
    }
    if (s == DS_OK) {
        k->tree = tree;
        k->head = head;
        s = kept == tree.size ? DS_OK : headfile_add(k->file, &head, &tree, err);
    }
    return s;
}

/* An edge that was changed, or is gone while there are heads, is said, and the database's last head
 * must do, unless our own heads say that there was a later one. */
static enum ds_status tree_without_edge(struct logkeeper *k, struct db *db, struct ds_error *err)
{
    DS_AUTO(reader_auto) struct headfile_reader *reader = NULL;
    struct db_head last = {0}, next;
    bool damaged = false;
    const struct ds_error why = *err;
    enum ds_status s = headfile_read(k->file, &reader, err);
    while (s == DS_OK && headfile_next(reader, &next, &damaged)) {
        last = next;
    }
    if (why.status == DS_EAUTH || last.head.size > 0) {
        ds_metric_add(DS_METRIC_LOG_FINDINGS, NULL, NULL, 1);
        ds_log(DS_LOG_ERROR, "node", "%s; the log goes on from the database's last head", why.text);
    }
    if (s == DS_OK) {
        s = tree_from_database(k, db, last.head.size, err);
    }
    return s == DS_OK && k->tree.size < last.head.size
               ? ds_fail(err, DS_EAUTH, "the database has no head as new as the node's own file")
               : s;
}

/* The newest head is where the tree goes on: from our disk, and in the database again if a crash
 * came between the two. */
static enum ds_status find_tree(struct logkeeper *k, struct db *db, struct ds_error *err)
{
    struct db_head head;
    struct provenance_tree tree;
    enum ds_status s = headfile_last(k->file, &head, &tree, err);
    if (s == DS_OK) {
        s = provenance_head_verify(&head.head, k->public_key.data, k->public_key.len,
                                   head.signature, head.signature_len, err);
    }
    if (s == DS_EAUTH || s == DS_ENOTFOUND) {
        return tree_without_edge(k, db, err);
    }
    if (s == DS_OK) {
        s = db_head_add(db, &head, err);
    }
    if (s == DS_OK) {
        k->tree = tree;
        k->head = head;
    }
    return s;
}

static enum ds_status verify_recent(struct logkeeper *k, struct db *db,
                                    struct logkeeper_findings *f, struct ds_error *err)
{
    const struct provenance_tree from = k->tree;
    struct db_log_report report;
    struct db_log_check check = check_of(k, f);
    uint64_t adopted = 0;
    check.from = &from;
    check.min_size = from.size;
    check.after_event = INT64_MAX; /* those are adopted below */
    enum ds_status s = db_log_verify(db, &check, &report, err);
    if (s == DS_OK) {
        k->tree = report.tree;
        int64_t after = INT64_MIN;
        s = db_log_watermark(db, k->log, k->tree.size, RECENT_LEAVES, &after, err);
        s = s == DS_OK ? db_log_adopt(db, k->book, after, logkeeper_found, f, &adopted, err) : s;
    }
    if (s == DS_OK) {
        ds_log(DS_LOG_INFO, "node", "events=%llu since_head=%llu unnumbered=%llu the log is there",
               (unsigned long long)k->tree.size, (unsigned long long)report.leaves,
               (unsigned long long)adopted);
    }
    return s;
}

static enum ds_status take_up(struct logkeeper *k, struct db *db, struct ds_error *err)
{
    struct logkeeper_findings f = {.k = k, .db = db};
    enum ds_status s = find_tree(k, db, err);
    if (s == DS_OK) {
        s = verify_recent(k, db, &f, err);
    }
    if (s == DS_OK) {
        k->size = k->tree.size;
        atomic_store(&k->taken_up, true);
        s = logkeeper_note(&f, err);
    }
    return s;
}

enum ds_status logkeeper_take_up(struct logkeeper *k, struct db *db, struct ds_error *err)
{
    size_t len;
    const uint8_t *certificate =
        stego_certificate_der(stego_identity_certificate(k->identity), &len);
    const enum ds_status s =
        db_log_register(db, k->log, k->public_key.data, k->public_key.len, certificate, len, err);
    if (s != DS_OK || atomic_load(&k->taken_up)) {
        return s;
    }
    const enum ds_status taken = take_up(k, db, err);
    if (taken != DS_EAUTH) {
        return taken;
    }
    /* The node takes images all the same; nothing is numbered or signed until somebody looks. */
    atomic_store(&k->refused, true);
    ds_metric_add(DS_METRIC_LOG_FINDINGS, NULL, NULL, 1);
    ds_log(DS_LOG_ERROR, "node", "the provenance log cannot be gone on with: %s", err->text);
    return DS_OK;
}

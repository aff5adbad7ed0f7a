/* SPDX-License-Identifier: Apache-2.0 */
#include "node/quarantine.h"

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "node/part10.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REASON_MAX_BYTES 4096U

enum db_quarantine_class quarantine_class_of(enum ds_status why)
{
    switch (why) {
    case DS_ENOKEY:
        return DB_NO_KEY;
    case DS_ENOTFOUND:
    case DS_ECAPACITY:
        return DB_INCOMPLETE;
    default:
        return DB_UNVERIFIED;
    }
}

static enum ds_status entry_path(const struct archive *a, const char *folder, const char *entry,
                                 const char *extension, char out[ARCHIVE_PATH_BYTES],
                                 struct ds_error *err)
{
    const int n =
        snprintf(out, ARCHIVE_PATH_BYTES, "%s/%s/%s.%s", a->state_dir, folder, entry, extension);
    return n > 0 && (size_t)n < ARCHIVE_PATH_BYTES && strchr(entry, '/') == NULL
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "no path for this entry");
}

enum ds_status quarantine_path(const struct services *s, const struct db_quarantine_row *row,
                               char out[ARCHIVE_PATH_BYTES], struct ds_error *err)
{
    enum ds_status status = DS_OK;
    if (row->instance_id == 0) {
        status = entry_path(&s->archive, "quarantine", row->entry, "dcm", out, err);
    } else {
        (void)snprintf(out, ARCHIVE_PATH_BYTES, "%s", row->path);
    }
    if (status == DS_OK && (!row->is_ours || !ds_file_exists(out))) {
        return ds_fail(err, DS_ENOTFOUND, "its file is not on this node");
    }
    return status;
}

/* ---- into quarantine ---- */

/* Of what no reader understands the whole file is hashed. */
static enum ds_status measure(const char *path, struct db_quarantined_entry *e, struct part10 *meta,
                              struct ds_error *err)
{
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    const enum ds_status s = ds_map_open(&file, path, SIZE_MAX, err);
    if (s != DS_OK) {
        return s;
    }
    if (part10_read(meta, file.data, file.len, NULL) != DS_OK) {
        *meta = (struct part10){0};
    }
    e->file_bytes = file.len;
    e->calling_ae = meta->source_ae;
    return ds_sha256_of(file.data + meta->dataset_offset, file.len - meta->dataset_offset,
                        e->file_hash, err);
}

static enum ds_status list(struct db *db, const char *path, const char *entry, const char *reason,
                           struct ds_error *err)
{
    struct part10 meta;
    struct db_quarantined_entry e = {.entry = entry, .reason = reason};
    const enum ds_status s = measure(path, &e, &meta, err);
    return s == DS_OK ? db_quarantine_entry(db, &e, err) : s;
}

enum ds_status quarantine_set_aside(struct services *s, const char *spool_path, const char *entry,
                                    const char *reason, struct ds_error *err)
{
    enum ds_status status = archive_quarantine(&s->archive, spool_path, entry, reason, err);
    if (status != DS_OK) {
        return status;
    }
    ds_log(DS_LOG_WARNING, "node", "entry=%s quarantined: %s", entry, reason);
    ds_metric_add(DS_METRIC_QUARANTINED, db_quarantine_class_name(DB_UNREADABLE), NULL, 1);
    char path[ARCHIVE_PATH_BYTES];
    struct ds_error why = {0};
    struct db *db = services_db(s);
    status = entry_path(&s->archive, "quarantine", entry, "dcm", path, &why);
    if (status == DS_OK && db != NULL) {
        status = list(db, path, entry, reason, &why);
    }
    if (status != DS_OK || db == NULL) {
        ds_log(DS_LOG_INFO, "node", "entry=%s will be listed when the database is there", entry);
        atomic_store(&s->quarantine_unsettled, true);
    }
    return DS_OK;
}

/* ---- out of it ---- */

static void remove_named(const struct archive *a, const char *entry, const char *extension)
{
    char path[ARCHIVE_PATH_BYTES];
    struct ds_error err = {0};
    enum ds_status s = entry_path(a, "quarantine", entry, extension, path, &err);
    if (s == DS_OK && unlink(path) != 0 && errno != ENOENT) {
        s = ds_fail(&err, DS_EIO, "%s", strerror(errno));
    }
    if (s != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "entry=%s cannot leave quarantine: %s", entry, err.text);
    }
}

/* The file goes first: it alone says that there is something to do. */
static void discard(struct services *s, const char *entry)
{
    remove_named(&s->archive, entry, "dcm");
    remove_named(&s->archive, entry, "reason");
}

/* The time of its arrival is that of the file, and stays. */
static void read_again(struct services *s, const char *entry)
{
    char from[ARCHIVE_PATH_BYTES];
    char to[ARCHIVE_PATH_BYTES];
    struct ds_error err = {0};
    enum ds_status status = entry_path(&s->archive, "quarantine", entry, "dcm", from, &err);
    if (status == DS_OK) {
        status = entry_path(&s->archive, "spool/new", entry, "dcm", to, &err);
    }
    if (status == DS_OK) {
        status = archive_move_in(from, to, &err);
    }
    if (status == DS_OK) {
        status = archive_sync_folder_of(to, &err);
    }
    if (status != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "entry=%s cannot be read again now: %s", entry, err.text);
        atomic_store(&s->quarantine_unsettled, true);
        return;
    }
    remove_named(&s->archive, entry, "reason");
    arrivals_add(s->arrivals, entry, NULL);
}

void quarantine_follow(struct services *s, const struct db_quarantine_row *row)
{
    if (row->instance_id == 0 && row->state == DB_DISCARDED) {
        discard(s, row->entry);
    } else if (row->instance_id == 0 && row->state == DB_RELEASED) {
        read_again(s, row->entry);
    }
}

/* ---- what was left ---- */

static enum ds_status list_left(struct services *s, struct db *db, const char *entry,
                                struct ds_error *err)
{
    char path[ARCHIVE_PATH_BYTES];
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(REASON_MAX_BYTES);
    enum ds_status status = entry_path(&s->archive, "quarantine", entry, "reason", path, err);
    if (status == DS_OK && ds_file_read(path, &text, NULL) != DS_OK) {
        text.len = 0; /* an operator's hand: the file alone is reason enough */
    }
    if (status == DS_OK) {
        status = ds_bytes_append(&text, (const uint8_t *)"", 1, err);
    }
    if (status == DS_OK) {
        status = entry_path(&s->archive, "quarantine", entry, "dcm", path, err);
    }
    return status == DS_OK ? list(db, path, entry, (const char *)text.data, err) : status;
}

static enum ds_status settle_one(struct services *s, struct db *db, const char *entry,
                                 struct ds_error *err)
{
    enum db_quarantine_state state = DB_HELD;
    const enum ds_status status = db_quarantine_entry_state(db, entry, &state, err);
    if (status == DS_ENOTFOUND) {
        return list_left(s, db, entry, err);
    }
    struct db_quarantine_row row = {.state = state};
    (void)snprintf(row.entry, sizeof(row.entry), "%s", entry);
    if (status == DS_OK) {
        quarantine_follow(s, &row);
    }
    return status;
}

/* "ENTRY.dcm" of a length that an entry can have. */
static bool entry_of(const char *name, char out[DB_ENTRY_BYTES])
{
    const size_t len = strlen(name);
    if (len < 5 || len - 4 >= DB_ENTRY_BYTES || strcmp(name + len - 4, ".dcm") != 0) {
        return false;
    }
    memcpy(out, name, len - 4);
    out[len - 4] = '\0';
    return true;
}

static enum ds_status settle_all(struct services *s, struct db *db, DIR *folder,
                                 struct ds_error *err)
{
    enum ds_status worst = DS_OK;
    const struct dirent *found = NULL;
    while ((found = readdir(folder)) != NULL && !services_stopping(s)) {
        char entry[DB_ENTRY_BYTES];
        if (entry_of(found->d_name, entry)) {
            const enum ds_status status = settle_one(s, db, entry, err);
            worst = status == DS_OK ? worst : status;
        }
    }
    return worst;
}

void quarantine_settle(struct services *s, struct db *db)
{
    if (!atomic_exchange(&s->quarantine_unsettled, false)) {
        return;
    }
    char path[ARCHIVE_PATH_BYTES];
    struct ds_error err = {0};
    enum ds_status status =
        snprintf(path, sizeof(path), "%s/quarantine", s->archive.state_dir) < (int)sizeof(path)
            ? DS_OK
            : DS_EINVAL;
    DIR *folder = status == DS_OK ? opendir(path) : NULL;
    if (folder == NULL) {
        status = ds_fail(&err, DS_EIO, "quarantine/ cannot be read: %s", strerror(errno));
    } else {
        status = settle_all(s, db, folder, &err);
        (void)closedir(folder);
    }
    if (status != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "quarantine is not wholly listed: %s", err.text);
        atomic_store(&s->quarantine_unsettled, true);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine - what was taken out of the flow, and what an operator decided about it.
 *
 * Held is an instance that has a row, or an entry of the spool that became none: its file lies in
 * the folder quarantine/ of the node whose archive it is. Each is there once; one that is held
 * again after a decision has its old number. Every change is an event in the same transaction:
 * "quarantined", "released", "discarded", the last two with who and why. What has to be done to
 * files comes after the row, so that a crash leaves work and never a lie (node/quarantine.h).
 * Threads, errors, times and arrays as in db.h.
 */
#ifndef DICOMSTEGO_DB_QUARANTINE_H
#define DICOMSTEGO_DB_QUARANTINE_H

#include "db/db.h"

#define DB_ENTRY_BYTES 40U

/* "unreadable", "unverified", "no-key" ... */
const char *db_quarantine_class_name(enum db_quarantine_class c);
bool db_quarantine_class_from(const char *name, enum db_quarantine_class *out);

enum db_quarantine_state { DB_HELD, DB_RELEASED, DB_DISCARDED };
const char *db_quarantine_state_name(enum db_quarantine_state state);
bool db_quarantine_state_from(const char *name, enum db_quarantine_state *out);

/* An entry of the spool that became no instance. */
struct db_quarantined_entry {
    const char *entry, *reason, *calling_ae; /* calling_ae: "" when not known */
    uint64_t file_bytes;
    uint8_t file_hash[DS_SHA256_BYTES]; /* of all after group 0002, or of all of it */
};
/* Lists it, with its event; one that is listed as held stays as it is, without another event. */
DS_CHECKED enum ds_status db_quarantine_entry(struct db *d, const struct db_quarantined_entry *e,
                                              struct ds_error *err);
/* What the rows say of an entry of our archive; DS_ENOTFOUND: it has none. */
DS_CHECKED enum ds_status db_quarantine_entry_state(struct db *d, const char *entry,
                                                    enum db_quarantine_state *out,
                                                    struct ds_error *err);

/* Conditions that must all hold. */
struct db_quarantine_filter {
    int state;                          /* enum db_quarantine_state; -1: any */
    int class_;                         /* enum db_quarantine_class; -1: any */
    const char *calling_ae, *study_uid; /* NULL: any */
    int64_t id;                         /* 0: any */
};
#define DB_QUARANTINE_ALL ((struct db_quarantine_filter){.state = -1, .class_ = -1})

struct db_quarantine_row {
    int64_t id, instance_id; /* instance_id 0: an entry */
    char entry[DB_ENTRY_BYTES];
    enum db_quarantine_class class_;
    enum db_quarantine_state state;
    enum db_kind kind; /* of an instance */
    char reason[DB_TEXT_BYTES], calling_ae[DB_AE_BYTES];
    char study_uid[DB_UID_BYTES], sop_uid[DB_UID_BYTES], sop_class_uid[DB_UID_BYTES];
    char transfer_syntax[DB_UID_BYTES]; /* "" of an entry, as the three above */
    char path[DB_PATH_BYTES];           /* of an instance; "" of an entry */
    bool is_ours;                       /* the file lies in our archive */
    uint64_t file_bytes;
    bool has_file_hash, has_pixel_hash, has_dataset_hash;
    uint8_t file_hash[DS_SHA256_BYTES], pixel_hash[DS_SHA256_BYTES], dataset_hash[DS_SHA256_BYTES];
    int64_t held_us, decided_us;
    char decided_by[DB_TEXT_BYTES], decision[DB_TEXT_BYTES];
};
/* By id, those above after_id, at most limit (1 to DB_LIST_MAX). A collision whose deliveries wait
 * no more, because somebody retried or cancelled them, is not held. */
DS_CHECKED enum ds_status db_quarantine_list(struct db *d, const struct db_quarantine_filter *f,
                                             unsigned limit, int64_t after_id,
                                             struct db_quarantine_row **out, size_t *count,
                                             struct ds_error *err);

/* How many are held, by class. */
DS_CHECKED enum ds_status db_quarantine_counts(struct db *d, uint64_t counts[DB_QUARANTINE_CLASSES],
                                               struct ds_error *err);

struct db_quarantine_decision {
    int64_t id;
    const char *actor, *reason; /* the reason is the operator's, and not "" */
};
/* Lets one go on. retry: it is judged again, as if it had come now. Else it is forwarded as it is,
 * by the rule that matches, and never taken for an original: DS_EINVAL for what cannot be
 * (unreadable, damaged). What collided is sent either way. *out: the row as it was. DS_ENOTFOUND:
 * not held. */
DS_CHECKED enum ds_status db_quarantine_release(struct db *d,
                                                const struct db_quarantine_decision *decision,
                                                bool retry, struct db_quarantine_row *out,
                                                struct ds_error *err);
/* It is to go: its deliveries are cancelled and its file may be removed (db_retention_left for that
 * of an instance). The same bytes, sent again, are then a new arrival. DS_ENOTFOUND: not held, or
 * being sent at this moment. */
DS_CHECKED enum ds_status db_quarantine_discard(struct db *d,
                                                const struct db_quarantine_decision *decision,
                                                struct db_quarantine_row *out,
                                                struct ds_error *err);
/* Its bytes leave the house by an operator's hand: the event "exported". */
DS_CHECKED enum ds_status db_quarantine_exported(struct db *d, const struct db_quarantine_row *row,
                                                 const char *actor, struct ds_error *err);

#endif

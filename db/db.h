/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db - everything that the node remembers, in PostgreSQL 15 through libpq.
 *
 * db holds all SQL. A function is one transaction unless it says otherwise, binds every value, and
 * may be called from any thread: it borrows a connection from the pool. DS_EIO: the database is
 * away; the pool reconnects by itself, so the caller tries again later. Times are microseconds of
 * UTC. Result arrays are the caller's, freed with the function named beside them.
 *
 * One file per table family: study.c (studies, series, instances), hint.c, report.c, capsule.c,
 * delivery.c (deliveries, attempts), event.c (the append-only provenance), migrate.c, pool.c,
 * cluster.c. What operators see and do is in operate.h, what peers query in find.h.
 */
#ifndef DICOMSTEGO_DB_DB_H
#define DICOMSTEGO_DB_DB_H

#include "base/bytes.h"
#include "base/sha256.h"

#include <stdbool.h>

#define DB_UID_BYTES  65U
#define DB_AE_BYTES   17U
#define DB_TEXT_BYTES 256U
#define DB_PATH_BYTES 1024U

struct db;

/* Opens the pool lazily: an absent database is not an error here. node: our AE title, for events
 * and leases. */
DS_CHECKED enum ds_status db_open(struct db **out, const char *url, unsigned connections,
                                  const char *node, struct ds_error *err);
void db_close(struct db *d);
/* Before the first other call. Whose archive the files of this node lie in: it indexes, plans and
 * claims only instances of this archive, and those that name none. Default: "", which is none. */
DS_CHECKED enum ds_status db_set_archive(struct db *d, const char *name, struct ds_error *err);
#define DB_PROCESS_BYTES 8U
/* Likewise. home: hexadecimal digits that no two running processes have in common; process: drawn
 * by this one. Leases of earlier processes of this home can then be taken back. Default: none, and
 * a process drawn for this pool. */
DS_CHECKED enum ds_status db_set_home(struct db *d, const char *home,
                                      const uint8_t process[DB_PROCESS_BYTES],
                                      struct ds_error *err);
/* Applies the numbered migrations (db/migrations/NNN_name.sql, built in) that are missing, under an
 * advisory lock. */
DS_CHECKED enum ds_status db_migrate(struct db *d, struct ds_error *err);
/* SELECT 1. */
DS_CHECKED enum ds_status db_ping(struct db *d, struct ds_error *err);

/* ---- cluster.c: the private PostgreSQL ---- */

struct db_cluster;
/* Under folder/postgresql: initdb when new, then postgres on a Unix socket only (no TCP), run as
 * the unprivileged user `postgres` or, failing that, `nobody`, when we are root; as ourselves
 * otherwise. Waits until it answers. *url (free) is for db_open. A postmaster left over from a
 * killed node is stopped first; a second node on the same folder is refused (DS_EIO). The server
 * ends when we end, also by SIGKILL: a thread of its own starts it and lives as long
 * (PR_SET_PDEATHSIG follows threads), so any thread may call. As root, folder gets the permission
 * o+x, and a folder above it that the server's user cannot pass through is a DS_ECONFIG that names
 * it. */
DS_CHECKED enum ds_status db_cluster_start(struct db_cluster **out, const char *folder, char **url,
                                           struct ds_error *err);
/* *url above is the tables' owner's. The node's own, who may do less (roles.h): free(). */
DS_CHECKED enum ds_status db_cluster_node_url(const struct db_cluster *c, char **url,
                                              struct ds_error *err);
void db_cluster_stop(struct db_cluster *c); /* fast shutdown, waits; NULL is fine */
/* Has the server process ended by itself? */
bool db_cluster_is_alive(const struct db_cluster *c);

/* ---- study.c ---- */

/* How urgent. Of a study: the highest of its rule's and its instances'. */
enum db_priority { DB_PRIORITY_LOW, DB_PRIORITY_ROUTINE, DB_PRIORITY_HIGH, DB_PRIORITY_STAT };

enum db_kind { DB_ORIGINAL, DB_CARRIER, DB_RESTORED, DB_REPORT };

/* What queries see of an instance: JSON objects of attributes by tag, as db/find.h reads them.
 * NULL: not known. */
struct db_attributes {
    const char *study, *series, *instance;
    const char *name_key;   /* the patient's name as it is compared */
    const char *name_words; /* and for fuzzy comparison */
};

/* One instance that lies in the archive. Strings are borrowed; NULL is "". */
struct db_received {
    enum db_kind kind;
    const char *study_uid, *series_uid, *sop_uid, *sop_class_uid, *transfer_syntax;
    const char *accession, *patient_id, *patient_name, *study_date, *study_description; /* UTF-8 */
    const char *modality;
    struct db_attributes attributes;
    const char *calling_ae, *called_ae;
    const char *path; /* where it lies, or will in a moment */
    uint64_t file_bytes;
    bool has_pixel_data; /* of any kind, also where it cannot be decoded and has no hash */
    bool has_pixel_hash;
    uint8_t pixel_hash[DS_SHA256_BYTES], dataset_hash[DS_SHA256_BYTES], file_hash[DS_SHA256_BYTES];
    bool has_dataset_hash;     /* false: could not be parsed that far */
    enum db_priority priority; /* what the object itself asks for; DB_PRIORITY_LOW: nothing */
    int64_t received_us;
    int64_t restored_from; /* instance id of the carrier, or 0 */
};
struct db_indexed {
    int64_t instance_id, study_id;
    int generation; /* 0: none yet */
    bool duplicate; /* the same SOP instance with the same file hash was there: path is the old
                       one's */
    bool reencoded; /* new bytes, but the data set of one that is there: kept, not sent */
    bool conflict; /* the same SOP Instance UID with another data set is there too: both are kept */
    bool elsewhere; /* a duplicate whose old one lies in another archive, or was deleted when all
                       had it: path is not for us */
    char path[DB_PATH_BYTES];
};
#define DB_INDEX_MAX 4096U /* rows of a batch; 64 to 256 are best */

/* A batch in one transaction with its events ("received", "indexed", "duplicate" for the same bytes
 * and for the same data set in another encoding, and "conflict"; a row with restored_from is not
 * "received"). May be repeated after a crash or a lost answer: a row that is there with the same
 * path is no duplicate and adds no event. Originals, carriers, restored ones and reports are told
 * apart: a carrier and its restored instance may share the UID. Text that is not UTF-8 is stored
 * with '?' for the wrong bytes. */
DS_CHECKED enum ds_status db_index(struct db *d, const struct db_received *rows, size_t count,
                                   struct db_indexed *out, struct ds_error *err);

/* An instance that was indexed before there were queries. */
struct db_undescribed {
    int64_t instance_id;
    char path[DB_PATH_BYTES];
};
/* Those of our archive behind an id, in the order of ids. (index.c) */
DS_CHECKED enum ds_status db_undescribed(struct db *d, int64_t after, unsigned max,
                                         struct db_undescribed **out, size_t *count,
                                         struct ds_error *err); /* free() */
/* Gives them, and what is new of their studies and series, the attributes of the rows. */
DS_CHECKED enum ds_status db_describe(struct db *d, const int64_t *ids,
                                      const struct db_received *rows, size_t count,
                                      struct ds_error *err);

/* Who may say that a study is complete before its silence does. */
enum db_hint { DB_HINT_OPERATOR, DB_HINT_COMMITMENT, DB_HINT_REPORT, DB_HINT_KINDS };
/* The operator, or a request for storage commitment of all that was sent, says that the study is
 * complete; a report says so by being there. It stands for the instances received up to at_us (UTC
 * by the clock of those who receive; 0: now), and may come before they are indexed. NOTIFY. Said
 * twice, the later one counts. (hint.c) */
DS_CHECKED enum ds_status db_study_hint_add(struct db *d, const char *study_uid, enum db_hint kind,
                                            int64_t at_us, struct ds_error *err);

/* Studies with instances that belong to no generation yet, or, when all do, with a report that none
 * has sent. */
struct db_pending_study {
    int64_t study_id;
    char study_uid[DB_UID_BYTES];
    char accession[DB_TEXT_BYTES];
    char description[DB_TEXT_BYTES];
    char calling_ae[DB_AE_BYTES],
        called_ae[DB_AE_BYTES]; /* of the newest pending instance; of the newest image without */
    char modalities[DB_TEXT_BYTES]; /* separated by backslashes */
    bool has_carrier;               /* among the pending instances; among all without */
    unsigned pending;               /* instances without a generation; 0: a report came alone */
    unsigned reports;               /* reports not yet sent with a generation */
    bool had_report; /* one went with an earlier generation, or came out of carriers */
    int64_t idle_us; /* since the newest pending instance, or the report, by the database's clock */
    int64_t age_us;  /* since the oldest */
    int64_t hint_us[DB_HINT_KINDS]; /* when it was said that it is complete, UTC; 0: nobody did, or
                                       an instance was received after that */
};
DS_CHECKED enum ds_status db_pending(struct db *d, struct db_pending_study **out, size_t *count,
                                     struct ds_error *err); /* free() */

/* Different SOP Instance UIDs of a study that were received, whatever became of them. */
DS_CHECKED enum ds_status db_study_count(struct db *d, int64_t study_id, uint64_t *count,
                                         struct ds_error *err);

struct db_instance {
    int64_t id, study_id, series_id;
    enum db_kind kind;
    char study_uid[DB_UID_BYTES], sop_uid[DB_UID_BYTES], sop_class_uid[DB_UID_BYTES];
    char transfer_syntax[DB_UID_BYTES];
    char modality[17];
    char path[DB_PATH_BYTES];
    int generation; /* 0: none yet */
    bool has_pixel_data;
    bool is_released; /* from quarantine: to be forwarded as it is */
    bool has_pixel_hash;
    uint8_t pixel_hash[DS_SHA256_BYTES], dataset_hash[DS_SHA256_BYTES], file_hash[DS_SHA256_BYTES];
};
/* Instances of a study without a generation, in the order of series and arrival. */
DS_CHECKED enum ds_status db_study_pending_instances(struct db *d, int64_t study_id,
                                                     struct db_instance **out, size_t *count,
                                                     struct ds_error *err); /* free() */
DS_CHECKED enum ds_status db_instance_get(struct db *d, int64_t id, struct db_instance *out,
                                          struct ds_error *err); /* DS_ENOTFOUND */
/* Carriers of a study that have a generation or are in quarantine: sources of shares for late ones.
 * (carrier.c) */
DS_CHECKED enum ds_status db_study_planned_carriers(struct db *d, int64_t study_id,
                                                    struct db_instance **out, size_t *count,
                                                    struct ds_error *err); /* free() */
/* Instances of a study with this SOP Instance UID that have a generation, whatever they are: a late
 * sidecar belongs to one. (carrier.c) */
DS_CHECKED enum ds_status db_study_planned_named(struct db *d, int64_t study_id,
                                                 const char *sop_uid, struct db_instance **out,
                                                 size_t *count, struct ds_error *err); /* free() */
/* Has the instance any delivery, in whatever state? (carrier.c) */
DS_CHECKED enum ds_status db_instance_is_owed(struct db *d, int64_t id, bool *owed,
                                              struct ds_error *err);
/* One of the instances that share a SOP Instance UID and kind. (rival.c) */
struct db_rival {
    int64_t instance_id;
    char sop_uid[DB_UID_BYTES];
    enum db_kind kind;
    bool has_dataset_hash;
    uint8_t dataset_hash[DS_SHA256_BYTES];
    bool is_pending; /* of this study, without a generation */
    bool is_planned; /* has a delivery that was not cancelled */
    bool is_unsent;  /* one of its deliveries waits, is ready or leased, or failed */
};
/* All who share the UID of a pending original or report of the study, UID by UID, in the order in
 * which they came. */
DS_CHECKED enum ds_status db_study_rivals(struct db *d, int64_t study_id, struct db_rival **out,
                                          size_t *count, struct ds_error *err); /* free() */
/* Originals of a study that went, or go, to a peer as carriers, the newest generation first: one of
 * them can carry a report that came too late. (carrier.c) */
DS_CHECKED enum ds_status db_study_sent_originals(struct db *d, int64_t study_id, const char *rule,
                                                  unsigned max, struct db_instance **out,
                                                  size_t *count, struct ds_error *err); /* free() */
/* An original that went, or goes, to a peer as a carrier. */
struct db_sent_carrier {
    int64_t instance_id;
    char sop_uid[DB_UID_BYTES], series_uid[DB_UID_BYTES]; /* the original's */
    uint8_t dataset_hash[DS_SHA256_BYTES];
    bool is_second; /* one of the same UID is before it */
};
/* Those of a study, in the order in which they came; with sop_uid not "", those of that UID.
 * (carrier.c) */
DS_CHECKED enum ds_status db_study_carriers_to(struct db *d, int64_t study_id, const char *peer,
                                               const char *sop_uid, struct db_sent_carrier **out,
                                               size_t *count, struct ds_error *err); /* free() */
/* Why something was taken out of the flow, as an operator tells such cases apart. */
enum db_quarantine_class {
    DB_UNREADABLE, /* accepted, and no DICOM that can be indexed: there is no instance */
    DB_UNVERIFIED, /* a carrier whose signature, seal or hashes do not hold, or its companion */
    DB_NO_KEY,     /* a carrier that was sealed for somebody else */
    DB_INCOMPLETE, /* a carrier whose other parts did not come in time */
    DB_DAMAGED,    /* its file is not what was received */
    DB_COLLISION,  /* other contents came under its SOP Instance UID, and the rule holds them */
};
#define DB_QUARANTINE_CLASSES 6U
/* Takes an instance out of the flow with a reason; an event "quarantined" and a row for the
 * operator (db/quarantine.h). Its deliveries are cancelled; one that is leased runs to its end and
 * is not tried again. The first reason stays. DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_instance_quarantine(struct db *d, int64_t id,
                                                 enum db_quarantine_class class_,
                                                 const char *reason, struct ds_error *err);
/* The study with this UID or accession number (newest first); DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_study_find(struct db *d, const char *uid_or_accession, int64_t *id,
                                        struct ds_error *err);

/* ---- report.c ---- */

struct db_report {
    int64_t id;
    char name[DB_TEXT_BYTES], media_type[DB_TEXT_BYTES];
    struct ds_bytes data;
    bool is_instance; /* it came by DICOM: the study has it as an instance too */
};
/* source: "drop", "dicom", "recovered". sent_already: true for recovered ones (never hidden again).
 * An event "report-received". The same bytes for the same study twice: one row. */
DS_CHECKED enum ds_status db_report_add(struct db *d, int64_t study_id, const char *name,
                                        const char *media_type, const char *source,
                                        const uint8_t *data, size_t len, bool sent_already,
                                        int64_t *id, struct ds_error *err);
/* Reports of a study that no generation has sent yet. */
DS_CHECKED enum ds_status db_reports_unsent(struct db *d, int64_t study_id, struct db_report **out,
                                            size_t *count, struct ds_error *err);
void db_reports_free(struct db_report *r, size_t count);

/* ---- delivery.c: plans and deliveries ---- */

enum db_action { DB_SEND_AS_IS, DB_SEND_CARRIER, DB_SEND_SIDECAR };
enum db_delivery_state {
    DB_WAITING,
    DB_READY,
    DB_LEASED,
    DB_SENT,
    DB_COMMITTED,
    DB_FAILED,
    DB_CANCELLED
};

struct db_planned_delivery {
    int64_t instance_id;
    const char *peer; /* configuration name */
    enum db_action action;
    size_t capsule;      /* index into db_plan.capsules; SIZE_MAX: none */
    int64_t share_index; /* -1: none */
    bool with_key_block, with_certificate;
    bool held;        /* state waiting instead of ready: the rule's `hold`; note says why */
    const char *note; /* "" or why it is passed, sidecar, held */
};
/* An instance of the plan that no delivery is for, with the event that says so instead of
 * "not-sent". */
struct db_planned_absence {
    int64_t instance_id;
    const char *event; /* "dropped", "superseded", "duplicate" */
    const char *note;
};
/* An instance of an earlier generation: what of it is not sent yet is cancelled (event
 * "superseded"), but for a carrier with a share, which the report may need; or waits (event
 * "held"). What is being sent at this moment is taken back only when that fails.
 */
struct db_planned_recall {
    int64_t instance_id;
    bool hold;
    const char *note;
};
struct db_planned_capsule {
    const uint8_t *capsule_id; /* 16 bytes */
    const uint8_t *saved;      /* stego_capsule_save: sealed, opaque here */
    size_t saved_len;
    uint32_t shares_total, shares_needed;
};
struct db_plan {
    int64_t study_id;
    const char *rule;
    enum db_priority priority;   /* of its deliveries, unless an instance asks for more */
    const int64_t *instance_ids; /* all that get the new generation, also those not delivered */
    size_t instance_count;
    const struct db_planned_capsule *capsules;
    size_t capsule_count;
    const struct db_planned_delivery *deliveries;
    size_t delivery_count;
    const int64_t *report_ids; /* sent with this generation */
    size_t report_count;
    const struct db_planned_absence *absences;
    size_t absence_count;
    const struct db_planned_recall *recalls;
    size_t recall_count;
    const int64_t *collided_ids; /* held because of their UID, recalled ones too: in quarantine */
    size_t collided_count;
};
/* Deliveries may also be for instances of earlier generations of the study, which are then sent
 * again: a plan has instances or reports. The next generation of the study, its capsules and
 * deliveries, events, NOTIFY: one transaction. DS_EEXIST when another node planned one of the
 * instances meanwhile: nothing is done. */
DS_CHECKED enum ds_status db_plan_commit(struct db *d, const struct db_plan *plan, int *generation,
                                         struct ds_error *err);

struct db_delivery {
    int64_t id, instance_id, capsule_row; /* capsule_row 0: none */
    enum db_action action;
    int64_t share_index;
    bool with_key_block, with_certificate;
    bool again;        /* the instance was planned for this peer before, in another generation */
    unsigned attempts; /* before this one */
    enum db_priority priority;
    char rule[DB_TEXT_BYTES];
    struct db_instance instance;
};
struct db_claim {
    const char *peer;
    unsigned max;     /* 1 to 65536 */
    unsigned workers; /* how many share the peer's queue: at most this part of what is due; 0: 1 */
    unsigned lease_ms;
    enum db_priority at_least; /* only those as urgent */
};
/* Claims ready deliveries, the most urgent first, then the oldest (FOR UPDATE SKIP LOCKED), one
 * study's together; expired leases count as ready. *count 0: none now, or the peer is paused. */
DS_CHECKED enum ds_status db_delivery_claim(struct db *d, const struct db_claim *claim,
                                            struct db_delivery **out, size_t *count,
                                            struct ds_error *err); /* free() */
/* Should whoever sends what is so urgent stop? Something more urgent is due, or an operator has
 * paused the peer. */
DS_CHECKED enum ds_status db_delivery_should_yield(struct db *d, const char *peer,
                                                   enum db_priority now, bool *yield,
                                                   struct ds_error *err);
/* held[i]: ids[i] is still ours, from now for lease_ms. Zeroed on failure. */
DS_CHECKED enum ds_status db_delivery_renew(struct db *d, const int64_t *ids, size_t count,
                                            unsigned lease_ms, bool *held, struct ds_error *err);
/* What earlier processes of our home had on its way when they ended is ready again: at once, or,
 * when that was not its first attempt, a minute later for each, as it may be what ended them. */
DS_CHECKED enum ds_status db_delivery_take_back(struct db *d, uint64_t *count,
                                                struct ds_error *err);
/* Claimed and not tried: ready again, and no attempt. Only leases of our own are touched. */
DS_CHECKED enum ds_status db_delivery_give_back(struct db *d, const int64_t *ids, size_t count,
                                                struct ds_error *err);

struct db_delivery_result {
    int64_t id;
    enum db_delivery_state state; /* DB_SENT, DB_FAILED, or DB_READY to try again */
    int64_t retry_after_ms;       /* with DB_READY */
    bool answered;
    uint16_t dimse_status;
    const char *cause; /* "" when none */
    int64_t duration_us;
    /* what was sent, when it was a carrier; else sop_uid is "" */
    const char *sent_sop_uid;
    const char
        *sent_beside_uid; /* of the instance beside a sidecar, when not its own; "" or NULL */
    uint8_t sent_pixel_hash[DS_SHA256_BYTES], sent_dataset_hash[DS_SHA256_BYTES],
        sent_file_hash[DS_SHA256_BYTES];
    uint64_t hidden_bits;
    double psnr_format_db, psnr_dynamic_db; /* INFINITY is stored as NULL */
    uint32_t max_difference;
};
/* May be repeated. Outcomes with an attempt row and events ("proven", "sent" | "send-failed") each,
 * in one transaction. Only leases of our own are touched. */
DS_CHECKED enum ds_status db_delivery_finish(struct db *d, const struct db_delivery_result *results,
                                             size_t count, struct ds_error *err);
/* ---- capsule.c ---- */
DS_CHECKED enum ds_status db_capsule_saved(struct db *d, int64_t capsule_row, struct ds_bytes *out,
                                           struct ds_error *err);

/* ---- event.c: append-only, and proven (log.h). docs/provenance.md lists the kinds. ---- */
/* A row is whole without any other table: who reads it years later has nothing else. No patient
 * data. Texts may be NULL. */
struct db_event {
    const char *kind;              /* "found", "verified", "recovered", "refused" ... */
    int64_t instance_id, study_id; /* 0: none */
    const char *actor;             /* a peer's AE title, "node", or "operator NAME" */
    bool has_before, has_after;
    uint8_t before[DS_SHA256_BYTES], after[DS_SHA256_BYTES]; /* file hashes */
    const char *detail;              /* JSON object text without patient data, or NULL */
    const char *sop_uid, *study_uid; /* NULL: looked up by instance_id or study_id */
    const char *peer;                /* the other side, by its name in the configuration */
    const char *outcome;             /* a DIMSE status in hexadecimal, or a word */
};
DS_CHECKED enum ds_status db_event_add(struct db *d, const struct db_event *events, size_t count,
                                       struct ds_error *err);

/* ---- listen ---- */
/* Waits up to timeout_ms for a NOTIFY on the channel "dicomstego" (new deliveries), on a connection
 * of its own. *woken false: time over, or a signal. True also when the connection is new, as
 * something may have been missed: look around. Any thread may wait; DS_EIO comes at once, so pause
 * before the next call. */
DS_CHECKED enum ds_status db_wait(struct db *d, unsigned timeout_ms, bool *woken,
                                  struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readback - runs that look at what a peer still has of what it was sent, their results, and the
 * profile of the peer that follows from them.
 *
 * A run is made with all that it is to look at (readback_run.c); whoever claims it writes outcomes
 * (readback.c) until none is open. A node that ends in the middle leaves a lease, and what is open
 * is taken up again. Threads, errors and times as in db.h.
 */
#ifndef DICOMSTEGO_DB_READBACK_H
#define DICOMSTEGO_DB_READBACK_H

#include "db/db.h"

/* What of a delivery lies at the peer. */
enum db_back_part {
    DB_BACK_SENT,    /* the instance as it is, or its carrier */
    DB_BACK_SIDECAR, /* the sidecar */
    DB_BACK_BESIDE,  /* the instance that a sidecar stands beside */
    DB_BACK_EXTRA,   /* what we have not sent */
};
enum db_back_outcome {
    DB_BACK_INTACT,
    DB_BACK_ATTRIBUTES_CHANGED,
    DB_BACK_PIXELS_CHANGED,
    DB_BACK_LOSSY,
    DB_BACK_MISSING,
    DB_BACK_EXTRA_THERE,
    DB_BACK_UNREAD, /* it is there and could not be had, or not be judged */
};
#define DB_BACK_OUTCOMES 7U
/* "intact", "attributes-changed" ...; "" for any other number. */
const char *db_back_outcome_name(enum db_back_outcome outcome);

/* ---- runs ---- */

#define DB_BACK_SAMPLE_MAX 1000000U

struct db_back_request {
    const char *peer, *actor;
    unsigned sample;       /* so many instances, drawn by seed; 0: all */
    int64_t seed;          /* the same seed over the same deliveries draws the same ones */
    const char *study_uid; /* NULL: any */
    int64_t since_us;      /* sent at or after; 0: ever */
    int64_t every_ms;      /* scheduled: only when the last scheduled run is so old; 0: an operator
                              asks */
};
/* Makes a run over deliveries to the peer that are sent or committed, of our archive. *id 0: it is
 * not due. An event "read-back-begun". */
DS_CHECKED enum ds_status db_back_begin(struct db *d, const struct db_back_request *r, int64_t *id,
                                        struct ds_error *err);

struct db_back_run {
    int64_t id;
    char peer[DB_TEXT_BYTES];
    bool scheduled;
    char actor[DB_TEXT_BYTES];
    char state[16]; /* "waiting", "running", "done", "incomplete" */
    char cause[DB_TEXT_BYTES];
    int64_t created_us, finished_us;
    bool is_sampled;
    int64_t sample, seed;
    uint64_t total, open; /* results; open: without an outcome */
    uint64_t counts[DB_BACK_OUTCOMES];
};
/* DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_back_run_get(struct db *d, int64_t id, struct db_back_run *out,
                                          struct ds_error *err);
/* The newest of a peer; DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_back_newest(struct db *d, const char *peer, int64_t *id,
                                         struct ds_error *err);
/* A run that waits, whose lease ran out, or that an earlier process of our home left; one of a peer
 * at a time. *found false: none. */
DS_CHECKED enum ds_status db_back_claim(struct db *d, unsigned lease_ms, struct db_back_run *out,
                                        bool *found, struct ds_error *err);
/* Ours again for lease_ms; *held false: somebody else has it. */
DS_CHECKED enum ds_status db_back_renew(struct db *d, int64_t run, unsigned lease_ms, bool *held,
                                        struct ds_error *err);
/* Anybody may go on with it, after so long. */
DS_CHECKED enum ds_status db_back_put_off(struct db *d, int64_t run, int64_t after_ms,
                                          struct ds_error *err);
/* Over: done where nothing is open, else incomplete, with the cause. An event "read-back-ended". */
DS_CHECKED enum ds_status db_back_finish(struct db *d, int64_t run, const char *cause,
                                         struct ds_error *err);

/* ---- what a run looks at ---- */

struct db_back_item {
    int64_t id;
    enum db_back_part part;
    char sop_uid[DB_UID_BYTES];  /* as sent */
    struct db_delivery delivery; /* attempts and priority are not filled */
    bool has_sent;               /* a carrier's or sidecar's, as recorded; else the instance's own
                                    count */
    uint8_t sent_pixel_hash[DS_SHA256_BYTES], sent_dataset_hash[DS_SHA256_BYTES],
        sent_file_hash[DS_SHA256_BYTES];
};
/* What is open of one study. *count 0: nothing is. */
DS_CHECKED enum ds_status db_back_study(struct db *d, int64_t run, struct db_back_item **out,
                                        size_t *count, struct ds_error *err); /* free() */

/* An instance that the peer was sent. */
struct db_back_known {
    char sop_uid[DB_UID_BYTES]; /* as sent; of the instance beside a sidecar, under its old UID */
    bool may_be_renamed;        /* it can lie there under the UID that a carrier would get */
};
/* All of a study, whatever became of the deliveries. */
DS_CHECKED enum ds_status db_back_known_uids(struct db *d, const char *peer, const char *study_uid,
                                             struct db_back_known **out, size_t *count,
                                             struct ds_error *err); /* free() */

struct db_back_result {
    int64_t item;                    /* 0: an extra one */
    const char *sop_uid, *study_uid; /* of an extra one */
    int64_t instance_id, study_id;
    enum db_back_outcome outcome;
    const char *detail; /* JSON object, or NULL */
    bool has_before, has_after;
    uint8_t before[DS_SHA256_BYTES], after[DS_SHA256_BYTES]; /* of the data sets */
    bool has_file_before, has_file_after;
    uint8_t file_before[DS_SHA256_BYTES], file_after[DS_SHA256_BYTES]; /* for the events */
};
/* Outcomes with an event "read-back" each, in one transaction; may be repeated: what has an outcome
 * keeps it, without an event. */
DS_CHECKED enum ds_status db_back_write(struct db *d, const struct db_back_run *run,
                                        const struct db_back_result *results, size_t count,
                                        struct ds_error *err);

struct db_back_row {
    int64_t id;
    enum db_back_part part;
    char study_uid[DB_UID_BYTES], sop_uid[DB_UID_BYTES];
    int64_t delivery_id, instance_id; /* 0: none */
    bool is_open;
    enum db_back_outcome outcome;
    int64_t checked_us;
    char detail[4096]; /* JSON, or ""; one that is longer is left out */
};
#define DB_BACK_ROWS_MAX 1000U
/* Results of a run behind the id after, in order; only_findings: those with an outcome that is not
 * intact. */
DS_CHECKED enum ds_status db_back_rows(struct db *d, int64_t run, int64_t after, bool only_findings,
                                       struct db_back_row **out, size_t *count,
                                       struct ds_error *err); /* free() */

/* ---- profiles ---- */

/* The order is that of severity. */
enum db_back_profile {
    DB_PROFILE_UNKNOWN,     /* nothing was read back */
    DB_PROFILE_TRANSPARENT, /* what it was sent, it gives back */
    DB_PROFILE_COERCES,     /* it changes attributes */
    DB_PROFILE_DROPS,       /* it does not keep all */
    DB_PROFILE_LOSSY,       /* it changes pixels */
};
/* "unknown", "transparent", "coerces", "drops", "lossy". */
const char *db_back_profile_name(enum db_back_profile profile);
#define DB_BACK_PROFILES 5U

/* From the newest result of each instance among the peer's 1000 newest: the worst that is among
 * them. An extra instance, or one that could not be read, says nothing of the peer. */
struct db_peer_profile {
    char peer[DB_TEXT_BYTES];
    enum db_back_profile profile;
    uint64_t counts[DB_BACK_OUTCOMES];
    int64_t newest_us; /* 0: never */
};
/* peer NULL: of all that were ever read back. */
DS_CHECKED enum ds_status db_peer_profiles(struct db *d, const char *peer,
                                           struct db_peer_profile **out, size_t *count,
                                           struct ds_error *err); /* free() */

#endif

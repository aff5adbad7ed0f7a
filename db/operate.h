/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operate - what an operator sees of deliveries, peers and studies, and what he does about them.
 *
 * As in db.h: a function is one transaction, any thread may call, DS_EIO when the database is away,
 * times are microseconds of UTC (0: none), result arrays are the caller's to free(). Whoever acts
 * is named in the events that it leaves ("operator NAME"), and the nodes are woken by NOTIFY.
 */
#ifndef DICOMSTEGO_DB_OPERATE_H
#define DICOMSTEGO_DB_OPERATE_H

#include "db/db.h"

#define DB_DELIVERY_STATES 7U /* of enum db_delivery_state */
#define DB_LIST_MAX        10000U

/* "waiting", "ready" ... as the database calls them. */
const char *db_delivery_state_name(enum db_delivery_state state);
/* False: no such name. */
bool db_delivery_state_from(const char *name, enum db_delivery_state *out);
/* "low", "routine", "high", "stat" */
const char *db_priority_name(enum db_priority priority);

/* ---- delivery_list.c ---- */

/* Conditions that must all hold. Zeroed with state -1: every delivery. */
struct db_delivery_filter {
    const char *peer;      /* NULL: any */
    int state;             /* enum db_delivery_state; -1: any */
    const char *study_uid; /* NULL: any */
    const int64_t *ids;
    size_t id_count; /* 0: any */
};
#define DB_DELIVERY_FILTER_ALL ((struct db_delivery_filter){.state = -1})

struct db_delivery_row {
    int64_t id, instance_id, study_id;
    char peer[DB_TEXT_BYTES], rule[DB_TEXT_BYTES];
    enum db_delivery_state state;
    enum db_action action;
    enum db_priority priority;
    int generation;
    unsigned attempts;
    char study_uid[DB_UID_BYTES], sop_uid[DB_UID_BYTES];
    int64_t created_us, ready_us, finished_us; /* ready_us: not before, when ready */
    bool answered;                             /* the last attempt, with */
    uint16_t dimse_status;
    char cause[DB_TEXT_BYTES]; /* of the last attempt, or of the cancellation */
    char note[DB_TEXT_BYTES];  /* of the plan: why it is held, passed, a sidecar */
    char leased_by[DB_TEXT_BYTES];
    char sent_sop_uid[DB_UID_BYTES]; /* of the carrier; "" when it went as it is */
};
/* Ordered by id, those above after_id, at most limit (1 to DB_LIST_MAX). */
DS_CHECKED enum ds_status db_delivery_list(struct db *d, const struct db_delivery_filter *filter,
                                           unsigned limit, int64_t after_id,
                                           struct db_delivery_row **out, size_t *count,
                                           struct ds_error *err);

struct db_attempt {
    unsigned attempt;
    int64_t finished_us, duration_us;
    char node[DB_TEXT_BYTES];
    enum db_delivery_state outcome;
    bool answered;
    uint16_t dimse_status;
    char cause[DB_TEXT_BYTES];
};
/* The last DB_LIST_MAX attempts of a delivery, oldest first; none: *count 0. */
DS_CHECKED enum ds_status db_delivery_attempts(struct db *d, int64_t delivery_id,
                                               struct db_attempt **out, size_t *count,
                                               struct ds_error *err);

/* ---- delivery_action.c ---- */

/* Back to ready, due at once, with its attempts forgotten: what failed, what waits (held), and what
 * is in its pause before another try. What was cancelled comes back only when the filter names its
 * id. Never what is quarantined. An event "requeued" each. *count: how many. */
DS_CHECKED enum ds_status db_delivery_requeue(struct db *d, const struct db_delivery_filter *filter,
                                              const char *actor, uint64_t *count,
                                              struct ds_error *err);
/* What is not yet sent is not sent any more; an event "cancelled" each. What is being sent at this
 * moment is taken back only when that fails. Its instance's other deliveries stay. */
DS_CHECKED enum ds_status db_delivery_cancel(struct db *d, const struct db_delivery_filter *filter,
                                             const char *reason, const char *actor, uint64_t *count,
                                             struct ds_error *err);

/* ---- peer_state.c ---- */

/* closed: sending. open: nothing is sent until next_try_us. half-open: the peer answered a C-ECHO,
 * and one delivery tries. */
enum db_circuit_state { DB_CIRCUIT_CLOSED, DB_CIRCUIT_OPEN, DB_CIRCUIT_HALF_OPEN };
const char *db_circuit_state_name(enum db_circuit_state state);

struct db_circuit {
    enum db_circuit_state state;
    unsigned failures;      /* in a row */
    const char *cause;      /* of the last failure; "" when closed */
    int64_t next_try_in_ms; /* when open */
};
/* What this node sees; the row of the peer and this node is replaced. */
DS_CHECKED enum ds_status db_peer_circuit(struct db *d, const char *peer,
                                          const struct db_circuit *circuit, struct ds_error *err);

/* Stops or starts the deliveries to a peer on every node, until told otherwise; what is being sent
 * ends first. An event "peer-paused" or "peer-resumed". *changed: it was not so before. */
DS_CHECKED enum ds_status db_peer_pause(struct db *d, const char *peer, bool paused,
                                        const char *reason, const char *actor, bool *changed,
                                        struct ds_error *err);

struct db_peer_state {
    char peer[DB_TEXT_BYTES];
    bool paused;
    char pause_reason[DB_TEXT_BYTES], pause_actor[DB_TEXT_BYTES];
    int64_t paused_us;
    /* The worst of what the nodes see, and which node sees it; "" when all are closed. */
    enum db_circuit_state circuit;
    char circuit_node[DB_TEXT_BYTES], circuit_cause[DB_TEXT_BYTES];
    unsigned circuit_failures;
    int64_t next_try_us;
    uint64_t counts[DB_DELIVERY_STATES]; /* by enum db_delivery_state */
    uint64_t in_pause;                   /* of the ready ones: not due yet, after a failure */
    int64_t oldest_undelivered_us;       /* age of the oldest ready or leased one; 0: none */
};
/* Every peer that has a delivery, a pause or a circuit, by name. with_past: also count what is
 * sent, committed or cancelled, for which every delivery there ever was is read; else these are 0,
 * and peers that have nothing else are left out. */
DS_CHECKED enum ds_status db_peer_states(struct db *d, bool with_past, struct db_peer_state **out,
                                         size_t *count, struct ds_error *err);

/* ---- study_state.c ---- */

/* Derived from the states of the deliveries; the first that fits. */
enum db_study_state {
    DB_STUDY_RECEIVING,     /* no delivery yet, instances that are not planned */
    DB_STUDY_KEPT,          /* no delivery, everything planned: nothing is owed */
    DB_STUDY_PARTLY_FAILED, /* some failed */
    DB_STUDY_FAILED,        /* all failed, but for what was cancelled */
    DB_STUDY_SENDING,       /* some are on their way or sent, others are due */
    DB_STUDY_PENDING,       /* all that is owed is due, nothing sent yet */
    DB_STUDY_HELD,          /* what is left waits for an operator */
    DB_STUDY_DELIVERED,     /* all sent */
    DB_STUDY_COMMITTED,     /* all committed */
    DB_STUDY_CANCELLED,     /* all cancelled */
};
const char *db_study_state_name(enum db_study_state state);
enum db_study_state db_study_state_of(const uint64_t counts[DB_DELIVERY_STATES],
                                      uint64_t unplanned);

struct db_study_row {
    int64_t id;
    char study_uid[DB_UID_BYTES];
    char accession[DB_TEXT_BYTES], description[DB_TEXT_BYTES], study_date[DB_TEXT_BYTES];
    char patient_id[DB_TEXT_BYTES];
    int generation; /* the newest that was planned */
    uint64_t instances, unplanned, quarantined;
    int64_t first_us, last_us; /* arrivals */
    uint64_t counts[DB_DELIVERY_STATES];
    enum db_study_state state;
};
/* Newest first; before_id 0: from the newest on, else those below. study_uid NULL: all. At most
 * limit (1 to DB_LIST_MAX). */
DS_CHECKED enum ds_status db_study_list(struct db *d, const char *study_uid, unsigned limit,
                                        int64_t before_id, struct db_study_row **out, size_t *count,
                                        struct ds_error *err);
/* The study with this UID or accession number; DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_study_show(struct db *d, const char *uid_or_accession,
                                        struct db_study_row *out, struct ds_error *err);

/* A study's deliveries to one peer. */
struct db_study_peer {
    char peer[DB_TEXT_BYTES];
    uint64_t counts[DB_DELIVERY_STATES];
    enum db_study_state state;
};
DS_CHECKED enum ds_status db_study_peers(struct db *d, int64_t study_id, struct db_study_peer **out,
                                         size_t *count, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logkeeper_private - the inside of the keeper, for logkeeper*.c.
 */
#ifndef DICOMSTEGO_NODE_LOGKEEPER_PRIVATE_H
#define DICOMSTEGO_NODE_LOGKEEPER_PRIVATE_H

#include "node/headfile.h"
#include "node/logkeeper.h"
#include "node/thread.h"

struct logkeeper {
    struct services *services;
    struct settings *settings;   /* held: whose key it is */
    struct stego_identity *made; /* our own key, where the settings have none */
    const struct stego_identity *identity;
    uint8_t log[DS_SHA256_BYTES], tag_key[DS_SHA256_BYTES];
    struct ds_bytes public_key;
    struct db_book *book;
    struct headfile *file;
    struct provenance_tree tree; /* of the thread, after logkeeper_take_up */
    atomic_bool taken_up;        /* set when the tree is there */
    atomic_bool refused;         /* it cannot be gone on with */
    bool told;                   /* that it does not work at present */
    uint64_t lost_told;
    struct thread thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ending;         /* under lock, as what follows */
    struct db_head head; /* size 0: none yet */
    uint64_t size;       /* of the tree */
    uint64_t wanted;     /* settles that were asked for, and answered */
    uint64_t answered;
};

/* logkeeper_check.c: what was found, while an event can be written or not yet. */
struct logkeeper_findings {
    struct logkeeper *k;
    struct db *db;
    void (*found)(void *context, const struct db_finding *finding);
    void *context;
    struct headfile_reader *reader; /* NULL: no heads to compare */
    uint64_t from;                  /* heads of fewer leaves are stepped over */
    uint64_t count;
    struct db_finding first;
};
void logkeeper_found(void *findings, const struct db_finding *finding);
bool logkeeper_next_kept(void *findings, struct db_head *out);
/* One event for all that was found. */
DS_CHECKED enum ds_status logkeeper_note(const struct logkeeper_findings *f, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * circuit - whether a peer is sent to, by what its workers met.
 *
 *   closed     -> everybody sends. After a failure of the link all pause by the peer's backoff;
 *                 after circuit_after failures in a row, or a refusal for good, it opens.
 *   open       -> nobody sends. When the pause is over, one worker asks with a C-ECHO on a new
 *                 association. No: open again, with a longer pause. Yes: half-open.
 *   half-open  -> one worker tries. The first answer to a C-STORE closes the circuit and forgets
 * the failures; until then each new opening lasts longer.
 *
 * A failure of the link is one of nobody's delivery: no connection, no association. When the
 * association breaks while an instance is sent, the instance may be to blame: it counts only when
 * so many different ones broke it in a row, none of them one that has done so before. So a poisoned
 * instance backs off alone. A peer that takes associations and nothing else is found out all the
 * same.
 *
 * Any thread; times are monotonic milliseconds.
 */
#ifndef DICOMSTEGO_NODE_CIRCUIT_H
#define DICOMSTEGO_NODE_CIRCUIT_H

#include "config/config.h"
#include "db/operate.h"

#include <pthread.h>

#define CIRCUIT_SUSPECTS 16U

struct circuit {
    pthread_mutex_t lock;
    const struct config_peer *peer; /* borrowed */
    enum db_circuit_state state;
    unsigned failures; /* since the last answer */
    int64_t until_ms;  /* of the pause */
    unsigned hurries;  /* the last that was heard */
    bool trying;       /* a worker probes, or tries */
    bool news;         /* for circuit_report */
    int64_t suspects[CIRCUIT_SUSPECTS];
    size_t suspect_count;
    char cause[DS_ERROR_TEXT_BYTES];
};

enum circuit_leave {
    CIRCUIT_WAIT,  /* nothing may be sent now */
    CIRCUIT_PROBE, /* ask the peer with a C-ECHO, then circuit_probed or circuit_link_failed */
    CIRCUIT_TRY,   /* send a few, then circuit_tried */
    CIRCUIT_GO,
};

void circuit_init(struct circuit *c, const struct config_peer *peer);
void circuit_finish(struct circuit *c);

/* Ends the pause when an operator has asked for that once more: hurries counts how often. */
void circuit_hurry(struct circuit *c, unsigned hurries);
enum circuit_leave circuit_ask(struct circuit *c, int64_t now_ms);
void circuit_probed(struct circuit *c); /* the peer answered */
void circuit_tried(struct circuit *c);  /* whatever came of it */
/* No association. for_good: refused in a way that only a person can change. */
void circuit_link_failed(struct circuit *c, bool for_good, const char *cause, int64_t now_ms);
/* The association broke on this delivery, which had so many attempts before. False: the circuit is
 * open now. */
bool circuit_broke(struct circuit *c, int64_t delivery, unsigned attempts, const char *cause,
                   int64_t now_ms);
/* An answer to a C-STORE, whatever its status. */
void circuit_answered(struct circuit *c);

/* True when there is something to tell the database since the last call; *out then points into
 * *c's cause, which the caller gets a copy of. */
bool circuit_report(struct circuit *c, int64_t now_ms, struct db_circuit *out,
                    char cause[DS_ERROR_TEXT_BYTES]);
/* It could not be told: report it again. */
void circuit_unreported(struct circuit *c);

#endif

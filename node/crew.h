/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew - the workers that serve the peers of one set of settings; private to deliverer.c,
 * worker.c and parcel.c.
 */
#ifndef DICOMSTEGO_NODE_CREW_H
#define DICOMSTEGO_NODE_CREW_H

#include "node/circuit.h"
#include "node/clerk.h"
#include "node/protector.h"
#include "node/rate.h"
#include "node/services.h"
#include "node/thread.h"
#include "scu/scu.h"

/* What the workers of one peer know of it together. */
struct peer_state {
    struct circuit circuit;
    struct rate rate;
};

struct worker {
    struct services *services;
    struct settings *settings; /* held */
    const struct config_peer *peer;
    struct peer_state *state;
    struct clerk *clerk;
    atomic_bool *stop;
    struct thread thread;
    bool started;
    struct scu_link *link;
    struct capsule_cache cache;
    int64_t last_sent_ms; /* monotonic */
};

/* Until *stop or the node's stop. Gives back what it has not sent. */
void worker_run(void *worker);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusals - who was turned away at the door, until it is written down.
 *
 * Listeners' threads add and never wait for a database. Equal ones are counted together, so that
 * somebody who knocks a thousand times a second is one event a second; what there is no room for is
 * counted, too.
 */
#ifndef DICOMSTEGO_NODE_REFUSALS_H
#define DICOMSTEGO_NODE_REFUSALS_H

#include "dicom/association.h"

#include <pthread.h>

#define REFUSALS_KINDS_MAX     64U
#define REFUSALS_ADDRESS_BYTES 64U

struct refusal {
    char calling_ae[DICOM_AE_BYTES]; /* "": it did not come that far; else what it claims to be */
    char address[REFUSALS_ADDRESS_BYTES];
    uint64_t count;
};

struct refusals {
    pthread_mutex_t lock;
    struct refusal items[REFUSALS_KINDS_MAX];
    size_t count;
    uint64_t others; /* for which there was no room */
};

void refusals_init(struct refusals *r);
void refusals_finish(struct refusals *r);
/* Any thread; never waits. */
void refusals_add(struct refusals *r, const char *calling_ae, const char *address);
/* Takes all of them; returns how many are in out. *others: those without a name. */
size_t refusals_take(struct refusals *r, struct refusal out[REFUSALS_KINDS_MAX], uint64_t *others);

#endif

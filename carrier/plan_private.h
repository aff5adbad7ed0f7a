/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_private - a plan from the inside: plan.c adds and measures instances, plan_seal.c decides
 * what becomes of each. Nobody else sees it. A plan belongs to one thread at a time and owns its
 * items with their envelopes.
 */
#ifndef DICOMSTEGO_CARRIER_PLAN_PRIVATE_H
#define DICOMSTEGO_CARRIER_PLAN_PRIVATE_H

#include "carrier/carrier_private.h"

/* One instance; sizes in bytes unless named otherwise. */
struct plan_item {
    bool can_carry; /* an image that the engine takes */
    bool passes;    /* untouched whatever becomes of the others */
    bool refers;    /* to instances that go as carriers: beside a sidecar */
    char reason[CARRIER_REASON_BYTES];
    uint64_t samples;
    uint64_t capacity_bytes;
    bool was_tried; /* it holds so much; maybe more */
    size_t record_bytes;
    struct carrier_envelope envelope; /* empty when there is none */
    bool wants_bitstream;             /* compressed, and its very bytes are to travel */
    /* decided while sealing */
    bool in_pixels; /* manifest and record fit */
    bool with_share;
};

struct carrier_plan {
    struct carrier_plan_options options; /* hiding: the caller's, and more regions preserved */
    struct carrier_hiding hiding;        /* the caller's */
    struct stego_rect more[CARRIER_REGIONS_MAX], preserve[STEGO_PRESERVE_MAX];
    struct plan_item *items;
    size_t count;
    size_t room;
    bool is_short; /* one that was tried should hold more */
};

#endif

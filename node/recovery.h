/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery - what recoverer.c and recovered.c share: the state of recovering one generation.
 */
#ifndef DICOMSTEGO_NODE_RECOVERY_H
#define DICOMSTEGO_NODE_RECOVERY_H

#include "carrier/carrier.h"
#include "node/beside.h"
#include "node/planner.h"

/* The shares of one capsule. A study has one as a rule, more when it was sent more than once. */
struct capsule_group {
    uint8_t id[STEGO_CAPSULE_ID_BYTES];
    struct stego_collector *collector;
    bool witnessed; /* the head that its manifests name is kept, with our signature */
};

struct recovery {
    const struct due_study *due;
    struct draft *draft;
    struct stego_keyring keyring;
    struct beside beside; /* the sidecars of this generation */
    const struct stego_identity *identity;
    struct capsule_group *groups;
    size_t group_count, group_room;
    size_t *again; /* carriers to be tried once more when all shares are gathered */
    size_t again_count;
    /* The first restored data set, Explicit VR Little Endian without its pixels: the reports take
     * patient and study from it. */
    struct ds_bytes reference;
    size_t restored_count, refused_count;
};

/* recovered.c */

/* A proven restored file: into the archive, the database and the draft; with a sidecar, the
 * instance that it belongs to gets its generation, and is owed nothing more. */
DS_CHECKED enum ds_status recovered_keep_instance(struct recovery *r,
                                                  const struct db_instance *carrier,
                                                  const struct carrier_found *found,
                                                  const struct carrier_restored *restored,
                                                  struct ds_error *err);
/* The reports of a capsule with shares enough: into the database and, as DICOM objects, into the
 * draft. */
DS_CHECKED enum ds_status
recovered_keep_reports(struct recovery *r, const struct capsule_group *group, struct ds_error *err);

#endif

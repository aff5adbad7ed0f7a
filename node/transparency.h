/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transparency - which destinations of a rule were seen not to keep what they are sent, where the
 * rule requires it (protect.require_transparent).
 *
 * A carrier is for a peer that gives it back as it came. One whose profile (db/readback.h) says
 * otherwise gets what the rule has for an unsuitable image. A peer that was never read back counts
 * as transparent: nobody could begin otherwise.
 */
#ifndef DICOMSTEGO_NODE_TRANSPARENCY_H
#define DICOMSTEGO_NODE_TRANSPARENCY_H

#include "db/readback.h"
#include "node/planner.h"

struct transparency {
    struct db_peer_profile *profiles; /* of the rule's destinations that are unfit */
    size_t count;
    bool all; /* every destination is */
};
#define TRANSPARENCY_NOTE_BYTES 128U

/* What the database says now; nothing is unfit where the rule does not ask. */
DS_CHECKED enum ds_status transparency_find(const struct due_study *due, struct transparency *out,
                                            struct ds_error *err);
void transparency_free(struct transparency *t); /* zeroed is fine */

/* Why peer gets no carrier; "" when it may have one. */
void transparency_note(const struct transparency *t, const char *peer,
                       char note[TRANSPARENCY_NOTE_BYTES]);
/* Turns the delivery of a carrier to an unfit peer into what the rule has for unsuitable images.
 * again: it is there for its report alone, and is held instead of passed. */
void transparency_replace(struct db_planned_delivery *d, enum config_unsuitable unsuitable,
                          bool again, const char *note);
/* Says it in the log and by an event for each unfit peer. */
DS_CHECKED enum ds_status transparency_say(const struct transparency *t,
                                           const struct due_study *due, struct ds_error *err);

#endif

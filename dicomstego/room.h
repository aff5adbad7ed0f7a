/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room - how many bits go into a plane. Private to the engine.
 */
#ifndef DICOMSTEGO_ROOM_H
#define DICOMSTEGO_ROOM_H

#include "dicomstego/cargo.h"

/* Told quickly: certainly not more than stego_room_most says. 0 also when nothing fits at all. */
DS_CHECKED enum ds_status stego_room_least(const struct stego_hold *h, uint64_t *bits,
                                           struct ds_error *err);

/* So many payload bits, and any lesser number, stego_cargo_stow takes when it is told that there is
 * this room: messages of just this length were hidden, with a lead as long as theirs. 0 also when
 * nothing fits at all. */
DS_CHECKED enum ds_status stego_room_most(const struct stego_hold *h, uint64_t *bits,
                                          struct ds_error *err);

#endif

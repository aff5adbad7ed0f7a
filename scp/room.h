/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room - is there enough free space on the spool's file system?; private to scp/.
 *
 * Said once when it falls below the watermark and once when it is above it again. It comes back
 * somewhat above, so that at the edge it does not change with every instance.
 */
#ifndef DICOMSTEGO_SCP_ROOM_H
#define DICOMSTEGO_SCP_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct room {
    int fd; /* of anything on the file system; borrowed */
    uint64_t watermark_bytes;
    atomic_bool low;
};

void room_init(struct room *r, int fd, uint64_t watermark_bytes);

/* Any thread. */
bool room_is_enough(struct room *r);
/* Would there still be enough without so many bytes? */
bool room_is_enough_without(const struct room *r, uint64_t bytes);
/* A write has met a full disk, whatever the numbers say. */
void room_ran_out(struct room *r);

#endif

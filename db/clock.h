/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the database's wall clock, by which all of its times are told, when it is set.
 *
 * What is due at a time, or idle since one, waits as much longer as the clock was set back. So
 * whoever sees a step back has it taken out of what waits. Times that say when something happened
 * stay.
 *
 * Set forwards, it lets leases look expired whose holders are alive. So whoever claims believes the
 * clock only as far as its own monotonic clock has gone on since it last looked, and whoever sees a
 * step forwards gives holders the time to renew before it believes the new time.
 */
#ifndef DICOMSTEGO_DB_CLOCK_H
#define DICOMSTEGO_DB_CLOCK_H

#include "db/db.h"

/* What is between two looks of one process; {0} before the first. Of one thread. */
struct db_clock {
    bool seen;
    int64_t ahead_us;      /* how much the wall clock was ahead of our monotonic clock, at least */
    int64_t ahead_most_us; /* and at most */
};

/* Looks at the clock. *step_us: by how much it was set since the last look, back when negative, as
 * far as that is certain; 0: it was not, or not by a second. DS_EIO: the database is away; the next
 * look tells. */
DS_CHECKED enum ds_status db_clock_look(struct db *d, struct db_clock *c, int64_t *step_us,
                                        struct ds_error *err);

/* After a step back: deliveries that wait for their next try become due, leases end as much earlier
 * (they are renewed by who still holds them), and what waits to be planned counts as having come
 * now at the latest. After a step forwards no lease ends before its holder can have renewed it.
 * Once for each step from each node: doing it twice only ends leases early, or those of the dead
 * late. */
DS_CHECKED enum ds_status db_clock_mend(struct db *d, int64_t step_us, struct ds_error *err);

/* The last look is believed: claims of this pool go by it. Only when its step has been mended. */
void db_clock_believe(struct db *d, const struct db_clock *c);

#endif

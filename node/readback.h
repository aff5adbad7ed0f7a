/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readback - looks at what peers still have of what they were sent: when it is time for it by their
 * schedule, and when an operator asks (db/readback.h).
 *
 * A few threads of its own take up runs, each run one peer. Nothing that comes back enters the
 * ordinary flow.
 */
#ifndef DICOMSTEGO_NODE_READBACK_H
#define DICOMSTEGO_NODE_READBACK_H

#include "node/services.h"

struct readback;

DS_CHECKED enum ds_status readback_start(struct readback **out, struct services *services,
                                         struct ds_error *err);
/* False: a peer keeps one waiting; its run is taken up again by who starts next. NULL is fine. */
DS_CHECKED bool readback_stop(struct readback *r, int64_t until_ms);

#endif

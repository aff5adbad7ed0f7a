/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamper - has tree heads time-stamped (RFC 3161), where the configuration names an authority.
 *
 * A thread of its own: the newest head is taken once in provenance.time_stamp.every, when it is not
 * stamped yet. What an authority answers is verified before it is kept. While it is away it is
 * asked again, after 10 s at first and at most as long as the interval; nothing waits for it.
 */
#ifndef DICOMSTEGO_NODE_STAMPER_H
#define DICOMSTEGO_NODE_STAMPER_H

#include "node/services.h"

struct stamper;

DS_CHECKED enum ds_status stamper_start(struct stamper **out, struct services *services,
                                        struct ds_error *err);
/* After services_stop. False when the thread did not end in time. NULL is fine. */
DS_CHECKED bool stamper_stop(struct stamper *s, int64_t until_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describer - a thread that reads again the files of instances that were indexed before there were
 * queries, so that these find them too. Each once in the life of the process, a few at a time,
 * behind all other work; what cannot be read is left as it is until the next start.
 */
#ifndef DICOMSTEGO_NODE_DESCRIBER_H
#define DICOMSTEGO_NODE_DESCRIBER_H

#include "node/services.h"

struct describer;

DS_CHECKED enum ds_status describer_start(struct describer **out, struct services *services,
                                          struct ds_error *err);
/* After services_stop. False when it did not end in time; all is then left as it is. */
DS_CHECKED bool describer_stop(struct describer *d, int64_t until_ms);

#endif

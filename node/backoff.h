/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff - how long to wait before the next try.
 *
 * 1 s, doubling with each failure up to five minutes, spread by a fifth either way, so that many
 * deliveries that failed together do not come back together.
 */
#ifndef DICOMSTEGO_NODE_BACKOFF_H
#define DICOMSTEGO_NODE_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_CAP_MS   (5 * 60 * 1000)

/* failures: how many there were, 1 or more. chance: any number, the source of the spread. */
int64_t backoff_ms(unsigned failures, uint32_t chance);

/* The same with chance drawn from the system. */
int64_t backoff_drawn_ms(unsigned failures);

#endif

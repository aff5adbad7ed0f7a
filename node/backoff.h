/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff - how long to wait before the next try.
 *
 * Longer with each failure up to a cap, and spread either way, so that many that failed together do
 * not come back together. What has no key in the configuration: 1 s, doubling up to five minutes,
 * spread by a fifth.
 */
#ifndef DICOMSTEGO_NODE_BACKOFF_H
#define DICOMSTEGO_NODE_BACKOFF_H

#include "config/config.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_CAP_MS   (5 * 60 * 1000)

/* failures: how many there were, 1 or more. chance: any number, the source of the spread. */
int64_t backoff_ms(const struct config_retry *retry, unsigned failures, uint32_t chance);

/* The same with chance drawn from the system; of a peer, and of our own affairs. */
int64_t backoff_for(const struct config_retry *retry, unsigned failures);
int64_t backoff_drawn_ms(unsigned failures);

#endif

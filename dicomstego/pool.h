/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - threads that the caller owns and lends to the engine.
 */
#ifndef DICOMSTEGO_POOL_H
#define DICOMSTEGO_POOL_H

#include "base/error.h"

#include <stddef.h>

struct stego_pool;

/* threads >= 1: how many tasks run at once, the caller's thread among them. */
DS_CHECKED enum ds_status stego_pool_new(struct stego_pool **out, unsigned threads,
                                         struct ds_error *err);
void stego_pool_free(struct stego_pool *pool); /* joins; NULL is fine */

/* Task i of `count`; must not run a batch on the same pool. */
typedef void stego_task(void *object, size_t i);

/* Runs task(object, 0..count-1) in any order and returns when all are done. pool NULL: one after
 * another in the caller's thread. Batches of several callers' threads share the pool's threads. */
void stego_pool_run(struct stego_pool *pool, stego_task *task, void *object, size_t count);

#endif

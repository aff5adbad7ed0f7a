/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread - a thread that can be waited for with a limit.
 *
 * A stop must end in ten seconds even when a peer holds a connection for thirty: who cannot be
 * joined in time is left alone, and the process ends around it.
 */
#ifndef DICOMSTEGO_NODE_THREAD_H
#define DICOMSTEGO_NODE_THREAD_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
    pthread_t id;
    void (*run)(void *context);
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done; /* under lock */
};

/* *t stays where it is until the thread has been joined. */
DS_CHECKED enum ds_status thread_start(struct thread *t, void (*run)(void *context), void *context,
                                       struct ds_error *err);
/* until_ms: monotonic. False: still running. */
DS_CHECKED bool thread_join(struct thread *t, int64_t until_ms);

#endif

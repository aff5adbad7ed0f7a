/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counting_node - our listener with a service that counts, and keeps the last data set.
 */
#ifndef DICOMSTEGO_TESTS_COUNTING_NODE_H
#define DICOMSTEGO_TESTS_COUNTING_NODE_H

#include "dicom/association.h"
#include "tests/unit/dicom/raw_peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct seen {
    pthread_mutex_t mutex;
    struct ds_bytes last;
    unsigned complete, broken, closed;
    char how[80];
};

struct receiving {
    struct seen *seen;
    struct ds_bytes data;
};

static inline uint16_t on_begin(void *context, const struct dicom_store_request *request,
                                void **sink)
{
    (void)request;
    struct receiving *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->seen = context;
    r->data = DS_BYTES_INIT(64U << 20);
    *sink = r;
    return 0;
}

static inline uint16_t on_data(void *sink, const uint8_t *data, size_t len)
{
    raw_must(ds_bytes_append(&((struct receiving *)sink)->data, data, len, NULL));
    return 0;
}

static inline uint16_t on_end(void *sink, bool complete)
{
    struct receiving *r = sink;
    struct seen *s = r->seen;
    (void)pthread_mutex_lock(&s->mutex);
    *(complete ? &s->complete : &s->broken) += 1;
    ds_bytes_free(&s->last);
    s->last = ds_bytes_take(&r->data);
    (void)pthread_mutex_unlock(&s->mutex);
    free(r);
    return 0;
}

static inline void on_closed(void *context, const struct dicom_peer *peer, const char *how,
                             unsigned stored)
{
    struct seen *s = context;
    (void)peer;
    (void)stored;
    (void)pthread_mutex_lock(&s->mutex);
    s->closed++;
    (void)snprintf(s->how, sizeof(s->how), "%s", how);
    (void)pthread_mutex_unlock(&s->mutex);
}

struct node {
    struct seen seen;
    struct dicom_listener *listener;
    uint16_t port;
};

static inline void node_start(struct node *n, unsigned timeout_s, const struct dicom_tls *tls)
{
    memset(n, 0, sizeof(*n));
    n->seen.last = DS_BYTES_INIT(64U << 20);
    (void)pthread_mutex_init(&n->seen.mutex, NULL);
    const struct dicom_listener_options options = {.address = "127.0.0.1",
                                                   .ae_title = "NODE",
                                                   .max_associations = 4,
                                                   .timeout_s = timeout_s,
                                                   .tls = tls};
    const struct dicom_service service = {.context = &n->seen,
                                          .store_begin = on_begin,
                                          .store_data = on_data,
                                          .store_end = on_end,
                                          .closed = on_closed};
    assert_int_equal(dicom_listener_start(&n->listener, &options, &service, NULL), DS_OK);
    n->port = dicom_listener_port(n->listener);
}

/* Waits for what still runs. */
static inline void node_stop(struct node *n)
{
    dicom_listener_stop(n->listener, 60000);
    ds_bytes_free(&n->seen.last);
    (void)pthread_mutex_destroy(&n->seen.mutex);
}

static inline unsigned closed_count(struct seen *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    const unsigned n = s->closed;
    (void)pthread_mutex_unlock(&s->mutex);
    return n;
}

static inline void wait_closed(struct seen *s, unsigned wanted)
{
    while (closed_count(s) < wanted) {
        pause_ms(20);
    }
}

#endif

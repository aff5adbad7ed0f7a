/* SPDX-License-Identifier: Apache-2.0 */
#include "node/awaited.h"

#include "base/clock.h"
#include "base/log.h"
#include "scu/reading.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum progress { AWAITED, COMING, ARRIVED };

struct awaited_one {
    struct awaited_one *next;
    struct awaited *of;
    char calling_ae[DICOM_AE_BYTES];
    char sop_uid[DICOM_UID_BYTES];
    enum progress progress; /* under the lock; the file is the listener's while it is COMING */
    struct ds_bytes file;
};

void awaited_init(struct awaited *e)
{
    e->first = NULL;
    (void)pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&e->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void awaited_finish(struct awaited *e)
{
    (void)pthread_cond_destroy(&e->changed);
    (void)pthread_mutex_destroy(&e->lock);
}

enum ds_status awaited_begin(struct awaited *e, const char *calling_ae, const char *sop_uid,
                             struct awaited_one **out, struct ds_error *err)
{
    *out = NULL;
    const size_t ae_len = strnlen(calling_ae, DICOM_AE_BYTES);
    const size_t uid_len = strnlen(sop_uid, DICOM_UID_BYTES);
    if (ae_len == DICOM_AE_BYTES || uid_len == DICOM_UID_BYTES) {
        return ds_fail(err, DS_EINVAL, "an AE title or a UID is too long");
    }
    struct awaited_one *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    memcpy(x->calling_ae, calling_ae, ae_len);
    memcpy(x->sop_uid, sop_uid, uid_len);
    x->file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    x->of = e;
    (void)pthread_mutex_lock(&e->lock);
    x->next = e->first;
    e->first = x;
    (void)pthread_mutex_unlock(&e->lock);
    *out = x;
    return DS_OK;
}

/* Under the lock. */
static void wait_for(struct awaited *e, const struct awaited_one *x, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    while (x->progress != ARRIVED && ds_clock_monotonic_ms() < until_ms) {
        (void)pthread_cond_timedwait(&e->changed, &e->lock, &until);
    }
    while (x->progress == COMING) { /* bounded by the listener's own timeout */
        (void)pthread_cond_wait(&e->changed, &e->lock);
    }
}

void awaited_end(struct awaited *e, struct awaited_one *x, int64_t wait_ms, struct ds_bytes *file,
                 bool *came)
{
    (void)pthread_mutex_lock(&e->lock);
    wait_for(e, x, ds_clock_monotonic_ms() + wait_ms);
    for (struct awaited_one **at = &e->first; *at != NULL; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    *came = x->progress == ARRIVED;
    if (*came) {
        ds_bytes_free(file);
        *file = ds_bytes_take(&x->file);
    }
    ds_bytes_free(&x->file);
    free(x);
}

/* Taken by the one that asks: a second copy of it finds nobody waiting. */
static struct awaited_one *take(struct awaited *e, const struct dicom_store_request *request)
{
    struct awaited_one *found = NULL;
    (void)pthread_mutex_lock(&e->lock);
    for (struct awaited_one *x = e->first; x != NULL && found == NULL; x = x->next) {
        if (x->progress == AWAITED && strcmp(x->sop_uid, request->sop_instance_uid) == 0 &&
            strcmp(x->calling_ae, request->peer->calling_ae) == 0) {
            x->progress = COMING;
            found = x;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    return found;
}

static void settle(struct awaited_one *x, enum progress progress)
{
    struct awaited *e = x->of;
    (void)pthread_mutex_lock(&e->lock);
    x->progress = progress;
    (void)pthread_cond_broadcast(&e->changed);
    (void)pthread_mutex_unlock(&e->lock);
}

uint16_t awaited_divert(struct awaited *e, const struct dicom_store_request *request, void **sink)
{
    *sink = NULL;
    struct awaited_one *x = take(e, request);
    if (x == NULL) {
        ds_log(DS_LOG_WARNING, "node",
               "peer=%s moves an instance to us that nobody waits for: refused",
               request->peer->calling_ae);
        return DICOM_STATUS_OUT_OF_RESOURCES;
    }
    x->file.len = 0;
    if (scu_reading_begin_file(request->sop_class_uid, request->sop_instance_uid,
                               request->transfer_syntax, &x->file, NULL) != DS_OK) {
        settle(x, AWAITED);
        return DICOM_STATUS_OUT_OF_RESOURCES;
    }
    *sink = x;
    return DICOM_STATUS_SUCCESS;
}

uint16_t awaited_data(void *sink, const uint8_t *data, size_t len)
{
    struct awaited_one *x = sink;
    return ds_bytes_append(&x->file, data, len, NULL) == DS_OK ? DICOM_STATUS_SUCCESS
                                                               : DICOM_STATUS_OUT_OF_RESOURCES;
}

uint16_t awaited_complete(void *sink, bool complete)
{
    settle(sink, complete ? ARRIVED : AWAITED);
    return DICOM_STATUS_SUCCESS;
}

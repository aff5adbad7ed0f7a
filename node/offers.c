/* SPDX-License-Identifier: Apache-2.0 */
#include "node/offers.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEARD_ROOM 64U
#define HEARD_MS   3000 /* an association asks about every second */

enum state { OFFERED, IN_FLIGHT, ENDED };

/* Lives on the stack of the thread that waits in offers_put. */
struct offer {
    struct offer *next;
    const char *ae;
    const struct dicom_commitment *report;
    uint64_t token;
    enum state state;
    bool taken;
};

struct heard {
    char ae[DICOM_AE_BYTES];
    int64_t at_ms; /* monotonic; 0: never */
};

struct offers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct offer *first; /* in the order in which they were put */
    uint64_t last_token;
    struct heard heard[HEARD_ROOM]; /* one that does not fit is called instead */
};

enum ds_status offers_new(struct offers **out, struct ds_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&(*out)->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    return DS_OK;
}

void offers_free(struct offers *o)
{
    if (o == NULL) {
        return;
    }
    (void)pthread_cond_destroy(&o->changed);
    (void)pthread_mutex_destroy(&o->lock);
    free(o);
}

/* Under the lock. The place of the AE title, or the one that was silent for longest. */
static struct heard *place_of(struct offers *o, const char *ae)
{
    struct heard *oldest = &o->heard[0];
    for (size_t i = 0; i < HEARD_ROOM; i++) {
        if (strcmp(o->heard[i].ae, ae) == 0) {
            return &o->heard[i];
        }
        oldest = o->heard[i].at_ms < oldest->at_ms ? &o->heard[i] : oldest;
    }
    return oldest;
}

static void note_heard(struct offers *o, const char *ae)
{
    struct heard *h = place_of(o, ae);
    const size_t len = strnlen(ae, sizeof(h->ae) - 1);
    memcpy(h->ae, ae, len);
    h->ae[len] = '\0';
    h->at_ms = ds_clock_monotonic_ms();
}

void offers_heard(struct offers *o, const char *ae)
{
    (void)pthread_mutex_lock(&o->lock);
    note_heard(o, ae);
    (void)pthread_mutex_unlock(&o->lock);
}

bool offers_is_there(struct offers *o, const char *ae)
{
    (void)pthread_mutex_lock(&o->lock);
    const struct heard *h = place_of(o, ae);
    const bool there =
        strcmp(h->ae, ae) == 0 && h->at_ms != 0 && ds_clock_monotonic_ms() - h->at_ms < HEARD_MS;
    (void)pthread_mutex_unlock(&o->lock);
    return there;
}

static void append(struct offers *o, struct offer *offer)
{
    struct offer **at = &o->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = offer;
}

static void unlink_offer(struct offers *o, const struct offer *offer)
{
    struct offer **at = &o->first;
    while (*at != offer) {
        at = &(*at)->next;
    }
    *at = offer->next;
}

static struct timespec time_of(int64_t monotonic_ms)
{
    return (struct timespec){.tv_sec = (time_t)(monotonic_ms / 1000),
                             .tv_nsec = (long)(monotonic_ms % 1000) * 1000000};
}

enum offers_result offers_put(struct offers *o, const char *ae,
                              const struct dicom_commitment *report, int64_t wait_ms)
{
    const struct timespec until = time_of(ds_clock_monotonic_ms() + wait_ms);
    struct offer offer = {.ae = ae, .report = report, .state = OFFERED};
    (void)pthread_mutex_lock(&o->lock);
    offer.token = ++o->last_token;
    append(o, &offer);
    bool over = false;
    while (offer.state == IN_FLIGHT || (offer.state == OFFERED && !over)) {
        if (offer.state == IN_FLIGHT) {
            (void)pthread_cond_wait(&o->changed, &o->lock);
        } else {
            over = pthread_cond_timedwait(&o->changed, &o->lock, &until) != 0;
        }
    }
    unlink_offer(o, &offer);
    (void)pthread_mutex_unlock(&o->lock);
    return offer.state == OFFERED ? OFFERS_NOT_TAKEN : offer.taken ? OFFERS_TAKEN : OFFERS_REFUSED;
}

static bool copy(struct dicom_commitment *out, const struct dicom_commitment *from)
{
    *out = *from;
    out->items = calloc(from->count + 1, sizeof(*out->items));
    if (out->items == NULL) {
        return false;
    }
    memcpy(out->items, from->items, from->count * sizeof(*out->items));
    return true;
}

bool offers_take(struct offers *o, const char *ae, struct dicom_commitment *out, uint64_t *token)
{
    (void)pthread_mutex_lock(&o->lock);
    note_heard(o, ae);
    struct offer *offer = o->first;
    while (offer != NULL && (offer->state != OFFERED || strcmp(offer->ae, ae) != 0)) {
        offer = offer->next;
    }
    const bool found = offer != NULL && copy(out, offer->report);
    if (found) {
        offer->state = IN_FLIGHT;
        *token = offer->token;
    }
    (void)pthread_mutex_unlock(&o->lock);
    return found;
}

void offers_done(struct offers *o, uint64_t token, bool taken)
{
    (void)pthread_mutex_lock(&o->lock);
    for (struct offer *offer = o->first; offer != NULL; offer = offer->next) {
        if (offer->token == token) {
            offer->state = ENDED;
            offer->taken = taken;
        }
    }
    (void)pthread_cond_broadcast(&o->changed);
    (void)pthread_mutex_unlock(&o->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/refusals.h"

#include <stdio.h>
#include <string.h>

void refusals_init(struct refusals *r)
{
    memset(r, 0, sizeof(*r));
    (void)pthread_mutex_init(&r->lock, NULL);
}

void refusals_finish(struct refusals *r)
{
    (void)pthread_mutex_destroy(&r->lock);
}

/* Under the lock; NULL: there is no room. */
static struct refusal *item_for(struct refusals *r, const char *calling_ae, const char *address)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->items[i].calling_ae, calling_ae) == 0 &&
            strcmp(r->items[i].address, address) == 0) {
            return &r->items[i];
        }
    }
    if (r->count == REFUSALS_KINDS_MAX) {
        return NULL;
    }
    struct refusal *item = &r->items[r->count++];
    (void)snprintf(item->calling_ae, sizeof(item->calling_ae), "%s", calling_ae);
    (void)snprintf(item->address, sizeof(item->address), "%s", address);
    item->count = 0;
    return item;
}

void refusals_add(struct refusals *r, const char *calling_ae, const char *address)
{
    char ae[DICOM_AE_BYTES];
    char from[REFUSALS_ADDRESS_BYTES];
    (void)snprintf(ae, sizeof(ae), "%s", calling_ae); /* so that what is cut compares equal */
    (void)snprintf(from, sizeof(from), "%s", address);
    (void)pthread_mutex_lock(&r->lock);
    struct refusal *item = item_for(r, ae, from);
    if (item == NULL) {
        r->others++;
    } else {
        item->count++;
    }
    (void)pthread_mutex_unlock(&r->lock);
}

size_t refusals_take(struct refusals *r, struct refusal out[REFUSALS_KINDS_MAX], uint64_t *others)
{
    (void)pthread_mutex_lock(&r->lock);
    const size_t count = r->count;
    memcpy(out, r->items, count * sizeof(*out));
    *others = r->others;
    r->count = 0;
    r->others = 0;
    (void)pthread_mutex_unlock(&r->lock);
    return count;
}

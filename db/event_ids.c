/* SPDX-License-Identifier: Apache-2.0 */
#include "db/event_ids.h"

#define BLOCK 256 /* the increment of the sequence event_blocks */

static size_t take(struct db_event_ids *ids, int64_t *out, size_t count)
{
    size_t taken = 0;
    (void)pthread_mutex_lock(&ids->lock);
    while (taken < count && ids->next < ids->end) {
        out[taken++] = ids->next++;
    }
    (void)pthread_mutex_unlock(&ids->lock);
    return taken;
}

/* What is left of a block that another thread took meanwhile is lost, which is no harm. */
static enum ds_status take_block(struct db_tx *t, struct db_event_ids *ids, struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = db_run(t, "SELECT nextval('event_blocks')", NULL, &r, err);
    if (s != DS_OK) {
        return s;
    }
    (void)pthread_mutex_lock(&ids->lock);
    ids->next = db_int(r, 0, 0);
    ids->end = ids->next + BLOCK;
    (void)pthread_mutex_unlock(&ids->lock);
    return DS_OK;
}

enum ds_status db_event_ids(struct db_tx *t, int64_t *out, size_t count, struct ds_error *err)
{
    struct db_event_ids *ids = db_event_ids_of(t->d);
    enum ds_status s = DS_OK;
    size_t taken = take(ids, out, count);
    while (s == DS_OK && taken < count) {
        s = take_block(t, ids, err);
        taken += s == DS_OK ? take(ids, out + taken, count - taken) : 0;
    }
    return s;
}

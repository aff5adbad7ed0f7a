/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieve - the instances that a C-MOVE or C-GET asks for (PS3.4 C.4.2, C.4.3): first which they
 * are, then, a page at a time, what is needed to send them.
 *
 * Shown is what C-FIND shows: what lies in our archive, neither deleted nor in quarantine, of the
 * kinds asked for; of several instances with one SOP Instance UID the newest. Any thread.
 */
#ifndef DICOMSTEGO_DB_RETRIEVE_H
#define DICOMSTEGO_DB_RETRIEVE_H

#include "db/find.h"

#define DB_RETRIEVE_MAX 65535U /* what the numbers of sub-operations can count */

/* The values of one key; any of them matches. count 0: the key is not given. */
struct db_retrieve_key {
    const char *const *values;
    size_t count;
};
struct db_retrieve {
    unsigned kinds;                                              /* bits 1 << enum db_kind */
    struct db_retrieve_key patients, studies, series, instances; /* all that are given hold */
};

/* In the order of study, series and arrival. *count > DB_RETRIEVE_MAX: there are more, and *ids is
 * NULL. DS_EINVAL: no key at all. */
DS_CHECKED enum ds_status db_retrieve_ids(struct db *d, const struct db_retrieve *what,
                                          int64_t **ids, size_t *count,
                                          struct ds_error *err); /* free() */
/* Those of the ids that are still shown, in the same order; out has room for count. */
DS_CHECKED enum ds_status db_retrieve_page(struct db *d, unsigned kinds, const int64_t *ids,
                                           size_t count, struct db_instance *out, size_t *found,
                                           struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry_id - the names of spool entries; private to scp/.
 *
 * "0001790000000000-1f2e3d4c": microseconds of arrival, then chance, so that a clock set back does
 * not meet an old name. They sort by time.
 */
#ifndef DICOMSTEGO_SCP_ENTRY_ID_H
#define DICOMSTEGO_SCP_ENTRY_ID_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_ID_BYTES 40U
#define ENTRY_ID_LEN   25U

/* us: microseconds since 1970 (UTC). */
DS_CHECKED enum ds_status entry_id_make(int64_t us, char out[ENTRY_ID_BYTES], struct ds_error *err);
/* Is it one of ours, and nothing else? Without a slash it names a file of one folder only. */
bool entry_id_is_sound(const char *id);
int64_t entry_id_us(const char *id); /* of a sound one */

/* IDs that were read from a disk. */
struct entry_id_list {
    char (*ids)[ENTRY_ID_BYTES];
    size_t count, capacity;
};
DS_CHECKED enum ds_status entry_id_list_add(struct entry_id_list *l, const char *id,
                                            struct ds_error *err);
void entry_id_list_sort(struct entry_id_list *l);
void entry_id_list_free(struct entry_id_list *l);

#endif

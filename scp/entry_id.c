/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/entry_id.h"

#include "base/bytes.h"
#include "base/secret.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_DIGITS  16U
#define CHANCE_BYTES 4U

_Static_assert(ENTRY_ID_LEN == TIME_DIGITS + 1U + 2U * CHANCE_BYTES, "time, dash, chance");

enum ds_status entry_id_make(int64_t us, char out[ENTRY_ID_BYTES], struct ds_error *err)
{
    uint8_t chance[CHANCE_BYTES];
    char text[2 * CHANCE_BYTES + 1];
    out[0] = '\0';
    const enum ds_status st = ds_random(chance, sizeof(chance), err);
    if (st == DS_OK) {
        ds_hex(chance, sizeof(chance), text);
        (void)snprintf(out, ENTRY_ID_BYTES, "%016" PRId64 "-%s", us, text);
    }
    return st;
}

bool entry_id_is_sound(const char *id)
{
    return strnlen(id, ENTRY_ID_BYTES) == ENTRY_ID_LEN && strspn(id, "0123456789") == TIME_DIGITS &&
           id[TIME_DIGITS] == '-' &&
           strspn(id + TIME_DIGITS + 1, "0123456789abcdef") == 2 * CHANCE_BYTES;
}

int64_t entry_id_us(const char *id)
{
    return strtoll(id, NULL, 10);
}

enum ds_status entry_id_list_add(struct entry_id_list *l, const char *id, struct ds_error *err)
{
    if (l->count == l->capacity) {
        const size_t capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
        char(*ids)[ENTRY_ID_BYTES] = reallocarray(l->ids, capacity, sizeof(*ids));
        if (ids == NULL) {
            return ds_fail(err, DS_ENOMEM, "spool: out of memory for %zu names", capacity);
        }
        l->ids = ids;
        l->capacity = capacity;
    }
    memcpy(l->ids[l->count], id, ENTRY_ID_LEN);
    l->ids[l->count++][ENTRY_ID_LEN] = '\0';
    return DS_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, ENTRY_ID_LEN);
}

void entry_id_list_sort(struct entry_id_list *l)
{
    if (l->count > 0) {
        qsort(l->ids, l->count, sizeof(l->ids[0]), compare_ids);
    }
}

void entry_id_list_free(struct entry_id_list *l)
{
    free(l->ids);
    l->ids = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/references.h"

#include "carrier/carrier_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- the map ---- */

struct pair {
    char old[DICOM_UID_BYTES];
    char new[DICOM_UID_BYTES];
    size_t order; /* of adding */
};

struct carrier_uid_map {
    struct pair *pairs;
    size_t count, room;
    bool complete;
};

enum ds_status carrier_uid_map_new(struct carrier_uid_map **out, struct ds_error *err)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "no memory for a map of UIDs");
}

void carrier_uid_map_free(struct carrier_uid_map *m)
{
    if (m != NULL) {
        free(m->pairs);
        free(m);
    }
}

void carrier_uid_map_auto(struct carrier_uid_map **m)
{
    carrier_uid_map_free(*m);
}

enum ds_status carrier_uid_map_add(struct carrier_uid_map *m, const char *old, const char *new,
                                   struct ds_error *err)
{
    if (old[0] == '\0' || new[0] == '\0' || strlen(old) >= DICOM_UID_BYTES ||
        strlen(new) >= DICOM_UID_BYTES) {
        return ds_fail(err, DS_EINVAL, "not a UID that can be referred to");
    }
    if (m->count == m->room) {
        const size_t room = m->room == 0 ? 64 : 2 * m->room;
        struct pair *pairs = reallocarray(m->pairs, room, sizeof(*pairs));
        if (pairs == NULL) {
            return ds_fail(err, DS_ENOMEM, "no memory for %zu UIDs", room);
        }
        m->pairs = pairs;
        m->room = room;
    }
    struct pair *p = &m->pairs[m->count];
    (void)snprintf(p->old, sizeof(p->old), "%s", old);
    (void)snprintf(p->new, sizeof(p->new), "%s", new);
    p->order = m->count++;
    m->complete = false;
    return DS_OK;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *one = a;
    const struct pair *other = b;
    const int c = strcmp(one->old, other->old);
    return c != 0 ? c : (one->order > other->order) - (one->order < other->order);
}

void carrier_uid_map_complete(struct carrier_uid_map *m)
{
    if (m->count > 0) {
        qsort(m->pairs, m->count, sizeof(*m->pairs), compare_pairs);
    }
    m->complete = true;
}

const char *carrier_uid_map_find(const struct carrier_uid_map *m, const char *old, size_t len)
{
    char key[DICOM_UID_BYTES];
    if (!m->complete || len == 0 || len >= sizeof(key)) {
        return NULL;
    }
    memcpy(key, old, len);
    key[len] = '\0';
    size_t low = 0;
    size_t high = m->count;
    while (low < high) { /* the first that is not below the key */
        const size_t middle = low + (high - low) / 2;
        if (strcmp(m->pairs[middle].old, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < m->count && strcmp(m->pairs[low].old, key) == 0 ? m->pairs[low].new : NULL;
}

/* ---- rewriting ---- */

#define LIST_MAX_BYTES STEGO_RECORD_MAX_BYTES

struct rewriting {
    const struct carrier_uid_map *map;
    struct ds_bytes *list;
    uint32_t passed; /* elements since the last that was replaced */
    size_t count;
};

static bool is_own(dicom_tag tag, unsigned depth)
{
    return depth == 0 &&
           (tag == DICOM_TAG_SOP_INSTANCE_UID || tag == DICOM_TAG_SERIES_INSTANCE_UID);
}

/* PS3.5 6.2: a UID ends with a NUL where its length is odd; some writers take a space. */
static size_t without_padding(const uint8_t *uid, size_t len)
{
    while (len > 0 && (uid[len - 1] == '\0' || uid[len - 1] == ' ')) {
        len--;
    }
    return len;
}

/* One of the values of an element, replaced or as it was. */
static enum ds_status put_uid(const struct carrier_uid_map *map, const uint8_t *uid, size_t len,
                              struct ds_bytes *out, bool *replaced, struct ds_error *err)
{
    const char *new = carrier_uid_map_find(map, (const char *)uid, without_padding(uid, len));
    if (new != NULL) {
        *replaced = true;
        return ds_bytes_append(out, new, strlen(new), err);
    }
    return len > 0 ? ds_bytes_append(out, uid, len, err) : DS_OK;
}

static enum ds_status put_uids(const struct carrier_uid_map *map, const uint8_t *value, size_t len,
                               struct ds_bytes *out, bool *replaced, struct ds_error *err)
{
    size_t at = 0;
    enum ds_status s = DS_OK;
    while (s == DS_OK && at <= len) {
        const uint8_t *end = len > at ? memchr(value + at, '\\', len - at) : NULL;
        const size_t n = end != NULL ? (size_t)(end - (value + at)) : len - at;
        s = put_uid(map, value + at, n, out, replaced, err);
        if (s == DS_OK && end != NULL) {
            s = ds_bytes_put_u8(out, '\\', err);
        }
        at += n + 1;
    }
    return s;
}

static enum ds_status note(struct rewriting *r, const uint8_t *value, size_t len,
                           struct ds_error *err)
{
    enum ds_status s = carrier_put_number(r->list, r->passed, err);
    if (s == DS_OK) {
        s = carrier_put_number(r->list, (uint32_t)len, err);
    }
    r->passed = 0;
    r->count++;
    return s == DS_OK ? ds_bytes_append(r->list, value, len, err) : s;
}

static enum ds_status rewrite_value(void *context, dicom_tag tag, unsigned depth,
                                    const uint8_t *value, size_t len, struct ds_bytes *replacement,
                                    struct ds_error *err)
{
    struct rewriting *r = context;
    bool replaced = false;
    enum ds_status s = DS_OK;
    if (!is_own(tag, depth)) {
        s = put_uids(r->map, value, len, replacement, &replaced, err);
    }
    if (s == DS_OK && replaced) {
        return note(r, value, len, err);
    }
    replacement->len = 0;
    r->passed++;
    return s;
}

enum ds_status carrier_references_rewrite(struct dicom_dataset *d,
                                          const struct carrier_uid_map *map,
                                          struct ds_bytes *record, size_t *count,
                                          struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes list = DS_BYTES_INIT(LIST_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes packed = DS_BYTES_INIT(LIST_MAX_BYTES);
    struct rewriting r = {.map = map, .list = &list};
    enum ds_status s = dicom_dataset_visit_uids(d, rewrite_value, &r, err);
    *count = r.count;
    if (s != DS_OK || r.count == 0) {
        return s;
    }
    s = carrier_pack(list.data, list.len, &packed, err);
    if (s == DS_OK) {
        s = carrier_put_number(record, (uint32_t)list.len, err);
    }
    return s == DS_OK ? ds_bytes_append(record, packed.data, packed.len, err) : s;
}

/* ---- looking ---- */

struct looking {
    const struct carrier_uid_map *map;
    bool any;
};

static enum ds_status look_at_value(void *context, dicom_tag tag, unsigned depth,
                                    const uint8_t *value, size_t len, struct ds_bytes *replacement,
                                    struct ds_error *err)
{
    struct looking *l = context;
    enum ds_status s = DS_OK;
    if (!l->any && !is_own(tag, depth)) {
        s = put_uids(l->map, value, len, replacement, &l->any, err);
    }
    replacement->len = 0;
    return s;
}

/* The data set stays as it is, for nothing is replaced. */
enum ds_status carrier_original_refers(const struct carrier_original *o,
                                       const struct carrier_uid_map *map, bool *refers,
                                       struct ds_error *err)
{
    struct looking l = {.map = map};
    const enum ds_status s = dicom_dataset_visit_uids(o->dataset, look_at_value, &l, err);
    *refers = l.any;
    return s;
}

/* ---- putting back ---- */

struct undoing {
    struct ds_cursor list;
    uint32_t pass; /* elements before the next that was replaced */
};

static void next_entry(struct undoing *u)
{
    u->pass = ds_cursor_left(&u->list) > 0 ? carrier_get_number(&u->list) : UINT32_MAX;
}

static enum ds_status undo_value(void *context, dicom_tag tag, unsigned depth, const uint8_t *value,
                                 size_t len, struct ds_bytes *replacement, struct ds_error *err)
{
    (void)tag;
    (void)depth;
    (void)value;
    (void)len;
    struct undoing *u = context;
    if (u->pass > 0) {
        u->pass -= u->pass == UINT32_MAX ? 0 : 1;
        return DS_OK;
    }
    const uint32_t was_len = carrier_get_number(&u->list);
    const uint8_t *was = ds_cursor_bytes(&u->list, was_len);
    if (was == NULL || was_len == 0) {
        return ds_fail(err, DS_EFORMAT, "the restore record's references are damaged");
    }
    next_entry(u);
    return ds_bytes_append(replacement, was, was_len, err);
}

enum ds_status carrier_references_undo(struct dicom_dataset *d, const uint8_t *record, size_t len,
                                       struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(record, len);
    const uint32_t list_len = carrier_get_number(&c);
    const size_t packed_len = ds_cursor_left(&c);
    const uint8_t *packed = ds_cursor_bytes(&c, packed_len);
    if (c.failed || list_len == 0 || list_len > LIST_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "the restore record's references are damaged");
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes list = DS_BYTES_INIT(LIST_MAX_BYTES);
    enum ds_status s = carrier_unpack(packed, packed_len, list_len, &list, err);
    if (s != DS_OK) {
        return s;
    }
    struct undoing u = {.list = ds_cursor_over(list.data, list.len)};
    next_entry(&u);
    s = dicom_dataset_visit_uids(d, undo_value, &u, err);
    if (s == DS_OK && (u.list.failed || u.pass != UINT32_MAX)) {
        return ds_fail(err, DS_EAUTH, "the references put back are not those of this data set");
    }
    return s;
}

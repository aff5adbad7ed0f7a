/* SPDX-License-Identifier: Apache-2.0 */
#include "db/event_row.h"

#include "base/secret.h"

#include <string.h>

#define EVENT_MAX_BYTES (64U * 1024U * 1024U)

static struct provenance_text text_of(const PGresult *r, size_t row, int column)
{
    size_t len;
    const uint8_t *bytes = db_bytes(r, row, column, &len);
    return (struct provenance_text){(const char *)bytes, bytes == NULL ? 0 : len};
}

bool db_event_from(const PGresult *r, size_t row, int c, struct provenance_event *out)
{
    size_t len;
    memset(out, 0, sizeof(*out));
    if (db_bytes(r, row, c, &len) == NULL) {
        return false;
    }
    out->id = db_int(r, row, c);
    const bool has_log = db_hash(r, row, c + 1, out->log);
    out->at_us = db_int(r, row, c + 2);
    struct provenance_text *const before[] = {&out->node, &out->kind, &out->actor};
    struct provenance_text *const behind[] = {&out->sop_uid, &out->study_uid, &out->peer,
                                              &out->outcome};
    for (int i = 0; i < 3; i++) {
        *before[i] = text_of(r, row, c + 3 + i);
    }
    out->instance_id = db_int(r, row, c + 6);
    out->study_id = db_int(r, row, c + 7);
    for (int i = 0; i < 4; i++) {
        *behind[i] = text_of(r, row, c + 8 + i);
    }
    out->has_before = db_hash(r, row, c + 12, out->before);
    out->has_after = db_hash(r, row, c + 13, out->after);
    out->detail = text_of(r, row, c + 14);
    return has_log;
}

enum ds_status db_event_sums(const PGresult *r, size_t row, int first_column,
                             const uint8_t *tag_key, struct db_event_sums *out,
                             struct ds_error *err)
{
    struct provenance_event e;
    uint8_t there[PROVENANCE_TAG_BYTES], right[PROVENANCE_TAG_BYTES];
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(EVENT_MAX_BYTES);
    out->is_tagged = false;
    (void)db_event_from(r, row, first_column, &e); /* without a log it has the sums of nobody's */
    enum ds_status s = provenance_event_bytes(&e, &bytes, err);
    if (s == DS_OK) {
        s = provenance_leaf_hash(bytes.data, bytes.len, out->leaf, err);
    }
    if (s == DS_OK && tag_key != NULL && db_hash(r, row, first_column + 15, there)) {
        s = provenance_event_tag(tag_key, bytes.data, bytes.len, right, err);
        out->is_tagged = s == DS_OK && ds_equal(there, right, sizeof(right));
    }
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/query.h"

#include "node/query_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TAG_TIMEZONE DICOM_TAG(0x0008, 0x0201)

_Static_assert((int)DICOM_LEVEL_PATIENT == (int)DB_LEVEL_PATIENT &&
                   (int)DICOM_LEVEL_STUDY == (int)DB_LEVEL_STUDY &&
                   (int)DICOM_LEVEL_SERIES == (int)DB_LEVEL_SERIES &&
                   (int)DICOM_LEVEL_IMAGE == (int)DB_LEVEL_IMAGE,
               "one order of levels");

DS_PRINTF(4, 5)
static bool refuse(struct query_refusal *why, uint16_t status, dicom_tag element, const char *fmt,
                   ...)
{
    va_list args;
    va_start(args, fmt);
    why->status = status;
    why->element = element;
    (void)vsnprintf(why->comment, sizeof(why->comment), fmt, args);
    va_end(args);
    return false;
}

void query_free(struct query *q)
{
    dicom_identifier_free(&q->identifier);
    query_texts_free(q->texts);
    q->texts = NULL;
}

/* ---- level and hierarchy ---- */

static bool read_level(struct query *q, bool patient_root, struct query_refusal *why)
{
    const char *level = dicom_identifier_value(&q->identifier, DICOM_TAG_QUERY_LEVEL);
    if (level == NULL || !dicom_level_named(level, &q->level)) {
        return refuse(why, DICOM_STATUS_MISMATCH, DICOM_TAG_QUERY_LEVEL,
                      "Query/Retrieve Level missing or unknown");
    }
    if (q->level == DICOM_LEVEL_PATIENT && !patient_root) {
        return refuse(why, DICOM_STATUS_MISMATCH, DICOM_TAG_QUERY_LEVEL,
                      "level PATIENT is not in the Study Root model");
    }
    return true;
}

/* PS3.4 C.4.1.2.1: the way down is named by one unique key of each level above. */
static bool check_way(const struct query *q, bool patient_root, struct query_refusal *why)
{
    for (int level = patient_root ? DICOM_LEVEL_PATIENT : DICOM_LEVEL_STUDY; level < (int)q->level;
         level++) {
        const dicom_tag tag = dicom_level_key((enum dicom_level)level);
        const char *value = dicom_identifier_value(&q->identifier, tag);
        if (value == NULL || value[0] == '\0' || strpbrk(value, "*?\\") != NULL) {
            return refuse(why, DICOM_STATUS_MISMATCH, tag, "no single %s, which level %s needs",
                          dicom_query_key_of(0, tag)->name, dicom_level_name(q->level));
        }
    }
    return true;
}

/* ---- keys ---- */

static void want(struct query *q, size_t at, const struct dicom_query_key *key)
{
    if (q->wanted_count >= DB_WANTED_MAX) {
        q->answers[at] = QUERY_ANSWER_EMPTY;
        q->has_unsupported = true;
        return;
    }
    q->answers[at] = strcmp(key->vr, "SQ") == 0 ? QUERY_ANSWER_SEQUENCE : QUERY_ANSWER_FOUND;
    q->indexes[at] = q->wanted_count;
    q->wanted[q->wanted_count++] = (struct db_wanted){(enum db_level)key->level, key->tag};
}

static bool read_value(struct query *q, size_t at, const struct dicom_query_key *key, bool fuzzy,
                       struct query_refusal *why)
{
    if (key->source == DICOM_KEY_COUNT || key->source == DICOM_KEY_OF_TRANSFER) {
        return true; /* only to return */
    }
    switch (query_value_read(key, q->identifier.keys[at].value, fuzzy, q->conditions,
                             &q->condition_count, &q->texts)) {
    case QUERY_VALUE_UNIVERSAL:
    case QUERY_VALUE_OK:
        return true;
    case QUERY_VALUE_BAD:
        return refuse(why, DICOM_STATUS_CANNOT_UNDERSTAND, key->tag, "%s: not a value of VR %s",
                      key->name, key->vr);
    case QUERY_VALUE_TOO_MANY:
        return refuse(why, DICOM_STATUS_OUT_OF_RESOURCES, key->tag, "more than %u keys to match",
                      DB_CONDITIONS_MAX);
    case QUERY_VALUE_NO_MEMORY:
        break;
    }
    return refuse(why, DICOM_STATUS_OUT_OF_RESOURCES, key->tag, "out of memory");
}

/* Attributes of the answer itself, not of what is found. */
static bool is_of_answer(struct query *q, size_t at)
{
    static const struct {
        dicom_tag tag;
        enum query_answer answer;
    } own[] = {
        {DICOM_TAG_SPECIFIC_CHARACTER_SET, QUERY_ANSWER_NOTHING},
        {TAG_TIMEZONE, QUERY_ANSWER_NOTHING},
        {DICOM_TAG_QUERY_LEVEL, QUERY_ANSWER_NOTHING},
        {DICOM_TAG_RETRIEVE_AE_TITLE, QUERY_ANSWER_NOTHING},
        {DICOM_TAG_AVAILABILITY, QUERY_ANSWER_AVAILABILITY},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(own); i++) {
        if (q->identifier.keys[at].sequence == 0 && q->identifier.keys[at].tag == own[i].tag) {
            q->answers[at] = own[i].answer;
            return true;
        }
    }
    return false;
}

static bool read_key(struct query *q, size_t at, bool fuzzy, struct query_refusal *why)
{
    const struct dicom_key *asked = &q->identifier.keys[at];
    if (is_of_answer(q, at)) {
        return true;
    }
    const struct dicom_query_key *key = dicom_query_key_of(asked->sequence, asked->tag);
    const bool supported = key != NULL && key->level <= q->level;
    q->answers[at] = asked->sequence != 0 ? QUERY_ANSWER_NOTHING : QUERY_ANSWER_EMPTY;
    if (!supported) {
        /* What belongs to an item that is there as a whole is answered with it. */
        q->has_unsupported = true;
        return true;
    }
    if (asked->sequence == 0) {
        want(q, at, key);
    }
    return strcmp(key->vr, "SQ") == 0 || read_value(q, at, key, fuzzy, why);
}

bool query_read(struct query *q, const struct dicom_operation_request *request, bool fuzzy,
                struct query_refusal *why)
{
    memset(q, 0, sizeof(*q));
    struct ds_error err = {DS_OK, ""};
    const enum ds_status s = dicom_identifier_read(&q->identifier, request->identifier, &err);
    if (s != DS_OK) {
        return refuse(
            why, s == DS_ENOMEM ? DICOM_STATUS_OUT_OF_RESOURCES : DICOM_STATUS_CANNOT_UNDERSTAND, 0,
            "%.60s", err.text);
    }
    const bool patient_root = request->query_class->patient_root;
    if (!read_level(q, patient_root, why) ||
        (!request->relational && !check_way(q, patient_root, why))) {
        return false;
    }
    for (size_t i = 0; i < q->identifier.count; i++) {
        if (!read_key(q, i, fuzzy, why)) {
            return false;
        }
    }
    return true;
}

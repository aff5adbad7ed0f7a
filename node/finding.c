/* SPDX-License-Identifier: Apache-2.0 */
#include "node/finding.h"

#include "base/log.h"
#include "node/attributes.h"
#include "node/query.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys of one answer: those of the request, and items of sequences. */
#define ANSWER_KEYS_MAX (DICOM_KEYS_MAX + 256U)
#define NAMES_MAX       64U /* of keys, in an event */

struct finding {
    struct services *services;
    const struct dicom_operation_request *request;
    struct dicom_operation *operation;
    struct query query;
    uint64_t answers;
    enum ds_status failed; /* of an answer that could not be made */
    bool cancelled;
    bool lost; /* the association */
};

unsigned finding_kinds(const struct config *config, const char *called_ae)
{
    switch (config_view_of(config, called_ae)) {
    case CONFIG_VIEW_CARRIERS:
        return DB_KINDS(DB_CARRIER);
    case CONFIG_VIEW_RESTORED:
        return DB_KINDS(DB_RESTORED);
    case CONFIG_VIEW_ORIGINALS:
        break;
    }
    return DB_KINDS(DB_ORIGINAL) | DB_KINDS(DB_RESTORED) | DB_KINDS(DB_REPORT);
}

/* ---- one answer ---- */

struct answer {
    struct dicom_key keys[ANSWER_KEYS_MAX];
    size_t count;
};

static void put(struct answer *a, const struct dicom_key *asked, unsigned item, const char *value)
{
    if (a->count < ANSWER_KEYS_MAX) {
        a->keys[a->count] = *asked;
        a->keys[a->count].item = item;
        a->keys[a->count++].value = value;
    }
}

/* The keys of the sequence at `at` that were asked for, of each item that there is; all that is
 * known where none was named (PS3.4 C.2.2.2.6). */
static void put_items(struct answer *a, const struct query *q, size_t at, const json_t *items)
{
    const struct dicom_key *sequence = &q->identifier.keys[at];
    put(a, sequence, 0, "");
    size_t known = 0;
    const struct dicom_query_key *table = dicom_query_keys(&known);
    const bool all =
        at + 1 >= q->identifier.count || q->identifier.keys[at + 1].sequence != sequence->tag;
    for (unsigned i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        char name[ATTRIBUTE_NAME_BYTES];
        for (size_t k = at + 1;
             k < q->identifier.count && q->identifier.keys[k].sequence == sequence->tag; k++) {
            attributes_name(q->identifier.keys[k].tag, false, name);
            const char *value = json_string_value(json_object_get(item, name));
            put(a, &q->identifier.keys[k], i, value == NULL ? "" : value);
        }
        for (size_t k = 0; all && k < known; k++) {
            attributes_name(table[k].tag, false, name);
            const char *value = table[k].sequence == sequence->tag
                                    ? json_string_value(json_object_get(item, name))
                                    : NULL;
            const struct dicom_key key = {table[k].tag, sequence->tag, i, "", ""};
            if (value != NULL) {
                put(a, &key, i, value);
            }
        }
    }
}

static void put_key(struct finding *f, struct answer *a, size_t at, const char *const *values,
                    json_t **parsed, size_t *parsed_count)
{
    const struct query *q = &f->query;
    const struct dicom_key *asked = &q->identifier.keys[at];
    switch (q->answers[at]) {
    case QUERY_ANSWER_NOTHING:
        break;
    case QUERY_ANSWER_EMPTY:
        put(a, asked, 0, "");
        break;
    case QUERY_ANSWER_FOUND:
        put(a, asked, 0, values[q->indexes[at]]);
        break;
    case QUERY_ANSWER_SEQUENCE:
        parsed[*parsed_count] = json_loads(values[q->indexes[at]], 0, NULL);
        put_items(a, q, at, parsed[(*parsed_count)++]);
        break;
    case QUERY_ANSWER_AVAILABILITY:
        put(a, asked, 0, "ONLINE");
        break;
    }
}

/* Who can be asked for it stands in every answer (PS3.4 C.4.1.1.3.2), and the level. */
static void put_own(const struct finding *f, struct answer *a)
{
    const struct dicom_key own[] = {
        {DICOM_TAG_QUERY_LEVEL, 0, 0, "CS", dicom_level_name(f->query.level)},
        {DICOM_TAG_RETRIEVE_AE_TITLE, 0, 0, "AE", f->request->peer->called_ae},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(own); i++) {
        put(a, &own[i], 0, own[i].value);
    }
}

static bool send_answer(struct finding *f, const struct answer *a)
{
    struct dicom_dataset *match = NULL;
    f->failed =
        dicom_identifier_write(&match, a->keys, a->count, f->query.identifier.charset, NULL);
    if (f->failed != DS_OK) {
        return false;
    }
    const struct dicom_response response = {.status = f->query.has_unsupported
                                                          ? DICOM_STATUS_PENDING_UNSUPPORTED
                                                          : DICOM_STATUS_PENDING,
                                            .identifier = match};
    f->lost = !dicom_operation_send(f->operation, &response);
    dicom_dataset_free(match);
    f->answers += f->lost ? 0 : 1;
    return !f->lost;
}

/* One match on its way; false ends the search. */
static bool take_match(void *context, const char *const *values)
{
    struct finding *f = context;
    struct answer a;
    json_t *parsed[DB_WANTED_MAX];
    size_t parsed_count = 0;
    if (dicom_operation_cancelled(f->operation)) {
        f->cancelled = true;
        return false;
    }
    a.count = 0;
    put_own(f, &a);
    for (size_t i = 0; i < f->query.identifier.count; i++) {
        put_key(f, &a, i, values, parsed, &parsed_count);
    }
    const bool sent = send_answer(f, &a);
    for (size_t i = 0; i < parsed_count; i++) {
        json_decref(parsed[i]);
    }
    return sent;
}

/* ---- the whole of it ---- */

static struct dicom_response search(struct finding *f, const struct config *config,
                                    struct query_refusal *why)
{
    struct dicom_response final = {.status = DICOM_STATUS_SUCCESS};
    struct db *db = services_db(f->services);
    struct ds_error err = {DS_OK, "the database is away"};
    bool more = false;
    const struct db_query query = {
        .level = (enum db_level)f->query.level,
        .kinds = finding_kinds(config, f->request->peer->called_ae),
        .conditions = f->query.conditions,
        .condition_count = f->query.condition_count,
        .wanted = f->query.wanted,
        .wanted_count = f->query.wanted_count,
        .max = config->query.max_results,
    };
    enum ds_status s = db == NULL ? DS_EIO : db_find(db, &query, take_match, f, &more, &err);
    s = s == DS_OK ? f->failed : s;
    if (s != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "assoc=%llu peer=%s query failed: %s",
               (unsigned long long)f->request->peer->association, f->request->peer->calling_ae,
               err.text);
        (void)snprintf(why->comment, sizeof(why->comment), "%s",
                       s == DS_EIO ? "the index is away, try again" : "the query failed");
    } else if (more) {
        (void)snprintf(why->comment, sizeof(why->comment), "more than %llu matches",
                       (unsigned long long)query.max);
    }
    if (f->cancelled) {
        final.status = DICOM_STATUS_CANCEL;
    } else if (s != DS_OK || more) {
        final.status = DICOM_STATUS_OUT_OF_RESOURCES;
        final.error_comment = why->comment;
    }
    return final;
}

/* Names of the keys that narrowed the search; never their values, which say who was looked for. */
static json_t *names_of_keys(const struct query *q)
{
    json_t *names = json_array();
    for (size_t i = 0; i < q->condition_count && i < NAMES_MAX; i++) {
        const struct dicom_query_key *key =
            dicom_query_key_of(q->conditions[i].sequence, q->conditions[i].tag);
        (void)json_array_append_new(names, json_string(key == NULL ? "" : key->name));
    }
    return names;
}

static void record(const struct finding *f, const struct config *config, uint16_t status)
{
    const struct dicom_peer *asker = f->request->peer;
    const struct config_peer *peer = config_peer_calling(config, asker->calling_ae, asker->address);
    char code[8];
    (void)snprintf(code, sizeof(code), "%04X", (unsigned)status);
    json_t *detail =
        json_pack("{s:s, s:s, s:s, s:o, s:I}", "model",
                  f->request->query_class->patient_root ? "patient root" : "study root", "called",
                  asker->called_ae, "level", dicom_level_name(f->query.level), "keys",
                  names_of_keys(&f->query), "answers", (json_int_t)f->answers);
    char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
    json_decref(detail);
    const struct db_event event = {.kind = "queried",
                                   .actor = asker->calling_ae,
                                   .peer = peer == NULL ? NULL : peer->name,
                                   .outcome = code,
                                   .detail = text};
    recorder_add(f->services->recorder, &event);
    free(text);
}

void finding_answer(struct services *services, const struct dicom_operation_request *request,
                    struct dicom_operation *operation)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    const struct config *config = settings_config(settings);
    struct finding *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return; /* answered for with C000H */
    }
    f->services = services;
    f->request = request;
    f->operation = operation;
    struct query_refusal why = {0};
    struct dicom_response final;
    if (query_read(&f->query, request, config->query.fuzzy_names, &why)) {
        final = search(f, config, &why);
    } else {
        final = (struct dicom_response){
            .status = why.status, .error_comment = why.comment, .offending_element = why.element};
    }
    record(f, config, final.status);
    (void)dicom_operation_send(operation, &final);
    ds_log(DS_LOG_INFO, "node", "assoc=%llu peer=%s status=%04x query level=%s answers=%llu%s%s",
           (unsigned long long)request->peer->association, request->peer->calling_ae,
           (unsigned) final.status, dicom_level_name(f->query.level),
           (unsigned long long)f->answers, final.error_comment == NULL ? "" : " ",
           final.error_comment == NULL ? "" : final.error_comment);
    query_free(&f->query);
    free(f);
}

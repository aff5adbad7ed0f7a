/* SPDX-License-Identifier: Apache-2.0 */
#include "node/attributes.h"

#include "dicom/identifier.h"
#include "dicom/person_name.h"
#include "dicom/query_key.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES    1024U
#define NAME_MAX_BYTES (16U * VALUE_BYTES)
#define ITEMS_MAX      16U /* of a sequence */

void attributes_name(dicom_tag tag, bool folded, char out[ATTRIBUTE_NAME_BYTES])
{
    (void)snprintf(out, ATTRIBUTE_NAME_BYTES, "%08X%s", (unsigned)tag, folded ? "k" : "");
}

void attributes_free(struct attributes *a)
{
    free(a->study);
    free(a->series);
    free(a->instance);
    free(a->name_key);
    free(a->name_words);
    *a = (struct attributes){0};
}

struct db_attributes attributes_of(const struct attributes *a)
{
    return (struct db_attributes){.study = a->study,
                                  .series = a->series,
                                  .instance = a->instance,
                                  .name_key = a->name_key,
                                  .name_words = a->name_words};
}

/* A form of a name, owned; NULL without memory. */
static char *form_of(const char *name,
                     enum ds_status (*make)(const char *, struct ds_bytes *, struct ds_error *))
{
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(NAME_MAX_BYTES);
    if (make(name, &out, NULL) != DS_OK || ds_bytes_put_u8(&out, '\0', NULL) != DS_OK) {
        return NULL;
    }
    return strdup((const char *)out.data);
}

static void put(json_t *object, dicom_tag tag, bool folded, const char *value)
{
    char name[ATTRIBUTE_NAME_BYTES];
    attributes_name(tag, folded, name);
    (void)json_object_set_new(object, name, json_string(value)); /* without a value it fails */
}

static void put_value(json_t *object, const struct dicom_query_key *key, const char *value)
{
    put(object, key->tag, false, value);
    if (strcmp(key->vr, "PN") == 0) {
        char *folded = form_of(value, dicom_person_name_key);
        if (folded != NULL) {
            put(object, key->tag, true, folded);
        }
        free(folded);
    }
}

/* One item; false: there is none of this number. */
static bool put_item(json_t *list, const struct dicom_dataset *set, dicom_tag sequence,
                     unsigned number)
{
    size_t count = 0;
    const struct dicom_query_key *keys = dicom_query_keys(&count);
    json_t *item = json_object();
    bool there = item != NULL;
    for (size_t i = 0; there && i < count; i++) {
        char value[VALUE_BYTES];
        if (keys[i].sequence != sequence) {
            continue;
        }
        const enum ds_status s =
            dicom_dataset_item_utf8(set, sequence, number, keys[i].tag, value, sizeof(value), NULL);
        there = s != DS_ENOTFOUND;
        if (s == DS_OK && value[0] != '\0') {
            put_value(item, &keys[i], value);
        }
    }
    if (!there) {
        json_decref(item);
        return false;
    }
    return json_array_append_new(list, item) == 0;
}

static void put_sequence(json_t *object, const struct dicom_query_key *key,
                         const struct dicom_dataset *set)
{
    char name[ATTRIBUTE_NAME_BYTES];
    json_t *list = json_array();
    for (unsigned i = 0; list != NULL && i < ITEMS_MAX && put_item(list, set, key->tag, i); i++) {
    }
    attributes_name(key->tag, false, name);
    if (json_array_size(list) == 0) {
        json_decref(list);
    } else {
        (void)json_object_set_new(object, name, list);
    }
}

static void put_attribute(json_t *object, const struct dicom_query_key *key,
                          const struct dicom_dataset *set)
{
    char value[VALUE_BYTES];
    if (!dicom_dataset_has(set, key->tag)) {
        return;
    }
    if (strcmp(key->vr, "SQ") == 0) {
        put_sequence(object, key, set);
    } else if (dicom_dataset_get_utf8(set, key->tag, value, sizeof(value), NULL) == DS_OK &&
               value[0] != '\0') {
        put_value(object, key, value);
    }
}

/* Those with a column of their own are not written twice. */
static bool has_column(dicom_tag tag)
{
    static const dicom_tag columns[] = {
        DICOM_TAG_SOP_CLASS_UID,       DICOM_TAG_SOP_INSTANCE_UID, DICOM_TAG_STUDY_DATE,
        DICOM_TAG_ACCESSION_NUMBER,    DICOM_TAG_MODALITY,         DICOM_TAG_STUDY_DESCRIPTION,
        DICOM_TAG_PATIENT_NAME,        DICOM_TAG_PATIENT_ID,       DICOM_TAG_STUDY_INSTANCE_UID,
        DICOM_TAG_SERIES_INSTANCE_UID,
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(columns); i++) {
        if (columns[i] == tag) {
            return true;
        }
    }
    return false;
}

enum { OF_STUDY, OF_SERIES, OF_INSTANCE, OBJECTS };

static unsigned object_of(enum dicom_level level)
{
    return level == DICOM_LEVEL_IMAGE    ? OF_INSTANCE
           : level == DICOM_LEVEL_SERIES ? OF_SERIES
                                         : OF_STUDY;
}

static void read_all(json_t *objects[OBJECTS], const struct dicom_dataset *set)
{
    size_t count = 0;
    const struct dicom_query_key *keys = dicom_query_keys(&count);
    for (size_t i = 0; i < count; i++) {
        if (keys[i].source == DICOM_KEY_OF_DATASET && keys[i].sequence == 0 &&
            !has_column(keys[i].tag)) {
            put_attribute(objects[object_of(keys[i].level)], &keys[i], set);
        }
    }
}

enum ds_status attributes_read(struct attributes *out, const struct dicom_dataset *set,
                               struct ds_error *err)
{
    *out = (struct attributes){0};
    char name[VALUE_BYTES];
    json_t *objects[OBJECTS] = {json_object(), json_object(), json_object()};
    if (objects[OF_STUDY] != NULL && objects[OF_SERIES] != NULL && objects[OF_INSTANCE] != NULL) {
        read_all(objects, set);
        out->study = json_dumps(objects[OF_STUDY], JSON_COMPACT);
        out->series = json_dumps(objects[OF_SERIES], JSON_COMPACT);
        out->instance = json_dumps(objects[OF_INSTANCE], JSON_COMPACT);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        json_decref(objects[i]);
    }
    if (dicom_dataset_get_utf8(set, DICOM_TAG_PATIENT_NAME, name, sizeof(name), NULL) != DS_OK) {
        name[0] = '\0';
    }
    out->name_key = form_of(name, dicom_person_name_key);
    out->name_words = form_of(name, dicom_person_name_words);
    if (out->study == NULL || out->series == NULL || out->instance == NULL ||
        out->name_key == NULL || out->name_words == NULL) {
        attributes_free(out);
        return ds_fail(err, DS_ENOMEM, "no memory for the attributes of an instance");
    }
    return DS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/retrieve.h"

#include <stdlib.h>
#include <string.h>

#define LEVEL_TAG DICOM_TAG(0x0008, 0x0052)

static const struct {
    const char *name;
    dicom_tag tag;
    const char *missing, *several, *malformed;
} levels[SCP_RETRIEVE_LEVELS] = {
    {"PATIENT", DICOM_TAG_PATIENT_ID, "Patient ID is missing", "more than one Patient ID",
     "Patient ID is malformed"},
    {"STUDY", DICOM_TAG_STUDY_INSTANCE_UID, "Study Instance UID is missing",
     "more than one Study Instance UID", "Study Instance UID is malformed"},
    {"SERIES", DICOM_TAG_SERIES_INSTANCE_UID, "Series Instance UID is missing",
     "more than one Series Instance UID", "Series Instance UID is malformed"},
    {"IMAGE", DICOM_TAG_SOP_INSTANCE_UID, "SOP Instance UID is missing",
     "more than one SOP Instance UID", "SOP Instance UID is malformed"},
};

/* PS3.4 C.4.2.1.5, C.4.3.1.4: the identifier does not match the SOP class. */
static bool refuse(struct dicom_response *refusal, const char *comment, dicom_tag tag)
{
    *refusal = (struct dicom_response){
        .status = DICOM_STATUS_MISMATCH, .error_comment = comment, .offending_element = tag};
    return false;
}

static bool out_of_memory(struct dicom_response *refusal)
{
    *refusal = (struct dicom_response){.status = DICOM_STATUS_OUT_OF_RESOURCES,
                                       .error_comment = "out of memory"};
    return false;
}

static char *trimmed(char *value)
{
    while (*value == ' ') {
        value++;
    }
    size_t len = strlen(value);
    while (len > 0 && value[len - 1] == ' ') {
        value[--len] = '\0';
    }
    return value;
}

/* The values between backslashes that are not empty. */
static bool split(struct scp_retrieve_key *key)
{
    size_t room = 1;
    for (const char *c = key->text; *c != '\0'; c++) {
        room += *c == '\\' ? 1 : 0;
    }
    key->values = calloc(room, sizeof(*key->values));
    if (key->values == NULL) {
        return false;
    }
    for (char *at = key->text; at != NULL;) {
        char *end = strchr(at, '\\');
        if (end != NULL) {
            *end = '\0';
        }
        char *value = trimmed(at);
        if (*value != '\0') {
            key->values[key->count++] = value;
        }
        at = end == NULL ? NULL : end + 1;
    }
    return true;
}

static bool is_uid(const char *value)
{
    const size_t len = strspn(value, "0123456789.");
    return len > 0 && len < DICOM_UID_BYTES && value[len] == '\0';
}

static bool are_sound(enum scp_retrieve_level level, const struct scp_retrieve_key *key)
{
    for (size_t i = 0; i < key->count && level != SCP_RETRIEVE_PATIENT; i++) {
        if (!is_uid(key->values[i])) {
            return false;
        }
    }
    return true;
}

static bool read_key(const struct dicom_dataset *identifier, enum scp_retrieve_level level,
                     struct scp_retrieve_key *key, struct dicom_response *refusal)
{
    key->text = calloc(1, DICOM_MESSAGE_MAX_BYTES);
    if (key->text == NULL) {
        return out_of_memory(refusal);
    }
    if (dicom_dataset_get_utf8(identifier, levels[level].tag, key->text, DICOM_MESSAGE_MAX_BYTES,
                               NULL) != DS_OK) {
        return refuse(refusal, levels[level].malformed, levels[level].tag);
    }
    char *shorter = realloc(key->text, strlen(key->text) + 1);
    key->text = shorter != NULL ? shorter : key->text;
    if (!split(key)) {
        return out_of_memory(refusal);
    }
    return are_sound(level, key) || refuse(refusal, levels[level].malformed, levels[level].tag);
}

static bool read_level(const struct dicom_operation_request *request, enum scp_retrieve_level *out,
                       struct dicom_response *refusal)
{
    char text[64];
    if (!dicom_dataset_has(request->identifier, LEVEL_TAG) ||
        dicom_dataset_get(request->identifier, LEVEL_TAG, text, sizeof(text), NULL) != DS_OK) {
        return refuse(refusal, "Query/Retrieve Level is missing", LEVEL_TAG);
    }
    const int root = request->query_class->patient_root ? SCP_RETRIEVE_PATIENT : SCP_RETRIEVE_STUDY;
    for (int i = root; i < SCP_RETRIEVE_LEVELS; i++) {
        if (strcmp(trimmed(text), levels[i].name) == 0) {
            *out = (enum scp_retrieve_level)i;
            return true;
        }
    }
    return refuse(refusal, "no such Query/Retrieve Level", LEVEL_TAG);
}

static bool check_key(const struct dicom_operation_request *request, const struct scp_retrieve *r,
                      enum scp_retrieve_level level, struct dicom_response *refusal)
{
    const size_t count = r->keys[level].count;
    const bool is_lowest = level == r->level;
    const bool may_lack = level == SCP_RETRIEVE_PATIENT && !request->query_class->patient_root;
    if (count == 0 && !may_lack && (is_lowest || !request->relational)) {
        return refuse(refusal, levels[level].missing, levels[level].tag);
    }
    if (count > 1 && (!is_lowest || level == SCP_RETRIEVE_PATIENT)) {
        return refuse(refusal, levels[level].several, levels[level].tag);
    }
    return true;
}

bool scp_retrieve_read(const struct dicom_operation_request *request, struct scp_retrieve *out,
                       struct dicom_response *refusal)
{
    memset(out, 0, sizeof(*out));
    if (!read_level(request, &out->level, refusal)) {
        return false;
    }
    for (int i = 0; i <= (int)out->level; i++) {
        const enum scp_retrieve_level level = (enum scp_retrieve_level)i;
        if (!read_key(request->identifier, level, &out->keys[i], refusal) ||
            !check_key(request, out, level, refusal)) {
            return false;
        }
    }
    return true;
}

void scp_retrieve_free(struct scp_retrieve *r)
{
    for (int i = 0; i < SCP_RETRIEVE_LEVELS; i++) {
        free(r->keys[i].values);
        free(r->keys[i].text);
    }
    memset(r, 0, sizeof(*r));
}

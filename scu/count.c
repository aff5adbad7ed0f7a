/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/count.h"

#include "dicom/transfer_syntax.h"

#include <stdlib.h>
#include <string.h>

#define LEVEL_TAG        DICOM_TAG(0x0008, 0x0052)
#define STUDY_UID_TAG    DICOM_TAG(0x0020, 0x000d)
#define SERIES_UID_TAG   DICOM_TAG(0x0020, 0x000e)
#define SOP_UID_TAG      DICOM_TAG(0x0008, 0x0018)
#define STUDY_COUNT_TAG  DICOM_TAG(0x0020, 0x1208)
#define SERIES_COUNT_TAG DICOM_TAG(0x0020, 0x1209)

/* A study of more series, or a series of more instances, is not counted. */
#define SERIES_MAX    1024U
#define INSTANCES_MAX 1000000U

/* IS has at most 12 characters (PS3.5 6.2), and one more where a peer pads both ends. */
#define NUMBER_BYTES 16U

struct series {
    char uid[DICOM_UID_BYTES];
    int64_t instances; /* -1: the peer does not say */
};

struct asking {
    struct dicom_requestor *peer;
    const char *study_uid;
    int64_t study_instances; /* -1: the peer does not say */
    bool study_found;
    struct series *series;
    size_t series_count;
    uint64_t instances; /* of the series that is being counted */
};

/* -1 for what is no number, or nothing. */
static int64_t number_in(const struct dicom_dataset *d, dicom_tag tag)
{
    char text[NUMBER_BYTES] = "";
    if (dicom_dataset_get(d, tag, text, sizeof(text), NULL) != DS_OK) {
        return -1;
    }
    const char *begin = text + strspn(text, " ");
    char *end = NULL;
    const long long n = strtoll(begin, &end, 10);
    return end == begin || end[strspn(end, " ")] != '\0' || n < 0 ? -1 : n;
}

/* Keys that the peer shall match (with value) or fill in (with ""). */
static enum ds_status make_query(struct dicom_dataset **out, const struct dicom_value *keys,
                                 size_t count, struct ds_error *err)
{
    enum ds_status s = dicom_dataset_new(out, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = dicom_dataset_set(*out, keys[i].tag, keys[i].value, err);
    }
    return s;
}

static enum ds_status find(struct asking *a, const struct dicom_value *keys, size_t count,
                           dicom_match_visit visit, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *query = NULL;
    enum ds_status s = make_query(&query, keys, count, err);
    uint16_t status = 0;
    if (s == DS_OK) {
        s = dicom_requestor_find(a->peer, DICOM_STUDY_ROOT_FIND, query, visit, a, &status, err);
    }
    return s == DS_OK && status != DICOM_STATUS_SUCCESS
               ? ds_fail(err, DS_EREFUSED, "C-FIND: status %04x", (unsigned)status)
               : s;
}

static bool on_study(void *context, const struct dicom_dataset *match)
{
    struct asking *a = context;
    char uid[DICOM_UID_BYTES];
    /* Whoever ignores the key answers with everything it has. */
    if (dicom_dataset_get(match, STUDY_UID_TAG, uid, sizeof(uid), NULL) != DS_OK ||
        strcmp(uid, a->study_uid) != 0) {
        return true;
    }
    a->study_found = true;
    a->study_instances = number_in(match, STUDY_COUNT_TAG);
    return true;
}

static bool on_series(void *context, const struct dicom_dataset *match)
{
    struct asking *a = context;
    if (a->series_count == SERIES_MAX) {
        return false;
    }
    struct series *s = &a->series[a->series_count];
    if (dicom_dataset_get(match, SERIES_UID_TAG, s->uid, sizeof(s->uid), NULL) == DS_OK &&
        s->uid[0] != '\0') {
        s->instances = number_in(match, SERIES_COUNT_TAG);
        a->series_count++;
    }
    return true;
}

static bool on_instance(void *context, const struct dicom_dataset *match)
{
    (void)match;
    struct asking *a = context;
    return ++a->instances < INSTANCES_MAX;
}

static enum ds_status ask_study(struct asking *a, struct ds_error *err)
{
    const struct dicom_value keys[] = {
        {LEVEL_TAG, "STUDY"}, {STUDY_UID_TAG, a->study_uid}, {STUDY_COUNT_TAG, ""}};
    return find(a, keys, DS_ARRAY_SIZE(keys), on_study, err);
}

static enum ds_status ask_series(struct asking *a, struct ds_error *err)
{
    const struct dicom_value keys[] = {{LEVEL_TAG, "SERIES"},
                                       {STUDY_UID_TAG, a->study_uid},
                                       {SERIES_UID_TAG, ""},
                                       {SERIES_COUNT_TAG, ""}};
    return find(a, keys, DS_ARRAY_SIZE(keys), on_series, err);
}

static enum ds_status ask_instances(struct asking *a, const struct series *s, struct ds_error *err)
{
    const struct dicom_value keys[] = {{LEVEL_TAG, "IMAGE"},
                                       {STUDY_UID_TAG, a->study_uid},
                                       {SERIES_UID_TAG, s->uid},
                                       {SOP_UID_TAG, ""}};
    a->instances = 0;
    return find(a, keys, DS_ARRAY_SIZE(keys), on_instance, err);
}

static enum ds_status sum_series(struct asking *a, uint64_t *count, struct ds_error *err)
{
    enum ds_status s = ask_series(a, err);
    for (size_t i = 0; s == DS_OK && i < a->series_count; i++) {
        const struct series *series = &a->series[i];
        if (series->instances < 0) {
            s = ask_instances(a, series, err);
            *count += a->instances;
        } else {
            *count += (uint64_t)series->instances;
        }
    }
    return s;
}

static enum ds_status ask(struct asking *a, uint64_t *count, struct ds_error *err)
{
    enum ds_status s = ask_study(a, err);
    if (s == DS_OK && a->study_found && a->study_instances < 0) {
        s = sum_series(a, count, err);
    } else if (s == DS_OK && a->study_found) {
        *count = (uint64_t)a->study_instances;
    }
    return s;
}

enum ds_status scu_study_count(const struct dicom_requestor_options *options, const char *study_uid,
                               uint64_t *count, struct ds_error *err)
{
    *count = 0;
    static const struct dicom_context contexts[] = {{DICOM_STUDY_ROOT_FIND, DICOM_EXPLICIT_LE},
                                                    {DICOM_STUDY_ROOT_FIND, DICOM_IMPLICIT_LE}};
    struct asking a = {.study_uid = study_uid, .study_instances = -1};
    a.series = calloc(SERIES_MAX, sizeof(*a.series));
    if (a.series == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    enum ds_status s =
        dicom_requestor_open(&a.peer, options, contexts, DS_ARRAY_SIZE(contexts), err);
    if (s == DS_OK) {
        s = ask(&a, count, err);
    }
    dicom_requestor_close(a.peer);
    free(a.series);
    return s;
}

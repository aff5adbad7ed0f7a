/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/reading.h"

#include "dicom/retrieval.h"
#include "scu/options.h"

#include <stdlib.h>
#include <string.h>

#define LEVEL_TAG  DICOM_TAG(0x0008, 0x0052)
#define SERIES_MAX 4096U
/* Each in the syntaxes below: with the two contexts of C-GET they fit into one association. */
#define CLASSES_MAX 6U

/* Everything that a data set is judged in; what it was sent in comes before. */
static const char *const syntaxes[] = {
    DICOM_EXPLICIT_LE,         DICOM_IMPLICIT_LE,         "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.57",  "1.2.840.10008.1.2.4.80",  "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50",  "1.2.840.10008.1.2.4.51",  "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",  "1.2.840.10008.1.2.5",     "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203", DICOM_DEFLATED_LE,
    DICOM_EXPLICIT_BE};
#define CONTEXTS_MAX (CLASSES_MAX * (DS_ARRAY_SIZE(syntaxes) + 1) + 4)

static const struct dicom_context query_contexts[] = {{DICOM_STUDY_ROOT_FIND, DICOM_EXPLICIT_LE},
                                                      {DICOM_STUDY_ROOT_FIND, DICOM_IMPLICIT_LE},
                                                      {DICOM_STUDY_ROOT_MOVE, DICOM_EXPLICIT_LE},
                                                      {DICOM_STUDY_ROOT_MOVE, DICOM_IMPLICIT_LE}};

/* A class and the syntax that it was sent in. */
struct kind {
    char class_uid[DICOM_UID_BYTES], syntax[DICOM_UID_BYTES];
};

struct scu_reader {
    struct scu_options options;
    struct dicom_requestor *query, *get; /* NULL: not open */
    struct kind kinds[CLASSES_MAX];      /* that get was opened for */
    size_t kind_count;
};

enum ds_status scu_reader_new(struct scu_reader **out,
                              const struct dicom_requestor_options *options, struct ds_error *err)
{
    *out = NULL;
    struct scu_reader *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a reader");
    }
    const enum ds_status s = scu_options_copy(&r->options, options, err);
    if (s != DS_OK) {
        scu_reader_free(r);
        return s;
    }
    *out = r;
    return DS_OK;
}

void scu_reader_free(struct scu_reader *r)
{
    if (r == NULL) {
        return;
    }
    dicom_requestor_close(r->query);
    dicom_requestor_close(r->get);
    scu_options_free(&r->options);
    free(r);
}

static void drop(struct dicom_requestor **a)
{
    dicom_requestor_close(*a);
    *a = NULL;
}

static void drop_broken(struct dicom_requestor **a)
{
    if (*a != NULL && !dicom_requestor_usable(*a)) {
        drop(a);
    }
}

/* The context of the class that the peer accepted. */
static bool serves(const struct dicom_requestor *a, const char *class_uid)
{
    return dicom_requestor_accepts(a, class_uid, DICOM_EXPLICIT_LE) ||
           dicom_requestor_accepts(a, class_uid, DICOM_IMPLICIT_LE);
}

static enum ds_status open_query(struct scu_reader *r, const char *class_uid, struct ds_error *err)
{
    drop_broken(&r->query);
    struct dicom_requestor_options options = r->options.view;
    options.as_scp = false;
    const enum ds_status s = r->query != NULL
                                 ? DS_OK
                                 : dicom_requestor_open(&r->query, &options, query_contexts,
                                                        DS_ARRAY_SIZE(query_contexts), err);
    if (s == DS_OK && !serves(r->query, class_uid)) {
        return ds_fail(err, DS_EREFUSED, "the peer does not take %s from us",
                       strcmp(class_uid, DICOM_STUDY_ROOT_FIND) == 0 ? "C-FIND" : "C-MOVE");
    }
    return s;
}

static enum ds_status make_identifier(struct dicom_dataset **out, const struct dicom_value *keys,
                                      size_t count, struct ds_error *err)
{
    enum ds_status s = dicom_dataset_new(out, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = dicom_dataset_set(*out, keys[i].tag, keys[i].value, err);
    }
    return s;
}

/* ---- what it holds ---- */

struct listing {
    dicom_tag tag; /* the UID that is asked for */
    const char *series_uid;
    struct scu_held *items;
    size_t count, room, max;
    bool is_full, has_failed;
};

/* A UID that is too long or not there names nothing that could be asked for. */
static bool on_match(void *context, const struct dicom_dataset *match)
{
    struct listing *l = context;
    char uid[DICOM_UID_BYTES] = "";
    if (dicom_dataset_get(match, l->tag, uid, sizeof(uid), NULL) != DS_OK || uid[0] == '\0') {
        return true;
    }
    if (l->count == l->max) {
        l->is_full = true;
        return false;
    }
    if (l->count == l->room) {
        const size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct scu_held *grown = realloc(l->items, room * sizeof(*grown));
        if (grown == NULL) {
            l->has_failed = true;
            return false;
        }
        l->items = grown;
        l->room = room;
    }
    struct scu_held *h = &l->items[l->count++];
    memset(h, 0, sizeof(*h));
    if (l->series_uid == NULL) {
        memcpy(h->series_uid, uid, sizeof(uid));
    } else {
        memcpy(h->series_uid, l->series_uid, strlen(l->series_uid) + 1);
        memcpy(h->sop_uid, uid, sizeof(uid));
    }
    return true;
}

static enum ds_status find(struct scu_reader *r, const struct dicom_value *keys, size_t count,
                           struct listing *l, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *query = NULL;
    uint16_t status = 0;
    enum ds_status s = open_query(r, DICOM_STUDY_ROOT_FIND, err);
    if (s == DS_OK) {
        s = make_identifier(&query, keys, count, err);
    }
    if (s == DS_OK) {
        s = dicom_requestor_find(r->query, DICOM_STUDY_ROOT_FIND, query, on_match, l, &status, err);
    }
    if (l->is_full || l->has_failed) {
        drop(&r->query);
        return l->is_full ? ds_fail(err, DS_ECAPACITY, "the peer names more than %zu", l->max)
                          : ds_fail(err, DS_ENOMEM, "no memory for what the peer holds");
    }
    drop_broken(&r->query);
    return s == DS_OK && status != DICOM_STATUS_SUCCESS
               ? ds_fail(err, DS_EREFUSED, "C-FIND: status %04x", (unsigned)status)
               : s;
}

static enum ds_status find_series(struct scu_reader *r, const char *study_uid, struct listing *l,
                                  struct ds_error *err)
{
    const struct dicom_value keys[] = {{LEVEL_TAG, "SERIES"},
                                       {DICOM_TAG_STUDY_INSTANCE_UID, study_uid},
                                       {DICOM_TAG_SERIES_INSTANCE_UID, ""}};
    return find(r, keys, DS_ARRAY_SIZE(keys), l, err);
}

static enum ds_status find_instances(struct scu_reader *r, const char *study_uid,
                                     const char *series_uid, struct listing *l,
                                     struct ds_error *err)
{
    const struct dicom_value keys[] = {{LEVEL_TAG, "IMAGE"},
                                       {DICOM_TAG_STUDY_INSTANCE_UID, study_uid},
                                       {DICOM_TAG_SERIES_INSTANCE_UID, series_uid},
                                       {DICOM_TAG_SOP_INSTANCE_UID, ""}};
    l->series_uid = series_uid;
    return find(r, keys, DS_ARRAY_SIZE(keys), l, err);
}

static int by_series(const void *a, const void *b)
{
    return strcmp(((const struct scu_held *)a)->series_uid,
                  ((const struct scu_held *)b)->series_uid);
}

/* Some name a series once more for each patient or study that its instances claim to be of. */
static void leave_one_each(struct listing *series)
{
    size_t kept = 0;
    if (series->count > 0) {
        qsort(series->items, series->count, sizeof(*series->items), by_series);
    }
    for (size_t i = 0; i < series->count; i++) {
        if (i == 0 || by_series(&series->items[i], &series->items[kept - 1]) != 0) {
            series->items[kept++] = series->items[i];
        }
    }
    series->count = kept;
}

enum ds_status scu_reader_list(struct scu_reader *r, const char *study_uid, struct scu_held **out,
                               size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    struct listing series = {.tag = DICOM_TAG_SERIES_INSTANCE_UID, .max = SERIES_MAX};
    struct listing instances = {.tag = DICOM_TAG_SOP_INSTANCE_UID, .max = SCU_HELD_MAX};
    enum ds_status s = find_series(r, study_uid, &series, err);
    leave_one_each(&series);
    for (size_t i = 0; s == DS_OK && i < series.count; i++) {
        s = find_instances(r, study_uid, series.items[i].series_uid, &instances, err);
    }
    free(series.items);
    if (s != DS_OK) {
        free(instances.items);
        return s;
    }
    *out = instances.items;
    *count = instances.count;
    return DS_OK;
}

/* ---- C-GET ---- */

static bool covers(const struct scu_reader *r, const struct scu_wanted *w)
{
    for (size_t i = 0; i < r->kind_count; i++) {
        if (strcmp(r->kinds[i].class_uid, w->sop_class_uid) == 0 &&
            (w->transfer_syntax[0] == '\0' ||
             strcmp(r->kinds[i].syntax, w->transfer_syntax) == 0)) {
            return true;
        }
    }
    return false;
}

static enum ds_status add_kind(struct scu_reader *r, const struct scu_wanted *w,
                               struct ds_error *err)
{
    const size_t class_len = strnlen(w->sop_class_uid, DICOM_UID_BYTES);
    const size_t syntax_len = strnlen(w->transfer_syntax, DICOM_UID_BYTES);
    if (class_len == DICOM_UID_BYTES || syntax_len == DICOM_UID_BYTES) {
        return ds_fail(err, DS_EINVAL, "a UID has at most 64 characters");
    }
    r->kind_count = r->kind_count == CLASSES_MAX ? 0 : r->kind_count;
    struct kind *k = &r->kinds[r->kind_count++];
    memset(k, 0, sizeof(*k));
    memcpy(k->class_uid, w->sop_class_uid, class_len);
    memcpy(k->syntax, w->transfer_syntax, syntax_len);
    return DS_OK;
}

static void add_context(struct dicom_context *contexts, size_t *count, const char *class_uid,
                        const char *syntax)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(contexts[i].sop_class_uid, class_uid) == 0 &&
            strcmp(contexts[i].transfer_syntax, syntax) == 0) {
            return;
        }
    }
    contexts[(*count)++] = (struct dicom_context){class_uid, syntax};
}

static enum ds_status open_get(struct scu_reader *r, const struct scu_wanted *w,
                               struct ds_error *err)
{
    drop_broken(&r->get);
    enum ds_status s = DS_OK;
    if (!covers(r, w)) {
        drop(&r->get);
        s = add_kind(r, w, err);
    }
    if (s != DS_OK || r->get != NULL) {
        return s;
    }
    struct dicom_context contexts[CONTEXTS_MAX];
    size_t count = 0;
    add_context(contexts, &count, DICOM_STUDY_ROOT_GET, DICOM_EXPLICIT_LE);
    add_context(contexts, &count, DICOM_STUDY_ROOT_GET, DICOM_IMPLICIT_LE);
    for (size_t k = 0; k < r->kind_count; k++) {
        if (r->kinds[k].syntax[0] != '\0') {
            add_context(contexts, &count, r->kinds[k].class_uid, r->kinds[k].syntax);
        }
        for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
            add_context(contexts, &count, r->kinds[k].class_uid, syntaxes[i]);
        }
    }
    struct dicom_requestor_options options = r->options.view;
    options.as_scp = true;
    return dicom_requestor_open(&r->get, &options, contexts, count, err);
}

struct coming {
    const struct scu_wanted *wanted;
    struct ds_bytes *file;
    bool came;
    enum ds_status failed;
    struct ds_error *err;
};

static uint16_t on_begin(void *context, const struct dicom_store_request *request)
{
    struct coming *c = context;
    if (c->came || strcmp(request->sop_instance_uid, c->wanted->sop_uid) != 0) {
        return DICOM_STATUS_MISMATCH; /* not what was asked for */
    }
    c->file->len = 0;
    c->failed = scu_reading_begin_file(request->sop_class_uid, request->sop_instance_uid,
                                       request->transfer_syntax, c->file, c->err);
    return c->failed == DS_OK ? DICOM_STATUS_SUCCESS : DICOM_STATUS_OUT_OF_RESOURCES;
}

static uint16_t on_data(void *context, const uint8_t *data, size_t len)
{
    struct coming *c = context;
    c->failed = ds_bytes_append(c->file, data, len, c->err);
    return c->failed == DS_OK ? DICOM_STATUS_SUCCESS : DICOM_STATUS_OUT_OF_RESOURCES;
}

static uint16_t on_end(void *context, bool complete)
{
    struct coming *c = context;
    c->came = complete;
    return DICOM_STATUS_SUCCESS;
}

static enum ds_status identify(struct dicom_dataset **out, const struct scu_wanted *w,
                               struct ds_error *err)
{
    const struct dicom_value keys[] = {{LEVEL_TAG, "IMAGE"},
                                       {DICOM_TAG_STUDY_INSTANCE_UID, w->study_uid},
                                       {DICOM_TAG_SERIES_INSTANCE_UID, w->series_uid},
                                       {DICOM_TAG_SOP_INSTANCE_UID, w->sop_uid}};
    return make_identifier(out, keys, DS_ARRAY_SIZE(keys), err);
}

static enum ds_status get_once(struct scu_reader *r, const struct scu_wanted *w, struct coming *c,
                               uint16_t *status, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *identifier = NULL;
    struct dicom_retrieved done = {0};
    const struct dicom_retrieval take = {
        .context = c, .begin = on_begin, .data = on_data, .end = on_end};
    enum ds_status s = identify(&identifier, w, err);
    if (s == DS_OK) {
        s = dicom_requestor_get(r->get, DICOM_STUDY_ROOT_GET, identifier, &take, &done, err);
    }
    *status = done.status;
    drop_broken(&r->get);
    return s == DS_OK && c->failed != DS_OK ? c->failed : s;
}

enum ds_status scu_reader_get(struct scu_reader *r, const struct scu_wanted *w,
                              struct ds_bytes *file, bool *came, uint16_t *status,
                              struct ds_error *err)
{
    *came = false;
    *status = 0;
    struct coming c = {.wanted = w, .file = file, .err = err};
    enum ds_status s = open_get(r, w, err);
    if (s == DS_OK && !serves(r->get, DICOM_STUDY_ROOT_GET)) {
        return ds_fail(err, DS_EREFUSED, "the peer does not take C-GET from us");
    }
    if (s == DS_OK) {
        s = get_once(r, w, &c, status, err);
    }
    *came = s == DS_OK && c.came;
    return s;
}

/* ---- C-MOVE ---- */

enum ds_status scu_reader_move(struct scu_reader *r, const struct scu_wanted *w,
                               const char *destination, uint16_t *status, struct ds_error *err)
{
    *status = 0;
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *identifier = NULL;
    struct dicom_retrieved done = {0};
    enum ds_status s = open_query(r, DICOM_STUDY_ROOT_MOVE, err);
    if (s == DS_OK) {
        s = identify(&identifier, w, err);
    }
    if (s == DS_OK) {
        s = dicom_requestor_move(r->query, DICOM_STUDY_ROOT_MOVE, destination, identifier, NULL,
                                 &done, err);
        drop_broken(&r->query);
    }
    *status = done.status;
    return s;
}

/* ---- files ---- */

enum ds_status scu_reading_begin_file(const char *sop_class_uid, const char *sop_uid,
                                      const char *transfer_syntax, struct ds_bytes *file,
                                      struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_new(&d, err);
    if (s == DS_OK) {
        s = dicom_dataset_set(d, DICOM_TAG_SOP_CLASS_UID, sop_class_uid, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_set(d, DICOM_TAG_SOP_INSTANCE_UID, sop_uid, err);
    }
    return s == DS_OK ? dicom_dataset_header(d, transfer_syntax, file, err) : s;
}

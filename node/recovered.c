/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recovery.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "node/description.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An instance that this node made: its file, and where it came from. */
struct made_here {
    const uint8_t *file;
    size_t len;
    enum db_kind kind;
    int64_t restored_from;
    char prefix;  /* of the archive's ID */
    bool is_owed; /* by the instance that it is the same as: not again */
};

/* The row was there before, with a file somewhere: keep one file, where the row says. */
static enum ds_status settle_duplicate(const char *ours, const char *stored, struct ds_error *err)
{
    if (strcmp(ours, stored) == 0) {
        return DS_OK;
    }
    if (!ds_file_exists(stored)) {
        return archive_move_in(ours, stored, err);
    }
    return unlink(ours) == 0 ? DS_OK : ds_fail(err, DS_EIO, "cannot remove a duplicate");
}

static enum ds_status store(struct recovery *r, struct description *d, const struct made_here *made,
                            struct db_indexed *row, struct ds_error *err)
{
    char id[ARCHIVE_ID_BYTES];
    archive_id_of(made->prefix, d->row.file_hash, id);
    d->row.received_us = ds_clock_utc_us();
    d->row.kind = made->kind;
    d->row.restored_from = made->restored_from;
    description_set_callers(d, r->due->study->calling_ae, r->due->study->called_ae);
    enum ds_status s =
        archive_path(&r->due->services->archive, d->row.received_us, id, d->path, err);
    if (s == DS_OK) {
        s = archive_make_folder_of(d->path, err);
    }
    if (s == DS_OK) {
        s = ds_file_write(d->path, made->file, made->len, DS_FILE_REPLACE, 0600, err);
    }
    if (s == DS_OK) {
        s = db_index(r->due->db, &d->row, 1, row, err);
    }
    return s == DS_OK && row->duplicate ? settle_duplicate(d->path, row->path, err) : s;
}

/* Archive, row, and what is owed. What an earlier generation has delivered is not delivered again.
 */
static enum ds_status take_in(struct recovery *r, const struct made_here *made,
                              struct ds_error *err)
{
    struct description *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    struct db_indexed row = {0};
    enum ds_status s = description_make(d, made->file, made->len, err);
    if (s == DS_OK) {
        s = store(r, d, made, &row, err);
    }
    description_free(d);
    free(d);
    if (s != DS_OK || draft_has_instance(r->draft, row.instance_id)) {
        return s;
    }
    if (row.reencoded) {
        const struct db_planned_absence again = {row.instance_id, "duplicate",
                                                 "the same data set was restored before"};
        return draft_add_absence(r->draft, &again, err);
    }
    if (row.generation != 0) {
        return DS_OK; /* also when it came back to the very path that it had */
    }
    s = draft_add_instance(r->draft, row.instance_id, err);
    return s == DS_OK && !made->is_owed
               ? planner_send_as_is(r->due, row.instance_id, "", r->draft, err)
               : s;
}

static enum ds_status add_events(struct recovery *r, const struct db_instance *carrier,
                                 const struct carrier_found *found,
                                 const struct carrier_restored *restored, struct ds_error *err)
{
    const bool verified = stego_part_origin(carrier_found_part(found)) == STEGO_ORIGIN_VERIFIED;
    const struct db_event base = {.instance_id = carrier->id,
                                  .study_id = carrier->study_id,
                                  .actor = "node",
                                  .has_before = true};
    struct db_event events[3] = {base, base, base};
    size_t count = 0;
    events[count++].kind = "found";
    if (verified) {
        events[count++].kind = "verified";
    }
    struct db_event *recovered = &events[count++];
    recovered->kind = "recovered";
    recovered->has_after = true;
    memcpy(recovered->after, restored->hashes.file, DS_SHA256_BYTES);
    recovered->detail =
        restored->file_proven ? "{\"file_hash\": \"equal\"}" : "{\"file_hash\": \"not compared\"}";
    for (size_t i = 0; i < count; i++) {
        memcpy(events[i].before, carrier->file_hash, DS_SHA256_BYTES);
    }
    return db_event_add(r->due->db, events, count, err);
}

static enum ds_status keep_reference(struct recovery *r, const struct carrier_restored *restored,
                                     struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    size_t left_out = 0;
    enum ds_status s = dicom_dataset_view(&d, restored->file.data, restored->file.len, NULL, err);
    if (s == DS_OK) {
        dicom_dataset_remove(d, DICOM_TAG_PIXEL_DATA); /* compressed ones would not be left out */
        s = dicom_dataset_write_hollow(d, &r->reference, &left_out, err);
    }
    return s;
}

enum ds_status recovered_keep_instance(struct recovery *r, const struct db_instance *carrier,
                                       const struct carrier_found *found,
                                       const struct carrier_restored *restored,
                                       struct ds_error *err)
{
    const struct beside_pair *pair = beside_pair_of(&r->beside, carrier->id);
    const struct made_here made = {
        .file = restored->file.data,
        .len = restored->file.len,
        .kind = DB_RESTORED,
        .restored_from = carrier->id,
        .prefix = 'r',
        .is_owed =
            pair != NULL && pair->is_owed &&
            memcmp(pair->instance.dataset_hash, restored->hashes.dataset, DS_SHA256_BYTES) == 0};
    enum ds_status s = take_in(r, &made, err);
    if (s == DS_OK) {
        s = draft_add_instance(r->draft, carrier->id, err);
    }
    if (s == DS_OK && pair != NULL && beside_is_pending(pair) &&
        !draft_has_instance(r->draft, pair->instance.id)) {
        s = draft_add_instance(r->draft, pair->instance.id, err);
    }
    if (s == DS_OK && r->reference.len == 0) {
        s = keep_reference(r, restored, err);
    }
    if (s == DS_OK) {
        s = add_events(r, carrier, found, restored, err);
    }
    r->restored_count += s == DS_OK ? 1 : 0;
    return s;
}

static enum ds_status deliver_report(struct recovery *r, const struct dicom_dataset *reference,
                                     const struct stego_opened_document *report,
                                     struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = carrier_report_to_dicom(report, reference, &file, err);
    if (s == DS_EUNSUPPORTED || s == DS_EFORMAT) {
        ds_log(DS_LOG_WARNING, "node",
               "study=%lld a report is kept but cannot be delivered as a DICOM object: %s",
               (long long)r->due->study->study_id, err->text);
        return DS_OK;
    }
    if (s != DS_OK) {
        return s;
    }
    const struct made_here made = {
        .file = file.data, .len = file.len, .kind = DB_REPORT, .prefix = 'p'};
    return take_in(r, &made, err);
}

static enum ds_status keep_one_report(struct recovery *r, const struct dicom_dataset *reference,
                                      const struct stego_opened_document *report,
                                      struct ds_error *err)
{
    int64_t id = 0;
    const enum ds_status s =
        db_report_add(r->due->db, r->due->study->study_id, report->name, report->media_type,
                      "recovered", report->data.data, report->data.len, true, &id, err);
    if (s != DS_OK || reference == NULL || r->due->rule->recover.report_as == CONFIG_REPORT_NONE) {
        return s;
    }
    return deliver_report(r, reference, report, err);
}

static enum ds_status read_reference(const struct recovery *r, struct dicom_dataset **out,
                                     struct ds_error *err)
{
    if (r->reference.len == 0) {
        ds_log(DS_LOG_WARNING, "node",
               "study=%lld reports are kept, but no instance was restored to deliver them with",
               (long long)r->due->study->study_id);
        return DS_OK;
    }
    return dicom_dataset_read(out, r->reference.data, r->reference.len, DICOM_EXPLICIT_LE, err);
}

enum ds_status recovered_keep_reports(struct recovery *r, const struct capsule_group *group,
                                      struct ds_error *err)
{
    struct stego_documents documents = {0};
    enum ds_status s = carrier_reports(group->collector, &r->keyring, &documents, err);
    if (s == DS_ENOTHING || s == DS_ENOKEY || s == DS_EAUTH || s == DS_EFORMAT) {
        ds_log(DS_LOG_WARNING, "node", "study=%lld status=%s no report could be opened: %s",
               (long long)r->due->study->study_id, ds_status_name(s), err->text);
        return DS_OK; /* the instances were judged one by one */
    }
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *reference = NULL;
    if (s == DS_OK && documents.count > 0) {
        s = read_reference(r, &reference, err);
    }
    for (size_t i = 0; s == DS_OK && i < documents.count; i++) {
        s = keep_one_report(r, reference, &documents.items[i], err);
    }
    if (s == DS_OK && documents.count > 0) {
        ds_log(DS_LOG_INFO, "node", "study=%lld recovered %zu reports",
               (long long)r->due->study->study_id, documents.count);
    }
    stego_documents_free(&documents);
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/retrieving.h"

#include "base/clock.h"
#include "base/log.h"
#include "node/calling.h"
#include "node/finding.h"
#include "node/retrieval.h"
#include "scp/retrieve.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_LIST_TAG DICOM_TAG(0x0008, 0x0058) /* Failed SOP Instance UID List */
#define PENDING_MS      200 /* between two pending responses: enough for a progress bar */

static void refuse(struct dicom_operation *o, uint16_t status, const char *comment)
{
    const struct dicom_response r = {.status = status, .error_comment = comment};
    (void)dicom_operation_send(o, &r);
}

static struct db_retrieve_key key_of(const struct scp_retrieve_key *key)
{
    return (struct db_retrieve_key){key->values, key->count};
}

/* ---- how it goes on and ends ---- */

static void say_pending(struct retrieval *r, int64_t *said_ms)
{
    const int64_t now_ms = ds_clock_monotonic_ms();
    if (*said_ms != 0 && now_ms - *said_ms < PENDING_MS) {
        return;
    }
    *said_ms = now_ms;
    const struct dicom_response pending = {.status = DICOM_STATUS_PENDING, .counts = &r->counts};
    (void)dicom_operation_send(r->operation, &pending);
}

/* PS3.4 C.4.2.1.5, C.4.3.1.4. */
static uint16_t final_status(const struct retrieval *r)
{
    if (r->cancelled) {
        return DICOM_STATUS_CANCEL;
    }
    if (r->counts.failed == 0 && r->counts.warning == 0) {
        return DICOM_STATUS_SUCCESS;
    }
    return r->counts.completed == 0 && r->counts.warning == 0 ? DICOM_STATUS_CANNOT_PERFORM
                                                              : DICOM_STATUS_SOME_FAILED;
}

static void say_final(struct retrieval *r)
{
    struct dicom_response final = {
        .status = final_status(r), .counts = &r->counts, .error_comment = r->comment};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *list = NULL;
    if (r->failed.len > 0 && ds_bytes_put_u8(&r->failed, '\0', NULL) == DS_OK &&
        dicom_dataset_new(&list, NULL) == DS_OK &&
        dicom_dataset_set(list, FAILED_LIST_TAG, (const char *)r->failed.data, NULL) == DS_OK) {
        final.identifier = list;
    }
    const struct dicom_peer *peer = r->request->peer;
    ds_log(final.status == DICOM_STATUS_SUCCESS ? DS_LOG_INFO : DS_LOG_WARNING, "node",
           "assoc=%" PRIu64 " peer=%s %s to=%s completed=%u failed=%u warning=%u remaining=%u "
           "status=%04x",
           peer->association, peer->calling_ae, r->link != NULL ? "C-MOVE" : "C-GET",
           r->destination, r->counts.completed, r->counts.failed, r->counts.warning,
           r->counts.remaining, final.status);
    (void)dicom_operation_send(r->operation, &final);
}

/* ---- the instances ---- */

static bool is_over(struct retrieval *r)
{
    r->cancelled = r->cancelled || dicom_operation_cancelled(r->operation);
    return r->cancelled || r->given_up;
}

/* False: its events could not be written. */
static bool send_page(struct retrieval *r, const struct db_instance *page, size_t count,
                      int64_t *said_ms)
{
    retrieval_prepare(r, page, count);
    r->ahead = count > 1 ? ahead_new() : NULL;
    for (size_t i = 0; i < count && !is_over(r); i++) {
        retrieval_send(r, &page[i], i + 1 < count ? &page[i + 1] : NULL);
        say_pending(r, said_ms);
    }
    ahead_free(r->ahead);
    r->ahead = NULL;
    return retrieval_record(r);
}

static void send_all(struct retrieval *r, unsigned kinds, const int64_t *ids, size_t count)
{
    int64_t said_ms = 0;
    struct ds_error err = {DS_OK, ""};
    struct db_instance *page = calloc(RETRIEVAL_PAGE, sizeof(*page));
    enum ds_status s = page == NULL ? ds_fail(&err, DS_ENOMEM, "out of memory") : DS_OK;
    for (size_t at = 0; s == DS_OK && at < count && !is_over(r); at += RETRIEVAL_PAGE) {
        const size_t n = count - at < RETRIEVAL_PAGE ? count - at : RETRIEVAL_PAGE;
        struct db *db = services_db(r->services);
        size_t found = 0;
        s = db == NULL ? ds_fail(&err, DS_EIO, "the database is away")
                       : db_retrieve_page(db, kinds, ids + at, n, page, &found, &err);
        if (s == DS_OK) {
            retrieval_fail(r, n - found); /* deleted or put into quarantine meanwhile */
            s = send_page(r, page, found, &said_ms)
                    ? DS_OK
                    : ds_fail(&err, DS_EIO, "the events could not be written");
        }
    }
    free(page);
    if (s != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "assoc=%" PRIu64 " peer=%s retrieval ended: %s",
               r->request->peer->association, r->request->peer->calling_ae, err.text);
        r->comment = "the node has trouble of its own; try again later";
    }
    if (!r->cancelled) {
        retrieval_fail(r, r->counts.remaining); /* what was not tried */
    }
}

static void run(struct retrieval *r, const struct scp_retrieve *keys)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(r->services);
    const unsigned kinds = finding_kinds(settings_config(settings), r->request->peer->called_ae);
    const struct db_retrieve what = {.kinds = kinds,
                                     .patients = key_of(&keys->keys[SCP_RETRIEVE_PATIENT]),
                                     .studies = key_of(&keys->keys[SCP_RETRIEVE_STUDY]),
                                     .series = key_of(&keys->keys[SCP_RETRIEVE_SERIES]),
                                     .instances = key_of(&keys->keys[SCP_RETRIEVE_IMAGE])};
    struct ds_error err = {DS_OK, ""};
    struct db *db = services_db(r->services);
    int64_t *ids = NULL;
    size_t count = 0;
    const enum ds_status s = db == NULL ? ds_fail(&err, DS_EIO, "the database is away")
                                        : db_retrieve_ids(db, &what, &ids, &count, &err);
    if (s != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "assoc=%" PRIu64 " peer=%s retrieval refused: %s",
               r->request->peer->association, r->request->peer->calling_ae, err.text);
        refuse(r->operation, DICOM_STATUS_CANNOT_COUNT, "the node cannot look it up now");
    } else if (count > DB_RETRIEVE_MAX) {
        refuse(r->operation, DICOM_STATUS_CANNOT_COUNT, "more than 65535 instances match");
    } else {
        r->counts.remaining = (uint16_t)count;
        send_all(r, what.kinds, ids, count);
        say_final(r);
    }
    free(ids);
}

static void retrieve(struct retrieval *r)
{
    struct scp_retrieve keys;
    struct dicom_response refusal;
    if (scp_retrieve_read(r->request, &keys, &refusal)) {
        run(r, &keys);
    } else {
        ds_log(DS_LOG_WARNING, "node",
               "assoc=%" PRIu64 " peer=%s status=%04x retrieval refused: %s",
               r->request->peer->association, r->request->peer->calling_ae,
               (unsigned)refusal.status, refusal.error_comment);
        (void)dicom_operation_send(r->operation, &refusal);
    }
    scp_retrieve_free(&keys);
}

static struct retrieval *retrieval_new(struct services *s,
                                       const struct dicom_operation_request *request,
                                       struct dicom_operation *operation,
                                       const struct config_peer *destination)
{
    struct retrieval *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        refuse(operation, DICOM_STATUS_CANNOT_PERFORM, "out of memory");
        return NULL;
    }
    r->services = s;
    r->request = request;
    r->operation = operation;
    r->destination = destination->ae_title;
    r->peer = destination->name;
    r->failed = DS_BYTES_INIT(RETRIEVAL_FAILED_MAX_BYTES + 1);
    return r;
}

static void retrieval_free(struct retrieval *r)
{
    retrieval_finish(r);
    free(r);
}

/* ---- C-MOVE ---- */

static const struct config_peer *peer_with_title(const struct config *c, const char *ae_title)
{
    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].host != NULL && strcmp(c->peers[i].ae_title, ae_title) == 0) {
            return &c->peers[i];
        }
    }
    return NULL;
}

/* PS3.7 9.1.1.1.7: what arrives names who asked for it, and in which message. */
static enum ds_status open_link(struct retrieval *r, const struct settings *settings,
                                const struct config_peer *peer, struct ds_error *err)
{
    struct calling call;
    calling_init(&call, settings, peer);
    call.options.move_originator = r->request->peer->calling_ae;
    call.options.move_message_id = r->request->message_id;
    call.options.during = r->operation;
    return scu_link_new(&r->link, &call.options, err);
}

void retrieving_move(struct services *s, const struct dicom_operation_request *request,
                     struct dicom_operation *operation)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(s);
    const struct config_peer *peer =
        peer_with_title(settings_config(settings), request->move_destination);
    if (peer == NULL) {
        ds_log(DS_LOG_WARNING, "node", "assoc=%" PRIu64 " peer=%s C-MOVE to an unknown destination",
               request->peer->association, request->peer->calling_ae);
        refuse(operation, DICOM_STATUS_UNKNOWN_DESTINATION, "no peer with that AE title is called");
        return;
    }
    struct retrieval *r = retrieval_new(s, request, operation, peer);
    if (r == NULL) {
        return;
    }
    struct ds_error err = {DS_OK, ""};
    if (open_link(r, settings, peer, &err) == DS_OK) {
        retrieve(r);
    } else {
        refuse(operation, DICOM_STATUS_CANNOT_PERFORM, "out of memory");
    }
    retrieval_free(r);
}

/* ---- C-GET ---- */

void retrieving_get(struct services *s, const struct dicom_operation_request *request,
                    struct dicom_operation *operation)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(s);
    const struct config_peer *peer = config_peer_calling(
        settings_config(settings), request->peer->calling_ae, request->peer->address);
    if (peer == NULL) { /* withdrawn since it began */
        refuse(operation, DICOM_STATUS_NOT_AUTHORIZED, NULL);
        return;
    }
    struct retrieval *r = retrieval_new(s, request, operation, peer);
    if (r != NULL) {
        retrieve(r);
        retrieval_free(r);
    }
}

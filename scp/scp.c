/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/scp.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dicom/envelope.h"
#include "dicom/identity.h"
#include "dicom/transfer_syntax.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct scp {
    struct dicom_listener *listener;
    struct spool *spool;
    struct scp_policy policy;
    struct scp_commitment commitment;
};

/* One instance on its way into the spool. */
struct incoming {
    struct scp *scp;
    const struct dicom_peer *peer; /* lives as long as the association, hence longer than this */
    struct spool_writer *writer;
    void *diverted;   /* not NULL: the sink that the policy gave, and no writer */
    int64_t begun_us; /* monotonic */
    char sop_class_uid[DICOM_UID_BYTES];
    char sop_instance_uid[DICOM_UID_BYTES];
    char transfer_syntax[DICOM_UID_BYTES];
};

/* PS3.4 B.2.3: what the sender hears. Out of resources tells it to try again later. */
static uint16_t status_for(enum ds_status s)
{
    switch (s) {
    case DS_OK:
        return DICOM_STATUS_SUCCESS;
    case DS_EFORMAT:
    case DS_EINVAL:
        return DICOM_STATUS_CANNOT_UNDERSTAND;
    default:
        return DICOM_STATUS_OUT_OF_RESOURCES;
    }
}

static uint16_t refuse(const struct dicom_peer *peer, enum ds_status s, const struct ds_error *err)
{
    const uint16_t status = status_for(s);
    /* A full disk is said by the spool, once, and not for each instance. */
    ds_log(s == DS_ECAPACITY ? DS_LOG_DEBUG : DS_LOG_ERROR, "scp",
           "assoc=%" PRIu64 " peer=%s status=%04x not stored: %s", peer->association,
           peer->calling_ae, (unsigned)status, err->text);
    return status;
}

static bool has_right(const struct scp *s, const struct dicom_peer *peer, enum scp_right right)
{
    return s->policy.may(s->policy.context, peer, right);
}

static bool is_known(const struct scp *s, const struct dicom_peer *peer)
{
    if (!s->policy.knows(s->policy.context, peer)) {
        return false;
    }
    for (int right = SCP_RIGHT_ECHO; right <= SCP_RIGHT_GET; right++) {
        if (has_right(s, peer, (enum scp_right)right)) {
            return true;
        }
    }
    return false;
}

/* Whoever may ask for something may do so on a full disk too; its C-STOREs are answered A700. */
static bool may_ask(const struct scp *s, const struct dicom_peer *peer)
{
    return has_right(s, peer, SCP_RIGHT_FIND) || has_right(s, peer, SCP_RIGHT_MOVE) ||
           has_right(s, peer, SCP_RIGHT_GET);
}

/* Below the watermark a sender hears at once that it is to come again later (PS3.8 9.3.4), and does
 * not learn it image by image. */
static bool admit(void *context, const struct dicom_peer *peer, bool *transient)
{
    const struct scp *s = context;
    *transient = false;
    if (!is_known(s, peer)) {
        return false;
    }
    *transient = !spool_has_room(s->spool) && !may_ask(s, peer);
    return !*transient;
}

static bool may_store(void *context, const struct dicom_peer *peer)
{
    const struct scp *s = context;
    return s->policy.may(s->policy.context, peer, SCP_RIGHT_STORE);
}

static void incoming_free(struct incoming *in)
{
    spool_abort(in->writer);
    free(in);
}

/* Move Originator Application Entity Title (PS3.7 9.1.1.1.4): who asked for the C-MOVE that this is
 * a part of. */
static bool is_of_our_move(const struct scp *s, const struct dicom_store_request *request)
{
    return s->policy.divert != NULL && request->move_originator[0] != '\0' &&
           strcmp(request->move_originator, request->peer->called_ae) == 0;
}

static uint16_t divert(struct scp *s, const struct dicom_store_request *request, void **sink)
{
    struct ds_error err = {DS_OK, ""};
    struct incoming *in = calloc(1, sizeof(*in));
    if (in == NULL) {
        return refuse(request->peer, ds_fail(&err, DS_ENOMEM, "out of memory"), &err);
    }
    in->scp = s;
    in->peer = request->peer;
    const uint16_t status = s->policy.divert(s->policy.context, request, &in->diverted);
    if (in->diverted == NULL) {
        free(in);
        return status != DICOM_STATUS_SUCCESS ? status : DICOM_STATUS_OUT_OF_RESOURCES;
    }
    *sink = in;
    return DICOM_STATUS_SUCCESS;
}

static uint16_t store_begin(void *context, const struct dicom_store_request *request, void **sink)
{
    struct scp *s = context;
    struct ds_error err = {DS_OK, ""};
    *sink = NULL;
    if (is_of_our_move(s, request)) {
        return divert(s, request, sink);
    }
    struct incoming *in = calloc(1, sizeof(*in));
    if (in == NULL) {
        return refuse(request->peer, ds_fail(&err, DS_ENOMEM, "out of memory"), &err);
    }
    in->begun_us = ds_clock_monotonic_us();
    in->scp = s;
    in->peer = request->peer;
    const struct spool_meta meta = {
        .calling_ae = request->peer->calling_ae,
        .called_ae = request->peer->called_ae,
        .sop_class_uid = request->sop_class_uid,
        .sop_instance_uid = request->sop_instance_uid,
        .transfer_syntax = request->transfer_syntax,
    };
    const enum ds_status st = spool_begin(s->spool, &meta, &in->writer, &err);
    if (st != DS_OK) {
        incoming_free(in);
        return refuse(request->peer, st, &err);
    }
    /* The spool has checked the lengths. */
    memcpy(in->sop_class_uid, request->sop_class_uid, strlen(request->sop_class_uid) + 1);
    memcpy(in->sop_instance_uid, request->sop_instance_uid, strlen(request->sop_instance_uid) + 1);
    memcpy(in->transfer_syntax, request->transfer_syntax, strlen(request->transfer_syntax) + 1);
    *sink = in;
    return DICOM_STATUS_SUCCESS;
}

static uint16_t store_data(void *sink, const uint8_t *data, size_t len)
{
    struct incoming *in = sink;
    struct ds_error err = {DS_OK, ""};
    if (in->diverted != NULL) {
        return in->scp->policy.divert_data(in->diverted, data, len);
    }
    const enum ds_status st = spool_write(in->writer, data, len, &err);
    return st == DS_OK ? DICOM_STATUS_SUCCESS : refuse(in->peer, st, &err);
}

/* Group 0002 does not belong into a data set (PS3.10 7.1), and in a file its elements would be read
 * as a continuation of ours, which are the record of who sent what. A deflated stream that happens
 * to begin so could not be told from it either. */
static bool begins_like_meta(const uint8_t *data, size_t len)
{
    return len >= 2 && data[0] == 2 && data[1] == 0;
}

/* Do the elements add up? Their values are nobody's business here, but for the two that say which
 * instance it is. A deflated data set shows its beginning only. */
static enum ds_status look_at(struct incoming *in, struct dicom_identity *out, struct ds_error *err)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    enum ds_status st = spool_peek(in->writer, &data, &len, err);
    if (st == DS_OK && len == 0) {
        st = ds_fail(err, DS_EFORMAT, "an empty data set");
    }
    if (st == DS_OK && begins_like_meta(data, len)) {
        st = ds_fail(err, DS_EFORMAT, "group 0002 in a data set");
    }
    const bool deflated = strcmp(in->transfer_syntax, DICOM_DEFLATED_LE) == 0;
    if (st == DS_OK && !deflated && len % 2 != 0) {
        st = ds_fail(err, DS_EFORMAT, "a data set of odd length"); /* PS3.5 7.1 */
    }
    struct dicom_envelope envelope;
    if (st == DS_OK && !deflated) {
        st = dicom_envelope_scan_dataset(data, len, in->transfer_syntax, &envelope, err);
    }
    return st == DS_OK ? dicom_identity_read(data, len, in->transfer_syntax, out, err) : st;
}

/* PS3.4 B.2.3: the data set must be of the class, and the instance, of the command. One that does
 * not say is nobody else's either: it is kept, and what comes after the spool judges it. */
static bool is_the_announced(const struct incoming *in, const struct dicom_identity *is)
{
    return (is->sop_class_uid[0] == '\0' || strcmp(is->sop_class_uid, in->sop_class_uid) == 0) &&
           (is->sop_instance_uid[0] == '\0' ||
            strcmp(is->sop_instance_uid, in->sop_instance_uid) == 0);
}

static uint16_t mismatch(const struct incoming *in)
{
    ds_log(DS_LOG_ERROR, "scp",
           "assoc=%" PRIu64 " peer=%s status=%04x not stored: the data set has another SOP class "
           "or instance than the command",
           in->peer->association, in->peer->calling_ae, DICOM_STATUS_MISMATCH);
    return DICOM_STATUS_MISMATCH;
}

static uint16_t accept_instance(struct incoming *in)
{
    struct ds_error err = {DS_OK, ""};
    struct spool_entry entry;
    struct dicom_identity identity;
    enum ds_status st = look_at(in, &identity, &err);
    if (st == DS_OK && !is_the_announced(in, &identity)) {
        return mismatch(in);
    }
    if (st == DS_OK) {
        st = spool_commit(in->writer, &entry, &err);
        in->writer = NULL; /* ended either way */
    }
    if (st != DS_OK) {
        return refuse(in->peer, st, &err);
    }
    ds_metric_observe(DS_METRIC_INTAKE_SECONDS, NULL, ds_clock_monotonic_us() - in->begun_us);
    ds_metric_add(DS_METRIC_RECEIVED_INSTANCES, in->peer->calling_ae, NULL, 1);
    ds_metric_add(DS_METRIC_RECEIVED_BYTES, in->peer->calling_ae, NULL, entry.dataset_bytes);
    const struct scp_policy *policy = &in->scp->policy;
    if (policy->stored != NULL) {
        policy->stored(policy->context, &entry, in->peer);
    }
    return DICOM_STATUS_SUCCESS;
}

static uint16_t store_end(void *sink, bool complete)
{
    struct incoming *in = sink;
    if (in->diverted != NULL) {
        const uint16_t answer = in->scp->policy.divert_end(in->diverted, complete);
        free(in);
        return answer;
    }
    const uint16_t status = complete ? accept_instance(in) : DICOM_STATUS_OUT_OF_RESOURCES;
    incoming_free(in);
    return status;
}

/* ---- storage commitment ---- */

static uint16_t on_action(void *context, const struct dicom_message *m)
{
    return scp_commitment_action(&((const struct scp *)context)->commitment, m);
}

static uint16_t on_event(void *context, const struct dicom_message *m)
{
    return scp_commitment_event(&((const struct scp *)context)->commitment, m);
}

static bool on_report(void *context, const struct dicom_peer *peer, const char *transfer_syntax,
                      struct dicom_report *out)
{
    return scp_commitment_report(&((const struct scp *)context)->commitment, peer, transfer_syntax,
                                 out);
}

static void on_reported(void *context, const struct dicom_peer *peer, uint64_t token, bool answered,
                        uint16_t status)
{
    scp_commitment_reported(&((const struct scp *)context)->commitment, peer, token, answered,
                            status);
}

static void serve_commitment(struct scp *s, struct dicom_service *service)
{
    if (s->policy.commitment == NULL) {
        return;
    }
    s->commitment = *s->policy.commitment;
    s->policy.commitment = &s->commitment;
    service->action = on_action;
    service->event = on_event;
    service->report = on_report;
    service->reported = on_reported;
}

static void untrusted(void *context, const struct dicom_peer *peer)
{
    const struct scp *s = context;
    if (s->policy.untrusted != NULL) {
        s->policy.untrusted(s->policy.context, peer);
    }
}

/* ---- query and retrieval ---- */

static bool may_query(void *context, const struct dicom_peer *peer, enum dicom_query_kind kind)
{
    static const enum scp_right rights[] = {[DICOM_QUERY_FIND] = SCP_RIGHT_FIND,
                                            [DICOM_QUERY_MOVE] = SCP_RIGHT_MOVE,
                                            [DICOM_QUERY_GET] = SCP_RIGHT_GET};
    return has_right(context, peer, rights[kind]);
}

static void on_find(void *context, const struct dicom_operation_request *request,
                    struct dicom_operation *operation)
{
    const struct scp_policy *policy = &((const struct scp *)context)->policy;
    policy->find(policy->context, request, operation);
}

static void on_move(void *context, const struct dicom_operation_request *request,
                    struct dicom_operation *operation)
{
    const struct scp_policy *policy = &((const struct scp *)context)->policy;
    policy->move(policy->context, request, operation);
}

static void on_get(void *context, const struct dicom_operation_request *request,
                   struct dicom_operation *operation)
{
    const struct scp_policy *policy = &((const struct scp *)context)->policy;
    policy->get(policy->context, request, operation);
}

static void serve_queries(const struct scp *s, struct dicom_service *service)
{
    service->may_query = may_query;
    service->find = s->policy.find == NULL ? NULL : on_find;
    service->move = s->policy.move == NULL ? NULL : on_move;
    service->get = s->policy.get == NULL ? NULL : on_get;
}

static void closed(void *context, const struct dicom_peer *peer, const char *how, unsigned stored)
{
    const struct scp *s = context;
    ds_log(DS_LOG_INFO, "scp", "assoc=%" PRIu64 " peer=%s address=%s stored=%u %s",
           peer->association, peer->calling_ae, peer->address, stored, how);
    if (s->policy.closed != NULL) {
        s->policy.closed(s->policy.context, peer, stored);
    }
}

enum ds_status scp_start(struct scp **out, const struct dicom_listener_options *options,
                         struct spool *spool, const struct scp_policy *policy, struct ds_error *err)
{
    *out = NULL;
    if (policy->knows == NULL || policy->may == NULL) {
        return ds_fail(err, DS_EINVAL, "a policy says who is known and who may store");
    }
    struct scp *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    s->spool = spool;
    s->policy = *policy;
    struct dicom_service service = {
        .context = s,
        .admit = admit,
        .untrusted = untrusted,
        .may_store = may_store,
        .store_begin = store_begin,
        .store_data = store_data,
        .store_end = store_end,
        .closed = closed,
    };
    serve_commitment(s, &service);
    serve_queries(s, &service);
    const enum ds_status st = dicom_listener_start(&s->listener, options, &service, err);
    if (st != DS_OK) {
        free(s);
        return st;
    }
    *out = s;
    return DS_OK;
}

enum ds_status scp_reload_tls(struct scp *s, const struct dicom_tls *tls, struct ds_error *err)
{
    return dicom_listener_reload_tls(s->listener, tls, err);
}

uint16_t scp_port(const struct scp *s)
{
    return dicom_listener_port(s->listener);
}

void scp_stop(struct scp *s, unsigned drain_ms)
{
    if (s == NULL) {
        return;
    }
    dicom_listener_stop(s->listener, drain_ms);
    free(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/scp.h"

#include "base/log.h"
#include "dicom/envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Explicit VR Little Endian in one deflated stream (PS3.5 A.5): no element in it can be seen from
 * outside. */

struct scp {
    struct dicom_listener *listener;
    struct spool *spool;
    struct scp_policy policy;
};

/* One instance on its way into the spool. */
struct incoming {
    struct scp *scp;
    const struct dicom_peer *peer; /* lives as long as the association, hence longer than this */
    struct spool_writer *writer;
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
    ds_log(DS_LOG_ERROR, "scp", "assoc=%" PRIu64 " peer=%s status=%04x not stored: %s",
           peer->association, peer->calling_ae, (unsigned)status, err->text);
    return status;
}

static bool admit(void *context, const struct dicom_peer *peer, bool *transient)
{
    const struct scp *s = context;
    *transient = false;
    return s->policy.knows(s->policy.context, peer) &&
           (s->policy.may(s->policy.context, peer, SCP_RIGHT_ECHO) ||
            s->policy.may(s->policy.context, peer, SCP_RIGHT_STORE));
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

static uint16_t store_begin(void *context, const struct dicom_store_request *request, void **sink)
{
    struct scp *s = context;
    struct ds_error err = {DS_OK, ""};
    *sink = NULL;
    struct incoming *in = calloc(1, sizeof(*in));
    if (in == NULL) {
        return refuse(request->peer, ds_fail(&err, DS_ENOMEM, "out of memory"), &err);
    }
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
    /* The spool has checked its length. */
    memcpy(in->transfer_syntax, request->transfer_syntax, strlen(request->transfer_syntax) + 1);
    *sink = in;
    return DICOM_STATUS_SUCCESS;
}

static uint16_t store_data(void *sink, const uint8_t *data, size_t len)
{
    struct incoming *in = sink;
    struct ds_error err = {DS_OK, ""};
    const enum ds_status st = spool_write(in->writer, data, len, &err);
    return st == DS_OK ? DICOM_STATUS_SUCCESS : refuse(in->peer, st, &err);
}

/* Do the elements add up? Their values are nobody's business here. */
static enum ds_status look_at(struct incoming *in, struct ds_error *err)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    const enum ds_status st = spool_peek(in->writer, &data, &len, err);
    if (st != DS_OK) {
        return st;
    }
    if (len == 0) {
        return ds_fail(err, DS_EFORMAT, "an empty data set");
    }
    if (strcmp(in->transfer_syntax, DICOM_DEFLATED_LE) == 0) {
        return DS_OK;
    }
    struct dicom_envelope envelope;
    return dicom_envelope_scan_dataset(data, len, in->transfer_syntax, &envelope, err);
}

static uint16_t accept_instance(struct incoming *in)
{
    struct ds_error err = {DS_OK, ""};
    struct spool_entry entry;
    enum ds_status st = look_at(in, &err);
    if (st == DS_OK) {
        st = spool_commit(in->writer, &entry, &err);
        in->writer = NULL; /* ended either way */
    }
    if (st != DS_OK) {
        return refuse(in->peer, st, &err);
    }
    const struct scp_policy *policy = &in->scp->policy;
    if (policy->stored != NULL) {
        policy->stored(policy->context, &entry, in->peer);
    }
    return DICOM_STATUS_SUCCESS;
}

static uint16_t store_end(void *sink, bool complete)
{
    struct incoming *in = sink;
    const uint16_t status = complete ? accept_instance(in) : DICOM_STATUS_OUT_OF_RESOURCES;
    incoming_free(in);
    return status;
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
    const struct dicom_service service = {
        .context = s,
        .admit = admit,
        .may_store = may_store,
        .store_begin = store_begin,
        .store_data = store_data,
        .store_end = store_end,
        .closed = closed,
    };
    const enum ds_status st = dicom_listener_start(&s->listener, options, &service, err);
    if (st != DS_OK) {
        free(s);
        return st;
    }
    *out = s;
    return DS_OK;
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

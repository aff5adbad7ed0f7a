/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/commitment.h"

#include "base/log.h"

#include <inttypes.h>

static void say(const struct dicom_peer *peer, enum ds_log_level level, uint16_t status,
                const char *what)
{
    ds_log(level, "scp", "assoc=%" PRIu64 " peer=%s status=%04x storage commitment: %s",
           peer->association, peer->calling_ae, (unsigned)status, what);
}

static uint16_t status_of(enum ds_status s)
{
    return s == DS_OK                      ? DICOM_STATUS_SUCCESS
           : s == DS_EIO || s == DS_ENOMEM ? DICOM_STATUS_RESOURCE_LIMITATION
                                           : DICOM_STATUS_PROCESSING_FAILURE;
}

uint16_t scp_commitment_action(const struct scp_commitment *c, const struct dicom_message *m)
{
    if (!c->may_ask(c->context, m->peer)) {
        say(m->peer, DS_LOG_WARNING, DICOM_STATUS_NOT_AUTHORIZED, "the peer may not ask");
        return DICOM_STATUS_NOT_AUTHORIZED;
    }
    struct dicom_commitment request;
    struct ds_error err = {DS_OK, ""};
    uint16_t status = dicom_commitment_accept(&request, m, false);
    if (status == DICOM_STATUS_SUCCESS) {
        status = status_of(c->asked(c->context, m->peer, &request, &err));
        say(m->peer, status == DICOM_STATUS_SUCCESS ? DS_LOG_INFO : DS_LOG_ERROR, status,
            status == DICOM_STATUS_SUCCESS ? "asked" : err.text);
    }
    dicom_commitment_free(&request);
    return status;
}

uint16_t scp_commitment_event(const struct scp_commitment *c, const struct dicom_message *m)
{
    struct dicom_commitment report;
    struct ds_error err = {DS_OK, ""};
    bool known = false;
    uint16_t status = dicom_commitment_accept(&report, m, true);
    if (status == DICOM_STATUS_SUCCESS) {
        status = status_of(c->reported(c->context, m->peer, &report, &known, &err));
        if (status != DICOM_STATUS_SUCCESS) {
            say(m->peer, DS_LOG_ERROR, status, err.text);
        } else if (!known) {
            status = DICOM_STATUS_NO_SUCH_INSTANCE;
            say(m->peer, DS_LOG_WARNING, status, "a report that nobody asked for");
        }
    }
    dicom_commitment_free(&report);
    return status;
}

bool scp_commitment_report(const struct scp_commitment *c, const struct dicom_peer *peer,
                           const char *transfer_syntax, struct dicom_report *out)
{
    struct dicom_commitment report;
    uint64_t token = 0;
    if (!c->due(c->context, peer, &report, &token)) {
        return false;
    }
    const enum ds_status s = dicom_commitment_write(&report, transfer_syntax, out->data, NULL);
    if (s == DS_OK) {
        out->token = token;
        out->sop_class_uid = DICOM_COMMITMENT;
        out->sop_instance_uid = DICOM_COMMITMENT_INSTANCE;
        out->type = dicom_commitment_event(&report);
    } else {
        c->done(c->context, token, false);
    }
    dicom_commitment_free(&report);
    return s == DS_OK;
}

void scp_commitment_reported(const struct scp_commitment *c, const struct dicom_peer *peer,
                             uint64_t token, bool answered, uint16_t status)
{
    const bool taken = answered && status == DICOM_STATUS_SUCCESS;
    say(peer, taken ? DS_LOG_INFO : DS_LOG_WARNING, status,
        taken      ? "reported on his association"
        : answered ? "the peer refuses the report"
                   : "the peer left before it answered the report");
    c->done(c->context, token, taken);
}

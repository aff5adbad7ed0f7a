/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/commitment.h"

#include "dicom/transfer_syntax.h"

#include <stdio.h>
#include <string.h>

struct verdict_row {
    uint16_t failure;
    enum scu_commitment_verdict verdict;
};

/* PS3.3 C.14.1.1. What is not in the table is final: an unknown reason repeated is still unknown. A
 * processing failure says nothing about the instance, and sending it once more is what heals most
 * archives. */
static const struct verdict_row table[] = {
    {0x0000, SCU_COMMITTED},
    {DICOM_FAILURE_PROCESSING, SCU_COMMITMENT_SEND_AGAIN},
    {DICOM_FAILURE_NO_SUCH_INSTANCE, SCU_COMMITMENT_SEND_AGAIN},
    {DICOM_FAILURE_RESOURCES, SCU_COMMITMENT_ASK_AGAIN},
    {DICOM_FAILURE_DUPLICATE, SCU_COMMITMENT_ASK_AGAIN},
    {DICOM_FAILURE_CLASS_CONFLICT, SCU_COMMITMENT_FAILED},
    {DICOM_FAILURE_CLASS_NOT_SUPPORTED, SCU_COMMITMENT_FAILED},
};

enum scu_commitment_verdict scu_commitment_verdict_of(uint16_t failure)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(table); i++) {
        if (table[i].failure == failure) {
            return table[i].verdict;
        }
    }
    return SCU_COMMITMENT_FAILED;
}

static const struct dicom_context contexts[] = {{DICOM_COMMITMENT, DICOM_IMPLICIT_LE},
                                                {DICOM_COMMITMENT, DICOM_EXPLICIT_LE}};

static struct scu_outcome outcome_of(enum scu_verdict verdict, const char *cause)
{
    struct scu_outcome o = {.verdict = verdict, .dimse_status = 0, .answered = false, .cause = ""};
    (void)snprintf(o.cause, sizeof(o.cause), "%s", cause);
    return o;
}

/* An association that is rejected, today, for good: the next one may find other settings. */
static struct scu_outcome no_association(const struct ds_error *err)
{
    return outcome_of(SCU_TRANSIENT, err->text);
}

/* 0213H and 0110H may pass (PS3.7 C.5); every other refusal is about the request itself. */
static struct scu_outcome answered(uint16_t status, const char *what)
{
    const bool passes =
        status == DICOM_STATUS_RESOURCE_LIMITATION || status == DICOM_STATUS_PROCESSING_FAILURE;
    struct scu_outcome o = outcome_of(status == DICOM_STATUS_SUCCESS ? SCU_DELIVERED
                                      : passes                       ? SCU_TRANSIENT
                                                                     : SCU_PERMANENT,
                                      "");
    o.answered = true;
    o.dimse_status = status;
    if (status != DICOM_STATUS_SUCCESS) {
        (void)snprintf(o.cause, sizeof(o.cause), "%s answered with status %04X", what,
                       (unsigned)status);
    }
    return o;
}

/* The association, and the data set in the syntax that it has; *out NULL: *o says why not. */
static void open_with(const struct dicom_requestor_options *options,
                      const struct dicom_commitment *c, struct dicom_requestor **out,
                      struct dicom_message *message, struct ds_bytes *data, struct scu_outcome *o)
{
    struct ds_error err = {DS_OK, ""};
    if (dicom_requestor_open(out, options, contexts, DS_ARRAY_SIZE(contexts), &err) != DS_OK) {
        *o = no_association(&err);
        return;
    }
    const char *syntax = NULL;
    for (size_t i = 0; i < DS_ARRAY_SIZE(contexts) && syntax == NULL; i++) {
        const char *offered = contexts[i].transfer_syntax;
        syntax = dicom_requestor_accepts(*out, DICOM_COMMITMENT, offered) ? offered : NULL;
    }
    if (syntax == NULL) {
        *o = outcome_of(SCU_PERMANENT, "the peer does not offer storage commitment");
    } else if (dicom_commitment_write(c, syntax, data, &err) != DS_OK) {
        *o = outcome_of(SCU_TRANSIENT, err.text);
    } else {
        *message = (struct dicom_message){.sop_class_uid = DICOM_COMMITMENT,
                                          .sop_instance_uid = DICOM_COMMITMENT_INSTANCE,
                                          .transfer_syntax = syntax,
                                          .data = data->data,
                                          .len = data->len};
        return;
    }
    dicom_requestor_close(*out);
    *out = NULL;
}

struct taker {
    uint16_t (*take)(void *context, const struct dicom_commitment *report);
    void *context;
};

static uint16_t take_message(void *context, const struct dicom_message *m)
{
    const struct taker *t = context;
    struct dicom_commitment report;
    uint16_t status = dicom_commitment_accept(&report, m, true);
    if (status == DICOM_STATUS_SUCCESS) {
        status = t->take(t->context, &report);
    }
    dicom_commitment_free(&report);
    return status;
}

struct scu_outcome scu_commitment_ask(const struct dicom_requestor_options *options,
                                      const struct dicom_commitment *request, unsigned wait_s,
                                      uint16_t (*take)(void *context,
                                                       const struct dicom_commitment *report),
                                      void *context)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes data = DS_BYTES_INIT(DICOM_COMMITMENT_MAX_BYTES);
    struct dicom_requestor *r = NULL;
    struct dicom_message m = {0};
    struct scu_outcome o = {0};
    struct ds_error err = {DS_OK, ""};
    open_with(options, request, &r, &m, &data, &o);
    if (r == NULL) {
        return o;
    }
    m.type = DICOM_COMMITMENT_ACTION;
    struct taker taker = {take, context};
    uint16_t status = 0;
    bool reported = false;
    const enum ds_status s =
        dicom_requestor_action(r, &m, wait_s, take_message, &taker, &status, &reported, &err);
    dicom_requestor_close(r);
    return s == DS_OK ? answered(status, "N-ACTION") : outcome_of(SCU_TRANSIENT, err.text);
}

struct scu_outcome scu_commitment_report(const struct dicom_requestor_options *options,
                                         const struct dicom_commitment *report)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes data = DS_BYTES_INIT(DICOM_COMMITMENT_MAX_BYTES);
    struct dicom_requestor_options as_scp = *options;
    struct dicom_requestor *r = NULL;
    struct dicom_message m = {0};
    struct scu_outcome o = {0};
    struct ds_error err = {DS_OK, ""};
    as_scp.as_scp = true;
    open_with(&as_scp, report, &r, &m, &data, &o);
    if (r == NULL) {
        return o;
    }
    m.type = dicom_commitment_event(report);
    uint16_t status = 0;
    const enum ds_status s = dicom_requestor_report(r, &m, &status, &err);
    dicom_requestor_close(r);
    return s == DS_OK ? answered(status, "N-EVENT-REPORT") : outcome_of(SCU_TRANSIENT, err.text);
}

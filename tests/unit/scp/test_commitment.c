/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered to requests and reports of storage commitment, and what is handed on. */
#include "scp/commitment.h"

#include "dicom/transfer_syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct node {
    bool may_ask, known, taken;
    enum ds_status answer;
    unsigned asked, reported, done;
};

static const struct dicom_peer peer = {.calling_ae = "CT1", .called_ae = "NODE"};
static struct dicom_commitment_item items[] = {{"1.2.840.10008.5.1.4.1.1.2", "1.2.3.1", 0}};
static const struct dicom_commitment sound = {"2.25.7", items, 1};

static bool may_ask(void *context, const struct dicom_peer *who)
{
    assert_string_equal(who->calling_ae, "CT1");
    return ((struct node *)context)->may_ask;
}

static enum ds_status asked(void *context, const struct dicom_peer *who,
                            const struct dicom_commitment *request, struct ds_error *err)
{
    struct node *n = context;
    (void)who;
    n->asked++;
    assert_string_equal(request->items[0].sop_instance_uid, "1.2.3.1");
    return n->answer == DS_OK ? DS_OK : ds_fail(err, n->answer, "not now");
}

static enum ds_status reported(void *context, const struct dicom_peer *who,
                               const struct dicom_commitment *report, bool *known,
                               struct ds_error *err)
{
    struct node *n = context;
    (void)who;
    (void)report;
    n->reported++;
    *known = n->known;
    return n->answer == DS_OK ? DS_OK : ds_fail(err, n->answer, "not now");
}

static bool due(void *context, const struct dicom_peer *who, struct dicom_commitment *out,
                uint64_t *token)
{
    (void)context;
    (void)who;
    *out = sound;
    out->items = calloc(1, sizeof(*out->items));
    out->items[0] = items[0];
    out->items[0].failure = DICOM_FAILURE_CLASS_CONFLICT;
    *token = 5;
    return true;
}

static void done(void *context, uint64_t token, bool taken)
{
    struct node *n = context;
    assert_int_equal(token, 5);
    n->done++;
    n->taken = taken;
}

static struct scp_commitment service_of(struct node *n)
{
    return (struct scp_commitment){n, may_ask, asked, reported, due, done};
}

static struct dicom_message message_of(struct ds_bytes *data, uint16_t type)
{
    data->len = 0;
    assert_int_equal(dicom_commitment_write(&sound, DICOM_IMPLICIT_LE, data, NULL), DS_OK);
    return (struct dicom_message){.peer = &peer,
                                  .sop_class_uid = DICOM_COMMITMENT,
                                  .sop_instance_uid = DICOM_COMMITMENT_INSTANCE,
                                  .type = type,
                                  .transfer_syntax = DICOM_IMPLICIT_LE,
                                  .data = data->data,
                                  .len = data->len};
}

static void a_request_is_success_only_when_it_is_stored(void **state)
{
    (void)state;
    struct node n = {.may_ask = true, .answer = DS_OK};
    const struct scp_commitment s = service_of(&n);
    struct ds_bytes data = DS_BYTES_INIT(4096);
    struct dicom_message m = message_of(&data, 1);
    assert_int_equal(scp_commitment_action(&s, &m), 0x0000);
    n.answer = DS_EIO;
    assert_int_equal(scp_commitment_action(&s, &m), 0x0213);
    n.answer = DS_EREFUSED;
    assert_int_equal(scp_commitment_action(&s, &m), 0x0110);
    assert_int_equal(n.asked, 3);
    m.type = 2;
    assert_int_equal(scp_commitment_action(&s, &m), 0x0123);
    m = message_of(&data, 1);
    m.sop_instance_uid = "1.2.3";
    assert_int_equal(scp_commitment_action(&s, &m), 0x0112);
    m = message_of(&data, 1);
    m.len /= 2;
    assert_int_equal(scp_commitment_action(&s, &m), 0x0115);
    n.may_ask = false;
    m = message_of(&data, 1);
    assert_int_equal(scp_commitment_action(&s, &m), 0x0124);
    assert_int_equal(n.asked, 3);
    ds_bytes_free(&data);
}

static void a_report_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    struct node n = {.known = true, .answer = DS_OK};
    const struct scp_commitment s = service_of(&n);
    struct ds_bytes data = DS_BYTES_INIT(4096);
    struct dicom_message m = message_of(&data, DICOM_COMMITMENT_SUCCESS);
    assert_int_equal(scp_commitment_event(&s, &m), 0x0000);
    n.known = false;
    assert_int_equal(scp_commitment_event(&s, &m), 0x0112);
    n.answer = DS_EIO;
    assert_int_equal(scp_commitment_event(&s, &m), 0x0213);
    m.type = 3;
    assert_int_equal(scp_commitment_event(&s, &m), 0x0113);
    m.sop_class_uid = "1.2.840.10008.1.20.2";
    assert_int_equal(scp_commitment_event(&s, &m), 0x0118);
    assert_int_equal(n.reported, 3);
    ds_bytes_free(&data);
}

static void what_is_due_goes_out_and_its_answer_comes_back(void **state)
{
    (void)state;
    struct node n = {0};
    const struct scp_commitment s = service_of(&n);
    struct ds_bytes data = DS_BYTES_INIT(4096);
    struct dicom_report report = {.data = &data};
    assert_true(scp_commitment_report(&s, &peer, DICOM_EXPLICIT_LE, &report));
    assert_int_equal(report.type, DICOM_COMMITMENT_FAILURE);
    struct dicom_commitment back;
    assert_int_equal(dicom_commitment_read(&back, data.data, data.len, DICOM_EXPLICIT_LE, NULL),
                     DS_OK);
    assert_int_equal(back.items[0].failure, DICOM_FAILURE_CLASS_CONFLICT);
    dicom_commitment_free(&back);
    scp_commitment_reported(&s, &peer, report.token, true, 0);
    assert_true(n.taken);
    scp_commitment_reported(&s, &peer, report.token, true, 0x0110);
    assert_false(n.taken);
    scp_commitment_reported(&s, &peer, report.token, false, 0);
    assert_true(!n.taken && n.done == 3);
    ds_bytes_free(&data);
    /* No room for it: it is not lost, but undone. */
    struct ds_bytes small = DS_BYTES_INIT(8);
    report.data = &small;
    assert_false(scp_commitment_report(&s, &peer, DICOM_EXPLICIT_LE, &report));
    assert_true(!n.taken && n.done == 4);
    ds_bytes_free(&small);
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_success_only_when_it_is_stored),
        cmocka_unit_test(a_report_that_nobody_asked_for_is_refused),
        cmocka_unit_test(what_is_due_goes_out_and_its_answer_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

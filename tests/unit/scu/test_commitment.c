/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for storage commitment and reporting it, against a listener in the same process. */
#include "scu/commitment.h"

#include "tests/unit/dicom/programs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct dicom_commitment_item items[] = {{"1.2.840.10008.5.1.4.1.1.2", "1.2.3.1", 0},
                                               {"1.2.840.10008.5.1.4.1.1.2", "1.2.3.2", 0}};
static const struct dicom_commitment message = {"2.25.7", items, 2};

/* The peer. */
struct archive {
    struct dicom_listener *listener;
    uint16_t status;
    bool reports; /* on the same association */
    bool due;
    uint16_t event_type;
};

static uint16_t on_begin(void *context, const struct dicom_store_request *request, void **sink)
{
    (void)context;
    (void)request;
    *sink = NULL;
    return DICOM_STATUS_OUT_OF_RESOURCES;
}

static uint16_t on_data(void *sink, const uint8_t *data, size_t len)
{
    (void)sink;
    (void)data;
    (void)len;
    return DICOM_STATUS_OUT_OF_RESOURCES;
}

static uint16_t on_end(void *sink, bool complete)
{
    (void)sink;
    (void)complete;
    return DICOM_STATUS_OUT_OF_RESOURCES;
}

static uint16_t on_action(void *context, const struct dicom_message *m)
{
    struct archive *a = context;
    struct dicom_commitment c;
    const uint16_t refused = dicom_commitment_accept(&c, m, false);
    dicom_commitment_free(&c);
    a->due = a->reports && a->status == 0;
    return refused != 0 ? refused : a->status;
}

static uint16_t on_event(void *context, const struct dicom_message *m)
{
    struct archive *a = context;
    a->event_type = m->type;
    return a->status;
}

static bool on_report(void *context, const struct dicom_peer *peer, const char *syntax,
                      struct dicom_report *out)
{
    struct archive *a = context;
    (void)peer;
    if (!a->due) {
        return false;
    }
    a->due = false;
    struct dicom_commitment_item failed = items[1];
    failed.failure = DICOM_FAILURE_NO_SUCH_INSTANCE;
    struct dicom_commitment_item both[] = {items[0], failed};
    const struct dicom_commitment report = {"2.25.7", both, 2};
    *out = (struct dicom_report){1, DICOM_COMMITMENT, DICOM_COMMITMENT_INSTANCE,
                                 dicom_commitment_event(&report), out->data};
    return dicom_commitment_write(&report, syntax, out->data, NULL) == DS_OK;
}

static void on_reported(void *context, const struct dicom_peer *peer, uint64_t token, bool answered,
                        uint16_t status)
{
    (void)context;
    (void)peer;
    (void)token;
    (void)answered;
    (void)status;
}

static struct dicom_requestor_options start(struct archive *a, bool offers)
{
    const struct dicom_listener_options options = {
        .address = "127.0.0.1", .ae_title = "ARCHIVE", .max_associations = 4, .timeout_s = 20};
    const struct dicom_service service = {.context = a,
                                          .store_begin = on_begin,
                                          .store_data = on_data,
                                          .store_end = on_end,
                                          .action = offers ? on_action : NULL,
                                          .event = offers ? on_event : NULL,
                                          .report = offers ? on_report : NULL,
                                          .reported = offers ? on_reported : NULL};
    struct ds_error err = {DS_OK, ""};
    if (dicom_listener_start(&a->listener, &options, &service, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return (struct dicom_requestor_options){.host = "127.0.0.1",
                                            .port = dicom_listener_port(a->listener),
                                            .calling_ae = "US",
                                            .called_ae = "ARCHIVE",
                                            .timeout_s = 20};
}

struct heard {
    unsigned count;
    uint16_t failure;
};

static uint16_t take(void *context, const struct dicom_commitment *report)
{
    struct heard *h = context;
    assert_string_equal(report->transaction_uid, "2.25.7");
    h->count++;
    h->failure = report->items[1].failure;
    return DICOM_STATUS_SUCCESS;
}

static void a_peer_is_asked_and_heard(void **state)
{
    (void)state;
    struct archive a = {.reports = true};
    struct heard heard = {0};
    const struct dicom_requestor_options options = start(&a, true);
    const struct scu_outcome o = scu_commitment_ask(&options, &message, 20, take, &heard);
    assert_int_equal(o.verdict, SCU_DELIVERED);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.failure, DICOM_FAILURE_NO_SUCH_INSTANCE);
    dicom_listener_stop(a.listener, 2000);
}

/* Taken, refused for now, refused for good. */
static void what_the_peer_answers_is_judged(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        enum scu_verdict verdict;
    } cases[] = {{0, SCU_DELIVERED},
                 {DICOM_STATUS_RESOURCE_LIMITATION, SCU_TRANSIENT},
                 {DICOM_STATUS_PROCESSING_FAILURE, SCU_TRANSIENT},
                 {DICOM_STATUS_NOT_AUTHORIZED, SCU_PERMANENT},
                 {DICOM_STATUS_NO_SUCH_CLASS, SCU_PERMANENT}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        struct archive a = {.status = cases[i].status};
        struct heard heard = {0};
        const struct dicom_requestor_options options = start(&a, true);
        struct scu_outcome o = scu_commitment_ask(&options, &message, 0, take, &heard);
        assert_int_equal(o.verdict, cases[i].verdict);
        assert_true(o.answered && o.dimse_status == cases[i].status && heard.count == 0);
        o = scu_commitment_report(&options, &message);
        assert_int_equal(o.verdict, cases[i].verdict);
        assert_int_equal(a.event_type, DICOM_COMMITMENT_SUCCESS);
        dicom_listener_stop(a.listener, 2000);
    }
}

static void who_does_not_offer_it_is_asked_in_vain_and_who_is_away_later(void **state)
{
    (void)state;
    struct archive a = {0};
    struct heard heard = {0};
    struct dicom_requestor_options options = start(&a, false);
    assert_int_equal(scu_commitment_ask(&options, &message, 0, take, &heard).verdict,
                     SCU_PERMANENT);
    options.called_ae = "SOMEBODY"; /* today */
    assert_int_equal(scu_commitment_ask(&options, &message, 0, take, &heard).verdict,
                     SCU_TRANSIENT);
    dicom_listener_stop(a.listener, 2000);
    assert_int_equal(scu_commitment_ask(&options, &message, 0, take, &heard).verdict,
                     SCU_TRANSIENT);
}

static void each_reason_has_its_verdict(void **state)
{
    (void)state;
    assert_int_equal(scu_commitment_verdict_of(0), SCU_COMMITTED);
    assert_int_equal(scu_commitment_verdict_of(0x0112), SCU_COMMITMENT_SEND_AGAIN);
    assert_int_equal(scu_commitment_verdict_of(0x0213), SCU_COMMITMENT_ASK_AGAIN);
    assert_int_equal(scu_commitment_verdict_of(0x0131), SCU_COMMITMENT_ASK_AGAIN);
    assert_int_equal(scu_commitment_verdict_of(0x0119), SCU_COMMITMENT_FAILED);
    assert_int_equal(scu_commitment_verdict_of(0x9999), SCU_COMMITMENT_FAILED);
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_asked_and_heard),
        cmocka_unit_test(what_the_peer_answers_is_judged),
        cmocka_unit_test(who_does_not_offer_it_is_asked_in_vain_and_who_is_away_later),
        cmocka_unit_test(each_reason_has_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

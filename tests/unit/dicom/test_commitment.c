/* SPDX-License-Identifier: Apache-2.0 */
/* Storage commitment: its data sets, and its messages on associations of either side. */
#include "dicom/commitment.h"

#include "dicom/association.h"
#include "dicom/transfer_syntax.h"
#include "tests/unit/dicom/programs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define MR "1.2.840.10008.5.1.4.1.1.4"

static struct dicom_commitment_item items[] = {{CT, "1.2.3.1", 0},
                                               {MR, "1.2.3.22", DICOM_FAILURE_NO_SUCH_INSTANCE},
                                               {CT, "1.2.3.333", 0},
                                               {CT, "1.2.3.4", DICOM_FAILURE_CLASS_CONFLICT}};

static struct dicom_commitment message(size_t count)
{
    struct dicom_commitment c = {"2.25.77", items, count};
    return c;
}

static struct ds_bytes written(const struct dicom_commitment *c, const char *syntax)
{
    struct ds_bytes b = DS_BYTES_INIT(DICOM_COMMITMENT_MAX_BYTES);
    struct ds_error err = {DS_OK, ""};
    if (dicom_commitment_write(c, syntax, &b, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return b;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {DICOM_IMPLICIT_LE, DICOM_EXPLICIT_LE};
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        const struct dicom_commitment c = message(DS_ARRAY_SIZE(items));
        struct ds_bytes b = written(&c, syntaxes[i]);
        struct dicom_commitment back;
        struct ds_error err = {DS_OK, ""};
        assert_int_equal(dicom_commitment_read(&back, b.data, b.len, syntaxes[i], &err), DS_OK);
        assert_string_equal(back.transaction_uid, "2.25.77");
        assert_int_equal(back.count, 4);
        assert_string_equal(back.items[0].sop_instance_uid, "1.2.3.1");
        assert_string_equal(back.items[1].sop_instance_uid, "1.2.3.333");
        assert_string_equal(back.items[2].sop_instance_uid, "1.2.3.22");
        assert_string_equal(back.items[2].sop_class_uid, MR);
        assert_int_equal(back.items[0].failure, 0);
        assert_int_equal(back.items[2].failure, DICOM_FAILURE_NO_SUCH_INSTANCE);
        assert_int_equal(back.items[3].failure, DICOM_FAILURE_CLASS_CONFLICT);
        assert_int_equal(dicom_commitment_event(&back), DICOM_COMMITMENT_FAILURE);
        back.count = 2;
        assert_int_equal(dicom_commitment_event(&back), DICOM_COMMITMENT_SUCCESS);
        dicom_commitment_free(&back);
        ds_bytes_free(&b);
    }
}

/* The Failed SOP Sequence alone, a reason left out, and every message cut short. */
static void what_lies_is_refused(void **state)
{
    (void)state;
    static struct dicom_commitment_item wrong[] = {{CT, "1.2.3a", 0}};
    struct dicom_commitment back;
    struct dicom_commitment c = {"2.25.77", wrong, 1};
    struct ds_bytes b = written(&c, DICOM_EXPLICIT_LE);
    assert_int_equal(dicom_commitment_read(&back, b.data, b.len, DICOM_EXPLICIT_LE, NULL),
                     DS_EFORMAT);
    assert_null(back.items);
    ds_bytes_free(&b);
    c = (struct dicom_commitment){"1.2;DROP", items, 2};
    b = written(&c, DICOM_EXPLICIT_LE);
    assert_int_equal(dicom_commitment_read(&back, b.data, b.len, DICOM_EXPLICIT_LE, NULL),
                     DS_EFORMAT);
    ds_bytes_free(&b);
    c = message(0);
    b = written(&c, DICOM_EXPLICIT_LE);
    assert_int_equal(dicom_commitment_read(&back, b.data, b.len, DICOM_EXPLICIT_LE, NULL),
                     DS_EFORMAT);
    ds_bytes_free(&b);
    c = message(2);
    b = written(&c, DICOM_IMPLICIT_LE);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, b.data, len);
        const enum ds_status s = dicom_commitment_read(&back, copy, len, DICOM_IMPLICIT_LE, NULL);
        assert_true(s == DS_EFORMAT || (s == DS_OK && back.count < 2));
        dicom_commitment_free(&back);
        free(copy);
    }
    ds_bytes_free(&b);
}

/* ---- on associations ---- */

struct seen {
    pthread_mutex_t mutex;
    struct dicom_commitment asked;
    uint16_t action_status, event_status, type;
    bool due; /* a report waits */
    unsigned actions, events, answered, unanswered;
    uint16_t answer;
};

static uint16_t on_action(void *context, const struct dicom_message *request)
{
    struct seen *s = context;
    struct dicom_commitment c;
    (void)pthread_mutex_lock(&s->mutex);
    s->actions++;
    s->type = request->type;
    uint16_t status = s->action_status;
    if (strcmp(request->sop_instance_uid, DICOM_COMMITMENT_INSTANCE) != 0 ||
        dicom_commitment_read(&c, request->data, request->len, request->transfer_syntax, NULL) !=
            DS_OK) {
        status = DICOM_STATUS_INVALID_ARGUMENT;
    } else {
        dicom_commitment_free(&s->asked);
        s->asked = c;
        s->due = status == DICOM_STATUS_SUCCESS;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return status;
}

static uint16_t on_event(void *context, const struct dicom_message *report)
{
    struct seen *s = context;
    (void)pthread_mutex_lock(&s->mutex);
    s->events++;
    s->type = report->type;
    const uint16_t status = s->event_status;
    (void)pthread_mutex_unlock(&s->mutex);
    return status;
}

static bool on_report(void *context, const struct dicom_peer *peer, const char *syntax,
                      struct dicom_report *out)
{
    struct seen *s = context;
    (void)pthread_mutex_lock(&s->mutex);
    const bool due = s->due;
    s->due = false;
    if (due) {
        assert_string_equal(peer->calling_ae, "US");
        *out = (struct dicom_report){42, DICOM_COMMITMENT, DICOM_COMMITMENT_INSTANCE,
                                     dicom_commitment_event(&s->asked), out->data};
        assert_int_equal(dicom_commitment_write(&s->asked, syntax, out->data, NULL), DS_OK);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return due;
}

static void on_reported(void *context, const struct dicom_peer *peer, uint64_t token, bool answered,
                        uint16_t status)
{
    struct seen *s = context;
    (void)peer;
    (void)pthread_mutex_lock(&s->mutex);
    assert_int_equal(token, 42);
    *(answered ? &s->answered : &s->unanswered) += 1;
    s->answer = status;
    (void)pthread_mutex_unlock(&s->mutex);
}

/* Nothing is stored here. */
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

static struct seen seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static struct dicom_listener *listener;

static int start(void **state)
{
    (void)state;
    dicom_commitment_free(&seen.asked);
    seen = (struct seen){.mutex = PTHREAD_MUTEX_INITIALIZER};
    const struct dicom_listener_options options = {
        .address = "127.0.0.1", .ae_title = "NODE", .max_associations = 4, .timeout_s = 20};
    const struct dicom_service service = {.context = &seen,
                                          .store_begin = on_begin,
                                          .store_data = on_data,
                                          .store_end = on_end,
                                          .action = on_action,
                                          .event = on_event,
                                          .report = on_report,
                                          .reported = on_reported};
    struct ds_error err = {DS_OK, ""};
    if (dicom_listener_start(&listener, &options, &service, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    dicom_listener_stop(listener, 2000);
    dicom_commitment_free(&seen.asked);
    return 0;
}

static struct dicom_requestor *call(const char *syntax, bool as_scp)
{
    const struct dicom_requestor_options options = {.host = "127.0.0.1",
                                                    .port = dicom_listener_port(listener),
                                                    .calling_ae = "US",
                                                    .called_ae = "NODE",
                                                    .timeout_s = 20,
                                                    .as_scp = as_scp};
    const struct dicom_context context = {DICOM_COMMITMENT, syntax};
    struct dicom_requestor *r = NULL;
    struct ds_error err = {DS_OK, ""};
    if (dicom_requestor_open(&r, &options, &context, 1, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return r;
}

static uint16_t take(void *context, const struct dicom_message *report)
{
    struct dicom_commitment *out = context;
    assert_int_equal(
        dicom_commitment_read(out, report->data, report->len, report->transfer_syntax, NULL),
        DS_OK);
    assert_int_equal(report->type, dicom_commitment_event(out));
    return DICOM_STATUS_SUCCESS;
}

static struct dicom_message message_with(const struct ds_bytes *data, const char *syntax,
                                         uint16_t type)
{
    struct dicom_message m = {NULL,       DICOM_COMMITMENT, DICOM_COMMITMENT_INSTANCE, type, syntax,
                              data->data, data->len};
    return m;
}

static void a_request_is_answered_and_reported_on_the_same_association(void **state)
{
    (void)state;
    struct dicom_requestor *r = call(DICOM_IMPLICIT_LE, false);
    const struct dicom_commitment c = message(4);
    struct ds_bytes b = written(&c, DICOM_IMPLICIT_LE);
    const struct dicom_message m = message_with(&b, DICOM_IMPLICIT_LE, 1);
    struct dicom_commitment back = {"", NULL, 0};
    uint16_t status = 1;
    bool reported = false;
    assert_int_equal(dicom_requestor_action(r, &m, 20, take, &back, &status, &reported, NULL),
                     DS_OK);
    assert_int_equal(status, DICOM_STATUS_SUCCESS);
    assert_true(reported);
    assert_int_equal(back.count, 4);
    assert_string_equal(back.transaction_uid, "2.25.77");
    dicom_commitment_free(&back);
    /* The association is as good as before. */
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
    for (int i = 0; i < 400 && seen.answered == 0; i++) {
        pause_ms(25);
    }
    assert_int_equal(seen.answered, 1);
    assert_int_equal(seen.answer, DICOM_STATUS_SUCCESS);
    ds_bytes_free(&b);
}

static void a_request_that_is_refused_is_not_waited_for(void **state)
{
    (void)state;
    seen.action_status = DICOM_STATUS_PROCESSING_FAILURE;
    struct dicom_requestor *r = call(DICOM_EXPLICIT_LE, false);
    const struct dicom_commitment c = message(2);
    struct ds_bytes b = written(&c, DICOM_EXPLICIT_LE);
    const struct dicom_message m = message_with(&b, DICOM_EXPLICIT_LE, 1);
    uint16_t status = 0;
    bool reported = true;
    assert_int_equal(dicom_requestor_action(r, &m, 600, take, NULL, &status, &reported, NULL),
                     DS_OK);
    assert_int_equal(status, DICOM_STATUS_PROCESSING_FAILURE);
    assert_false(reported);
    dicom_requestor_close(r);
    ds_bytes_free(&b);
}

/* With the role of an SCP proposed, and without, as some peers do. */
static void a_report_comes_on_an_association_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        seen.event_status = i == 0 ? DICOM_STATUS_SUCCESS : DICOM_STATUS_NO_SUCH_INSTANCE;
        struct dicom_requestor *r = call(DICOM_IMPLICIT_LE, i == 0);
        assert_true(dicom_requestor_accepts(r, DICOM_COMMITMENT, DICOM_IMPLICIT_LE));
        const struct dicom_commitment c = message(4);
        struct ds_bytes b = written(&c, DICOM_IMPLICIT_LE);
        const struct dicom_message m =
            message_with(&b, DICOM_IMPLICIT_LE, DICOM_COMMITMENT_FAILURE);
        uint16_t status = 1;
        assert_int_equal(dicom_requestor_report(r, &m, &status, NULL), DS_OK);
        assert_int_equal(status, seen.event_status);
        assert_int_equal(seen.events, i + 1);
        assert_int_equal(seen.type, DICOM_COMMITMENT_FAILURE);
        dicom_requestor_close(r);
        ds_bytes_free(&b);
    }
}

/* Too much is drained and refused, and the association goes on. */
static void a_message_without_bounds_is_refused(void **state)
{
    (void)state;
    struct dicom_requestor *r = call(DICOM_IMPLICIT_LE, false);
    struct ds_bytes b = DS_BYTES_INIT(2 * DICOM_MESSAGE_MAX_BYTES);
    assert_int_equal(ds_bytes_resize(&b, DICOM_MESSAGE_MAX_BYTES + 2, NULL), DS_OK);
    const struct dicom_message m = message_with(&b, DICOM_IMPLICIT_LE, 1);
    uint16_t status = 0;
    bool reported = false;
    assert_int_equal(dicom_requestor_action(r, &m, 0, take, NULL, &status, &reported, NULL), DS_OK);
    assert_int_equal(status, DICOM_STATUS_RESOURCE_LIMITATION);
    assert_int_equal(seen.actions, 0);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
    ds_bytes_free(&b);
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_lies_is_refused),
        cmocka_unit_test_setup_teardown(a_request_is_answered_and_reported_on_the_same_association,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_request_that_is_refused_is_not_waited_for, start, stop),
        cmocka_unit_test_setup_teardown(a_report_comes_on_an_association_of_its_own, start, stop),
        cmocka_unit_test_setup_teardown(a_message_without_bounds_is_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

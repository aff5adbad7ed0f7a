/* SPDX-License-Identifier: Apache-2.0 */
/* Queries and retrievals as the one who is asked. */
#include "dicom/operation.h"
#include "dicom/retrieval.h"

#include "dicom/command.h"
#include "dicom/transfer_syntax.h"
#include "tests/unit/dicom/raw_peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

/* What the node under test does, and what it saw. */
static struct {
    unsigned answers;      /* pending ones */
    bool waits_for_cancel; /* after the first */
    uint16_t final;        /* 0: Success; 1: ends without a final response */
    bool may[3];           /* by enum dicom_query_kind */
    atomic_uint asked;     /* callbacks */
    atomic_bool cancelled; /* seen by a callback */
    char patient[64];      /* of the last identifier */
    char destination[DICOM_AE_BYTES];
    bool relational;
} node;
static struct dicom_listener *listener;

static bool may_query(void *context, const struct dicom_peer *peer, enum dicom_query_kind kind)
{
    (void)context;
    (void)peer;
    return node.may[kind];
}

static void take(const struct dicom_operation_request *request)
{
    node.asked++;
    node.relational = request->relational;
    assert_int_equal(dicom_dataset_get(request->identifier, DICOM_TAG_PATIENT_ID, node.patient,
                                       sizeof(node.patient), NULL),
                     DS_OK);
    (void)snprintf(node.destination, sizeof(node.destination), "%s", request->move_destination);
}

static bool goes_on(struct dicom_operation *o, unsigned sent)
{
    for (int i = 0; node.waits_for_cancel && sent == 1 && i < 2000; i++) {
        if (dicom_operation_cancelled(o)) {
            break;
        }
        pause_ms(5);
    }
    if (dicom_operation_cancelled(o)) {
        node.cancelled = true;
    }
    return !node.cancelled;
}

static void on_find(void *context, const struct dicom_operation_request *request,
                    struct dicom_operation *o)
{
    (void)context;
    take(request);
    for (unsigned i = 0; i < node.answers && goes_on(o, i); i++) {
        struct dicom_dataset *match = NULL;
        char text[16];
        (void)snprintf(text, sizeof(text), "P%u", i);
        assert_int_equal(dicom_dataset_new(&match, NULL), DS_OK);
        assert_int_equal(dicom_dataset_set(match, DICOM_TAG_PATIENT_ID, text, NULL), DS_OK);
        const struct dicom_response r = {.status = i % 2 == 0 ? DICOM_STATUS_PENDING
                                                              : DICOM_STATUS_PENDING_UNSUPPORTED,
                                         .identifier = match};
        (void)dicom_operation_send(o, &r);
        dicom_dataset_free(match);
    }
    const struct dicom_response end = {.status = node.cancelled ? DICOM_STATUS_CANCEL : node.final};
    if (end.status != 1) {
        (void)dicom_operation_send(o, &end);
        assert_false(dicom_operation_send(o, &end)); /* final is final */
    }
}

static void on_move(void *context, const struct dicom_operation_request *request,
                    struct dicom_operation *o)
{
    (void)context;
    take(request);
    struct dicom_counts counts = {.remaining = 2};
    for (unsigned i = 0; i < 2 && goes_on(o, i); i++) {
        counts.remaining--;
        counts.completed++;
        const struct dicom_response r = {.status = DICOM_STATUS_PENDING, .counts = &counts};
        (void)dicom_operation_send(o, &r);
    }
    const struct dicom_response end = {.status = node.cancelled ? DICOM_STATUS_CANCEL
                                                                : DICOM_STATUS_SOME_FAILED,
                                       .counts = &counts,
                                       .error_comment = "one of two",
                                       .offending_element = DICOM_TAG_PATIENT_ID};
    (void)dicom_operation_send(o, &end);
}

/* Three instances, of which the second is of a class that the peer did not offer to take. */
static void on_get(void *context, const struct dicom_operation_request *request,
                   struct dicom_operation *o)
{
    (void)context;
    take(request);
    static const char *const classes[] = {RAW_CT, RAW_MR, RAW_CT};
    struct dicom_counts counts = {.remaining = 3};
    for (unsigned i = 0; i < 3 && !dicom_operation_cancelled(o); i++) {
        char uid[DICOM_UID_BYTES];
        uint16_t status = 1;
        (void)snprintf(uid, sizeof(uid), "1.2.3.%u", i);
        assert_int_equal(dicom_operation_accepts(o, classes[i], DICOM_EXPLICIT_LE), i != 1);
        assert_false(dicom_operation_accepts(o, classes[i], DICOM_IMPLICIT_LE));
        const enum ds_status s = dicom_operation_store(o, classes[i], uid, DICOM_EXPLICIT_LE,
                                                       (const uint8_t *)uid, 8, &status, NULL);
        assert_int_equal(s, i == 1 ? DS_EREFUSED : DS_OK);
        counts.remaining--;
        *(s == DS_OK && status == 0 ? &counts.completed : &counts.failed) += 1;
        const struct dicom_response r = {.status = DICOM_STATUS_PENDING, .counts = &counts};
        (void)dicom_operation_send(o, &r);
    }
    node.cancelled = counts.remaining > 0;
    const struct dicom_response end = {.status = node.cancelled ? DICOM_STATUS_CANCEL
                                                                : DICOM_STATUS_SOME_FAILED,
                                       .counts = &counts,
                                       .identifier = request->identifier};
    (void)dicom_operation_send(o, &end);
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

static bool serves_get = true;

static int start(void **state)
{
    (void)state;
    memset(&node, 0, sizeof(node));
    node.answers = 3;
    node.may[DICOM_QUERY_FIND] = node.may[DICOM_QUERY_MOVE] = node.may[DICOM_QUERY_GET] = true;
    const struct dicom_listener_options options = {
        .address = "127.0.0.1", .ae_title = "NODE", .max_associations = 4, .timeout_s = 20};
    const struct dicom_service service = {.store_begin = on_begin,
                                          .store_data = on_data,
                                          .store_end = on_end,
                                          .may_query = may_query,
                                          .find = on_find,
                                          .move = on_move,
                                          .get = serves_get ? on_get : NULL};
    struct ds_error err = {DS_OK, ""};
    if (dicom_init(&err) != DS_OK ||
        dicom_listener_start(&listener, &options, &service, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    dicom_listener_stop(listener, 5000);
    return 0;
}

static struct dicom_requestor *call_as(const char *const *classes, size_t count, bool as_scp)
{
    const struct dicom_requestor_options options = {.host = "127.0.0.1",
                                                    .port = dicom_listener_port(listener),
                                                    .calling_ae = "US",
                                                    .called_ae = "NODE",
                                                    .timeout_s = 20,
                                                    .as_scp = as_scp};
    struct dicom_context contexts[6];
    for (size_t i = 0; i < count; i++) {
        contexts[i] = (struct dicom_context){classes[i], DICOM_EXPLICIT_LE};
    }
    struct dicom_requestor *r = NULL;
    struct ds_error err = {DS_OK, ""};
    if (dicom_requestor_open(&r, &options, contexts, count, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return r;
}

static struct dicom_requestor *call(const char *const *classes, size_t count)
{
    return call_as(classes, count, false);
}

static bool count_match(void *context, const struct dicom_dataset *match)
{
    unsigned *count = context;
    char text[16];
    char wanted[16];
    (void)snprintf(wanted, sizeof(wanted), "P%u", (*count)++);
    assert_int_equal(dicom_dataset_get(match, DICOM_TAG_PATIENT_ID, text, sizeof(text), NULL),
                     DS_OK);
    assert_string_equal(text, wanted);
    return true;
}

static uint16_t ask(struct dicom_requestor *r, const char *class_uid, unsigned *matches)
{
    struct dicom_dataset *query = NULL;
    struct ds_error err = {DS_OK, ""};
    uint16_t status = 0xffff;
    *matches = 0;
    assert_int_equal(dicom_dataset_new(&query, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(query, DICOM_TAG_PATIENT_ID, "WANTED", NULL), DS_OK);
    if (dicom_requestor_find(r, class_uid, query, count_match, matches, &status, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    dicom_dataset_free(query);
    return status;
}

static void every_answer_to_a_query_arrives_and_then_its_end(void **state)
{
    (void)state;
    static const char *const classes[] = {DICOM_STUDY_ROOT_FIND, DICOM_PATIENT_ROOT_FIND};
    struct dicom_requestor *r = call(classes, 2);
    unsigned matches = 0;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ask(r, classes[i], &matches), DICOM_STATUS_SUCCESS);
        assert_int_equal(matches, 3);
        assert_string_equal(node.patient, "WANTED");
    }
    node.final = DICOM_STATUS_OUT_OF_RESOURCES;
    assert_int_equal(ask(r, classes[0], &matches), DICOM_STATUS_OUT_OF_RESOURCES);
    node.final = 1;
    assert_int_equal(ask(r, classes[0], &matches), DICOM_STATUS_CANNOT_UNDERSTAND);
    assert_int_equal(matches, 3);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
}

static void what_is_not_served_or_not_permitted_is_not_negotiated(void **state)
{
    (void)state;
    static const char *const classes[] = {DICOM_STUDY_ROOT_FIND,        DICOM_PATIENT_ROOT_FIND,
                                          DICOM_STUDY_ROOT_MOVE,        DICOM_PATIENT_ROOT_MOVE,
                                          DICOM_STUDY_ROOT_GET, /* without a callback */
                                          "1.2.840.10008.5.1.4.1.2.3.1"};
    (void)stop(NULL);
    serves_get = false;
    (void)start(NULL);
    serves_get = true;
    for (unsigned i = 0; i < 2; i++) {
        node.may[DICOM_QUERY_MOVE] = i == 0;
        struct dicom_requestor *r = call(classes, DS_ARRAY_SIZE(classes));
        for (size_t k = 0; k < DS_ARRAY_SIZE(classes); k++) {
            assert_int_equal(dicom_requestor_accepts(r, classes[k], DICOM_EXPLICIT_LE),
                             k < 2 || (k < 4 && i == 0));
        }
        /* Withdrawn after it was negotiated. */
        unsigned matches = 0;
        node.may[DICOM_QUERY_FIND] = false;
        assert_int_equal(ask(r, classes[0], &matches), DICOM_STATUS_NOT_AUTHORIZED);
        node.may[DICOM_QUERY_FIND] = true;
        assert_int_equal(matches, 0);
        assert_int_equal(node.asked, 0);
        dicom_requestor_close(r);
    }
}

/* ---- by hand ---- */

/* The next command, on whatever context; what follows it is skipped. */
static struct dicom_command raw_answer(int fd)
{
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    struct dicom_command c = {0};
    if (raw_receive(fd, &pdu) == 0x04) {
        struct ds_cursor head = ds_cursor_over(pdu.data, pdu.len);
        const size_t len = (size_t)ds_cursor_be(&head, 4);
        assert_int_equal(dicom_command_parse(pdu.data + 6, len - 2, &c, NULL), DS_OK);
        if (dicom_command_has_data_set(&c) && len + 4 == pdu.len) {
            assert_int_equal(raw_receive(fd, &pdu), 0x04);
        }
    }
    ds_bytes_free(&pdu);
    return c;
}

static const char identifier[] = "\x10\0\x20\0LO\6\0WANTED";

static void raw_operation(int fd, const char *field, const char *class_uid)
{
    assert_true(raw_command(fd, field, class_uid, "", true));
    assert_true(raw_pdata(fd, 0x02, identifier, 14, 14));
}

static void raw_cancel(int fd, const char *message_id)
{
    struct ds_bytes b = DS_BYTES_INIT(256);
    raw_element(&b, 0x0100, "\xff\x0f", 2);
    raw_element(&b, 0x0120, message_id, 2);
    raw_element(&b, 0x0800, "\1\1", 2);
    assert_true(raw_pdata(fd, 0x03, b.data, b.len, b.len));
    ds_bytes_free(&b);
}

static int associate(const char *class_uid)
{
    const int fd = raw_associate(dicom_listener_port(listener), class_uid, RAW_EXPLICIT);
    assert_true(fd >= 0);
    return fd;
}

static void a_cancel_between_two_answers_ends_the_query(void **state)
{
    (void)state;
    node.answers = 100000;
    node.waits_for_cancel = true;
    const int fd = associate(DICOM_STUDY_ROOT_FIND);
    raw_operation(fd, "\x20\0", DICOM_STUDY_ROOT_FIND);
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_PENDING);
    raw_cancel(fd, "\6\0"); /* of another message: nothing ends */
    pause_ms(100);
    assert_false(node.cancelled);
    raw_cancel(fd, "\7\0");
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_CANCEL);
    assert_true(node.cancelled);
    /* One that comes too late has no response, and costs nothing. */
    raw_cancel(fd, "\7\0");
    node.waits_for_cancel = node.cancelled = false;
    node.answers = 1;
    raw_operation(fd, "\x20\0", DICOM_STUDY_ROOT_FIND);
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_PENDING);
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_SUCCESS);
    (void)close(fd);
}

static void a_peer_that_leaves_or_breaks_the_protocol_ends_the_query(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        node.answers = 100000;
        node.waits_for_cancel = true;
        node.cancelled = false;
        const int fd = associate(DICOM_STUDY_ROOT_FIND);
        raw_operation(fd, "\x20\0", DICOM_STUDY_ROOT_FIND);
        assert_int_equal(raw_answer(fd).status, DICOM_STATUS_PENDING);
        if (i == 0) { /* a second request while one is under way: PS3.7 D.3.3.3 */
            raw_operation(fd, "\x20\0", DICOM_STUDY_ROOT_FIND);
            struct ds_bytes pdu = DS_BYTES_INIT(65536);
            assert_int_equal(raw_receive(fd, &pdu), 0x07);
            ds_bytes_free(&pdu);
        } else {
            assert_true(raw_send(fd, "\5\0\0\0\0\4\0\0\0\0", 10));
            struct ds_bytes pdu = DS_BYTES_INIT(65536);
            assert_int_equal(raw_receive(fd, &pdu), 0x06);
            ds_bytes_free(&pdu);
        }
        assert_true(node.cancelled);
        (void)close(fd);
    }
}

static void what_is_no_sound_query_is_refused_and_the_association_goes_on(void **state)
{
    (void)state;
    const int fd = associate(DICOM_STUDY_ROOT_FIND);
    raw_operation(fd, "\x21\0", DICOM_STUDY_ROOT_FIND); /* C-MOVE on a context for C-FIND */
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_MISMATCH);
    raw_operation(fd, "\x20\0", DICOM_PATIENT_ROOT_FIND); /* another class */
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_MISMATCH);
    assert_true(raw_command(fd, "\x20\0", DICOM_STUDY_ROOT_FIND, "", false));
    struct dicom_command c = raw_answer(fd);
    assert_int_equal(c.status, DICOM_STATUS_CANNOT_UNDERSTAND);
    assert_string_equal(c.error_comment, "no identifier");
    assert_true(raw_command(fd, "\x20\0", DICOM_STUDY_ROOT_FIND, "", true));
    assert_true(raw_pdata(fd, 0x02, "garbage and more", 16, 16));
    c = raw_answer(fd);
    assert_int_equal(c.status, DICOM_STATUS_CANNOT_UNDERSTAND);
    assert_string_equal(c.error_comment, "the identifier is no data set");
    assert_int_equal(node.asked, 0);
    raw_operation(fd, "\x20\0", DICOM_STUDY_ROOT_FIND);
    assert_int_equal(raw_answer(fd).status, DICOM_STATUS_PENDING);
    (void)close(fd);
}

/* PS3.4 C.4.2.1.6: how many remain is no business of a final response. */
static void a_retrieval_counts_what_it_did(void **state)
{
    (void)state;
    const int fd = associate(DICOM_STUDY_ROOT_MOVE);
    raw_operation(fd, "\x21\0", DICOM_STUDY_ROOT_MOVE);
    for (unsigned i = 0; i < 2; i++) {
        const struct dicom_command c = raw_answer(fd);
        assert_int_equal(c.field, 0x8021);
        assert_int_equal(c.responded_to, 7);
        assert_int_equal(c.status, DICOM_STATUS_PENDING);
        assert_int_equal(c.remaining, 1 - i);
        assert_int_equal(c.completed, 1 + i);
        assert_true((c.present & DICOM_HAS_REMAINING) != 0);
    }
    struct dicom_command c = raw_answer(fd);
    assert_int_equal(c.status, DICOM_STATUS_SOME_FAILED);
    assert_int_equal(c.present & DICOM_HAS_REMAINING, 0);
    assert_int_equal(c.completed, 2);
    assert_string_equal(c.error_comment, "one of two");
    assert_int_equal(c.offending_element, DICOM_TAG_PATIENT_ID);
    assert_string_equal(node.destination, "");
    /* Cancelled: how many there would have been. */
    node.waits_for_cancel = true;
    raw_operation(fd, "\x21\0", DICOM_STUDY_ROOT_MOVE);
    assert_int_equal(raw_answer(fd).remaining, 1);
    raw_cancel(fd, "\7\0");
    c = raw_answer(fd);
    assert_int_equal(c.status, DICOM_STATUS_CANCEL);
    assert_true((c.present & DICOM_HAS_REMAINING) != 0);
    assert_int_equal(c.remaining, 1);
    (void)close(fd);
}

/* ---- as the one who asks ---- */

static struct {
    unsigned begun, ended, torn, looks;
    unsigned stops_after; /* looks; 0: never */
    uint16_t answer;      /* to the first */
    char got[64];
} taker;

static uint16_t on_take(void *context, const struct dicom_store_request *request)
{
    (void)context;
    assert_null(request->peer);
    assert_string_equal(request->sop_class_uid, RAW_CT);
    assert_string_equal(request->transfer_syntax, DICOM_EXPLICIT_LE);
    taker.got[0] = '\0';
    return taker.begun++ == 0 ? taker.answer : DICOM_STATUS_SUCCESS;
}

static uint16_t on_take_data(void *context, const uint8_t *data, size_t len)
{
    (void)context;
    const size_t had = strlen(taker.got);
    assert_true(had + len < sizeof(taker.got));
    memcpy(taker.got + had, data, len);
    taker.got[had + len] = '\0';
    return DICOM_STATUS_SUCCESS;
}

static uint16_t on_take_end(void *context, bool complete)
{
    (void)context;
    *(complete ? &taker.ended : &taker.torn) += 1;
    assert_memory_equal(taker.got, "1.2.3.", 6);
    return DICOM_STATUS_SUCCESS;
}

static bool on_look(void *context, const struct dicom_counts *counts)
{
    (void)context;
    (void)counts;
    return ++taker.looks != taker.stops_after;
}

static const struct dicom_retrieval retrieval = {
    .begin = on_take, .data = on_take_data, .end = on_take_end, .goes_on = on_look};

static struct dicom_retrieved retrieve(struct dicom_requestor *r, const char *destination)
{
    struct dicom_dataset *query = NULL;
    struct ds_error err = {DS_OK, ""};
    struct dicom_retrieved out;
    assert_int_equal(dicom_dataset_new(&query, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(query, DICOM_TAG_PATIENT_ID, "WANTED", NULL), DS_OK);
    const enum ds_status s =
        destination == NULL
            ? dicom_requestor_get(r, DICOM_STUDY_ROOT_GET, query, &retrieval, &out, &err)
            : dicom_requestor_move(r, DICOM_STUDY_ROOT_MOVE, destination, query, &retrieval, &out,
                                   &err);
    if (s != DS_OK) {
        fail_msg("%s", err.text);
    }
    dicom_dataset_free(query);
    return out;
}

static const char *const getting[] = {DICOM_STUDY_ROOT_GET, DICOM_STUDY_ROOT_MOVE, RAW_CT};

static void what_is_got_comes_on_the_same_association(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        memset(&taker, 0, sizeof(taker));
        taker.answer = i == 0 ? DICOM_STATUS_SUCCESS : DICOM_STATUS_OUT_OF_RESOURCES;
        struct dicom_requestor *r = call_as(getting, 3, true);
        const struct dicom_retrieved out = retrieve(r, NULL);
        assert_int_equal(out.status, DICOM_STATUS_SOME_FAILED);
        assert_int_equal(out.counts.completed, 2 - i);
        assert_int_equal(out.counts.failed, 1 + i);
        assert_int_equal(taker.begun, 2);
        assert_int_equal(taker.ended, 2 - i);
        assert_int_equal(taker.torn, 0);
        assert_string_equal(node.patient, "WANTED");
        assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
        dicom_requestor_close(r);
    }
}

/* Who does not offer to be an SCP gets nothing that way. */
static void what_may_not_be_got_is_not_sent(void **state)
{
    (void)state;
    node.may[DICOM_QUERY_GET] = false;
    struct dicom_requestor *r = call_as(getting, 3, true);
    assert_false(dicom_requestor_accepts(r, DICOM_STUDY_ROOT_GET, DICOM_EXPLICIT_LE));
    struct dicom_dataset *query = NULL;
    struct dicom_retrieved out;
    assert_int_equal(dicom_dataset_new(&query, NULL), DS_OK);
    assert_int_equal(dicom_requestor_get(r, DICOM_STUDY_ROOT_GET, query, &retrieval, &out, NULL),
                     DS_EREFUSED);
    dicom_dataset_free(query);
    dicom_requestor_close(r);
}

static void who_gets_can_end_it(void **state)
{
    (void)state;
    memset(&taker, 0, sizeof(taker));
    taker.stops_after = 1;
    struct dicom_requestor *r = call_as(getting, 3, true);
    const struct dicom_retrieved out = retrieve(r, NULL);
    /* The cancel races with what is on its way: all may have come before it was heard. */
    assert_true(out.status == DICOM_STATUS_CANCEL || out.status == DICOM_STATUS_SOME_FAILED);
    assert_int_equal(node.cancelled, out.status == DICOM_STATUS_CANCEL);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
}

static void a_move_names_its_destination_and_counts(void **state)
{
    (void)state;
    memset(&taker, 0, sizeof(taker));
    struct dicom_requestor *r = call_as(getting, 2, false);
    const struct dicom_retrieved out = retrieve(r, "ARCHIVE");
    assert_int_equal(out.status, DICOM_STATUS_SOME_FAILED);
    assert_int_equal(out.counts.completed, 2);
    assert_int_equal(taker.looks, 2);
    assert_string_equal(node.destination, "ARCHIVE");
    struct dicom_dataset *query = NULL;
    struct dicom_retrieved none;
    assert_int_equal(dicom_dataset_new(&query, NULL), DS_OK);
    assert_int_equal(dicom_requestor_move(r, DICOM_STUDY_ROOT_MOVE, "SEVENTEEN_LETTERS", query,
                                          NULL, &none, NULL),
                     DS_EINVAL);
    dicom_dataset_free(query);
    dicom_requestor_close(r);
}

/* PS3.4 C.5.1.1, C.5.2.1: relational behaviour is agreed to, what else is proposed is not. */
static void relational_behaviour_is_negotiated(void **state)
{
    (void)state;
    static const char *const classes[] = {DICOM_STUDY_ROOT_MOVE, DICOM_STUDY_ROOT_FIND};
    for (unsigned i = 0; i < 2; i++) {
        struct ds_bytes pdu = DS_BYTES_INIT(65536);
        struct ds_bytes item = DS_BYTES_INIT(256);
        raw_request(&pdu, "NODE            ", "RAWPEER         ", classes[i], RAW_EXPLICIT);
        raw_must(ds_bytes_put_be(&item, strlen(classes[i]), 2, NULL));
        raw_must(ds_bytes_append(&item, classes[i], strlen(classes[i]), NULL));
        raw_must(ds_bytes_put_be(&item, 0x0101, 2, NULL));
        pdu.data[pdu.len - 16] = (uint8_t)(15 + 4 + item.len); /* of the user information */
        raw_item(&pdu, 0x56, item.data, item.len);
        pdu.data[4] = (uint8_t)((pdu.len - 6) >> 8);
        pdu.data[5] = (uint8_t)(pdu.len - 6);
        const int fd = connect_to(dicom_listener_port(listener));
        assert_true(raw_send(fd, pdu.data, pdu.len));
        assert_int_equal(raw_receive(fd, &pdu), 0x02);
        item.data[item.len - 1] = 0;
        assert_non_null(memmem(pdu.data, pdu.len, item.data, item.len));
        raw_operation(fd, i == 0 ? "\x21\0" : "\x20\0", classes[i]);
        assert_int_equal(raw_answer(fd).status, DICOM_STATUS_PENDING);
        assert_true(node.relational);
        while (raw_answer(fd).status >= DICOM_STATUS_PENDING) {
        }
        (void)close(fd);
        ds_bytes_free(&item);
        ds_bytes_free(&pdu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_answer_to_a_query_arrives_and_then_its_end, start,
                                        stop),
        cmocka_unit_test_setup_teardown(what_is_not_served_or_not_permitted_is_not_negotiated,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_cancel_between_two_answers_ends_the_query, start, stop),
        cmocka_unit_test_setup_teardown(a_peer_that_leaves_or_breaks_the_protocol_ends_the_query,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            what_is_no_sound_query_is_refused_and_the_association_goes_on, start, stop),
        cmocka_unit_test_setup_teardown(a_retrieval_counts_what_it_did, start, stop),
        cmocka_unit_test_setup_teardown(relational_behaviour_is_negotiated, start, stop),
        cmocka_unit_test_setup_teardown(what_is_got_comes_on_the_same_association, start, stop),
        cmocka_unit_test_setup_teardown(what_may_not_be_got_is_not_sent, start, stop),
        cmocka_unit_test_setup_teardown(who_gets_can_end_it, start, stop),
        cmocka_unit_test_setup_teardown(a_move_names_its_destination_and_counts, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association.h"

#include "base/clock.h"
#include "base/file.h"
#include "dicom/sop_class.h"
#include "dicom/transfer_syntax.h"
#include "tests/unit/dicom/raw_peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CT       RAW_CT
#define EXPLICIT RAW_EXPLICIT
#define IMPLICIT "1.2.840.10008.1.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"
#define JPEG_LL  "1.2.840.10008.1.2.4.70"
#define UID      "1.2.3.4.5"
#define WORKLIST "1.2.840.10008.5.1.4.31" /* no storage */
#define PRIVATE  "1.3.12.2.1107.5.9.1"
#define BIG      (3U * 1024U * 1024U + 2U)

/* What the listener's callbacks saw; shared by threads. */
struct seen {
    pthread_mutex_t mutex;
    struct ds_bytes last;
    unsigned complete, broken, closed;
    uint16_t begin_status, data_status, end_status;
    bool admit, transient, may_store;
    char syntax[DICOM_UID_BYTES], how[80];
};

struct sink {
    struct seen *seen;
    struct ds_bytes data;
};

static bool on_admit(void *context, const struct dicom_peer *peer, bool *transient)
{
    const struct seen *s = context;
    assert_string_equal(peer->address, "127.0.0.1");
    *transient = s->transient;
    return s->admit;
}

static bool on_may_store(void *context, const struct dicom_peer *peer)
{
    (void)peer;
    return ((const struct seen *)context)->may_store;
}

static uint16_t on_begin(void *context, const struct dicom_store_request *request, void **sink)
{
    struct seen *s = context;
    if (s->begin_status != 0) {
        return s->begin_status;
    }
    struct sink *k = calloc(1, sizeof(*k));
    k->seen = s;
    k->data = DS_BYTES_INIT(64U << 20);
    (void)pthread_mutex_lock(&s->mutex);
    (void)snprintf(s->syntax, sizeof(s->syntax), "%s", request->transfer_syntax);
    (void)pthread_mutex_unlock(&s->mutex);
    *sink = k;
    return 0;
}

static uint16_t on_data(void *sink, const uint8_t *data, size_t len)
{
    struct sink *k = sink;
    raw_must(ds_bytes_append(&k->data, data, len, NULL));
    return k->seen->data_status;
}

static uint16_t on_end(void *sink, bool complete)
{
    struct sink *k = sink;
    struct seen *s = k->seen;
    (void)pthread_mutex_lock(&s->mutex);
    *(complete ? &s->complete : &s->broken) += 1;
    ds_bytes_free(&s->last);
    s->last = ds_bytes_take(&k->data);
    (void)pthread_mutex_unlock(&s->mutex);
    free(k);
    return s->end_status;
}

static void on_closed(void *context, const struct dicom_peer *peer, const char *how,
                      unsigned stored)
{
    struct seen *s = context;
    (void)peer;
    (void)stored;
    (void)pthread_mutex_lock(&s->mutex);
    s->closed++;
    (void)snprintf(s->how, sizeof(s->how), "%s", how);
    (void)pthread_mutex_unlock(&s->mutex);
}

static unsigned read_count(struct seen *s, const unsigned *count)
{
    (void)pthread_mutex_lock(&s->mutex);
    const unsigned n = *count;
    (void)pthread_mutex_unlock(&s->mutex);
    return n;
}

static bool wait_count(struct seen *s, const unsigned *count, unsigned wanted)
{
    for (int i = 0; i < 400 && read_count(s, count) < wanted; i++) {
        pause_ms(25);
    }
    return read_count(s, count) >= wanted;
}

struct node {
    struct seen seen;
    struct dicom_listener_options options;
    struct dicom_listener *listener;
    uint16_t port;
};

static void node_init(struct node *n)
{
    memset(n, 0, sizeof(*n));
    (void)pthread_mutex_init(&n->seen.mutex, NULL);
    n->seen.last = DS_BYTES_INIT(0);
    n->seen.admit = true;
    n->seen.may_store = true;
    n->options.address = "127.0.0.1";
    n->options.ae_title = "NODE";
    n->options.max_associations = 8;
    n->options.timeout_s = 20;
}

static void node_start(struct node *n)
{
    struct ds_error err = {DS_OK, ""};
    const struct dicom_service service = {.context = &n->seen,
                                          .admit = on_admit,
                                          .may_store = on_may_store,
                                          .store_begin = on_begin,
                                          .store_data = on_data,
                                          .store_end = on_end,
                                          .closed = on_closed};
    if (dicom_listener_start(&n->listener, &n->options, &service, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    n->port = dicom_listener_port(n->listener);
}

static void node_stop(struct node *n)
{
    dicom_listener_stop(n->listener, 2000);
    ds_bytes_free(&n->seen.last);
    (void)pthread_mutex_destroy(&n->seen.mutex);
}

static struct dicom_requestor_options requestor_options(uint16_t port)
{
    return (struct dicom_requestor_options){.host = "127.0.0.1",
                                            .port = port,
                                            .calling_ae = "TESTER",
                                            .called_ae = "NODE",
                                            .timeout_s = 10};
}

static enum ds_status try_open(uint16_t port, struct dicom_requestor **out, struct ds_error *err)
{
    const struct dicom_requestor_options o = requestor_options(port);
    const struct dicom_context contexts[] = {
        {CT, EXPLICIT}, {CT, IMPLICIT}, {CT, JPEG_LL}, {WORKLIST, EXPLICIT}, {CT, "1.2.3.8"}};
    return dicom_requestor_open(out, &o, contexts, DS_ARRAY_SIZE(contexts), err);
}

static struct dicom_requestor *must_open(uint16_t port)
{
    struct ds_error err = {DS_OK, ""};
    struct dicom_requestor *r = NULL;
    if (try_open(port, &r, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return r;
}

static uint8_t *pattern(size_t len)
{
    uint8_t *data = malloc(len);
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525U + 1013904223U;
        data[i] = (uint8_t)(x >> 24);
    }
    return data;
}

static uint16_t must_store(struct dicom_requestor *r, const char *syntax, const uint8_t *data,
                           size_t len)
{
    struct ds_error err = {DS_OK, ""};
    uint16_t status = 0xffff;
    if (dicom_requestor_store(r, CT, UID, syntax, data, len, &status, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return status;
}

static void a_verification_is_answered(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    struct dicom_requestor *r = must_open(n.port);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
    assert_true(wait_count(&n.seen, &n.seen.closed, 1));
    assert_string_equal(n.seen.how, "released");
    node_stop(&n);
}

static void the_bytes_sent_are_the_bytes_received(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    uint8_t *data = pattern(BIG);
    const size_t lengths[] = {2, 131066, 131068, 262132, BIG};
    struct dicom_requestor *r = must_open(n.port);
    for (size_t i = 0; i < DS_ARRAY_SIZE(lengths); i++) {
        assert_int_equal(must_store(r, EXPLICIT, data, lengths[i]), 0);
        assert_int_equal(n.seen.last.len, lengths[i]);
        assert_memory_equal(n.seen.last.data, data, lengths[i]);
    }
    dicom_requestor_close(r);
    n.options.max_pdu_bytes = 4096;
    struct node small;
    node_init(&small);
    small.options.max_pdu_bytes = 4096;
    node_start(&small);
    r = must_open(small.port);
    assert_int_equal(must_store(r, IMPLICIT, data, BIG), 0);
    assert_int_equal(small.seen.last.len, BIG);
    assert_memory_equal(small.seen.last.data, data, BIG);
    dicom_requestor_close(r);
    free(data);
    node_stop(&small);
    node_stop(&n);
}

static void an_odd_or_empty_data_set_is_not_sent(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    struct dicom_requestor *r = must_open(n.port);
    uint16_t status = 0;
    const uint8_t data[3] = {0};
    assert_int_equal(dicom_requestor_store(r, CT, UID, EXPLICIT, data, 3, &status, NULL),
                     DS_EFORMAT);
    assert_int_equal(dicom_requestor_store(r, CT, UID, EXPLICIT, data, 0, &status, NULL),
                     DS_EFORMAT);
    assert_int_equal(must_store(r, EXPLICIT, data, 2), 0);
    dicom_requestor_close(r);
    node_stop(&n);
}

static void a_deflated_data_set_of_odd_length_is_padded(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    const struct dicom_requestor_options o = requestor_options(n.port);
    const struct dicom_context context = {CT, DEFLATED};
    struct dicom_requestor *r = NULL;
    assert_int_equal(dicom_requestor_open(&r, &o, &context, 1, NULL), DS_OK);
    assert_int_equal(must_store(r, DEFLATED, (const uint8_t *)"abc", 3), 0);
    assert_int_equal(n.seen.last.len, 4);
    assert_memory_equal(n.seen.last.data, "abc", 4);
    dicom_requestor_close(r);
    node_stop(&n);
}

static void each_syntax_is_a_context_and_unknown_ones_are_refused(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    struct dicom_requestor *r = must_open(n.port);
    assert_true(dicom_requestor_accepts(r, CT, EXPLICIT));
    assert_true(dicom_requestor_accepts(r, CT, IMPLICIT));
    assert_true(dicom_requestor_accepts(r, CT, JPEG_LL));
    assert_false(dicom_requestor_accepts(r, WORKLIST, EXPLICIT));
    assert_false(dicom_requestor_accepts(r, CT, "1.2.3.8"));
    const uint8_t data[2] = {0};
    uint16_t status = 0;
    assert_int_equal(must_store(r, JPEG_LL, data, 2), 0);
    assert_string_equal(n.seen.syntax, JPEG_LL);
    assert_int_equal(dicom_requestor_store(r, WORKLIST, UID, EXPLICIT, data, 2, &status, NULL),
                     DS_EREFUSED);
    /* The refusal cost nothing: the association lives. */
    assert_int_equal(must_store(r, EXPLICIT, data, 2), 0);
    dicom_requestor_close(r);
    node_stop(&n);
}

static void a_listener_accepts_only_the_syntaxes_it_was_given(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    const char *const only[] = {IMPLICIT};
    n.options.transfer_syntaxes = only;
    n.options.transfer_syntax_count = 1;
    node_start(&n);
    struct dicom_requestor *r = must_open(n.port);
    assert_true(dicom_requestor_accepts(r, CT, IMPLICIT));
    assert_false(dicom_requestor_accepts(r, CT, EXPLICIT));
    dicom_requestor_close(r);
    node_stop(&n);
    const char *const unknown[] = {"1.2.3.8"};
    const struct dicom_service none = {
        .store_begin = on_begin, .store_data = on_data, .store_end = on_end};
    n.options.transfer_syntaxes = unknown;
    assert_int_equal(dicom_listener_start(&n.listener, &n.options, &none, NULL), DS_EINVAL);
    assert_null(n.listener);
}

/* HTJ2K, JPEG XL, video, encapsulated uncompressed: whatever a context may name. */
static void every_syntax_that_carries_its_pixels_is_received(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    size_t count = 0;
    const struct dicom_transfer_syntax *all = dicom_transfer_syntaxes(&count);
    struct dicom_context contexts[127];
    for (size_t i = 0; i < count; i++) {
        contexts[i] = (struct dicom_context){CT, all[i].uid};
    }
    const struct dicom_requestor_options o = requestor_options(n.port);
    struct dicom_requestor *r = NULL;
    assert_int_equal(dicom_requestor_open(&r, &o, contexts, count, NULL), DS_OK);
    for (size_t i = 0; i < count; i++) {
        const bool here = all[i].coding != DICOM_REFERENCED;
        assert_int_equal(dicom_requestor_accepts(r, CT, all[i].uid), here);
        if (here) {
            assert_int_equal(must_store(r, all[i].uid, (const uint8_t *)"abcd", 4), 0);
            assert_string_equal(n.seen.syntax, all[i].uid);
        }
    }
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
    node_stop(&n);
}

static bool takes_class(const struct node *n, const char *class_uid)
{
    const struct dicom_requestor_options o = requestor_options(n->port);
    const struct dicom_context context = {class_uid, EXPLICIT};
    struct dicom_requestor *r = NULL;
    assert_int_equal(dicom_requestor_open(&r, &o, &context, 1, NULL), DS_OK);
    const bool taken = dicom_requestor_accepts(r, class_uid, EXPLICIT);
    dicom_requestor_close(r);
    return taken;
}

static void a_class_nobody_knows_is_taken_unless_only_known_ones_are(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    assert_true(takes_class(&n, PRIVATE));
    assert_true(takes_class(&n, "1.2.840.10008.5.1.4.1.1.66.7"));
    assert_false(takes_class(&n, WORKLIST));
    node_stop(&n);
    node_init(&n);
    n.options.only_known_classes = true;
    node_start(&n);
    assert_false(takes_class(&n, PRIVATE));
    assert_true(takes_class(&n, "1.2.840.10008.5.1.4.1.1.66.7"));
    node_stop(&n);
}

static void a_refused_instance_is_drained_and_answered(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    uint8_t *data = pattern(BIG);
    struct dicom_requestor *r = must_open(n.port);
    n.seen.begin_status = 0xa700;
    assert_int_equal(must_store(r, EXPLICIT, data, BIG), 0xa700);
    assert_int_equal(n.seen.broken + n.seen.complete, 0);
    n.seen.begin_status = 0;
    n.seen.data_status = 0xa701;
    assert_int_equal(must_store(r, EXPLICIT, data, BIG), 0xa701);
    assert_int_equal(n.seen.broken, 1);
    assert_in_range(n.seen.last.len, 2, 131072); /* nothing was handed on after the refusal */
    n.seen.data_status = 0;
    n.seen.end_status = 0xc001;
    assert_int_equal(must_store(r, EXPLICIT, data, BIG), 0xc001);
    n.seen.end_status = 0;
    n.seen.may_store = false;
    assert_int_equal(must_store(r, EXPLICIT, data, BIG), 0x0124);
    n.seen.may_store = true;
    assert_int_equal(must_store(r, EXPLICIT, data, BIG), 0);
    dicom_requestor_close(r);
    free(data);
    node_stop(&n);
}

static void wrong_titles_are_rejected_for_good_and_full_nodes_for_now(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    n.options.ae_title = "OTHER";
    node_start(&n);
    struct dicom_requestor *r = NULL;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(try_open(n.port, &r, &err), DS_EREFUSED);
    assert_null(r);
    assert_non_null(strstr(err.text, "called AE title"));
    node_stop(&n);

    node_init(&n);
    node_start(&n);
    n.seen.admit = false;
    assert_int_equal(try_open(n.port, &r, &err), DS_EREFUSED);
    assert_non_null(strstr(err.text, "calling AE title"));
    n.seen.transient = true;
    assert_int_equal(try_open(n.port, &r, &err), DS_EIO);
    assert_non_null(strstr(err.text, "local limit"));
    assert_int_equal(n.seen.closed, 0);
    node_stop(&n);
}

static void sixty_four_associations_at_once_and_not_one_more(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    n.options.max_associations = 64;
    node_start(&n);
    struct dicom_requestor *all[64];
    const uint8_t data[2] = {0};
    for (size_t i = 0; i < DS_ARRAY_SIZE(all); i++) {
        all[i] = must_open(n.port);
    }
    struct dicom_requestor *more = NULL;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(try_open(n.port, &more, &err), DS_EIO);
    assert_non_null(strstr(err.text, "local limit"));
    for (size_t i = 0; i < DS_ARRAY_SIZE(all); i++) {
        assert_int_equal(must_store(all[i], EXPLICIT, data, 2), 0);
    }
    dicom_requestor_close(all[0]);
    assert_true(wait_count(&n.seen, &n.seen.closed, 1));
    pause_ms(100); /* the place is given back right after closed() */
    all[0] = must_open(n.port);
    for (size_t i = 0; i < DS_ARRAY_SIZE(all); i++) {
        dicom_requestor_close(all[i]);
    }
    node_stop(&n);
}

static void too_many_contexts_are_the_callers_mistake(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    size_t count = 0;
    const struct dicom_sop_class *classes = dicom_sop_classes(&count);
    assert_true(count >= 128);
    struct dicom_context contexts[128];
    for (size_t i = 0; i < DS_ARRAY_SIZE(contexts); i++) {
        contexts[i] = (struct dicom_context){classes[i].uid, EXPLICIT};
    }
    const struct dicom_requestor_options o = requestor_options(n.port);
    struct dicom_requestor *r = NULL;
    assert_int_equal(dicom_requestor_open(&r, &o, contexts, 128, NULL), DS_EINVAL);
    contexts[5].sop_class_uid = "";
    assert_int_equal(dicom_requestor_open(&r, &o, contexts, 127, NULL), DS_EINVAL);
    contexts[5].sop_class_uid = classes[5].uid;
    assert_int_equal(dicom_requestor_open(&r, &o, contexts, 127, NULL), DS_OK);
    for (size_t i = 0; i < 127; i++) {
        assert_true(dicom_requestor_accepts(r, classes[i].uid, EXPLICIT));
    }
    dicom_requestor_close(r);
    node_stop(&n);
}

static void a_peer_that_stalls_costs_only_its_own_thread(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    n.options.timeout_s = 1;
    node_start(&n);
    const int silent = connect_to(n.port);
    const int half_pdu = connect_to(n.port);
    assert_true(raw_send(half_pdu, "\1\0\0\0", 4));
    const int half_store = raw_associate(n.port, CT, EXPLICIT);
    assert_true(half_store >= 0);
    assert_true(raw_store_command(half_store, CT, UID));
    assert_true(raw_pdata(half_store, 0x00, "abcd", 4, 1000));
    struct dicom_requestor *r = must_open(n.port);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
    assert_true(wait_count(&n.seen, &n.seen.closed, 2));
    assert_int_equal(n.seen.broken, 1);
    assert_int_equal(n.seen.complete, 0);
    char byte;
    assert_true(recv(silent, &byte, 1, 0) <= 0);
    (void)close(silent);
    (void)close(half_pdu);
    (void)close(half_store);
    node_stop(&n);
}

static void a_connection_lost_in_the_middle_ends_incomplete(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    const uint8_t data[100] = {0};
    /* Between two PDUs, and inside one. */
    for (unsigned i = 0; i < 2; i++) {
        const int fd = raw_associate(n.port, CT, EXPLICIT);
        assert_true(raw_store_command(fd, CT, UID));
        assert_true(raw_pdata(fd, 0x00, data, sizeof(data), i == 0 ? sizeof(data) : 5000));
        (void)close(fd);
        assert_true(wait_count(&n.seen, &n.seen.closed, i + 1));
        assert_int_equal(n.seen.broken, i + 1);
        assert_int_equal(n.seen.complete, 0);
    }
    node_stop(&n);
}

static void a_class_that_does_not_fit_the_context_is_a_mismatch(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    const uint8_t data[2] = {0};
    const int fd = raw_associate(n.port, CT, EXPLICIT);
    assert_true(raw_store_command(fd, RAW_MR, UID));
    assert_true(raw_pdata(fd, 0x02, data, 2, 2));
    assert_int_equal(raw_status(fd), 0xa900);
    assert_true(raw_store_command(fd, CT, "1.2.../etc"));
    assert_true(raw_pdata(fd, 0x02, data, 2, 2));
    assert_int_equal(raw_status(fd), 0xc000);
    assert_true(raw_store_command(fd, CT, UID));
    assert_true(raw_pdata(fd, 0x02, data, 2, 2));
    assert_int_equal(raw_status(fd), 0);
    (void)close(fd);
    node_stop(&n);
}

static void an_operation_that_nobody_knows_is_answered(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    const int fd = raw_associate(n.port, CT, EXPLICIT);
    assert_true(raw_command(fd, "\x20\0", CT, "1.2", true)); /* C-FIND-RQ */
    assert_true(raw_pdata(fd, 0x02, "abcd", 4, 4));
    assert_int_equal(raw_status(fd), 0x0211);
    assert_true(raw_command(fd, "\1\0", CT, "1.2", false)); /* a C-STORE of nothing */
    assert_int_equal(raw_status(fd), 0xc000);
    assert_true(raw_store_command(fd, CT, UID));
    assert_true(raw_pdata(fd, 0x02, "abcd", 4, 4));
    assert_int_equal(raw_status(fd), 0);
    (void)close(fd);
    node_stop(&n);
}

/* On a context that was never accepted, or as the answer to nothing: PS3.8 9.3.8 A-ABORT. */
static void a_command_out_of_place_ends_the_association(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    for (unsigned i = 0; i < 3; i++) {
        const int fd = raw_associate(n.port, CT, EXPLICIT);
        assert_true(i == 0   ? raw_command(fd, "\1\x80", CT, "1.2", false)
                    : i == 1 ? raw_pdata(fd, 0x02, "abcd", 4, 4)
                             : raw_pdata(fd, 0x03, "\0\0\0\1\2\0\0\0\1\0", 10, 10));
        assert_int_equal(raw_receive(fd, &pdu), 0x07);
        (void)close(fd);
    }
    ds_bytes_free(&pdu);
    node_stop(&n);
}

static void garbage_ends_the_association_and_nothing_else(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    uint8_t *noise = pattern(4096);
    for (size_t i = 0; i < 32; i++) {
        const int fd = i % 2 == 0 ? connect_to(n.port) : raw_associate(n.port, CT, EXPLICIT);
        assert_true(fd >= 0);
        noise[0] = (uint8_t)(i % 9); /* every PDU type, with a length that lies */
        noise[2] = i % 3 == 0 ? 0x7f : 0;
        (void)raw_send(fd, noise, 64 + 61 * i);
        (void)close(fd);
    }
    struct dicom_requestor *r = must_open(n.port);
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    dicom_requestor_close(r);
    free(noise);
    node_stop(&n);
}

static void stopping_ends_what_does_not_end_by_itself(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    node_start(&n);
    struct dicom_requestor *idle = must_open(n.port);
    const int stuck = raw_associate(n.port, CT, EXPLICIT);
    assert_true(raw_store_command(stuck, CT, UID));
    assert_true(raw_pdata(stuck, 0x00, "abcd", 4, 1000));
    const int64_t begin = ds_clock_monotonic_ms();
    dicom_listener_stop(n.listener, 100);
    /* Long before the 20 seconds that both may be silent. */
    assert_true(ds_clock_monotonic_ms() - begin < 10000);
    assert_int_equal(n.seen.closed, 2);
    assert_int_equal(n.seen.broken, 1);
    struct ds_bytes pdu = DS_BYTES_INIT(1024);
    assert_int_equal(raw_receive(stuck, &pdu), 0x07); /* A-ABORT */
    ds_bytes_free(&pdu);
    uint16_t status = 0;
    const uint8_t data[2] = {0};
    assert_int_equal(dicom_requestor_store(idle, CT, UID, EXPLICIT, data, 2, &status, NULL),
                     DS_EIO);
    assert_int_equal(dicom_requestor_echo(idle, NULL), DS_EIO);
    dicom_requestor_close(idle);
    assert_int_equal(connect_to(n.port), -1);
    (void)close(stuck);
    ds_bytes_free(&n.seen.last);
}

static void nobody_at_the_port_is_trouble_of_the_network(void **state)
{
    (void)state;
    struct dicom_requestor *r = NULL;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(try_open(free_port(), &r, &err), DS_EIO);
    assert_null(r);
}

static void a_node_that_never_answers_is_given_up(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    struct dicom_requestor_options o = requestor_options(ntohs(at.sin_port));
    o.timeout_s = 1;
    struct dicom_requestor *r = NULL;
    assert_int_equal(dicom_requestor_open(&r, &o, NULL, 0, NULL), DS_EIO);
    (void)close(fd);
}

/* ---- other people's programs ---- */

static void dcmtk_programs_are_served(void **state)
{
    (void)state;
    const char *folder = getenv("DICOMSTEGO_TEST_DATA");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/ct/ge-hispeed/0001.dcm", folder == NULL ? "" : folder);
    if (!ds_file_exists(path) || !program_exists("storescu") || !program_exists("dcmsend")) {
        print_message("skipped: no test data or no DCMTK programs\n");
        skip();
    }
    struct node n;
    node_init(&n);
    node_start(&n);
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", n.port);
    const char *const echo[] = {"echoscu", "-aec", "NODE", "127.0.0.1", port, NULL};
    assert_int_equal(run_program(echo), 0);
    const char *const storescu[] = {"storescu", "-aec", "NODE", "127.0.0.1", port, path, NULL};
    assert_int_equal(run_program(storescu), 0);
    assert_true(wait_count(&n.seen, &n.seen.complete, 1));
    const char *const dcmsend[] = {"dcmsend", "-aec", "NODE", "127.0.0.1", port, path, NULL};
    assert_int_equal(run_program(dcmsend), 0);
    assert_true(wait_count(&n.seen, &n.seen.complete, 2));
    const char *const wrong[] = {"echoscu", "-aec", "NOBODY", "127.0.0.1", port, NULL};
    assert_int_not_equal(run_program(wrong), 0);
    node_stop(&n);
}

int main(void)
{
    struct ds_error err = {DS_OK, ""};
    if (dicom_init(&err) != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verification_is_answered),
        cmocka_unit_test(the_bytes_sent_are_the_bytes_received),
        cmocka_unit_test(an_odd_or_empty_data_set_is_not_sent),
        cmocka_unit_test(a_deflated_data_set_of_odd_length_is_padded),
        cmocka_unit_test(each_syntax_is_a_context_and_unknown_ones_are_refused),
        cmocka_unit_test(a_listener_accepts_only_the_syntaxes_it_was_given),
        cmocka_unit_test(every_syntax_that_carries_its_pixels_is_received),
        cmocka_unit_test(a_class_nobody_knows_is_taken_unless_only_known_ones_are),
        cmocka_unit_test(a_refused_instance_is_drained_and_answered),
        cmocka_unit_test(wrong_titles_are_rejected_for_good_and_full_nodes_for_now),
        cmocka_unit_test(sixty_four_associations_at_once_and_not_one_more),
        cmocka_unit_test(too_many_contexts_are_the_callers_mistake),
        cmocka_unit_test(a_peer_that_stalls_costs_only_its_own_thread),
        cmocka_unit_test(a_connection_lost_in_the_middle_ends_incomplete),
        cmocka_unit_test(a_class_that_does_not_fit_the_context_is_a_mismatch),
        cmocka_unit_test(an_operation_that_nobody_knows_is_answered),
        cmocka_unit_test(a_command_out_of_place_ends_the_association),
        cmocka_unit_test(garbage_ends_the_association_and_nothing_else),
        cmocka_unit_test(stopping_ends_what_does_not_end_by_itself),
        cmocka_unit_test(nobody_at_the_port_is_trouble_of_the_network),
        cmocka_unit_test(a_node_that_never_answers_is_given_up),
        cmocka_unit_test(dcmtk_programs_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that stall, drip, never read or never answer, on either side of an association: each costs
 * one thread for about the timeout. Nothing is timed here: what did not end would hang the test.
 */
#include "tests/unit/dicom/counting_node.h"

#include <poll.h>

#define VERIFICATION "1.2.840.10008.1.1"
#define UID          "1.2.3.4.5"
#define LONG_BYTES   (48U << 20) /* more than the socket buffers of both ends hold */
#define DRIP_MS      50L         /* a byte each: a fiftieth of what is taken for progress */

/* ---- our listener ---- */

/* A byte at a time, until all are sent or the peer has ended it; answers how many went out. */
static size_t drip(int fd, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)DRIP_MS) > 0 || !raw_send(fd, bytes + i, 1)) {
            return i;
        }
    }
    return len;
}

static void a_request_that_drips_is_not_waited_for(void **state)
{
    (void)state;
    struct node n;
    node_start(&n, 1, NULL);
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    raw_request(&pdu, "NODE            ", "RAWPEER         ", RAW_CT, RAW_EXPLICIT);
    const int fd = connect_to(n.port);
    assert_true(pdu.len > 150); /* would take seven seconds and more */
    assert_true(drip(fd, pdu.data, pdu.len) < pdu.len);
    (void)close(fd);
    ds_bytes_free(&pdu);
    node_stop(&n);
    assert_int_equal(n.seen.closed, 0);
}

/* Inside one PDU, and as whole PDUs of a byte each. */
static void a_data_set_that_drips_is_given_up(void **state)
{
    (void)state;
    struct node n;
    node_start(&n, 1, NULL);
    int fd = raw_associate(n.port, RAW_CT, RAW_EXPLICIT);
    assert_true(raw_store_command(fd, RAW_CT, UID));
    assert_true(raw_pdata(fd, 0x00, "abcd", 4, 1000));
    uint8_t rest[996] = {0};
    assert_true(drip(fd, rest, sizeof(rest)) < sizeof(rest));
    wait_closed(&n.seen, 1);
    assert_non_null(strstr(n.seen.how, "too long"));
    (void)close(fd);
    fd = raw_associate(n.port, RAW_CT, RAW_EXPLICIT);
    assert_true(raw_store_command(fd, RAW_CT, UID));
    unsigned sent = 0;
    while (sent < 1000 && closed_count(&n.seen) < 2 && raw_pdata(fd, 0x00, "a", 1, 1)) {
        pause_ms(DRIP_MS);
        sent++;
    }
    assert_true(sent < 1000);
    wait_closed(&n.seen, 2);
    assert_int_equal(n.seen.broken, 2);
    assert_int_equal(n.seen.complete, 0);
    (void)close(fd);
    node_stop(&n);
}

/* Several times as long as the timeout, in steps far below it. */
static void a_slow_line_is_no_stall(void **state)
{
    (void)state;
    struct node n;
    node_start(&n, 2, NULL);
    const int fd = raw_associate(n.port, RAW_CT, RAW_EXPLICIT);
    assert_true(raw_store_command(fd, RAW_CT, UID));
    const uint8_t part[4096] = {0};
    for (unsigned i = 0; i < 50; i++) {
        assert_true(raw_pdata(fd, i == 49 ? 0x02 : 0x00, part, sizeof(part), sizeof(part)));
        pause_ms(100);
    }
    assert_int_equal(raw_status(fd), 0);
    assert_int_equal(n.seen.complete, 1);
    (void)close(fd);
    node_stop(&n);
}

static void a_peer_that_never_reads_its_answers_is_given_up(void **state)
{
    (void)state;
    struct node n;
    node_start(&n, 1, NULL);
    const int fd = raw_associate(n.port, VERIFICATION, RAW_EXPLICIT);
    assert_true(fd >= 0);
    while (closed_count(&n.seen) == 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, 20) > 0 && (p.revents & POLLOUT) != 0) {
            (void)raw_command(fd, "\x30\0", VERIFICATION, "1.2", false);
        }
    }
    assert_non_null(strstr(n.seen.how, "too long"));
    (void)close(fd);
    node_stop(&n);
}

static void a_peer_that_does_not_close_after_its_release_is_left(void **state)
{
    (void)state;
    struct node n;
    node_start(&n, 1, NULL);
    const int fd = raw_associate(n.port, RAW_CT, RAW_EXPLICIT);
    struct ds_bytes pdu = DS_BYTES_INIT(1024);
    assert_true(raw_send(fd, "\5\0\0\0\0\4\0\0\0\0", 10));
    assert_int_equal(raw_receive(fd, &pdu), 0x06);
    wait_closed(&n.seen, 1);
    assert_string_equal(n.seen.how, "released");
    (void)close(fd);
    ds_bytes_free(&pdu);
    node_stop(&n);
}

/* ---- our requestor, to an acceptor that follows a script ---- */

enum script {
    ACCEPT_NOTHING,    /* not even the connection's first byte is read */
    DRIP_ACCEPT,       /* an A-ASSOCIATE-AC, byte by byte */
    GARBAGE_ACCEPT,    /* an A-ASSOCIATE-AC that is none */
    OTHER_SYNTAX,      /* accepts in a syntax that nobody proposed */
    NEVER_READ,        /* accepts, and reads nothing more */
    NEVER_ANSWER,      /* reads all, says nothing */
    DRIP_ANSWER,       /* reads all, answers byte by byte */
    WRONG_MESSAGE,     /* answers another request */
    ANSWER_WITH_DATA,  /* announces a data set behind its answer */
    CLOSE_WHEN_IDLE,   /* answers once, then closes */
    RELEASE_WHEN_IDLE, /* answers once, then asks for the end */
    NEVER_RELEASE,     /* answers once, then nothing any more */
};

struct acceptor {
    enum script script;
    int listening;
    uint16_t port;
    pthread_t thread;
};

/* Both contexts are accepted: Verification (1) and the one asked for (3). */
static void accept_pdu(struct ds_bytes *out, const char *syntax)
{
    struct ds_bytes rest = DS_BYTES_INIT(4096);
    raw_must(ds_bytes_put_be(&rest, 0x00010000, 4, NULL));
    raw_must(ds_bytes_resize(&rest, 68, NULL));
    for (uint8_t id = 1; id <= 3; id += 2) {
        struct ds_bytes item = DS_BYTES_INIT(4096);
        raw_must(ds_bytes_put_be(&item, (uint64_t)id << 24, 4, NULL));
        raw_item(&item, 0x40, syntax, strlen(syntax));
        raw_item(&rest, 0x21, item.data, item.len);
        ds_bytes_free(&item);
    }
    static const uint8_t user[] = {0x51, 0, 0, 4, 0, 0, 0x40, 0};
    raw_item(&rest, 0x50, user, sizeof(user));
    raw_must(ds_bytes_put_be(out, 0x0200, 2, NULL));
    raw_must(ds_bytes_put_be(out, rest.len, 4, NULL));
    raw_must(ds_bytes_append(out, rest.data, rest.len, NULL));
    ds_bytes_free(&rest);
}

/* A C-STORE-RSP on context 3. */
static void answer_pdu(struct ds_bytes *out, uint16_t message_id, bool data_set)
{
    struct ds_bytes rest = DS_BYTES_INIT(1024);
    const uint8_t id[2] = {(uint8_t)message_id, (uint8_t)(message_id >> 8)};
    raw_element(&rest, 0x0100, "\1\x80", 2);
    raw_element(&rest, 0x0120, id, 2);
    raw_element(&rest, 0x0800, data_set ? "\1\0" : "\1\1", 2);
    raw_element(&rest, 0x0900, "\0\0", 2);
    raw_must(ds_bytes_put_be(out, 0x0400, 2, NULL));
    raw_must(ds_bytes_put_be(out, rest.len + 6, 4, NULL));
    raw_must(ds_bytes_put_be(out, rest.len + 2, 4, NULL));
    raw_must(ds_bytes_put_be(out, 0x0303, 2, NULL));
    raw_must(ds_bytes_append(out, rest.data, rest.len, NULL));
    ds_bytes_free(&rest);
}

/* Until the end of a data set; false: the connection ended. */
static bool read_message(int fd, struct ds_bytes *pdu)
{
    for (;;) {
        if (raw_receive(fd, pdu) != 0x04 || pdu->len < 6) {
            return false;
        }
        if (pdu->data[5] == 0x02) {
            return true;
        }
    }
}

/* Whatever still comes, until the peer closes. */
static void outlast(int fd)
{
    uint8_t bytes[65536];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
    }
}

/* True when the script goes on with messages. */
static bool negotiate(const struct acceptor *a, int fd, struct ds_bytes *pdu)
{
    struct ds_bytes answer = DS_BYTES_INIT(4096);
    accept_pdu(&answer, a->script == OTHER_SYNTAX ? "1.2.3" : RAW_EXPLICIT);
    if (a->script == GARBAGE_ACCEPT) {
        memset(answer.data + 74, 0xff, answer.len - 74);
    }
    bool on = a->script != ACCEPT_NOTHING && raw_receive(fd, pdu) == 0x01;
    if (on && a->script == DRIP_ACCEPT) {
        (void)drip(fd, answer.data, answer.len);
        on = false;
    }
    on = on && raw_send(fd, answer.data, answer.len);
    ds_bytes_free(&answer);
    return on && a->script != NEVER_READ && a->script != GARBAGE_ACCEPT;
}

static void play(const struct acceptor *a, int fd, struct ds_bytes *pdu)
{
    if (!negotiate(a, fd, pdu) || !read_message(fd, pdu)) {
        return;
    }
    struct ds_bytes answer = DS_BYTES_INIT(1024);
    answer_pdu(&answer, a->script == WRONG_MESSAGE ? 4711 : 1, a->script == ANSWER_WITH_DATA);
    if (a->script == DRIP_ANSWER) {
        (void)drip(fd, answer.data, answer.len);
    } else if (a->script != NEVER_ANSWER) {
        (void)raw_send(fd, answer.data, answer.len);
    }
    ds_bytes_free(&answer);
    if (a->script == RELEASE_WHEN_IDLE) {
        (void)raw_send(fd, "\5\0\0\0\0\4\0\0\0\0", 10);
    }
}

static void *acceptor_run(void *context)
{
    const struct acceptor *a = context;
    struct ds_bytes pdu = DS_BYTES_INIT(1U << 20);
    const int fd = accept(a->listening, NULL, NULL);
    play(a, fd, &pdu);
    if (a->script == NEVER_READ) {
        struct pollfd p = {.fd = fd, .events = 0};
        while (poll(&p, 1, -1) <= 0) { /* until it is reset */
        }
    } else if (a->script != CLOSE_WHEN_IDLE) {
        outlast(fd);
    }
    (void)close(fd);
    ds_bytes_free(&pdu);
    return NULL;
}

static void acceptor_start(struct acceptor *a, enum script script)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    a->script = script;
    a->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(a->listening, (const struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(a->listening, 4), 0);
    assert_int_equal(getsockname(a->listening, (struct sockaddr *)&at, &len), 0);
    a->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&a->thread, NULL, acceptor_run, a), 0);
}

static void acceptor_stop(struct acceptor *a)
{
    (void)pthread_join(a->thread, NULL);
    (void)close(a->listening);
}

static enum ds_status open_to(uint16_t port, struct dicom_requestor **out, struct ds_error *err)
{
    const struct dicom_requestor_options o = {.host = "127.0.0.1",
                                              .port = port,
                                              .calling_ae = "TESTER",
                                              .called_ae = "RAW",
                                              .timeout_s = 1};
    const struct dicom_context context = {RAW_CT, RAW_EXPLICIT};
    return dicom_requestor_open(out, &o, &context, 1, err);
}

static void an_association_that_does_not_come_about_is_given_up(void **state)
{
    (void)state;
    static const struct {
        enum script script;
        enum ds_status status;
    } rows[] = {{ACCEPT_NOTHING, DS_EIO}, {DRIP_ACCEPT, DS_EIO}, {GARBAGE_ACCEPT, DS_EREFUSED}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(rows); i++) {
        struct acceptor a;
        acceptor_start(&a, rows[i].script);
        struct dicom_requestor *r = NULL;
        assert_int_equal(open_to(a.port, &r, NULL), rows[i].status);
        assert_null(r);
        acceptor_stop(&a);
    }
}

/* The kernel accepts for a listener; once its queue is full, nobody answers any more. */
static void a_connection_that_does_not_come_about_is_given_up(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (const struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listening, 0), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    int waiting[4];
    for (size_t i = 0; i < DS_ARRAY_SIZE(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(waiting[i], (const struct sockaddr *)&at, len);
    }
    pause_ms(100);
    struct dicom_requestor *r = NULL;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(open_to(ntohs(at.sin_port), &r, &err), DS_EIO);
    assert_non_null(strstr(err.text, "timed out"));
    for (size_t i = 0; i < DS_ARRAY_SIZE(waiting); i++) {
        (void)close(waiting[i]);
    }
    (void)close(listening);
}

static void a_syntax_that_was_not_proposed_is_not_accepted(void **state)
{
    (void)state;
    struct acceptor a;
    acceptor_start(&a, OTHER_SYNTAX);
    struct dicom_requestor *r = NULL;
    assert_int_equal(open_to(a.port, &r, NULL), DS_OK);
    assert_false(dicom_requestor_accepts(r, RAW_CT, RAW_EXPLICIT));
    assert_false(dicom_requestor_accepts(r, RAW_CT, "1.2.3"));
    dicom_requestor_close(r);
    acceptor_stop(&a);
}

static enum ds_status store(struct dicom_requestor *r, const uint8_t *data, size_t len)
{
    uint16_t status = 0xffff;
    return dicom_requestor_store(r, RAW_CT, UID, RAW_EXPLICIT, data, len, &status, NULL);
}

static void a_send_that_fails_ends_the_association(void **state)
{
    (void)state;
    static const enum script scripts[] = {NEVER_READ, NEVER_ANSWER, DRIP_ANSWER, WRONG_MESSAGE,
                                          ANSWER_WITH_DATA};
    uint8_t *data = calloc(1, LONG_BYTES);
    for (size_t i = 0; i < DS_ARRAY_SIZE(scripts); i++) {
        struct acceptor a;
        acceptor_start(&a, scripts[i]);
        struct dicom_requestor *r = NULL;
        assert_int_equal(open_to(a.port, &r, NULL), DS_OK);
        assert_true(dicom_requestor_usable(r));
        assert_int_equal(store(r, data, scripts[i] == NEVER_READ ? LONG_BYTES : 100), DS_EIO);
        assert_false(dicom_requestor_usable(r));
        assert_false(dicom_requestor_was_cut(r));
        assert_int_equal(store(r, data, 100), DS_EIO);
        assert_int_equal(dicom_requestor_echo(r, NULL), DS_EIO);
        dicom_requestor_close(r);
        acceptor_stop(&a);
    }
    free(data);
}

static void an_idle_association_that_the_peer_ends_is_noticed(void **state)
{
    (void)state;
    static const enum script scripts[] = {CLOSE_WHEN_IDLE, RELEASE_WHEN_IDLE};
    const uint8_t data[100] = {0};
    for (size_t i = 0; i < DS_ARRAY_SIZE(scripts); i++) {
        struct acceptor a;
        acceptor_start(&a, scripts[i]);
        struct dicom_requestor *r = NULL;
        assert_int_equal(open_to(a.port, &r, NULL), DS_OK);
        assert_int_equal(store(r, data, sizeof(data)), DS_OK);
        while (dicom_requestor_usable(r)) {
            pause_ms(10);
        }
        assert_int_equal(store(r, data, sizeof(data)), DS_EIO);
        assert_true(dicom_requestor_was_cut(r));
        dicom_requestor_close(r);
        acceptor_stop(&a);
    }
}

static void a_release_that_is_not_answered_is_not_waited_for(void **state)
{
    (void)state;
    struct acceptor a;
    acceptor_start(&a, NEVER_RELEASE);
    struct dicom_requestor *r = NULL;
    const uint8_t data[100] = {0};
    assert_int_equal(open_to(a.port, &r, NULL), DS_OK);
    assert_int_equal(store(r, data, sizeof(data)), DS_OK);
    dicom_requestor_close(r);
    acceptor_stop(&a);
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_drips_is_not_waited_for),
        cmocka_unit_test(a_data_set_that_drips_is_given_up),
        cmocka_unit_test(a_slow_line_is_no_stall),
        cmocka_unit_test(a_peer_that_never_reads_its_answers_is_given_up),
        cmocka_unit_test(a_peer_that_does_not_close_after_its_release_is_left),
        cmocka_unit_test(an_association_that_does_not_come_about_is_given_up),
        cmocka_unit_test(a_connection_that_does_not_come_about_is_given_up),
        cmocka_unit_test(a_syntax_that_was_not_proposed_is_not_accepted),
        cmocka_unit_test(a_send_that_fails_ends_the_association),
        cmocka_unit_test(an_idle_association_that_the_peer_ends_is_noticed),
        cmocka_unit_test(a_release_that_is_not_answered_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

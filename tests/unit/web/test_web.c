/* SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include "base/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_uint measured;
static const char *unready = "";
static bool database_up = true;

static void measure(void *context)
{
    (void)context;
    (void)atomic_fetch_add(&measured, 1);
}

static void health(void *context, struct web_health *out)
{
    (void)context;
    out->unready = unready;
    out->database_up = database_up;
    out->spool_free_bytes = 12345;
    out->dicom_port = 104;
}

static const struct web_source source = {.measure = measure, .health = health};
static struct web *web;

static int start(void **state)
{
    (void)state;
    struct ds_error err;
    unready = "";
    database_up = true;
    return web_start(&web, "127.0.0.1", 0, &source, &err) == DS_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    web_stop(web);
    return 0;
}

static int dial(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(web_port(web)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Sends text and reads all until the other end closes. */
static char *ask(const char *text, size_t len)
{
    static char answer[256 * 1024];
    const int fd = dial();
    (void)!send(fd, text, len, MSG_NOSIGNAL);
    size_t have = 0;
    for (;;) {
        const ssize_t n = recv(fd, answer + have, sizeof(answer) - 1 - have, 0);
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    answer[have] = '\0';
    (void)close(fd);
    return answer;
}

static char *request(const char *method, const char *path)
{
    char text[256];
    const int len = snprintf(
        text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return ask(text, (size_t)len);
}

static void metrics_are_brought_up_to_date_and_shown(void **state)
{
    (void)state;
    const unsigned before = atomic_load(&measured);
    ds_metric_add(DS_METRIC_RECEIVED_INSTANCES, "CT1", NULL, 41);
    const char *answer = request("GET", "/metrics");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(
        strstr(answer, "\ndicomstego_received_instances_total{calling_ae=\"CT1\"} 41\n"));
    assert_int_equal(atomic_load(&measured), before + 1);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    const char *answer = request("HEAD", "/health/live");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, "");
}

static void readiness_says_why_not(void **state)
{
    (void)state;
    const char *answer = request("GET", "/health/ready");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "{\"status\":\"ready\",\"reason\":\"\",\"database\":\"up\","
                                   "\"spool_free_bytes\":12345,\"dicom\":104,\"tls\":0}"));
    unready = "the spool cannot be written";
    answer = request("GET", "/health/ready");
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    assert_non_null(strstr(answer, "\"reason\":\"the spool cannot be written\""));
}

static void a_database_that_is_away_is_no_reason(void **state)
{
    (void)state;
    database_up = false;
    const char *answer = request("GET", "/health/ready");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "\"database\":\"down\""));
}

static void other_paths_and_methods_are_refused(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"/",       "/metrics/",   "/metric",
                                            "/health", "/../metrics", "//metrics"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(elsewhere); i++) {
        assert_non_null(strstr(request("GET", elsewhere[i]), "HTTP/1.1 404 "));
    }
    const char *answer = request("DELETE", "/metrics");
    assert_non_null(strstr(answer, "HTTP/1.1 405 "));
    assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    static const char post[] = "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                               "Content-Length: 5\r\n\r\nhello";
    answer = ask(post, sizeof(post) - 1);
    assert_non_null(strstr(answer, "HTTP/1.1 405 "));
}

static void garbage_and_requests_too_long_end_the_connection_and_nothing_else(void **state)
{
    (void)state;
    static char huge[300000];
    static const char head[] = "GET /health/live?";
    static const char tail[] = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    memset(huge, 'a', sizeof(huge));
    memcpy(huge, head, sizeof(head) - 1);
    memcpy(huge + sizeof(huge) - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
    const int fd = dial();
    static const char garbage[] = "\x00\xff\x16\x03garbage\r\n\r\n\r\n";
    (void)!send(fd, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL);
    (void)close(fd);
    assert_null(strstr(ask(huge, sizeof(huge)), "200 OK"));
    assert_non_null(strstr(request("GET", "/health/live"), "200 OK"));
}

static void who_connects_and_says_nothing_stops_nobody(void **state)
{
    (void)state;
    int idle[20];
    for (size_t i = 0; i < DS_ARRAY_SIZE(idle); i++) {
        idle[i] = dial();
        (void)!send(idle[i], "GET /met", 8, MSG_NOSIGNAL);
    }
    assert_non_null(strstr(request("GET", "/health/live"), "200 OK"));
    for (size_t i = 0; i < DS_ARRAY_SIZE(idle); i++) {
        (void)close(idle[i]);
    }
}

static void who_dribbles_is_cut_and_his_place_comes_back(void **state)
{
    (void)state;
    int slow[32]; /* all places */
    for (size_t i = 0; i < DS_ARRAY_SIZE(slow); i++) {
        slow[i] = dial();
        (void)!send(slow[i], "GET /met", 8, MSG_NOSIGNAL);
    }
    web_tend(web, 60000); /* not yet */
    (void)usleep(50000);
    char byte = 0;
    assert_int_equal(recv(slow[0], &byte, 1, MSG_DONTWAIT), -1);
    for (unsigned tries = 0; tries < 100 && recv(slow[0], &byte, 1, MSG_DONTWAIT) != 0; tries++) {
        web_tend(web, 0);
        (void)usleep(20000);
    }
    assert_int_equal(recv(slow[0], &byte, 1, MSG_DONTWAIT), 0);
    assert_non_null(strstr(request("GET", "/health/live"), "200 OK"));
    for (size_t i = 0; i < DS_ARRAY_SIZE(slow); i++) {
        (void)close(slow[i]);
    }
}

static void a_port_that_is_taken_is_an_error_and_no_crash(void **state)
{
    (void)state;
    struct ds_error err;
    struct web *second = NULL;
    assert_int_equal(web_start(&second, "127.0.0.1", web_port(web), &source, &err), DS_EIO);
    assert_null(second);
    assert_int_equal(web_start(&second, "no.such.host.invalid", 0, &source, &err), DS_EIO);
    web_stop(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metrics_are_brought_up_to_date_and_shown, start, stop),
        cmocka_unit_test_setup_teardown(head_is_get_without_the_body, start, stop),
        cmocka_unit_test_setup_teardown(readiness_says_why_not, start, stop),
        cmocka_unit_test_setup_teardown(a_database_that_is_away_is_no_reason, start, stop),
        cmocka_unit_test_setup_teardown(other_paths_and_methods_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(
            garbage_and_requests_too_long_end_the_connection_and_nothing_else, start, stop),
        cmocka_unit_test_setup_teardown(who_connects_and_says_nothing_stops_nobody, start, stop),
        cmocka_unit_test_setup_teardown(who_dribbles_is_cut_and_his_place_comes_back, start, stop),
        cmocka_unit_test_setup_teardown(a_port_that_is_taken_is_an_error_and_no_crash, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/control.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/local.h"
#include "config/control.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];
static struct control *control;
static atomic_uint runs;

/* ---- verbs for the test ---- */

static enum ds_status say_rows(void *context, const struct control_request *request,
                               struct control_answer *answer, struct ds_error *err)
{
    (void)context;
    (void)atomic_fetch_add(&runs, 1);
    const json_int_t count = json_integer_value(json_object_get(request->arguments, "count"));
    for (json_int_t i = 0; i < count; i++) {
        const enum ds_status s = control_row(answer, json_pack("{s:I}", "n", i), err);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

static enum ds_status say_actor(void *context, const struct control_request *request,
                                struct control_answer *answer, struct ds_error *err)
{
    (void)context;
    return control_row(answer, json_pack("{s:s}", "actor", request->actor), err);
}

static enum ds_status say_failure(void *context, const struct control_request *request,
                                  struct control_answer *answer, struct ds_error *err)
{
    (void)context;
    (void)request;
    (void)answer;
    return ds_fail(err, DS_ENOTFOUND, "nothing \"here\" \xff");
}

static const struct control_verb verbs[] = {
    {"rows", say_rows}, {"actor", say_actor}, {"fail", say_failure}, {NULL, NULL}};

static int start(void **state)
{
    (void)state;
    struct ds_error err = {0};
    (void)snprintf(folder, sizeof(folder), "/tmp/test-control-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/control.sock", folder);
    return control_start(&control, path, NULL, verbs, NULL, &err) == DS_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    const bool clean = control == NULL || control_stop(control, ds_clock_monotonic_ms() + 5000);
    control = NULL;
    return clean && ds_file_remove_tree(folder, NULL) == DS_OK ? 0 : -1;
}

/* ---- a client ---- */

static int dial(void)
{
    int fd = -1;
    struct ds_error err = {0};
    const struct timeval patience = {.tv_sec = 30};
    assert_int_equal(ds_local_connect(path, &fd, &err), DS_OK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

/* All that comes until the other end closes; free(). */
static char *hear(int fd)
{
    size_t have = 0;
    size_t room = 4096;
    char *text = malloc(room);
    for (;;) {
        if (have + 4096 > room) {
            room *= 2;
            text = realloc(text, room);
        }
        assert_non_null(text);
        const ssize_t n = recv(fd, text + have, room - have - 1, 0);
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    text[have] = '\0';
    (void)close(fd);
    return text;
}

static char *ask(const char *request)
{
    const int fd = dial();
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return hear(fd);
}

static void answers(const char *request, const char *wanted)
{
    char *text = ask(request);
    assert_string_equal(text, wanted);
    free(text);
}

static void refuses(const char *request, const char *status)
{
    char *text = ask(request);
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), "{\"error\":{\"status\":\"%s\",\"text\":\"", status);
    assert_int_equal(strncmp(text, wanted, strlen(wanted)), 0);
    assert_string_equal(text + strlen(text) - 4, "\"}}\n");
    free(text);
}

/* ---- tests ---- */

static void rows_come_one_a_line_and_then_the_end(void **state)
{
    (void)state;
    answers("{\"version\":1,\"verb\":\"rows\",\"arguments\":{\"count\":2}}\n",
            "{\"row\":{\"n\":0}}\n{\"row\":{\"n\":1}}\n{\"end\":{\"rows\":2}}\n");
    answers("{\"version\":1,\"verb\":\"rows\"}\n", "{\"end\":{\"rows\":0}}\n");
}

static void a_failure_is_its_status_and_text(void **state)
{
    (void)state;
    answers("{\"version\":1,\"verb\":\"fail\"}\n",
            "{\"error\":{\"status\":\"not-found\",\"text\":\"nothing \\\"here\\\" ?\"}}\n");
}

static void who_asks_is_what_the_kernel_says(void **state)
{
    (void)state;
    const struct passwd *self = getpwuid(geteuid());
    char wanted[128];
    assert_non_null(self);
    (void)snprintf(wanted, sizeof(wanted),
                   "{\"row\":{\"actor\":\"operator %s\"}}\n{\"end\":{\"rows\":1}}\n",
                   self->pw_name);
    answers("{\"version\":1,\"verb\":\"actor\"}\n", wanted);
}

static void what_is_no_request_is_refused_and_runs_nothing(void **state)
{
    (void)state;
    const unsigned before = atomic_load(&runs);
    refuses("\n", "argument");
    refuses("garbage\n", "argument");
    refuses("\xff\xfe\n", "argument");
    refuses("[]\n", "argument");
    refuses("{}\n", "argument");
    refuses("{\"version\":\"1\",\"verb\":\"rows\"}\n", "argument");
    refuses("{\"version\":1}\n", "argument");
    refuses("{\"version\":1,\"verb\":7}\n", "argument");
    refuses("{\"version\":1,\"verb\":\"rows\",\"arguments\":[]}\n", "argument");
    refuses("{\"version\":1,\"verb\":\"rows\",\"more\":1}\n", "argument");
    refuses("{\"version\":1,\"verb\":\"rows\",\"verb\":\"fail\"}\n", "argument");
    refuses("{\"version\":1,\"verb\":\"rows\"} {}\n", "argument");
    refuses("{\"version\":2,\"verb\":\"rows\"}\n", "unsupported");
    refuses("{\"version\":1,\"verb\":\"row\"}\n", "unsupported");
    assert_int_equal(atomic_load(&runs), before);
}

static void a_request_too_large_is_refused(void **state)
{
    (void)state;
    const size_t len = 200000;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, ' ', len);
    text[len] = '\0';
    const int fd = dial();
    (void)!send(fd, text, len, MSG_NOSIGNAL);
    free(text);
    char *answer = hear(fd);
    assert_non_null(strstr(answer, "at most"));
    free(answer);
}

static void a_nest_too_deep_is_refused(void **state)
{
    (void)state;
    static char text[40000];
    memset(text, '[', sizeof(text) - 2);
    text[sizeof(text) - 2] = '\n';
    refuses(text, "argument");
}

static void a_request_may_come_in_pieces_and_one_that_ends_early_is_none(void **state)
{
    (void)state;
    static const char request[] = "{\"version\":1,\"verb\":\"rows\"}\n";
    int fd = dial();
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
    }
    char *answer = hear(fd);
    assert_string_equal(answer, "{\"end\":{\"rows\":0}}\n");
    free(answer);
    const unsigned before = atomic_load(&runs);
    fd = dial();
    assert_int_equal(send(fd, request, sizeof(request) - 2, MSG_NOSIGNAL), sizeof(request) - 2);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    answer = hear(fd);
    assert_non_null(strstr(answer, "\"error\""));
    free(answer);
    assert_int_equal(atomic_load(&runs), before);
}

static void a_long_answer_arrives_whole(void **state)
{
    (void)state;
    char *text = ask("{\"version\":1,\"verb\":\"rows\",\"arguments\":{\"count\":200000}}\n");
    assert_non_null(strstr(text, "\n{\"row\":{\"n\":199999}}\n{\"end\":{\"rows\":200000}}\n"));
    free(text);
}

static void who_does_not_read_costs_only_himself_and_the_stop_does_not_wait_for_him(void **state)
{
    (void)state;
    static const char much[] =
        "{\"version\":1,\"verb\":\"rows\",\"arguments\":{\"count\":5000000}}\n";
    const int deaf = dial();
    const int silent = dial();
    assert_int_equal(send(deaf, much, sizeof(much) - 1, MSG_NOSIGNAL), sizeof(much) - 1);
    answers("{\"version\":1,\"verb\":\"rows\"}\n", "{\"end\":{\"rows\":0}}\n");
    const int64_t begun = ds_clock_monotonic_ms();
    assert_true(control_stop(control, begun + 20000));
    control = NULL;
    assert_true(ds_clock_monotonic_ms() - begun < 4000); /* else it waited CONTROL_REQUEST_MS */
    (void)close(deaf);
    (void)close(silent);
}

static void clients_beyond_the_limit_are_told_and_places_come_back(void **state)
{
    (void)state;
    int idle[CONTROL_CLIENTS_MAX];
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        idle[i] = dial();
    }
    char *text = hear(dial());
    assert_non_null(strstr(text, "too many"));
    free(text);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        (void)close(idle[i]);
    }
    for (unsigned tries = 0; tries < 100; tries++) {
        text = ask("{\"version\":1,\"verb\":\"rows\"}\n");
        const bool served = strstr(text, "\"end\"") != NULL;
        free(text);
        if (served) {
            return;
        }
        (void)usleep(20000);
    }
    fail_msg("%s", "no place came back");
}

static void only_the_owner_and_his_group_may_connect(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0077, 0); /* and nobody passes through the folder */
}

static void a_group_is_let_through_the_folder(void **state)
{
    (void)state;
    const struct group *own = getgrgid(getegid());
    struct stat st;
    struct control *second = NULL;
    char other[128];
    assert_non_null(own);
    (void)snprintf(other, sizeof(other), "%s/other.sock", folder);
    assert_int_equal(control_start(&second, other, own->gr_name, verbs, NULL, NULL), DS_OK);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0077, 0010);
    assert_int_equal(st.st_gid, getegid());
    assert_true(control_stop(second, ds_clock_monotonic_ms() + 5000));
    assert_int_equal(stat(other, &st), -1);
    struct ds_error err;
    assert_int_equal(control_start(&second, other, "no such group", verbs, NULL, &err), DS_ECONFIG);
    assert_non_null(strstr(err.text, "node.control_group"));
}

static void a_socket_left_by_a_killed_node_is_replaced(void **state)
{
    (void)state;
    struct control *second = NULL;
    /* The first one's file, whose owner does not remove it: as after SIGKILL. */
    assert_int_equal(control_start(&second, path, NULL, verbs, NULL, NULL), DS_OK);
    answers("{\"version\":1,\"verb\":\"rows\"}\n", "{\"end\":{\"rows\":0}}\n");
    assert_true(control_stop(second, ds_clock_monotonic_ms() + 5000));
}

static void a_path_of_any_length_will_do(void **state)
{
    (void)state;
    char longer[600];
    struct control *second = NULL;
    int fd = -1;
    (void)snprintf(longer, sizeof(longer), "%s/%0200d", folder, 0);
    assert_int_equal(mkdir(longer, 0700), 0);
    (void)snprintf(longer, sizeof(longer), "%s/%0200d/control.sock", folder, 0);
    assert_int_equal(control_start(&second, longer, NULL, verbs, NULL, NULL), DS_OK);
    assert_int_equal(ds_local_connect(longer, &fd, NULL), DS_OK);
    (void)close(fd);
    assert_true(control_stop(second, ds_clock_monotonic_ms() + 5000));
    assert_int_equal(ds_local_connect(longer, &fd, NULL), DS_ENOTFOUND);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(rows_come_one_a_line_and_then_the_end),
        EACH(a_failure_is_its_status_and_text),
        EACH(who_asks_is_what_the_kernel_says),
        EACH(what_is_no_request_is_refused_and_runs_nothing),
        EACH(a_request_too_large_is_refused),
        EACH(a_nest_too_deep_is_refused),
        EACH(a_request_may_come_in_pieces_and_one_that_ends_early_is_none),
        EACH(a_long_answer_arrives_whole),
        EACH(who_does_not_read_costs_only_himself_and_the_stop_does_not_wait_for_him),
        EACH(clients_beyond_the_limit_are_told_and_places_come_back),
        EACH(only_the_owner_and_his_group_may_connect),
        EACH(a_group_is_let_through_the_folder),
        EACH(a_socket_left_by_a_killed_node_is_replaced),
        EACH(a_path_of_any_length_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

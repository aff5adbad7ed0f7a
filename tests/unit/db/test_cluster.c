/* SPDX-License-Identifier: Apache-2.0 */
/* The private PostgreSQL in bad company: killed nodes, stale files, long paths, shut folders. */
#include "base/clock.h"
#include "base/file.h"
#include "db/db.h"

#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char self[4096];
static struct ds_error err;

#define OK(call) assert_ok(call, __LINE__)

static void assert_ok(enum ds_status s, int line)
{
    if (s != DS_OK) {
        fail_msg("line %d: %s: %s", line, ds_status_name(s), err.text);
    }
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/dicomstego-test-cluster-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return ds_file_remove_tree(folder, &err) == DS_OK ? 0 : 1;
}

static void start_and_stop(const char *in)
{
    struct db_cluster *c;
    struct db *d;
    char *url;
    OK(db_cluster_start(&c, in, &url, &err));
    OK(db_open(&d, url, 1, "N", &err));
    OK(db_migrate(d, &err));
    assert_true(db_cluster_is_alive(c));
    db_close(d);
    db_cluster_stop(c);
    free(url);
}

static void postmaster_file(char out[160])
{
    (void)snprintf(out, 160, "%s/postgresql/data/postmaster.pid", folder);
}

static pid_t postmaster(void)
{
    char path[160];
    postmaster_file(path);
    struct ds_bytes text = DS_BYTES_INIT(4096);
    OK(ds_file_read(path, &text, &err));
    OK(ds_bytes_put_u8(&text, 0, &err));
    const long pid = strtol((const char *)text.data, NULL, 10);
    ds_bytes_free(&text);
    return (pid_t)pid;
}

/* A node in a process of its own: this program, started again. Returns when its server answers. */
static pid_t start_node(const char *verb)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], 3);
        (void)execl(self, self, verb, folder, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    char answer = 'x';
    const ssize_t got = read(ends[0], &answer, 1);
    (void)close(ends[0]);
    assert_int_equal(got, 1);
    assert_int_equal(answer, '+');
    return pid;
}

static void end_node(pid_t pid, int number)
{
    assert_int_equal(kill(pid, number), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool has_ended_within(pid_t pid, int64_t ms)
{
    const int64_t until = ds_clock_monotonic_ms() + ms;
    while (kill(pid, 0) == 0 && ds_clock_monotonic_ms() < until) {
        (void)usleep(20000);
    }
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* ---- */

static void a_killed_node_leaves_no_server_behind(void **state)
{
    (void)state;
    const pid_t node = start_node("hold");
    const pid_t server = postmaster();
    assert_int_equal(kill(server, 0), 0);
    end_node(node, SIGKILL);
    assert_true(has_ended_within(server, 20000));
    start_and_stop(folder);
}

static void a_node_that_starts_right_after_a_kill_waits_for_the_old_server(void **state)
{
    (void)state;
    end_node(start_node("hold"), SIGKILL);
    start_and_stop(folder);
}

static void a_second_node_on_the_same_folder_is_refused(void **state)
{
    (void)state;
    const pid_t node = start_node("hold");
    const pid_t server = postmaster();
    struct db_cluster *c;
    char *url;
    assert_int_equal(db_cluster_start(&c, folder, &url, &err), DS_EIO);
    assert_null(c);
    assert_null(url);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(kill(server, 0), 0);
    end_node(node, SIGKILL);
    assert_true(has_ended_within(server, 20000));
}

/* After a restart of the machine the old number may be anybody's: here it is our own. */
static void a_stale_postmaster_file_with_a_living_process_in_it_is_no_obstacle(void **state)
{
    (void)state;
    char path[160];
    char text[32];
    postmaster_file(path);
    const int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    OK(ds_file_write(path, text, (size_t)len, DS_FILE_REPLACE, 0600, &err));
    start_and_stop(folder);
}

static void a_first_start_that_was_cut_short_is_begun_anew(void **state)
{
    (void)state;
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/postgresql/data", folder);
    OK(ds_file_remove_tree(path, &err));
    (void)snprintf(path, sizeof(path), "%s/postgresql/data.new/base/1", folder);
    OK(ds_file_make_folders(path, 0700, &err));
    start_and_stop(folder);
}

static void a_path_too_long_for_a_socket_gets_a_private_folder_that_goes_again(void **state)
{
    (void)state;
    char longer[256];
    (void)snprintf(longer, sizeof(longer), "%s/with space/%0100d", folder, 7);
    struct db_cluster *c;
    struct db *d;
    char *url;
    if (geteuid() == 0) {
        assert_int_equal(chmod(folder, 0711), 0);
    }
    OK(db_cluster_start(&c, longer, &url, &err));
    OK(db_open(&d, url, 1, "N", &err));
    OK(db_ping(d, &err));
    db_close(d);
    char *socket = strstr(url, "host=") + 5;
    *strchr(socket, '&') = '\0';
    assert_true(strlen(socket) < 100);
    struct stat st;
    assert_int_equal(stat(socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    db_cluster_stop(c);
    assert_int_not_equal(stat(socket, &st), 0);
    free(url);
}

static void a_folder_that_bars_the_way_is_named(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("    skipped: only root starts the server as another user\n");
        skip();
    }
    char inner[160], shut[128];
    (void)snprintf(shut, sizeof(shut), "%s/shut", folder);
    (void)snprintf(inner, sizeof(inner), "%s/state", shut);
    assert_int_equal(chmod(folder, 0711), 0);
    OK(ds_file_make_folders(inner, 0700, &err));
    struct db_cluster *c;
    char *url;
    assert_int_equal(db_cluster_start(&c, inner, &url, &err), DS_ECONFIG);
    assert_non_null(strstr(err.text, shut));
    assert_null(strstr(err.text, inner));
}

static void an_ordinary_user_runs_the_server_as_itself(void **state)
{
    (void)state;
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL) {
        print_message("    skipped: the other tests ran as an ordinary user already\n");
        skip();
    }
    assert_int_equal(chown(folder, nobody->pw_uid, nobody->pw_gid), 0);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/postgresql", folder);
    const pid_t node = start_node("nobody");
    const pid_t server = postmaster();
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, nobody->pw_uid);
    assert_int_equal(st.st_mode & 0777, 0700);
    end_node(node, SIGKILL);
    assert_true(has_ended_within(server, 20000));
}

/* The node that start_node starts: says '+' on descriptor 3 and stays. */
static int hold(const char *verb, const char *where)
{
    struct db_cluster *c;
    struct db *d;
    char *url;
    if (strcmp(verb, "nobody") == 0) {
        const struct passwd *nobody = getpwnam("nobody");
        if (nobody == NULL || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0) {
            return 1;
        }
    }
    /* A test that fails must not leave this process behind. A change of user clears it: after that.
     */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool good = db_cluster_start(&c, where, &url, &err) == DS_OK &&
                db_open(&d, url, 1, "N", &err) == DS_OK && db_ping(d, &err) == DS_OK;
    if (!good) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    if (write(3, good ? "+" : "-", 1) != 1 || !good) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        return hold(argv[1], argv[2]);
    }
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0) {
        return 1;
    }
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(a_killed_node_leaves_no_server_behind),
        cmocka_unit_test(a_node_that_starts_right_after_a_kill_waits_for_the_old_server),
        cmocka_unit_test(a_second_node_on_the_same_folder_is_refused),
        cmocka_unit_test(a_stale_postmaster_file_with_a_living_process_in_it_is_no_obstacle),
        cmocka_unit_test(a_first_start_that_was_cut_short_is_begun_anew),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test_setup_teardown(
            a_path_too_long_for_a_socket_gets_a_private_folder_that_goes_again, make_folder,
            remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_that_bars_the_way_is_named, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(an_ordinary_user_runs_the_server_as_itself, make_folder,
                                        remove_folder),
    };
    const int failed = cmocka_run_group_tests(shared, make_folder, remove_folder);
    return failed + cmocka_run_group_tests(alone, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "db/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct db_server {
    pthread_t keeper;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct db_program *program; /* until forked */
    bool forked;
    int fork_errno;
    pid_t pid;
    bool ended;
    int exit_status;
};

/* ---- the child, between fork and exec: only calls that are safe there (signal-safety(7)) ---- */

static char *const child_environment[] = {"PATH=/usr/bin:/bin", "LANG=C", "LC_ALL=C", "TZ=UTC",
                                          NULL};

static bool become(const struct db_identity *who)
{
    return !who->switching ||
           (setgroups(0, NULL) == 0 && setresgid(who->gid, who->gid, who->gid) == 0 &&
            setresuid(who->uid, who->uid, who->uid) == 0);
}

/* A new session: Ctrl-C at the terminal is for us, who then stop the program in order. */
static void reset_process(int log_fd)
{
    for (int i = 1; i < 32; i++) {
        (void)signal(i, SIG_DFL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    (void)umask(077);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0 ||
        chdir("/") != 0) {
        _exit(126);
    }
    (void)close_range(3, ~0U, 0);
}

/* A change of user clears the death signal, so it is asked for afterwards; and if we died before
 * that, there is nobody left to wait for. */
static _Noreturn void run_child(const struct db_program *p, pid_t parent)
{
    reset_process(p->log_fd);
    if (!become(&p->identity) || prctl(PR_SET_PDEATHSIG, SIGINT) != 0 || getppid() != parent) {
        _exit(126);
    }
    (void)execve(p->path, p->argv, child_environment);
    _exit(127);
}

/* ---- the keeper ---- */

static void keep(struct db_server *s)
{
    siginfo_t info;
    int got;
    do {
        got = waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOWAIT);
    } while (got != 0 && errno == EINTR);
    (void)pthread_mutex_lock(&s->lock);
    /* Under the lock, so that nobody signals a number that is free again. */
    int status = 0;
    (void)waitpid(s->pid, &status, WNOHANG);
    s->exit_status = status;
    s->ended = true;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static void *keeper_main(void *argument)
{
    struct db_server *s = argument;
    const pid_t parent = getpid();
    const pid_t pid = fork();
    const int cause = errno;
    if (pid == 0) {
        run_child(s->program, parent);
    }
    (void)pthread_mutex_lock(&s->lock);
    s->pid = pid;
    s->fork_errno = pid < 0 ? cause : 0;
    s->ended = pid < 0;
    s->forked = true;
    s->program = NULL;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    if (pid > 0) {
        keep(s);
    }
    return NULL;
}

/* ---- callers ---- */

static struct db_server *server_new(const struct db_program *program)
{
    struct db_server *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&s->lock, NULL);
    s->program = program;
    return s;
}

static void server_destroy(struct db_server *s)
{
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The keeper takes no signals: they are for the threads that expect them. */
static int start_keeper(struct db_server *s)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&s->keeper, NULL, keeper_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

enum ds_status db_server_start(struct db_server **out, const struct db_program *program,
                               struct ds_error *err)
{
    *out = NULL;
    struct db_server *s = server_new(program);
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory to run '%s'", program->path);
    }
    const int failed = start_keeper(s);
    if (failed != 0) {
        server_destroy(s);
        return ds_fail(err, DS_EIO, "unable to run '%s': %s", program->path, strerror(failed));
    }
    (void)pthread_mutex_lock(&s->lock);
    while (!s->forked) {
        (void)pthread_cond_wait(&s->changed, &s->lock);
    }
    const int cause = s->fork_errno;
    (void)pthread_mutex_unlock(&s->lock);
    if (cause != 0) {
        db_server_free(s);
        return ds_fail(err, DS_EIO, "unable to run '%s': %s", program->path, strerror(cause));
    }
    *out = s;
    return DS_OK;
}

bool db_server_is_alive(struct db_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const bool alive = !s->ended;
    (void)pthread_mutex_unlock(&s->lock);
    return alive;
}

bool db_server_wait(struct db_server *s, unsigned timeout_ms, int *exit_status)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&s->lock);
    int waited = 0;
    while (!s->ended && waited == 0) {
        waited = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    const bool ended = s->ended;
    if (exit_status != NULL) {
        *exit_status = s->exit_status;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return ended;
}

void db_server_signal(struct db_server *s, int number)
{
    (void)pthread_mutex_lock(&s->lock);
    if (!s->ended) {
        (void)kill(s->pid, number);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void db_server_free(struct db_server *s)
{
    if (s == NULL) {
        return;
    }
    db_server_signal(s, SIGKILL);
    (void)pthread_join(s->keeper, NULL);
    server_destroy(s);
}

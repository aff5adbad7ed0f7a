/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/apart.h"

#include "base/file.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPU_SECONDS_MAX 60U

/* What the child leaves behind; out follows it. */
struct outcome {
    enum ds_status status;
    struct ds_error err;
};

/* No core file of pixels, no message of the library among ours, no handler of ours. */
static void be_quiet(void)
{
    const struct rlimit none = {0, 0};
    const struct rlimit cpu = {CPU_SECONDS_MAX, CPU_SECONDS_MAX};
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDERR_FILENO);
    }
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)signal(SIGABRT, SIG_DFL);
}

/* A child is forked from one thread of many: where a lock that it needs was held by another at that
 * moment, nobody will ever open it. glibc's own are safe; a sanitizer's are not, nor may a
 * library's be. Such a child computes nothing any more, is ended, and another one is tried. */
#define STILL_MS  4000
#define TRIES_MAX 3U

static int64_t cpu_ns(pid_t child)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(child, &clock) != 0 || clock_gettime(clock, &t) != 0) {
        return -1; /* it has just ended */
    }
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Until the child has ended. true: it stands still. */
static bool stands_still(pid_t child, int pidfd)
{
    int64_t before = -2;
    for (;;) {
        struct pollfd ended = {.fd = pidfd, .events = POLLIN};
        const int n = poll(&ended, 1, STILL_MS);
        if (n > 0 || (n < 0 && errno != EINTR)) {
            return false; /* without a pidfd the wait that follows has no limit */
        }
        const int64_t now = cpu_ns(child);
        if (n == 0 && now == before) {
            return true;
        }
        before = n == 0 ? now : before;
    }
}

static enum ds_status wait_for(pid_t child, bool *still, struct ds_error *err)
{
    int status = 0;
    DS_AUTO(ds_file_close) int pidfd = pidfd_open(child, 0);
    *still = stands_still(child, pidfd);
    if (*still) {
        (void)kill(child, SIGKILL);
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return ds_fail(err, DS_EIO, "a process for a decoder was lost: %s", strerror(errno));
        }
    }
    if (*still) {
        return ds_fail(err, DS_EIO, "a process for a decoder stood still");
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "the decoder gave up: the stream is damaged");
}

static enum ds_status run_once(dicom_apart_fn *fn, void *context, struct outcome *shared,
                               size_t len, bool *still, struct ds_error *err)
{
    const pid_t child = fork();
    if (child < 0) {
        *still = false;
        return ds_fail(err, DS_ENOMEM, "no process for a decoder: %s", strerror(errno));
    }
    if (child == 0) {
        be_quiet();
        shared->status = fn(context, (uint8_t *)(shared + 1), len, &shared->err);
        _exit(0);
    }
    enum ds_status s = wait_for(child, still, err);
    if (s == DS_OK && shared->status != DS_OK) {
        s = ds_fail(err, shared->status, "%s", shared->err.text);
    }
    return s;
}

static enum ds_status run(dicom_apart_fn *fn, void *context, struct outcome *shared, size_t len,
                          struct ds_error *err)
{
    bool still = true;
    enum ds_status s = DS_OK;
    for (unsigned tries = 0; tries < TRIES_MAX && still; tries++) {
        s = run_once(fn, context, shared, len, &still, err);
    }
    return s;
}

enum ds_status dicom_apart_run(dicom_apart_fn *fn, void *context, uint8_t *out, size_t len,
                               struct ds_error *err)
{
    size_t bytes = 0;
    if (!ds_size_add(len, sizeof(struct outcome), &bytes)) {
        return ds_fail(err, DS_ENOMEM, "a frame of %zu bytes", len);
    }
    struct outcome *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return ds_fail(err, DS_ENOMEM, "no memory for a frame of %zu bytes", len);
    }
    const enum ds_status s = run(fn, context, shared, len, err);
    if (s == DS_OK && len > 0) {
        memcpy(out, shared + 1, len);
    }
    (void)munmap(shared, bytes);
    return s;
}

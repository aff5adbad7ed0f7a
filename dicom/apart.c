/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/apart.h"

#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
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

static enum ds_status wait_for(pid_t child, struct ds_error *err)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return ds_fail(err, DS_EIO, "a process for a decoder was lost: %s", strerror(errno));
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "the decoder gave up: the stream is damaged");
}

static enum ds_status run(dicom_apart_fn *fn, void *context, struct outcome *shared, size_t len,
                          struct ds_error *err)
{
    const pid_t child = fork();
    if (child < 0) {
        return ds_fail(err, DS_ENOMEM, "no process for a decoder: %s", strerror(errno));
    }
    if (child == 0) {
        be_quiet();
        shared->status = fn(context, (uint8_t *)(shared + 1), len, &shared->err);
        _exit(0);
    }
    enum ds_status s = wait_for(child, err);
    if (s == DS_OK && shared->status != DS_OK) {
        s = ds_fail(err, shared->status, "%s", shared->err.text);
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

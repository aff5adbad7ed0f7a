/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF         "/proc/self/exe"
#define ANSWER       "bits %" PRIu64 " payload %s samples %s\n"
#define ANSWER_BYTES 256U

extern char **environ;

static enum ds_status hash_samples(const struct stego_image *image, uint8_t out[DS_SHA256_BYTES],
                                   struct ds_error *err)
{
    size_t count = 0;
    if (!stego_image_count(image, &count)) {
        return ds_fail(err, DS_EINVAL, "an image without samples");
    }
    return ds_sha256_of(image->samples, count * sizeof(*image->samples), out, err);
}

enum ds_status bench_expected(const struct stego_image *cover, const uint8_t *payload,
                              uint64_t bits, struct bench_extracted *out, struct ds_error *err)
{
    *out = (struct bench_extracted){.bits = bits};
    const enum ds_status s = ds_sha256_of(payload, (size_t)((bits + 7U) / 8U), out->payload, err);
    return s == DS_OK ? hash_samples(cover, out->samples, err) : s;
}

static int write_answer(const struct bench_extracted *e, char *out, size_t size)
{
    char payload[2 * DS_SHA256_BYTES + 1];
    char samples[2 * DS_SHA256_BYTES + 1];
    ds_hex(e->payload, DS_SHA256_BYTES, payload);
    ds_hex(e->samples, DS_SHA256_BYTES, samples);
    return snprintf(out, size, ANSWER, e->bits, payload, samples);
}

/* ---- the other process ---- */

static enum ds_status extract(const char *path, struct bench_extracted *out, struct ds_error *err)
{
    struct bench_file file = {0};
    struct stego_extract_facts facts = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    enum ds_status s = bench_file_load(&file, path, err);
    if (s == DS_OK) {
        s = stego_extract(&file.image, NULL, &payload, &facts, err);
    }
    if (s == DS_OK) {
        s = bench_expected(&file.image, payload.data, facts.payload_bits, out, err);
    }
    bench_file_free(&file);
    return s;
}

int bench_extract_here(const char *path)
{
    struct ds_error err = {0};
    struct bench_extracted found = {0};
    char answer[ANSWER_BYTES];
    if (extract(path, &found, &err) != DS_OK) {
        (void)fprintf(stderr, "engine: %s: %s\n", path, err.text);
        return 1;
    }
    (void)write_answer(&found, answer, sizeof(answer));
    return fputs(answer, stdout) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}

/* ---- starting it ---- */

static enum ds_status spawn(const char *path, int to, pid_t *child, struct ds_error *err)
{
    char name[] = "engine";
    char option[] = "--extract";
    char *file = strdup(path);
    char *arguments[] = {name, option, file, NULL};
    posix_spawn_file_actions_t actions;
    if (file == NULL || posix_spawn_file_actions_init(&actions) != 0) {
        free(file);
        return ds_fail(err, DS_ENOMEM, "no memory for another process");
    }
    int failed = posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
    if (failed == 0) {
        failed = posix_spawn(child, SELF, &actions, NULL, arguments, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    free(file);
    errno = failed;
    return failed == 0 ? DS_OK : ds_fail(err, DS_EIO, "no other process: %m");
}

static size_t read_all(int from, char *out, size_t size)
{
    size_t len = 0;
    ssize_t n = 1;
    while (len < size && n > 0) {
        n = read(from, out + len, size - len);
        len += n > 0 ? (size_t)n : 0;
    }
    return len;
}

/* Closes both ends. */
static enum ds_status converse(const char *path, int ends[2], char *answer, size_t size,
                               struct ds_error *err)
{
    pid_t child = 0;
    int outcome = 0;
    const enum ds_status s = spawn(path, ends[1], &child, err);
    (void)close(ends[1]);
    if (s == DS_OK) {
        answer[read_all(ends[0], answer, size - 1U)] = '\0';
    }
    (void)close(ends[0]);
    if (s != DS_OK) {
        return s;
    }
    if (waitpid(child, &outcome, 0) != child || !WIFEXITED(outcome) || WEXITSTATUS(outcome) != 0) {
        return ds_fail(err, DS_EAUTH, "another process does not read the carrier");
    }
    return DS_OK;
}

enum ds_status bench_extract_elsewhere(const char *path, const struct bench_extracted *expected,
                                       struct ds_error *err)
{
    char found[ANSWER_BYTES] = "";
    char wanted[ANSWER_BYTES] = "";
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ds_fail(err, DS_EIO, "no pipe: %m");
    }
    const enum ds_status s = converse(path, ends, found, sizeof(found), err);
    if (s != DS_OK) {
        return s;
    }
    (void)write_answer(expected, wanted, sizeof(wanted));
    return strcmp(found, wanted) == 0
               ? DS_OK
               : ds_fail(err, DS_EAUTH, "another process reads something else from the carrier");
}

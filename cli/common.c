/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/file.h"
#include "base/secret.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_exit_of(enum ds_status s)
{
    switch (s) {
    case DS_OK:
        return CLI_DONE;
    case DS_EINVAL:
    case DS_ECONFIG:
        return CLI_USAGE;
    case DS_EAUTH:
        return CLI_ALTERED;
    case DS_ENOKEY:
        return CLI_NO_KEY;
    case DS_ENOTHING:
        return CLI_NOTHING;
    case DS_ECAPACITY:
        return CLI_CAPACITY;
    default:
        return CLI_FAILED;
    }
}

int cli_worse(int a, int b)
{
    /* An alarm first, then what somebody must mend, then what is merely so. */
    static const int ranks[] = {
        [CLI_DONE] = 0,   [CLI_NOTHING] = 1, [CLI_CAPACITY] = 2, [CLI_NO_KEY] = 3,
        [CLI_FAILED] = 4, [CLI_USAGE] = 5,   [CLI_ALTERED] = 6};
    return ranks[a] >= ranks[b] ? a : b;
}

int cli_complain(const char *subject, const struct ds_error *err)
{
    cli_progress("", 0, 0);
    (void)fprintf(stderr, "dicomstego: %s%s%s\n", subject, subject[0] != '\0' ? ": " : "",
                  err->text);
    return cli_exit_of(err->status);
}

int cli_usage(const char *verb, const char *fmt, ...)
{
    va_list args;
    (void)fprintf(stderr, "dicomstego %s: ", verb);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nTry 'dicomstego %s --help'.\n", verb);
    return CLI_USAGE;
}

void cli_progress(const char *what, size_t done, size_t total)
{
    static bool shown;
    enum { width = 30 };
    if (isatty(STDERR_FILENO) == 0 || (total == 0 && !shown)) {
        return;
    }
    if (total == 0) {
        (void)fputs("\r\x1b[K", stderr);
        shown = false;
        return;
    }
    char bar[width + 1];
    for (size_t i = 0; i < width; i++) {
        bar[i] = i * total < done * width ? '#' : '.';
    }
    bar[width] = '\0';
    (void)fprintf(stderr, "\r\x1b[K%s [%s] %zu/%zu", what, bar, done, total);
    (void)fflush(stderr);
    shown = true;
}

/* ---- threads ---- */

#define THREADS_MAX 64

static struct stego_pool *pool;

struct stego_pool *cli_pool(void)
{
    static bool asked;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!asked && processors > 1) {
        const unsigned n = processors < THREADS_MAX ? (unsigned)processors : THREADS_MAX;
        if (stego_pool_new(&pool, n, NULL) != DS_OK) {
            pool = NULL;
        }
    }
    asked = true;
    return pool;
}

void cli_pool_finish(void)
{
    stego_pool_free(pool);
    pool = NULL;
}

/* ---- signals ---- */

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

bool cli_stopped(void)
{
    return stop_asked != 0;
}

/* ---- keys ---- */

#define PASSWORD_MAX_BYTES 4096U

enum ds_status cli_password_read(const char *path, struct ds_bytes *out, struct ds_error *err)
{
    *out = DS_BYTES_INIT(PASSWORD_MAX_BYTES);
    enum ds_status s = ds_file_read(path, out, err);
    if (s != DS_OK) {
        return ds_fail_context(err, DS_ECONFIG, "password file %s", path);
    }
    const uint8_t *end = out->len > 0 ? memchr(out->data, '\n', out->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - out->data) : out->len;
    if (len > 0 && out->data[len - 1] == '\r') {
        len--;
    }
    if (len == 0 || memchr(out->data, 0, len) != NULL) {
        return ds_fail(err, DS_ECONFIG, "%s: no password in its first line", path);
    }
    s = ds_bytes_resize(out, len, err);
    return s == DS_OK ? ds_bytes_put_u8(out, 0, err) : s;
}

static enum ds_status load_identity(struct cli_keys *k, struct ds_error *err)
{
    if ((k->key_path == NULL) != (k->certificate_path == NULL)) {
        return ds_fail(err, DS_EINVAL, "--key and --certificate are given together");
    }
    if (k->key_path == NULL) {
        return DS_OK;
    }
    const enum ds_status s =
        stego_identity_load(&k->identity, k->key_path, k->certificate_path, err);
    k->list[0] = k->identity;
    k->ring.identities = k->list;
    k->ring.identity_count = s == DS_OK ? 1 : 0;
    return s == DS_OK ? s : ds_fail_context(err, DS_ECONFIG, "key");
}

static enum ds_status load_trust(struct cli_keys *k, struct ds_error *err)
{
    if (k->trust_count == 0) {
        return DS_OK;
    }
    enum ds_status s = stego_trust_new(&k->trust, err);
    for (size_t i = 0; i < k->trust_count && s == DS_OK; i++) {
        s = stego_trust_add(k->trust, k->trust_paths[i], err);
        s = s == DS_OK ? s : ds_fail_context(err, DS_ECONFIG, "--trust %s", k->trust_paths[i]);
    }
    k->ring.trust = k->trust;
    return s;
}

enum ds_status cli_keys_load(struct cli_keys *k, struct ds_error *err)
{
    enum ds_status s = load_identity(k, err);
    if (s == DS_OK) {
        s = load_trust(k, err);
    }
    if (s == DS_OK && k->password_path != NULL) {
        s = cli_password_read(k->password_path, &k->password, err);
        k->ring.password = (const char *)k->password.data;
    }
    if (s == DS_OK && k->shared_key_path != NULL) {
        s = cli_password_read(k->shared_key_path, &k->shared_key, err);
        k->secret.text = (const char *)k->shared_key.data;
        k->ring.secret = &k->secret;
    }
    return s;
}

void cli_keys_free(struct cli_keys *k)
{
    stego_identity_free(k->identity);
    stego_trust_free(k->trust);
    ds_bytes_free(&k->password);
    ds_bytes_free(&k->shared_key);
    free(k->trust_paths);
}

/* ---- JSON ---- */

void cli_json_string(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(to, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            (void)fprintf(to, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            (void)fputc(*c, to);
        }
    }
    (void)fputc('"', to);
}

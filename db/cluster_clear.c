/* SPDX-License-Identifier: Apache-2.0 */
/* What must be found or swept away before the private PostgreSQL can start. */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "db/cluster_folder.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GENTLE_MS 15000
#define HARD_MS   25000

/* ---- programs ---- */

static char *join_version(const char *version, const char *name)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof(path), "/usr/lib/postgresql/%s/bin/%s", version, name);
    return n > 0 && (size_t)n < sizeof(path) && access(path, X_OK) == 0 ? strdup(path) : NULL;
}

static char *search_path(const char *name)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        const size_t len = strcspn(at, ":");
        char path[PATH_MAX];
        const int n = snprintf(path, sizeof(path), "%.*s/%s", (int)len, at, name);
        if (len > 0 && at[0] == '/' && n > 0 && (size_t)n < sizeof(path) &&
            access(path, X_OK) == 0) {
            return strdup(path);
        }
        at += len;
        at += *at == ':' ? 1 : 0;
    }
    return NULL;
}

/* Data of one major version can only be opened by that version. */
static void data_version(const struct db_cluster_folder *f, char out[16])
{
    (void)snprintf(out, 16, "15");
    DS_AUTO(ds_string_free) char *path = ds_file_join(f->data, "PG_VERSION");
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(15);
    if (path == NULL || ds_file_read(path, &text, NULL) != DS_OK || text.len == 0) {
        return;
    }
    const char *version = (const char *)text.data;
    size_t len = 0;
    while (len < text.len && version[len] >= '0' && version[len] <= '9') {
        len++;
    }
    if (len > 0) {
        (void)snprintf(out, 16, "%.*s", (int)len, version);
    }
}

enum ds_status db_cluster_program(const struct db_cluster_folder *f, const char *name, char **out,
                                  struct ds_error *err)
{
    char version[16];
    data_version(f, version);
    *out = join_version(version, name);
    if (*out == NULL) {
        *out = search_path(name);
    }
    return *out != NULL ? DS_OK
                        : ds_fail(err, DS_ECONFIG,
                                  "no program '%s' in /usr/lib/postgresql/%s/bin nor in PATH; "
                                  "expected the package postgresql-%s, or database.url in the "
                                  "configuration",
                                  name, version, version);
}

/* ---- leftovers ---- */

static pid_t recorded_pid(const char *path)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(4096);
    if (ds_file_read(path, &text, NULL) != DS_OK || ds_bytes_put_u8(&text, 0, NULL) != DS_OK) {
        return 0;
    }
    const long pid = strtol((const char *)text.data, NULL, 10);
    return pid > 1 && pid < INT_MAX ? (pid_t)pid : 0;
}

/* A number in an old file may belong to any process by now, even to one of ours after the machine
 * or container started anew. A postmaster works in its data folder; nobody else does. */
static bool serves(pid_t pid, const char *data)
{
    char link[64];
    char cwd[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/%ld/cwd", (long)pid);
    const ssize_t len = readlink(link, cwd, sizeof(cwd) - 1);
    if (len <= 0) {
        return false;
    }
    cwd[len] = '\0';
    return strcmp(cwd, data) == 0;
}

/* SIGINT is a fast shutdown; SIGQUIT ends without one, and the next start repairs from the log. */
static enum ds_status end_leftover(pid_t pid, const char *data, struct ds_error *err)
{
    const int64_t start = ds_clock_monotonic_ms();
    (void)kill(pid, SIGINT);
    bool hard = false;
    while (serves(pid, data)) {
        const int64_t waited = ds_clock_monotonic_ms() - start;
        if (waited > HARD_MS) {
            return ds_fail(err, DS_EIO,
                           "a PostgreSQL left over from before does not end (process "
                           "%ld)",
                           (long)pid);
        }
        if (waited > GENTLE_MS && !hard) {
            (void)kill(pid, SIGQUIT);
            hard = true;
        }
        (void)usleep(50000);
    }
    return DS_OK;
}

enum ds_status db_cluster_clear(const struct db_cluster_folder *f, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *pid_file = ds_file_join(f->data, "postmaster.pid");
    if (pid_file == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a path");
    }
    const pid_t pid = recorded_pid(pid_file);
    if (pid != 0 && serves(pid, f->data)) {
        const enum ds_status s = end_leftover(pid, f->data, err);
        if (s != DS_OK) {
            return s;
        }
    }
    /* We hold the folder's lock, and no postmaster works here: what is left is stale. */
    if (unlink(pid_file) != 0 && errno != ENOENT) {
        return ds_fail(err, DS_EIO, "unable to remove '%s': %s", pid_file, strerror(errno));
    }
    static const char *const names[] = {".s.PGSQL.5432", ".s.PGSQL.5432.lock"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        DS_AUTO(ds_string_free) char *path = ds_file_join(f->socket, names[i]);
        if (path != NULL) {
            (void)unlink(path);
        }
    }
    return ds_file_remove_tree(f->fresh, err);
}

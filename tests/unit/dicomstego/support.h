/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support - what the tests of this room share: a folder of their own, the real openssl program, and
 * identities made as an operator makes them.
 */
#ifndef DICOMSTEGO_TESTS_SUPPORT_H
#define DICOMSTEGO_TESTS_SUPPORT_H

#include "base/file.h"
#include "dicomstego/key.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

/* The group's folder, made by support_setup. */
static char support_folder[64];

/* A path in it. Each of the last 16 stays valid. */
static inline const char *support_path(const char *name)
{
    static char paths[16][160];
    static unsigned next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", support_folder, name);
    return path;
}

static inline int support_setup(void **state)
{
    (void)state;
    (void)snprintf(support_folder, sizeof(support_folder), "/tmp/dicomstego-test-XXXXXX");
    return mkdtemp(support_folder) == NULL ? -1 : 0;
}

static inline int support_teardown(void **state)
{
    (void)state;
    return ds_file_remove_tree(support_folder, NULL) == DS_OK ? 0 : -1;
}

/* Runs a program from PATH in the group's folder, its output in "log" there; the exit status. */
static inline int support_run(const char *const arguments[])
{
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addchdir_np(&actions, support_folder), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), 0);
    assert_int_equal(
        posix_spawn_file_actions_addopen(&actions, 1, "log", O_WRONLY | O_CREAT | O_TRUNC, 0600),
        0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, 1, 2), 0);
    char *copy[48] = {0};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i + 1 < DS_ARRAY_SIZE(copy));
        copy[i] = strdup(arguments[i]);
    }
    pid_t pid = 0;
    assert_int_equal(posix_spawnp(&pid, copy[0], &actions, NULL, copy, environ), 0);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (size_t i = 0; copy[i] != NULL; i++) {
        free(copy[i]);
    }
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define SUPPORT_RUN(...) support_run((const char *const[]){__VA_ARGS__, NULL})

static inline void support_write(const char *name, const void *data, size_t len)
{
    assert_int_equal(ds_file_write(support_path(name), data, len, DS_FILE_REPLACE, 0600, NULL),
                     DS_OK);
}

/* The file's bytes; ds_bytes_free. */
static inline struct ds_bytes support_read(const char *name)
{
    struct ds_bytes b = DS_BYTES_INIT(128U * 1024U * 1024U);
    assert_int_equal(ds_file_read(support_path(name), &b, NULL), DS_OK);
    return b;
}

/* name.key.pem and name.cert.pem by `key new`, loaded. */
static inline struct stego_identity *support_identity(const char *name, const char *type)
{
    char key[64];
    char certificate[64];
    (void)snprintf(key, sizeof(key), "%s.key.pem", name);
    (void)snprintf(certificate, sizeof(certificate), "%s.cert.pem", name);
    struct ds_error err = {0};
    if (type != NULL && stego_key_new(type, name, "localhost", 30, support_path(key),
                                      support_path(certificate), true, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    struct stego_identity *i = NULL;
    if (stego_identity_load(&i, support_path(key), support_path(certificate), &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return i;
}

/* The same by the openssl program, for what `key new` does not make. */
static inline struct stego_identity *support_identity_curve(const char *name, const char *curve)
{
    char key[64];
    char certificate[64];
    char subject[64];
    char parameter[64];
    (void)snprintf(key, sizeof(key), "%s.key.pem", name);
    (void)snprintf(certificate, sizeof(certificate), "%s.cert.pem", name);
    (void)snprintf(subject, sizeof(subject), "/CN=%s", name);
    (void)snprintf(parameter, sizeof(parameter), "ec_paramgen_curve:%s", curve);
    assert_int_equal(SUPPORT_RUN("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", parameter,
                                 "-nodes", "-subj", subject, "-days", "30", "-keyout", key, "-out",
                                 certificate),
                     0);
    return support_identity(name, NULL);
}

#endif

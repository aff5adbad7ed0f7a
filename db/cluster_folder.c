/* SPDX-License-Identifier: Apache-2.0 */
#include "db/cluster_folder.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_MAX_BYTES (16 * 1024 * 1024)

/* ---- as whom ---- */

static void identity_from(const struct passwd *user, bool switching, struct db_identity *out)
{
    *out = (struct db_identity){switching, user->pw_uid, user->pw_gid, ""};
    (void)snprintf(out->name, sizeof(out->name), "%s", user->pw_name);
}

/* Looks a user up by name, or by number when name is NULL. */
static bool find_user(const char *name, uid_t uid, bool switching, struct db_identity *out)
{
    char space[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    const int failed = name != NULL ? getpwnam_r(name, &entry, space, sizeof(space), &found)
                                    : getpwuid_r(uid, &entry, space, sizeof(space), &found);
    if (failed != 0 || found == NULL) {
        return false;
    }
    identity_from(found, switching, out);
    return true;
}

static enum ds_status identity_of_root(const struct stat *data, struct db_identity *out,
                                       struct ds_error *err)
{
    if (data == NULL) {
        return find_user("postgres", 0, true, out) || find_user("nobody", 0, true, out)
                   ? DS_OK
                   : ds_fail(err, DS_ECONFIG,
                             "PostgreSQL does not run as root, and there is "
                             "neither a user 'postgres' nor 'nobody'");
    }
    /* Data that is there already says by its owner who ran the server before. */
    if (data->st_uid == 0 || !find_user(NULL, data->st_uid, true, out)) {
        return ds_fail(err, DS_ECONFIG,
                       "the database folder belongs to user number %u, as whom "
                       "PostgreSQL cannot run; expected 'postgres'",
                       (unsigned)data->st_uid);
    }
    return DS_OK;
}

static enum ds_status choose_identity(struct db_cluster_folder *f, struct ds_error *err)
{
    struct stat st;
    const bool exists = stat(f->data, &st) == 0;
    if (geteuid() == 0) {
        return identity_of_root(exists ? &st : NULL, &f->identity, err);
    }
    if (exists && st.st_uid != geteuid()) {
        return ds_fail(err, DS_ECONFIG,
                       "'%.150s' belongs to user number %u; expected ourselves, "
                       "number %u",
                       f->data, (unsigned)st.st_uid, (unsigned)geteuid());
    }
    if (!find_user(NULL, geteuid(), false, &f->identity)) {
        return ds_fail(err, DS_ECONFIG,
                       "PostgreSQL needs a user with a name, and number %u has "
                       "none in /etc/passwd",
                       (unsigned)geteuid());
    }
    return DS_OK;
}

/* ---- folders ---- */

static bool may_pass(const struct stat *st, const struct db_identity *who)
{
    const mode_t needed = st->st_uid == who->uid   ? S_IXUSR
                          : st->st_gid == who->gid ? S_IXGRP
                                                   : S_IXOTH;
    return (st->st_mode & needed) != 0;
}

/* Walks from the top, so that the first folder that bars the way is the one that is named. */
static enum ds_status check_way(const char *path, const struct db_identity *who,
                                struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *copy = strdup(path);
    if (copy == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a path");
    }
    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at != '/') {
            continue;
        }
        *at = '\0';
        struct stat st;
        if (stat(copy, &st) != 0 || !may_pass(&st, who)) {
            return ds_fail(err, DS_ECONFIG,
                           "user '%s', who runs PostgreSQL, cannot pass through '%.120s'; expected "
                           "permission o+x (chmod o+x), or another state_dir",
                           who->name, copy);
        }
        *at = '/';
    }
    return DS_OK;
}

static enum ds_status make_folder(const char *path, const struct db_identity *owner,
                                  struct ds_error *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return ds_fail(err, DS_EIO, "unable to make the folder '%s': %s", path, strerror(errno));
    }
    if (owner->switching && lchown(path, owner->uid, owner->gid) != 0) {
        return ds_fail(err, DS_EIO, "unable to give '%s' to %s: %s", path, owner->name,
                       strerror(errno));
    }
    return DS_OK;
}

static enum ds_status open_way(const struct db_cluster_folder *f, const char *folder,
                               struct ds_error *err)
{
    struct stat st;
    if (!f->identity.switching) {
        return DS_OK;
    }
    if (stat(folder, &st) != 0 || chmod(folder, (st.st_mode & 07777) | S_IXOTH) != 0 ||
        chmod(f->root, 0711) != 0) {
        return ds_fail(err, DS_EIO, "unable to let %s through '%s': %s", f->identity.name, folder,
                       strerror(errno));
    }
    return check_way(f->data, &f->identity, err);
}

static enum ds_status name_paths(struct db_cluster_folder *f, const char *folder,
                                 struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *absolute = realpath(folder, NULL);
    if (absolute == NULL) {
        return ds_fail(err, DS_EIO, "unable to find '%s': %s", folder, strerror(errno));
    }
    f->root = ds_file_join(absolute, "postgresql");
    if (f->root != NULL) {
        f->data = ds_file_join(f->root, "data");
        f->fresh = ds_file_join(f->root, "data.new");
        f->hba = ds_file_join(f->root, "pg_hba.conf");
        f->ident = ds_file_join(f->root, "pg_ident.conf");
        f->socket = ds_file_join(f->root, "socket");
    }
    if (f->root == NULL || f->data == NULL || f->fresh == NULL || f->hba == NULL ||
        f->ident == NULL || f->socket == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for paths");
    }
    return DS_OK;
}

/* ---- the lock and the log ---- */

static int open_in(const char *folder, const char *name, int flags)
{
    DS_AUTO(ds_string_free) char *path = ds_file_join(folder, name);
    return path == NULL ? -1 : open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static enum ds_status take_lock(struct db_cluster_folder *f, struct ds_error *err)
{
    f->lock_fd = open_in(f->root, "lock", O_RDWR);
    if (f->lock_fd < 0) {
        return ds_fail(err, DS_EIO, "unable to lock '%s': %s", f->root, strerror(errno));
    }
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return ds_fail(err, DS_EIO, "'%s' is in use by another node that is running", f->root);
    }
    return DS_OK;
}

static enum ds_status open_log(struct db_cluster_folder *f, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = ds_file_join(f->root, "server.log");
    DS_AUTO(ds_string_free) char *old = ds_file_join(f->root, "server.log.1");
    struct stat st;
    if (path != NULL && old != NULL && lstat(path, &st) == 0 && st.st_size > LOG_MAX_BYTES) {
        (void)rename(path, old);
    }
    f->log_fd = open_in(f->root, "server.log", O_WRONLY | O_APPEND);
    return f->log_fd >= 0 ? DS_OK
                          : ds_fail(err, DS_EIO, "unable to open the server.log in '%s': %s",
                                    f->root, strerror(errno));
}

/* ---- who may connect ---- */

static const char hba_text[] =
    "# Written at each start. Only we and the server's own user connect,\n"
    "# known by the kernel from the other end of the Unix socket.\n"
    "local all all peer map=node\n";

static enum ds_status write_access_rules(const struct db_cluster_folder *f, struct ds_error *err)
{
    struct db_identity me;
    if (!find_user(NULL, geteuid(), false, &me)) {
        return ds_fail(err, DS_ECONFIG, "user number %u has no name", (unsigned)geteuid());
    }
    char text[512];
    const int len = snprintf(text, sizeof(text),
                             "# Written at each start.\n"
                             "node \"%s\" postgres\nnode \"%s\" dicomstego\n"
                             "node \"%s\" dicomstego_node\n",
                             me.name, me.name, me.name);
    const mode_t readable = f->identity.switching ? 0644 : 0600;
    const enum ds_status s =
        ds_file_write(f->hba, hba_text, sizeof(hba_text) - 1, DS_FILE_REPLACE, readable, err);
    return s == DS_OK ? ds_file_write(f->ident, text, (size_t)len, DS_FILE_REPLACE, readable, err)
                      : s;
}

/* ---- the socket ---- */

#define SOCKET_NAME "/.s.PGSQL.5432"

/* The name of the lock beside the socket is longer, but is a file like any other. */
static bool fits_socket(const char *folder)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    return strlen(folder) + sizeof(SOCKET_NAME) <= sizeof(((struct sockaddr_un *)0)->sun_path) &&
           folder[strspn(folder, plain)] == '\0';
}

static void remove_sockets(const char *folder)
{
    static const char *const names[] = {".s.PGSQL.5432", ".s.PGSQL.5432.lock"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        DS_AUTO(ds_string_free) char *path = ds_file_join(folder, names[i]);
        if (path != NULL) {
            (void)unlink(path);
        }
    }
}

static const char temporary_stem[] = "/dicomstego-";

/* Only a folder of the very form that we make is removed, whatever the note says. */
static bool is_temporary_socket(const char *path)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    return slash != NULL && strncmp(slash, temporary_stem, sizeof(temporary_stem) - 1) == 0 &&
           strlen(slash) == sizeof(temporary_stem) - 1 + 6 && strstr(path, "..") == NULL &&
           lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void remove_temporary_socket(const char *path)
{
    if (is_temporary_socket(path)) {
        remove_sockets(path);
        (void)rmdir(path);
    }
}

static void forget_old_socket(const char *note)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(PATH_MAX);
    if (ds_file_read(note, &text, NULL) == DS_OK && ds_bytes_put_u8(&text, 0, NULL) == DS_OK) {
        remove_temporary_socket((const char *)text.data);
        (void)unlink(note);
    }
}

static enum ds_status make_temporary_socket(struct db_cluster_folder *f, const char *note,
                                            struct ds_error *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *bases[] = {geteuid() == 0 ? "/run" : runtime, "/tmp"};
    free(f->socket);
    f->socket = NULL;
    for (size_t i = 0; f->socket == NULL && i < DS_ARRAY_SIZE(bases); i++) {
        char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
        const int n = bases[i] == NULL
                          ? -1
                          : snprintf(path, sizeof(path), "%s%sXXXXXX", bases[i], temporary_stem);
        if (n > 0 && (size_t)n < sizeof(path) && fits_socket(path) && mkdtemp(path) != NULL) {
            f->socket = strdup(path);
        }
    }
    if (f->socket == NULL) {
        return ds_fail(err, DS_EIO,
                       "the path '%.120s' is too long for a Unix socket, and no "
                       "folder can be made under /run or /tmp",
                       f->root);
    }
    f->socket_is_temporary = true;
    return ds_file_write(note, f->socket, strlen(f->socket), DS_FILE_REPLACE, 0600, err);
}

static enum ds_status prepare_socket(struct db_cluster_folder *f, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *note = ds_file_join(f->root, "socket_folder");
    if (note == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a path");
    }
    forget_old_socket(note);
    if (!fits_socket(f->socket)) {
        const enum ds_status s = make_temporary_socket(f, note, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return make_folder(f->socket, &f->identity, err);
}

/* ---- all together ---- */

enum ds_status db_cluster_folder_prepare(struct db_cluster_folder *f, const char *folder,
                                         struct ds_error *err)
{
    /* What is made on the way must let the server's user through when we are root. */
    enum ds_status s = ds_file_make_folders(folder, geteuid() == 0 ? 0711 : 0700, err);
    if (s == DS_OK) {
        s = name_paths(f, folder, err);
    }
    if (s == DS_OK) {
        s = choose_identity(f, err);
    }
    if (s == DS_OK) {
        s = ds_file_make_folders(f->root, 0700, err);
    }
    if (s == DS_OK) {
        s = open_way(f, folder, err);
    }
    if (s == DS_OK) {
        s = take_lock(f, err);
    }
    if (s == DS_OK) {
        s = open_log(f, err);
    }
    if (s == DS_OK) {
        s = write_access_rules(f, err);
    }
    return s == DS_OK ? prepare_socket(f, err) : s;
}

void db_cluster_folder_finish(struct db_cluster_folder *f)
{
    if (f->socket_is_temporary && f->socket != NULL) {
        remove_temporary_socket(f->socket);
    }
    ds_file_close(&f->log_fd);
    ds_file_close(&f->lock_fd);
    free(f->root);
    free(f->data);
    free(f->fresh);
    free(f->socket);
    free(f->hba);
    free(f->ident);
    *f = DB_CLUSTER_FOLDER_INIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/local.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

/* A path too long for an address goes by way of its folder's descriptor, *folder, which must stay
 * open for as long as the address is used (proc(5), /proc/self/fd). */
static enum ds_status address_of(const char *path, struct sockaddr_un *out, int *folder,
                                 struct ds_error *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    *folder = -1;
    if (strlen(path) < sizeof(out->sun_path)) {
        (void)snprintf(out->sun_path, sizeof(out->sun_path), "%s", path);
        return DS_OK;
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ds_fail(err, DS_EINVAL, "the name of a socket is too long");
    }
    DS_AUTO(ds_string_free) char *name = strndup(path, (size_t)(slash - path));
    if (name == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    *folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) {
        return ds_fail(err, errno == ENOENT ? DS_ENOTFOUND : DS_EIO, "unable to open '%s': %s",
                       name, strerror(errno));
    }
    const int len =
        snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d%s", *folder, slash);
    return len > 0 && (size_t)len < sizeof(out->sun_path)
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "the name of a socket is too long");
}

static enum ds_status bind_and_listen(int fd, const struct sockaddr_un *address, const char *path,
                                      struct ds_error *err)
{
    struct stat st;
    if (lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(address->sun_path);
    }
    /* On Linux the file gets the socket's mode: it is its owner's alone from the first. (The umask
     * is the whole process's and not ours to change.) */
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        return ds_fail(err, DS_EIO, "unable to listen on '%s': %s", path, strerror(errno));
    }
    return DS_OK;
}

enum ds_status ds_local_listen(const char *path, int *out, struct ds_error *err)
{
    struct sockaddr_un address;
    DS_AUTO(ds_file_close) int folder = -1;
    *out = -1;
    enum ds_status s = address_of(path, &address, &folder, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(ds_file_close)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ds_fail(err, DS_EIO, "no socket: %s", strerror(errno));
    }
    s = bind_and_listen(fd, &address, path, err);
    if (s == DS_OK) {
        *out = fd;
        fd = -1;
    }
    return s;
}

enum ds_status ds_local_connect(const char *path, int *out, struct ds_error *err)
{
    struct sockaddr_un address;
    DS_AUTO(ds_file_close) int folder = -1;
    *out = -1;
    const enum ds_status s = address_of(path, &address, &folder, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(ds_file_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ds_fail(err, DS_EIO, "no socket: %s", strerror(errno));
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        const int why = errno;
        const enum ds_status status = why == ENOENT || why == ECONNREFUSED ? DS_ENOTFOUND
                                      : why == EACCES || why == EPERM      ? DS_EREFUSED
                                                                           : DS_EIO;
        return ds_fail(err, status, "unable to connect to '%s': %s", path, strerror(why));
    }
    *out = fd;
    fd = -1;
    return DS_OK;
}

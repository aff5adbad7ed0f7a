/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a node's object, asked for piece by piece, into a new file. */
#include "cli/operate.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

struct fetch {
    const char *socket, *verb;
    json_int_t id;
    int fd;
    json_int_t at, total;
};

static enum ds_status write_all(int fd, const uint8_t *data, size_t len, struct ds_error *err)
{
    while (len > 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR) {
            return ds_fail(err, DS_EIO, "cannot write: %s", strerror(errno));
        }
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return DS_OK;
}

/* Base64 without line ends; bytes: how many there are in it. */
static enum ds_status write_piece(struct fetch *f, const char *text, size_t len, json_int_t bytes,
                                  struct ds_error *err)
{
    unsigned char *data = malloc(len / 4 * 3 + 1);
    if (data == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const int decoded = EVP_DecodeBlock(data, (const unsigned char *)text, (int)len);
    enum ds_status s = DS_OK;
    if (len % 4 != 0 || decoded < 0 || bytes < 0 || bytes > decoded || decoded - bytes > 2) {
        s = ds_fail(err, DS_EFORMAT, "the node's answer cannot be read");
    }
    if (s == DS_OK) {
        s = write_all(f->fd, data, (size_t)bytes, err);
        f->at += bytes;
    }
    free(data);
    return s;
}

static enum ds_status fetch_piece(struct fetch *f, struct ds_error *err)
{
    json_t *rows = NULL;
    const char *text = NULL;
    size_t len = 0;
    json_int_t bytes = 0;
    enum ds_status s = cli_node_ask(
        f->socket, f->verb, json_pack("{s:I, s:I}", "id", f->id, "offset", f->at), &rows, err);
    if (s == DS_OK && json_unpack(json_array_get(rows, 0), "{s:I, s:I, s:s%}", "total", &f->total,
                                  "bytes", &bytes, "base64", &text, &len) != 0) {
        s = ds_fail(err, DS_EFORMAT, "the node's answer cannot be read");
    }
    if (s == DS_OK && bytes == 0 && f->at < f->total) {
        s = ds_fail(err, DS_EFORMAT, "the node's answer has no end");
    }
    if (s == DS_OK) {
        s = write_piece(f, text, len, bytes, err);
    }
    json_decref(rows);
    return s;
}

static enum ds_status fetch_all(struct fetch *f, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    do {
        s = cli_stopped() ? ds_fail(err, DS_EIO, "stopped") : fetch_piece(f, err);
    } while (s == DS_OK && f->at < f->total);
    return s;
}

enum ds_status cli_fetch(const char *socket, const char *verb, json_int_t id, const char *path,
                         struct ds_error *err)
{
    DS_AUTO(ds_file_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ds_fail(err, errno == EEXIST ? DS_EEXIST : DS_EIO, "cannot write '%.200s': %s", path,
                       strerror(errno));
    }
    struct fetch f = {.socket = socket, .verb = verb, .id = id, .fd = fd};
    enum ds_status s = fetch_all(&f, err);
    if (s == DS_OK && fsync(fd) != 0) {
        s = ds_fail(err, DS_EIO, "cannot write '%.200s': %s", path, strerror(errno));
    }
    if (s != DS_OK) {
        (void)unlink(path);
    }
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/archive_name.h"

#include "base/file.h"
#include "base/secret.h"

#include <stdio.h>
#include <string.h>

#define HEX_CHARS   (ARCHIVE_HOME_BYTES - 1)
#define DRAWN_BYTES (HEX_CHARS / 2)

/* Written once; of two who do so at the same time, one finds the other's. */
static enum ds_status draw(const char *path, struct ds_error *err)
{
    uint8_t token[DRAWN_BYTES];
    char hex[HEX_CHARS + 1];
    enum ds_status s = ds_random(token, sizeof(token), err);
    if (s != DS_OK) {
        return s;
    }
    ds_hex(token, sizeof(token), hex);
    s = ds_file_write(path, hex, HEX_CHARS, DS_FILE_NEW, 0600, err);
    return s == DS_EEXIST ? DS_OK : s;
}

static enum ds_status read_home(const char *path, char out[ARCHIVE_HOME_BYTES],
                                struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(ARCHIVE_NAME_BYTES);
    const enum ds_status s = ds_file_read(path, &text, err);
    if (s != DS_OK) {
        return s;
    }
    char hex[ARCHIVE_HOME_BYTES] = "";
    if (text.len == HEX_CHARS) {
        memcpy(hex, text.data, HEX_CHARS);
    }
    if (strspn(hex, "0123456789abcdef") != HEX_CHARS) {
        return ds_fail(err, DS_EFORMAT, "archive.name does not hold %u hexadecimal digits",
                       HEX_CHARS);
    }
    memcpy(out, hex, ARCHIVE_HOME_BYTES);
    return DS_OK;
}

enum ds_status archive_home(const char *state_dir, char out[ARCHIVE_HOME_BYTES],
                            struct ds_error *err)
{
    out[0] = '\0';
    DS_AUTO(ds_string_free) char *path = ds_file_join(state_dir, "archive.name");
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const enum ds_status s = ds_file_exists(path) ? DS_OK : draw(path, err);
    return s == DS_OK ? read_home(path, out, err) : s;
}

void archive_name(const char *home, const char *shared, char out[ARCHIVE_NAME_BYTES])
{
    (void)snprintf(out, ARCHIVE_NAME_BYTES, "%s:%s", shared == NULL ? "own" : "shared",
                   shared == NULL ? home : shared);
}

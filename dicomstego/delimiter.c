/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/delimiter.h"

#include <string.h>

/* An escape byte, and what follows it: none of them is the delimiter's first byte. */
struct stuffing {
    uint8_t first;               /* of the delimiter */
    uint8_t escape;              /* then ... */
    uint8_t is_first, is_escape; /* ... one of these says which byte stood there */
};

static struct stuffing stuffing_for(const char *delimiter)
{
    const uint8_t first = (uint8_t)delimiter[0];
    uint8_t free_bytes[3];
    uint8_t candidate = 0x1b; /* ESC and what follows it: seldom in a delimiter */
    for (size_t i = 0; i < sizeof(free_bytes); candidate++) {
        if (candidate != first) {
            free_bytes[i++] = candidate;
        }
    }
    return (struct stuffing){first, free_bytes[0], free_bytes[1], free_bytes[2]};
}

enum ds_status stego_delimiter_put(const char *delimiter, const uint8_t *data, size_t len,
                                   struct ds_bytes *out, struct ds_error *err)
{
    const struct stuffing with = stuffing_for(delimiter);
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < len && s == DS_OK; i++) {
        if (data[i] == with.first || data[i] == with.escape) {
            s = ds_bytes_put_u8(out, with.escape, err);
            if (s == DS_OK) {
                s = ds_bytes_put_u8(out, data[i] == with.first ? with.is_first : with.is_escape,
                                    err);
            }
        } else {
            s = ds_bytes_put_u8(out, data[i], err);
        }
    }
    return s == DS_OK ? ds_bytes_append(out, delimiter, strlen(delimiter), err) : s;
}

static bool ends(const char *delimiter, stego_next_byte *next, void *context)
{
    uint8_t byte = 0;
    for (const char *c = delimiter + 1; *c != '\0'; c++) {
        if (!next(context, &byte) || byte != (uint8_t)*c) {
            return false;
        }
    }
    return true;
}

enum ds_status stego_delimiter_get(const char *delimiter, stego_next_byte *next, void *context,
                                   struct ds_bytes *out, struct ds_error *err)
{
    const struct stuffing with = stuffing_for(delimiter);
    uint8_t byte = 0;
    while (next(context, &byte)) {
        if (byte == with.first) {
            return ends(delimiter, next, context)
                       ? DS_OK
                       : ds_fail(err, DS_EAUTH, "the delimiter was altered");
        }
        if (byte == with.escape) {
            if (!next(context, &byte) || (byte != with.is_first && byte != with.is_escape)) {
                return ds_fail(err, DS_EAUTH, "what ends with a delimiter was altered");
            }
            byte = byte == with.is_first ? with.first : with.escape;
        }
        const enum ds_status s = ds_bytes_put_u8(out, byte, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return ds_fail(err, DS_EAUTH, "the delimiter is not there");
}

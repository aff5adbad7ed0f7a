/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum ds_status ds_fail(struct ds_error *err, enum ds_status status, const char *fmt, ...)
{
    if (err == NULL) {
        return status;
    }
    err->status = status;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return status;
}

enum ds_status ds_fail_context(struct ds_error *err, enum ds_status status, const char *fmt, ...)
{
    if (err == NULL) {
        return status;
    }
    char prefix[DS_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);

    char whole[2 * DS_ERROR_TEXT_BYTES + 2];
    (void)snprintf(whole, sizeof(whole), "%s: %s", prefix, err->text);
    whole[sizeof(err->text) - 1] = '\0';
    memcpy(err->text, whole, strlen(whole) + 1);
    err->status = status;
    return status;
}

const char *ds_status_name(enum ds_status status)
{
    switch (status) {
    case DS_OK:
        return "ok";
    case DS_ENOMEM:
        return "memory";
    case DS_EINVAL:
        return "argument";
    case DS_ECONFIG:
        return "configuration";
    case DS_EFORMAT:
        return "format";
    case DS_EUNSUPPORTED:
        return "unsupported";
    case DS_EIO:
        return "io";
    case DS_EEXIST:
        return "exists";
    case DS_EAUTH:
        return "does-not-verify";
    case DS_ENOKEY:
        return "no-key";
    case DS_ENOTHING:
        return "carries-nothing";
    case DS_ECAPACITY:
        return "capacity";
    case DS_ENOTFOUND:
        return "not-found";
    case DS_EREFUSED:
        return "refused";
    }
    return "unknown";
}

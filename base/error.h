/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error - a status to branch on and a text for people.
 *
 * The status says what the caller can do about it: retries, DIMSE statuses, exit codes and alarms
 * hang on it. The text needs no heap, names the fault first, and carries no patient data.
 */
#ifndef DICOMSTEGO_BASE_ERROR_H
#define DICOMSTEGO_BASE_ERROR_H

#include "base/base.h"

enum ds_status {
    DS_OK = 0,
    DS_ENOMEM,       /* out of memory: retry later */
    DS_EINVAL,       /* the caller broke the contract, or a wrong argument from the user */
    DS_ECONFIG,      /* the configuration or command line is wrong: the operator mends it */
    DS_EFORMAT,      /* the peer's or the file's bytes are wrong: never retry */
    DS_EUNSUPPORTED, /* sound, but not something we can do (palette, video ...): other route */
    DS_EIO,          /* disk, socket, database: retry later */
    DS_EEXIST,       /* the output exists and may not be overwritten */
    DS_EAUTH,        /* a tag, hash or signature does not verify: never retry, alert */
    DS_ENOKEY,       /* sealed for somebody else: needs another key */
    DS_ENOTHING,     /* the image carries nothing */
    DS_ECAPACITY,    /* the image cannot carry this much: take the other route */
    DS_ENOTFOUND,    /* no such row, file or key */
    DS_EREFUSED,     /* the peer refused for good: never retry */
};

#define DS_ERROR_TEXT_BYTES 256

struct ds_error {
    enum ds_status status;
    char text[DS_ERROR_TEXT_BYTES];
};

/* Fills *err (may be NULL) and returns status: "return ds_fail(err, ...)". Called once, where the
 * failure is first known. A text that does not fit is cut. */
enum ds_status ds_fail(struct ds_error *err, enum ds_status status, const char *fmt, ...)
    DS_PRINTF(3, 4);

/* Puts "context: " before the text of *err (may be NULL) and returns its status: for the level
 * that knows which file or instance it was. */
enum ds_status ds_fail_context(struct ds_error *err, enum ds_status status, const char *fmt, ...)
    DS_PRINTF(3, 4);

/* A short English name for the status, for logs and JSON ("format", "auth" ...). */
const char *ds_status_name(enum ds_status status);

#endif

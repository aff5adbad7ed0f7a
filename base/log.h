/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line an event on standard error, fields before prose.
 *
 *   2026-01-31T23:59:59.123456Z info scp assoc=17 peer=CT1 status=0000 stored 28 instances
 *
 * or, for whoever collects logs, the same as one JSON object a line, fields as members:
 *
 *   {"time":"2026-01-31T23:59:59.123456Z","level":"info","area":"scp","assoc":"17","peer":"CT1",
 *    "status":"0000","message":"stored 28 instances"}
 *
 * Never a name, patient ID, key or payload byte; UIDs at debug only. Log where an error is handled,
 * not at each level. A line is written with one write(2), so threads do not mix theirs.
 */
#ifndef DICOMSTEGO_BASE_LOG_H
#define DICOMSTEGO_BASE_LOG_H

#include "base/base.h"

#include <stdbool.h>

enum ds_log_level { DS_LOG_ERROR, DS_LOG_WARNING, DS_LOG_INFO, DS_LOG_DEBUG };
enum ds_log_format { DS_LOG_TEXT, DS_LOG_JSON };

/* Process-wide, from any thread. The defaults are DS_LOG_INFO and DS_LOG_TEXT. */
void ds_log_set_level(enum ds_log_level level);
void ds_log_set_format(enum ds_log_format format);
DS_CHECKED bool ds_log_level_from_name(const char *name, enum ds_log_level *out);

/* room: the folder that speaks ("scp", "node"). Control characters in the text become '?'. What
 * looks like key=value or key="some words" at its beginning is a field: values are always strings
 * in JSON, and of two fields with one name the second is part of the message. */
void ds_log(enum ds_log_level level, const char *room, const char *fmt, ...) DS_PRINTF(3, 4);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_BYTES 1024

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static atomic_int current_level = DS_LOG_INFO;

void ds_log_set_level(enum ds_log_level level)
{
    atomic_store(&current_level, (int)level);
}

bool ds_log_level_from_name(const char *name, enum ds_log_level *out)
{
    for (unsigned i = 0; i < DS_ARRAY_SIZE(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum ds_log_level)i;
            return true;
        }
    }
    return false;
}

void ds_log(enum ds_log_level level, const char *room, const char *fmt, ...)
{
    if ((int)level > atomic_load(&current_level)) {
        return;
    }
    char when[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(ds_clock_utc_us(), when);

    char line[LOG_LINE_BYTES];
    const int head = snprintf(line, sizeof(line), "%s %s %s ", when, level_names[level], room);
    if (head < 0 || (size_t)head >= sizeof(line) - 1) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, args);
    va_end(args);

    /* A peer's AE title or a parser's message must not forge a line of its own. */
    size_t len = strlen(line);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[len++] = '\n';
    const ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nobody is left to tell */
}

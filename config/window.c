/* SPDX-License-Identifier: Apache-2.0 */
/* Hours of the day: "22:00-06:00". */
#include "config/read.h"

#define MINUTES_A_DAY 1440U

/* Two digits, at most max. */
static bool read_two(const char *at, unsigned max, unsigned *out)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') {
        return false;
    }
    *out = (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
    return *out <= max;
}

/* "HH:MM"; 24:00 is the end of the day. */
static bool read_time(const char *at, uint16_t *out)
{
    unsigned hours = 0, minutes = 0;
    if (!read_two(at, 24, &hours) || at[2] != ':' || !read_two(at + 3, 59, &minutes)) {
        return false;
    }
    *out = (uint16_t)(hours * 60 + minutes);
    return *out <= MINUTES_A_DAY;
}

static bool read_window(const char *text, struct config_window *out)
{
    return strlen(text) == 11 && text[5] == '-' && read_time(text, &out->from) &&
           read_time(text + 6, &out->to) && out->from < MINUTES_A_DAY && out->from != out->to;
}

static enum ds_status check_window(struct config_reader *r, const struct config_value *v,
                                   const char *text)
{
    struct config_window w;
    if (read_window(text, &w)) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.40s' is no time of the day; expected one such as \"22:00-06:00\" "
                          "in local time",
                          v->where, text);
}

enum ds_status config_read_windows(struct config_reader *r, const struct config_key *key,
                                   const struct config_value *v, void *target)
{
    (void)key;
    struct config_windows *out = target;
    DS_AUTO(config_list_free) struct config_list list = {0};
    const enum ds_status s = config_read_list(r, v, &list, check_window);
    if (s != DS_OK) {
        return s;
    }
    if (list.count > CONFIG_WINDOWS_MAX) {
        return config_fail_at(r, v->node, "%s has %zu times; expected at most %u", v->where,
                              list.count, CONFIG_WINDOWS_MAX);
    }
    for (size_t i = 0; i < list.count; i++) {
        out->count += read_window(list.items[i], &out->items[i]) ? 1 : 0; /* checked above */
    }
    return DS_OK;
}

bool config_window_is_open(const struct config_windows *w, unsigned minute)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct config_window *t = &w->items[i];
        const bool after = minute >= t->from;
        const bool before = minute < t->to;
        if (t->from < t->to ? after && before : after || before) {
            return true;
        }
    }
    return w->count == 0;
}

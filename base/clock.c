/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t ds_clock_monotonic_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t ds_clock_monotonic_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t ds_clock_utc_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void ds_clock_format_utc(int64_t utc_us, char out[DS_CLOCK_TEXT_BYTES])
{
    int64_t seconds = utc_us / 1000000;
    int64_t micros = utc_us % 1000000;
    if (micros < 0) {
        micros += 1000000;
        seconds -= 1;
    }
    const time_t when = (time_t)seconds;
    struct tm utc;
    char date[DS_CLOCK_TEXT_BYTES];
    out[0] = '\0';
    if (gmtime_r(&when, &utc) == NULL ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        return;
    }
    (void)snprintf(out, DS_CLOCK_TEXT_BYTES, "%.19s.%06dZ", date, (int)micros);
}

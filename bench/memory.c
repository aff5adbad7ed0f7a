/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include <malloc.h>
#include <math.h>

/* A line "KEY: N kB" of /proc/self/status, in bytes; NAN where there is none. */
static double status_bytes(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double bytes = NAN;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            bytes = 1024.0 * strtod(line + strlen(key), NULL);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return bytes;
}

double bench_memory_begin(void)
{
    /* What the last image left in the heap would take this one without being seen. */
    (void)malloc_trim(0);
    FILE *f = fopen("/proc/self/clear_refs", "w");
    bool is_reset = f != NULL && fputs("5", f) >= 0; /* VmHWM begins again at VmRSS: proc(5) */
    is_reset = f != NULL && fclose(f) == 0 && is_reset;
    return is_reset ? status_bytes("VmRSS:") : NAN;
}

double bench_memory_end(double begin)
{
    return status_bytes("VmHWM:") - begin;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vitals.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/size.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

void vitals_begin(void)
{
    ds_metric_set(DS_METRIC_BUILD_INFO, DICOMSTEGO_VERSION, NULL, 1);
    ds_metric_set(DS_METRIC_PROCESS_START, NULL, NULL, (double)ds_clock_utc_us() / 1e6);
}

/* Pages resident: the second number of /proc/self/statm (proc(5)). */
static void measure_memory(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long total = 0;
    unsigned long resident = 0;
    if (f == NULL) {
        return;
    }
    if (fscanf(f, "%lu %lu", &total, &resident) == 2) {
        ds_metric_set(DS_METRIC_PROCESS_MEMORY, NULL, NULL,
                      (double)resident * (double)sysconf(_SC_PAGESIZE));
    }
    (void)fclose(f);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void measure_processor(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        ds_metric_set(DS_METRIC_PROCESS_CPU, NULL, NULL,
                      seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    }
}

static void measure_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        ds_metric_set(DS_METRIC_PROCESS_MAX_FDS, NULL, NULL, (double)limit.rlim_cur);
    }
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL) {
        return;
    }
    int count = -1; /* the folder's own */
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        count += e->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(d);
    ds_metric_set(DS_METRIC_PROCESS_FDS, NULL, NULL, count);
}

void vitals_measure(void)
{
    measure_memory();
    measure_processor();
    measure_descriptors();
}

bool vitals_disk(const char *folder, uint64_t *free_bytes)
{
    struct statvfs fs;
    size_t bytes = 0;
    *free_bytes = 0;
    if (statvfs(folder, &fs) != 0) {
        return false;
    }
    *free_bytes = ds_size_mul(fs.f_bavail, fs.f_frsize, &bytes) ? bytes : UINT64_MAX;
    return (fs.f_flag & ST_RDONLY) == 0;
}

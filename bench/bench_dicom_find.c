/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a query costs over the wire: C-FIND on one association, the same again and again, one after
 * another; prints matches, median and 95th percentile.
 *
 *   bench_dicom_find PORT CALLED CALLING TIMES LEVEL KEY=VALUE...     key: eight hexadecimal digits
 */
#include "base/clock.h"
#include "dicom/association.h"
#include "dicom/transfer_syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES_MAX 10000U

static struct ds_error err;

static bool count(void *context, const struct dicom_dataset *match)
{
    (void)match;
    ++*(unsigned *)context;
    return true;
}

static enum ds_status make_query(struct dicom_dataset **out, const char *level, char **keys,
                                 int key_count)
{
    enum ds_status s = dicom_dataset_new(out, &err);
    if (s == DS_OK) {
        s = dicom_dataset_set(*out, DICOM_TAG(0x0008, 0x0052), level, &err);
    }
    for (int i = 0; s == DS_OK && i < key_count; i++) {
        char *value = strchr(keys[i], '=');
        s = value == NULL
                ? ds_fail(&err, DS_EINVAL, "no = in %s", keys[i])
                : dicom_dataset_set(*out, (dicom_tag)strtoul(keys[i], NULL, 16), value + 1, &err);
    }
    return s;
}

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static enum ds_status measure(struct dicom_requestor *r, const struct dicom_dataset *query,
                              size_t times)
{
    static int64_t took_us[TIMES_MAX];
    unsigned matches = 0;
    uint16_t status = 0;
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < times; i++) {
        matches = 0;
        const int64_t begun = ds_clock_monotonic_us();
        s = dicom_requestor_find(r, DICOM_STUDY_ROOT_FIND, query, count, &matches, &status, &err);
        took_us[i] = ds_clock_monotonic_us() - begun;
    }
    if (s == DS_OK) {
        qsort(took_us, times, sizeof(took_us[0]), by_time);
        printf("%u %04x %.3f %.3f\n", matches, (unsigned)status,
               (double)took_us[times / 2] / 1000.0, (double)took_us[times * 95 / 100] / 1000.0);
    }
    return s;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        (void)fprintf(stderr, "bench_dicom_find PORT CALLED CALLING TIMES LEVEL KEY=VALUE...\n");
        return 2;
    }
    const size_t times = strtoul(argv[4], NULL, 10);
    const struct dicom_requestor_options options = {
        .host = "127.0.0.1",
        .port = (uint16_t)strtoul(argv[1], NULL, 10),
        .called_ae = argv[2],
        .calling_ae = argv[3],
        .timeout_s = 120,
    };
    const struct dicom_context context = {DICOM_STUDY_ROOT_FIND, DICOM_EXPLICIT_LE};
    struct dicom_requestor *r = NULL;
    struct dicom_dataset *query = NULL;
    enum ds_status s = dicom_init(&err);
    if (s == DS_OK && (times == 0 || times > TIMES_MAX)) {
        s = ds_fail(&err, DS_EINVAL, "1 to %u times", TIMES_MAX);
    }
    s = s == DS_OK ? make_query(&query, argv[5], argv + 6, argc - 6) : s;
    s = s == DS_OK ? dicom_requestor_open(&r, &options, &context, 1, &err) : s;
    s = s == DS_OK ? measure(r, query, times) : s;
    if (s != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    dicom_requestor_close(r);
    dicom_dataset_free(query);
    return s == DS_OK ? 0 : 1;
}

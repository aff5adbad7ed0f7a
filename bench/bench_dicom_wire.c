/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the wire alone costs: one process sends CT slices over loopback, another takes them and
 * keeps nothing. No disk, no hash. CPU time is each side's own.
 *
 *   bench_dicom_wire [KEY CERTIFICATE]     with both: over mutual TLS
 */
#include "base/clock.h"
#include "dicom/association.h"
#include "dicom/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CT             "1.2.840.10008.5.1.4.1.1.2"
#define INSTANCE_BYTES 526228U
#define INSTANCES      4000U
#define ROUNDS         3U

static struct ds_error err;

static uint16_t begin(void *context, const struct dicom_store_request *request, void **sink)
{
    (void)request;
    *sink = context;
    return DICOM_STATUS_SUCCESS;
}

static uint16_t take(void *sink, const uint8_t *data, size_t len)
{
    (void)sink;
    (void)data;
    (void)len;
    return DICOM_STATUS_SUCCESS;
}

static uint16_t end(void *sink, bool complete)
{
    (void)sink;
    return complete ? DICOM_STATUS_SUCCESS : DICOM_STATUS_OUT_OF_RESOURCES;
}

static double cpu_ms(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static int send_all(uint16_t port, const struct dicom_tls *tls, unsigned instances)
{
    const struct dicom_requestor_options options = {
        .host = "127.0.0.1", .port = port, .calling_ae = "BENCH", .called_ae = "NODE", .tls = tls};
    const struct dicom_context context = {CT, DICOM_EXPLICIT_LE};
    struct dicom_requestor *r = NULL;
    uint8_t *data = calloc(1, INSTANCE_BYTES);
    enum ds_status s =
        data == NULL ? DS_ENOMEM : dicom_requestor_open(&r, &options, &context, 1, &err);
    const double before = cpu_ms();
    for (unsigned i = 0; s == DS_OK && i < instances; i++) {
        uint16_t status = 0;
        s = dicom_requestor_store(r, CT, "1.2.3.4", DICOM_EXPLICIT_LE, data, INSTANCE_BYTES,
                                  &status, &err);
    }
    (void)printf("  sending   %.3f ms CPU/instance\n", (cpu_ms() - before) / instances);
    dicom_requestor_close(r);
    free(data);
    if (s != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    return s == DS_OK ? 0 : 1;
}

static int measure(const struct dicom_listener *listener, const struct dicom_tls *tls,
                   unsigned associations)
{
    const unsigned each = INSTANCES / associations;
    const int64_t start_us = ds_clock_utc_us();
    const double before = cpu_ms();
    for (unsigned i = 0; i < associations; i++) {
        if (fork() == 0) {
            _exit(send_all(dicom_listener_port(listener), tls, each));
        }
    }
    int failed = 0;
    int status = 0;
    while (wait(&status) > 0) {
        failed |= status;
    }
    const double seconds = (double)(ds_clock_utc_us() - start_us) / 1e6;
    (void)printf("%u associations: %.0f instances/s, receiving %.3f ms CPU/instance\n",
                 associations, each * associations / seconds,
                 (cpu_ms() - before) / (each * associations));
    return failed;
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IONBF, 0); /* or each child prints again what is buffered */
    const char *const trust[] = {argc == 3 ? argv[2] : NULL};
    const struct dicom_tls tls = {argc == 3 ? argv[1] : NULL, trust[0], trust, 1, true};
    const struct dicom_tls *const wanted = argc == 3 ? &tls : NULL;
    const struct dicom_listener_options options = {
        .address = "127.0.0.1", .ae_title = "NODE", .max_associations = 8, .tls = wanted};
    const struct dicom_service service = {
        .store_begin = begin, .store_data = take, .store_end = end};
    struct dicom_listener *listener = NULL;
    if (dicom_init(&err) != DS_OK ||
        dicom_listener_start(&listener, &options, &service, &err) != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int failed = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        failed |= measure(listener, wanted, 1) | measure(listener, wanted, 4);
    }
    dicom_listener_stop(listener, 0);
    return failed == 0 ? 0 : 1;
}

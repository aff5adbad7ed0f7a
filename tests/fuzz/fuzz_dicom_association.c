/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a peer says during one association: A-ASSOCIATE-RQ, PDVs, commands, release. The
 * listener is the real one on the loopback, with a service that keeps nothing; the input goes in at
 * once and the sending side is closed behind it, so that nobody waits for more.
 */
#include "dicom/operation.h"

#include "base/log.h"
#include "dicom/dataset.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static atomic_int open_sinks; /* begun and not ended */

static uint16_t begin(void *context, const struct dicom_store_request *request, void **sink)
{
    (void)context;
    if (request->sop_instance_uid[0] == '\0' || request->transfer_syntax[0] == '\0') {
        abort();
    }
    atomic_fetch_add(&open_sinks, 1);
    *sink = &open_sinks;
    return DICOM_STATUS_SUCCESS;
}

static uint16_t take(void *sink, const uint8_t *data, size_t len)
{
    (void)sink;
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum ^= data[i]; /* every byte must be there */
    }
    return sum == 0xa5 ? DICOM_STATUS_OUT_OF_RESOURCES : DICOM_STATUS_SUCCESS;
}

static uint16_t end(void *sink, bool complete)
{
    (void)sink;
    (void)complete;
    if (atomic_fetch_sub(&open_sinks, 1) <= 0) {
        abort();
    }
    return DICOM_STATUS_SUCCESS;
}

static void closed(void *context, const struct dicom_peer *peer, const char *how, unsigned stored)
{
    (void)context;
    (void)peer;
    (void)how;
    (void)stored;
    if (atomic_load(&open_sinks) != 0) {
        abort();
    }
}

/* A query or retrieval of two answers, with a sub-operation where the peer takes it. */
static void answer(void *context, const struct dicom_operation_request *request,
                   struct dicom_operation *o)
{
    (void)context;
    static const char ct[] = "1.2.840.10008.5.1.4.1.1.2";
    struct dicom_counts counts = {.remaining = 2};
    if (request->identifier == NULL || strlen(request->move_destination) >= DICOM_AE_BYTES) {
        abort();
    }
    for (unsigned i = 0; i < 2 && !dicom_operation_cancelled(o); i++) {
        uint16_t status = 0;
        if (dicom_operation_accepts(o, ct, DICOM_EXPLICIT_LE) &&
            dicom_operation_store(o, ct, "1.2.3", DICOM_EXPLICIT_LE, (const uint8_t *)"even", 4,
                                  &status, NULL) == DS_OK) {
            counts.completed++;
        }
        counts.remaining--;
        const struct dicom_response pending = {
            .status = DICOM_STATUS_PENDING, .identifier = request->identifier, .counts = &counts};
        (void)dicom_operation_send(o, &pending);
    }
    const struct dicom_response final = {.status = DICOM_STATUS_SUCCESS, .counts = &counts};
    (void)dicom_operation_send(o, &final);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    ds_log_set_level(DS_LOG_ERROR);
    return dicom_init(NULL) == DS_OK ? 0 : 1;
}

static struct dicom_listener *started(void)
{
    const struct dicom_listener_options options = {.address = "127.0.0.1",
                                                   .ae_title = "NODE",
                                                   .any_called_ae = true,
                                                   .max_associations = 4,
                                                   .timeout_s = 1};
    const struct dicom_service service = {.store_begin = begin,
                                          .store_data = take,
                                          .store_end = end,
                                          .closed = closed,
                                          .find = answer,
                                          .move = answer,
                                          .get = answer};
    struct dicom_listener *listener = NULL;
    if (dicom_listener_start(&listener, &options, &service, NULL) != DS_OK) {
        abort();
    }
    return listener;
}

static int connected(const struct dicom_listener *listener)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(dicom_listener_port(listener))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 3};
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) {
        abort();
    }
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Stopping joins the association's thread: only then can a leak be told from work going on. */
    struct dicom_listener *listener = started();
    const int fd = connected(listener);
    uint8_t answer[4096];
    size_t sent = 0;
    while (sent < size) {
        const ssize_t n = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break; /* ended by the listener already */
        }
        sent += (size_t)n;
    }
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, answer, sizeof(answer), 0) > 0) {
    }
    (void)close(fd);
    dicom_listener_stop(listener, 3000);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a study at a peer, and getting single instances of it. The peer is a listener of ours. */
#include "scu/reading.h"

#include "dicom/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CT    "1.2.840.10008.5.1.4.1.1.2"
#define LEVEL DICOM_TAG(0x0008, 0x0052)

static struct ds_error err;
static struct dicom_listener *listener;
static bool gives_other; /* answers a C-GET with another instance */

static const uint8_t instance[] = {0x08, 0, 0x60, 0, 'C', 'S', 2, 0, 'C', 'T'};

static bool on_admit(void *context, const struct dicom_peer *peer, bool *transient)
{
    (void)context;
    (void)peer;
    *transient = false;
    return true;
}

static void send_match(struct dicom_operation *o, dicom_tag tag, const char *uid)
{
    struct dicom_dataset *d = NULL;
    assert_int_equal(dicom_dataset_new(&d, &err), DS_OK);
    assert_int_equal(dicom_dataset_set(d, tag, uid, &err), DS_OK);
    const struct dicom_response r = {.status = DICOM_STATUS_PENDING, .identifier = d};
    assert_true(dicom_operation_send(o, &r));
    dicom_dataset_free(d);
}

/* Two series, the first named twice; two instances in each, named after it. Study "9.9" is not
 * there, "7.7" cannot be asked for. */
static void on_find(void *context, const struct dicom_operation_request *q,
                    struct dicom_operation *o)
{
    (void)context;
    char level[17] = "", study[DICOM_UID_BYTES] = "", series[DICOM_UID_BYTES] = "";
    assert_int_equal(dicom_dataset_get(q->identifier, LEVEL, level, sizeof(level), NULL), DS_OK);
    assert_int_equal(
        dicom_dataset_get(q->identifier, DICOM_TAG_STUDY_INSTANCE_UID, study, sizeof(study), NULL),
        DS_OK);
    assert_int_equal(dicom_dataset_get(q->identifier, DICOM_TAG_SERIES_INSTANCE_UID, series,
                                       sizeof(series), NULL),
                     DS_OK);
    struct dicom_response done = {.status = DICOM_STATUS_SUCCESS};
    if (strcmp(study, "7.7") == 0) {
        done.status = 0xa900;
    } else if (strcmp(study, "1.2") == 0 && strcmp(level, "SERIES") == 0) {
        send_match(o, DICOM_TAG_SERIES_INSTANCE_UID, "1.2.1");
        send_match(o, DICOM_TAG_SERIES_INSTANCE_UID, "1.2.2");
        send_match(o, DICOM_TAG_SERIES_INSTANCE_UID, "1.2.1");
    } else if (strcmp(study, "1.2") == 0) {
        char uid[DICOM_UID_BYTES + 4];
        for (int i = 0; i < 2; i++) {
            (void)snprintf(uid, sizeof(uid), "%.60s.%d", series, i);
            send_match(o, DICOM_TAG_SOP_INSTANCE_UID, uid);
        }
    }
    (void)dicom_operation_send(o, &done);
}

static void on_get(void *context, const struct dicom_operation_request *q,
                   struct dicom_operation *o)
{
    (void)context;
    char uid[DICOM_UID_BYTES] = "";
    uint16_t status = 0;
    assert_int_equal(
        dicom_dataset_get(q->identifier, DICOM_TAG_SOP_INSTANCE_UID, uid, sizeof(uid), NULL),
        DS_OK);
    if (gives_other) {
        (void)snprintf(uid, sizeof(uid), "6.6.6");
    }
    const bool stored = dicom_operation_store(o, CT, uid, DICOM_EXPLICIT_LE, instance,
                                              sizeof(instance), &status, &err) == DS_OK &&
                        status == 0;
    const struct dicom_counts counts = {.completed = stored ? 1 : 0, .failed = stored ? 0 : 1};
    const struct dicom_response r = {
        .status = stored ? DICOM_STATUS_SUCCESS : DICOM_STATUS_SOME_FAILED, .counts = &counts};
    (void)dicom_operation_send(o, &r);
}

static uint16_t on_begin(void *context, const struct dicom_store_request *request, void **sink)
{
    (void)context;
    (void)request;
    *sink = NULL;
    return DICOM_STATUS_OUT_OF_RESOURCES;
}

static uint16_t on_data(void *sink, const uint8_t *data, size_t len)
{
    (void)sink;
    (void)data;
    (void)len;
    return 0;
}

static uint16_t on_end(void *sink, bool complete)
{
    (void)sink;
    (void)complete;
    return 0;
}

static struct scu_reader *start_with(bool can_get)
{
    const struct dicom_listener_options o = {
        .address = "127.0.0.1", .ae_title = "PEER", .max_associations = 8, .timeout_s = 20};
    const struct dicom_service s = {.admit = on_admit,
                                    .store_begin = on_begin,
                                    .store_data = on_data,
                                    .store_end = on_end,
                                    .find = on_find,
                                    .get = can_get ? on_get : NULL};
    struct scu_reader *r = NULL;
    assert_int_equal(dicom_listener_start(&listener, &o, &s, &err), DS_OK);
    const struct dicom_requestor_options to = {.host = "127.0.0.1",
                                               .port = dicom_listener_port(listener),
                                               .calling_ae = "US",
                                               .called_ae = "PEER",
                                               .timeout_s = 10};
    assert_int_equal(scu_reader_new(&r, &to, &err), DS_OK);
    return r;
}

static void stop(struct scu_reader *r)
{
    scu_reader_free(r);
    dicom_listener_stop(listener, 2000);
}

static const struct scu_wanted wanted = {.study_uid = "1.2",
                                         .series_uid = "1.2.1",
                                         .sop_uid = "1.2.1.0",
                                         .sop_class_uid = CT,
                                         .transfer_syntax = ""};

static void a_study_is_listed_once_whatever_the_peer_says_twice(void **state)
{
    (void)state;
    struct scu_reader *r = start_with(true);
    struct scu_held *held = NULL;
    size_t count = 0;
    assert_int_equal(scu_reader_list(r, "1.2", &held, &count, &err), DS_OK);
    assert_int_equal(count, 4);
    assert_string_equal(held[0].sop_uid, "1.2.1.0");
    assert_string_equal(held[0].series_uid, "1.2.1");
    assert_string_equal(held[3].sop_uid, "1.2.2.1");
    free(held);
    assert_int_equal(scu_reader_list(r, "9.9", &held, &count, &err), DS_OK);
    assert_int_equal(count, 0);
    free(held);
    assert_int_equal(scu_reader_list(r, "7.7", &held, &count, &err), DS_EREFUSED);
    assert_null(held);
    stop(r);
}

static void an_instance_comes_as_a_file_and_another_one_does_not(void **state)
{
    (void)state;
    struct scu_reader *r = start_with(true);
    struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    bool came = false;
    uint16_t status = 1;
    for (int i = 0; i < 2; i++) { /* the second one over the same association */
        assert_int_equal(scu_reader_get(r, &wanted, &file, &came, &status, &err), DS_OK);
        assert_true(came);
        assert_int_equal(status, 0);
        assert_memory_equal(file.data + file.len - sizeof(instance), instance, sizeof(instance));
        assert_memory_equal(file.data + 128, "DICM", 4);
    }
    gives_other = true;
    assert_int_equal(scu_reader_get(r, &wanted, &file, &came, &status, &err), DS_OK);
    assert_false(came);
    assert_int_equal(status, DICOM_STATUS_SOME_FAILED);
    gives_other = false;
    ds_bytes_free(&file);
    stop(r);
}

static void what_the_peer_does_not_serve_is_refused_and_a_peer_that_is_gone_fails(void **state)
{
    (void)state;
    struct scu_reader *r = start_with(false);
    struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    struct scu_held *held = NULL;
    size_t count = 0;
    bool came = true;
    uint16_t status = 0;
    assert_int_equal(scu_reader_get(r, &wanted, &file, &came, &status, &err), DS_EREFUSED);
    assert_false(came);
    assert_int_equal(scu_reader_move(r, &wanted, "US", &status, &err), DS_EREFUSED);
    dicom_listener_stop(listener, 0);
    assert_int_equal(scu_reader_list(r, "1.2", &held, &count, &err), DS_EIO);
    assert_int_equal(scu_reader_get(r, &wanted, &file, &came, &status, &err), DS_EIO);
    scu_reader_free(r);
    ds_bytes_free(&file);
}

static int start(void **state)
{
    (void)state;
    return dicom_init(&err) == DS_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_is_listed_once_whatever_the_peer_says_twice),
        cmocka_unit_test(an_instance_comes_as_a_file_and_another_one_does_not),
        cmocka_unit_test(what_the_peer_does_not_serve_is_refused_and_a_peer_that_is_gone_fails),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}

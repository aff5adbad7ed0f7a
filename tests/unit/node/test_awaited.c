/* SPDX-License-Identifier: Apache-2.0 */
/* What we have moved to us finds who waits for it, and nobody else. */
#include "node/awaited.h"

#include "dicom/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct awaited awaited;
static struct ds_error err;

static uint16_t begin(const char *calling, const char *uid, void **sink)
{
    struct dicom_peer peer = {.association = 1};
    (void)snprintf(peer.calling_ae, sizeof(peer.calling_ae), "%s", calling);
    const struct dicom_store_request request = {.peer = &peer,
                                                .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                                .sop_instance_uid = uid,
                                                .transfer_syntax = DICOM_EXPLICIT_LE,
                                                .move_originator = "US"};
    return awaited_divert(&awaited, &request, sink);
}

/* An element of the data set: (0008,0060) CS "CT". */
static const uint8_t data[] = {0x08, 0, 0x60, 0, 'C', 'S', 2, 0, 'C', 'T'};

static void an_awaited_instance_comes_as_a_file(void **state)
{
    (void)state;
    struct awaited_one *x = NULL;
    struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    struct dicom_dataset *d = NULL;
    bool came = false;
    void *sink = NULL;
    assert_int_equal(awaited_begin(&awaited, "PACS", "1.2.3", &x, &err), DS_OK);
    assert_int_equal(begin("PACS", "1.2.3", &sink), 0);
    assert_non_null(sink);
    assert_int_equal(awaited_data(sink, data, sizeof(data)), 0);
    assert_int_equal(awaited_complete(sink, true), 0);
    awaited_end(&awaited, x, 0, &file, &came);
    assert_true(came);
    assert_int_equal(dicom_dataset_read(&d, file.data, file.len, NULL, &err), DS_OK);
    assert_true(dicom_dataset_has(d, DICOM_TAG_MODALITY));
    assert_string_equal(dicom_dataset_transfer_syntax(d), DICOM_EXPLICIT_LE);
    dicom_dataset_free(d);
    ds_bytes_free(&file);
}

static void what_nobody_waits_for_is_refused(void **state)
{
    (void)state;
    struct awaited_one *x = NULL;
    struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    bool came = true;
    void *sink = NULL;
    assert_int_equal(begin("PACS", "1.2.3", &sink), DICOM_STATUS_OUT_OF_RESOURCES);
    assert_null(sink);
    assert_int_equal(awaited_begin(&awaited, "PACS", "1.2.3", &x, &err), DS_OK);
    assert_int_equal(begin("OTHER", "1.2.3", &sink), DICOM_STATUS_OUT_OF_RESOURCES);
    assert_int_equal(begin("PACS", "1.2.4", &sink), DICOM_STATUS_OUT_OF_RESOURCES);
    awaited_end(&awaited, x, 0, &file, &came);
    assert_false(came);
    assert_int_equal(begin("PACS", "1.2.3", &sink), DICOM_STATUS_OUT_OF_RESOURCES); /* too late */
    ds_bytes_free(&file);
}

static void one_that_breaks_off_may_come_again_and_a_second_copy_may_not(void **state)
{
    (void)state;
    struct awaited_one *x = NULL;
    struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    bool came = false;
    void *sink = NULL;
    void *second = NULL;
    assert_int_equal(awaited_begin(&awaited, "PACS", "1.2.3", &x, &err), DS_OK);
    assert_int_equal(begin("PACS", "1.2.3", &sink), 0);
    assert_int_equal(begin("PACS", "1.2.3", &second), DICOM_STATUS_OUT_OF_RESOURCES);
    assert_int_equal(awaited_data(sink, data, 4), 0);
    assert_int_equal(awaited_complete(sink, false), 0);
    assert_int_equal(begin("PACS", "1.2.3", &sink), 0);
    assert_int_equal(awaited_data(sink, data, sizeof(data)), 0);
    assert_int_equal(awaited_complete(sink, true), 0);
    awaited_end(&awaited, x, 1000, &file, &came);
    assert_true(came);
    assert_true(file.len > sizeof(data));
    assert_memory_equal(file.data + file.len - sizeof(data), data, sizeof(data));
    ds_bytes_free(&file);
}

static int start(void **state)
{
    (void)state;
    awaited_init(&awaited);
    return dicom_init(&err) == DS_OK ? 0 : 1;
}

static int stop(void **state)
{
    (void)state;
    awaited_finish(&awaited);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_awaited_instance_comes_as_a_file),
        cmocka_unit_test(what_nobody_waits_for_is_refused),
        cmocka_unit_test(one_that_breaks_off_may_come_again_and_a_second_copy_may_not),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

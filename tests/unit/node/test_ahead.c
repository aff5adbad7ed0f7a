/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are proven ahead of their turn. */
#include "node/ahead.h"

#include "base/file.h"
#include "dicom/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILES 3U
static char folder[64];
static struct db_instance instances[FILES];
static struct ds_error err;

static void write_file(unsigned n)
{
    struct db_instance *i = &instances[n];
    char uid[32];
    struct dicom_dataset *d = NULL;
    struct ds_bytes bytes = DS_BYTES_INIT(1U << 20);
    (void)snprintf(uid, sizeof(uid), "1.2.3.%u", n);
    (void)snprintf(i->path, sizeof(i->path), "%s/%u.dcm", folder, n);
    (void)snprintf(i->transfer_syntax, sizeof(i->transfer_syntax), "%s", DICOM_EXPLICIT_LE);
    assert_int_equal(dicom_dataset_new(&d, &err), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_SOP_INSTANCE_UID, uid, &err), DS_OK);
    assert_int_equal(
        dicom_dataset_set(d, DICOM_TAG_SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2", &err), DS_OK);
    assert_int_equal(dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, &bytes, &err), DS_OK);
    assert_int_equal(dicom_file_hash(bytes.data, bytes.len, i->file_hash, &err), DS_OK);
    FILE *f = fopen(i->path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    ds_bytes_free(&bytes);
    dicom_dataset_free(d);
}

static void assert_taken(struct ahead *a, unsigned n, const char *syntax)
{
    struct outgoing out;
    char uid[32];
    char wanted[32];
    (void)snprintf(wanted, sizeof(wanted), "1.2.3.%u", n);
    assert_int_equal(ahead_take(a, &instances[n], syntax, &out, &err), DS_OK);
    struct dicom_dataset *d = NULL;
    assert_int_equal(dicom_dataset_read(&d, out.data, out.len, syntax, &err), DS_OK);
    assert_int_equal(dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, uid, sizeof(uid), &err),
                     DS_OK);
    assert_string_equal(uid, wanted);
    dicom_dataset_free(d);
    outgoing_free(&out);
}

static void what_was_begun_is_what_is_taken(void **state)
{
    (void)state;
    struct ahead *a = ahead_new();
    assert_non_null(a);
    for (unsigned n = 0; n < FILES; n++) {
        ahead_begin(a, &instances[n]);
        assert_taken(a, n, DICOM_EXPLICIT_LE);
    }
    ahead_free(a);
}

/* Another one than was begun, another syntax, and nobody at all. */
static void what_was_not_begun_is_loaded_all_the_same(void **state)
{
    (void)state;
    struct ahead *a = ahead_new();
    ahead_begin(a, &instances[0]);
    assert_taken(a, 1, DICOM_EXPLICIT_LE);
    ahead_begin(a, &instances[2]);
    assert_taken(a, 2, DICOM_IMPLICIT_LE);
    ahead_begin(a, &instances[0]);
    ahead_free(a); /* begun and never taken */
    assert_taken(NULL, 0, DICOM_EXPLICIT_LE);
}

static void a_file_that_has_changed_is_not_handed_out(void **state)
{
    (void)state;
    struct ahead *a = ahead_new();
    struct outgoing out;
    instances[1].file_hash[5] ^= 1;
    for (unsigned begun = 0; begun < 2; begun++) {
        if (begun == 1) {
            ahead_begin(a, &instances[1]);
        }
        err.text[0] = '\0';
        assert_int_equal(ahead_take(a, &instances[1], DICOM_EXPLICIT_LE, &out, &err), DS_EAUTH);
        assert_true(err.text[0] != '\0');
        outgoing_free(&out);
    }
    instances[1].file_hash[5] ^= 1;
    ahead_free(a);
}

static int start(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/dicomstego-test-ahead-XXXXXX");
    if (mkdtemp(folder) == NULL || dicom_init(&err) != DS_OK) {
        return 1;
    }
    for (unsigned n = 0; n < FILES; n++) {
        write_file(n);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return ds_file_remove_tree(folder, &err) == DS_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_begun_is_what_is_taken),
        cmocka_unit_test(what_was_not_begun_is_loaded_all_the_same),
        cmocka_unit_test(a_file_that_has_changed_is_not_handed_out),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/originals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define IMPLICIT "1.2.840.10008.1.2"

/* The file that it borrows lives as long as the test. */
static struct carrier_original *an_original(struct ds_bytes *file, size_t comment_bytes)
{
    struct dicom_dataset *d = NULL;
    struct carrier_original *o = NULL;
    char *text = calloc(comment_bytes + 1, 1);
    assert_non_null(text);
    memset(text, 'x', comment_bytes);
    assert_int_equal(dicom_dataset_new(&d, NULL), DS_OK);
    assert_int_equal(
        dicom_dataset_set(d, DICOM_TAG_SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2", NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG_SOP_INSTANCE_UID, "1.2.3", NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(d, DICOM_TAG(0x4008, 0x010b), text, NULL), DS_OK); /* ST */
    *file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    assert_int_equal(dicom_dataset_write_part10(d, IMPLICIT, file, NULL), DS_OK);
    assert_int_equal(carrier_original_load(&o, file->data, file->len, NULL), DS_OK);
    dicom_dataset_free(d);
    free(text);
    return o;
}

static void what_is_put_in_is_taken_out_once(void **state)
{
    (void)state;
    struct originals kept;
    struct ds_bytes file;
    originals_init(&kept);
    struct carrier_original *o = an_original(&file, 10);
    const struct carrier_original *before = o;
    originals_put(&kept, 7, &o);
    assert_null(o);
    assert_null(originals_take(&kept, 8));
    struct carrier_original *taken = originals_take(&kept, 7);
    assert_ptr_equal(taken, before);
    assert_null(originals_take(&kept, 7));
    carrier_original_free(taken);
    originals_finish(&kept);
    ds_bytes_free(&file);
}

static void what_finds_no_room_is_not_kept(void **state)
{
    (void)state;
    struct originals kept;
    struct ds_bytes files[ORIGINALS_ROOM + 1];
    originals_init(&kept);
    for (size_t i = 0; i <= ORIGINALS_ROOM; i++) {
        struct carrier_original *o = an_original(&files[i], 10);
        originals_put(&kept, (int64_t)i + 1, &o);
        assert_null(o);
    }
    struct carrier_original *first = originals_take(&kept, 1);
    assert_non_null(first); /* those that wait stay */
    assert_null(originals_take(&kept, (int64_t)ORIGINALS_ROOM + 1));
    carrier_original_free(first);
    originals_finish(&kept); /* frees the rest */
    for (size_t i = 0; i <= ORIGINALS_ROOM; i++) {
        ds_bytes_free(&files[i]);
    }
}

static void all_together_are_bounded(void **state)
{
    (void)state;
    struct originals kept;
    struct ds_bytes file;
    originals_init(&kept);
    struct ds_bytes other;
    struct carrier_original *o = an_original(&file, ORIGINALS_MAX_BYTES / 2);
    struct carrier_original *p = an_original(&other, ORIGINALS_MAX_BYTES / 2);
    originals_put(&kept, 1, &o);
    originals_put(&kept, 2, &p);
    assert_null(originals_take(&kept, 2));
    o = originals_take(&kept, 1);
    assert_non_null(o);
    originals_put(&kept, 3, &o); /* what was taken out has left its room */
    assert_ptr_not_equal(kept.rows[0].original, NULL);
    originals_finish(&kept);
    ds_bytes_free(&file);
    ds_bytes_free(&other);
}

static int start(void **state)
{
    (void)state;
    return dicom_init(NULL) == DS_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_is_taken_out_once),
        cmocka_unit_test(what_finds_no_room_is_not_kept),
        cmocka_unit_test(all_together_are_bounded),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}

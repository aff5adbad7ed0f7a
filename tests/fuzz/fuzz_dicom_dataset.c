/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/dataset.h"
#include "dicom/pixels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written and read again, and hashes the same. */
static void rewrite(const struct dicom_dataset *d)
{
    struct ds_error err;
    uint8_t before[DS_SHA256_BYTES];
    uint8_t after[DS_SHA256_BYTES];
    struct dicom_dataset *again = NULL;
    struct ds_bytes b = DS_BYTES_INIT((size_t)1 << 28);
    if (dicom_dataset_hash(d, before, &err) == DS_OK &&
        dicom_dataset_write(d, "1.2.840.10008.1.2.1", &b, &err) == DS_OK && b.len > 0) {
        if (dicom_dataset_read(&again, b.data, b.len, "1.2.840.10008.1.2.1", &err) != DS_OK ||
            dicom_dataset_hash(again, after, &err) != DS_OK ||
            memcmp(before, after, sizeof before) != 0) {
            abort();
        }
    }
    dicom_dataset_free(again);
    ds_bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    struct dicom_pixels p;
    char name[256];
    if (dicom_init(&err) != DS_OK) {
        abort();
    }
    if (dicom_dataset_read(&d, data, size, NULL, &err) != DS_OK) {
        return 0;
    }
    (void)!dicom_dataset_get_utf8(d, DICOM_TAG_PATIENT_NAME, name, sizeof name, &err);
    if (dicom_pixels_read(&p, d, &err) == DS_OK) {
        dicom_pixels_free(&p);
    }
    rewrite(d);
    dicom_dataset_free(d);
    return 0;
}

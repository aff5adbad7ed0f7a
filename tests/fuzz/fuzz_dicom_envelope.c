/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/envelope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever comes: no read outside, and what is called the pixels lies inside. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dicom_envelope e;
    struct ds_error err;
    uint8_t hash[DS_SHA256_BYTES];
    if (dicom_envelope_scan(data, size, &e, &err) == DS_OK &&
        (e.pixel_offset > size || e.pixel_len > size - e.pixel_offset || e.dataset_offset > size)) {
        abort();
    }
    (void)!dicom_file_hash(data, size, hash, &err);
    return 0;
}

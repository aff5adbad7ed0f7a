/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/command.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is read can be written, and reads the same then; so does the answer to it. */
static void must_come_back(const struct dicom_command *c)
{
    struct dicom_command back;
    struct ds_bytes b = DS_BYTES_INIT(DICOM_COMMAND_MAX_BYTES);
    if (dicom_command_encode(c, &b, NULL) != DS_OK ||
        dicom_command_parse(b.data, b.len, &back, NULL) != DS_OK ||
        memcmp(c->sop_class_uid, back.sop_class_uid, sizeof(back.sop_class_uid)) != 0 ||
        memcmp(c->sop_instance_uid, back.sop_instance_uid, sizeof(back.sop_instance_uid)) != 0 ||
        c->present != back.present || c->field != back.field || c->status != back.status ||
        c->message_id != back.message_id || c->responded_to != back.responded_to ||
        c->data_set_type != back.data_set_type || c->priority != back.priority) {
        abort();
    }
    ds_bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dicom_command c;
    if (dicom_command_parse(data, size, &c, NULL) == DS_OK) {
        must_come_back(&c);
    }
    return 0;
}

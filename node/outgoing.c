/* SPDX-License-Identifier: Apache-2.0 */
#include "node/outgoing.h"

#include "dicom/transfer_syntax.h"
#include "node/part10.h"
#include "node/protector.h"

#include <stdio.h>
#include <string.h>

static enum ds_status rewrite(struct outgoing *out, const char *transfer_syntax,
                              struct ds_error *err)
{
    out->rewritten = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    enum ds_status s = dicom_dataset_view(&out->set, out->file.data, out->file.len, NULL, err);
    if (s == DS_OK) {
        s = dicom_dataset_write(out->set, transfer_syntax, &out->rewritten, err);
    }
    out->data = out->rewritten.data;
    out->len = out->rewritten.len;
    return s;
}

enum ds_status outgoing_load(const struct db_instance *instance, const char *transfer_syntax,
                             struct outgoing *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct part10 meta = {0};
    enum ds_status s = protector_map_file(instance, &out->file, err);
    if (s == DS_OK) {
        s = part10_read(&meta, out->file.data, out->file.len, err);
    }
    if (s != DS_OK) {
        return s;
    }
    memcpy(out->stored_in, meta.transfer_syntax, sizeof(out->stored_in));
    if (strcmp(meta.transfer_syntax, transfer_syntax) != 0) {
        return rewrite(out, transfer_syntax, err);
    }
    out->data = out->file.data + meta.dataset_offset;
    out->len = out->file.len - meta.dataset_offset;
    return DS_OK;
}

void outgoing_free(struct outgoing *o)
{
    dicom_dataset_free(o->set);
    ds_bytes_free(&o->rewritten);
    ds_map_close(&o->file);
    memset(o, 0, sizeof(*o));
}

void outgoing_note(const char *stored_in, const char *sent_in, char *text, size_t size)
{
    const struct dicom_transfer_syntax *from = dicom_transfer_syntax_of(stored_in);
    const struct dicom_transfer_syntax *to = dicom_transfer_syntax_of(sent_in);
    text[0] = '\0';
    if (from != NULL && to != NULL && from->coding != DICOM_NATIVE && to->coding == DICOM_NATIVE) {
        (void)snprintf(text, size, "sent decoded, in %s: the peer does not accept %s", to->name,
                       from->name);
    }
}

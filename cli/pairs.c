/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pairs.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* The SOP class stands in group 0002 or, in a bare data set, close to its beginning (PS3.10 7.1).
 */
#define HEAD_BYTES 4096U

static bool may_be_sidecar(const struct ds_bytes *file)
{
    const size_t head = file->len < HEAD_BYTES ? file->len : HEAD_BYTES;
    return file->len > 0 && !cli_is_png(file) &&
           memmem(file->data, head, CARRIER_SIDECAR_CLASS, sizeof(CARRIER_SIDECAR_CLASS) - 1) !=
               NULL;
}

/* True when it is a sidecar. */
static bool look_for_sidecar(struct cli_pair *pair, const char *path)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    pair->is_sidecar = ds_file_read(path, &file, NULL) == DS_OK && may_be_sidecar(&file) &&
                       carrier_sidecar_of(file.data, file.len, pair->belongs_to, NULL) == DS_OK;
    return pair->is_sidecar;
}

static bool read_uid(const char *path, char uid[DICOM_UID_BYTES])
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    return dicom_dataset_read_file(&d, path, NULL) == DS_OK &&
           dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, uid, DICOM_UID_BYTES, NULL) == DS_OK &&
           uid[0] != '\0';
}

static void pair_up(struct cli_pairs *p, size_t input, const char *uid)
{
    for (size_t i = 0; i < p->count; i++) {
        struct cli_pair *sidecar = &p->items[i];
        if (sidecar->is_sidecar && sidecar->other == CLI_NO_INPUT &&
            strcmp(sidecar->belongs_to, uid) == 0) {
            sidecar->other = input;
            p->items[input].other = i;
            return;
        }
    }
}

enum ds_status cli_pairs_find(struct cli_pairs *out, const struct cli_inputs *in,
                              struct ds_error *err)
{
    *out =
        (struct cli_pairs){.items = calloc(in->count + 1, sizeof(*out->items)), .count = in->count};
    if (out->items == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu files", in->count);
    }
    bool any = false;
    for (size_t i = 0; i < in->count && !cli_stopped(); i++) {
        out->items[i].other = CLI_NO_INPUT;
        any = look_for_sidecar(&out->items[i], in->items[i].path) || any;
    }
    for (size_t i = 0; any && i < in->count && !cli_stopped(); i++) {
        char uid[DICOM_UID_BYTES] = "";
        if (!out->items[i].is_sidecar && read_uid(in->items[i].path, uid)) {
            pair_up(out, i, uid);
        }
    }
    return DS_OK;
}

void cli_pairs_free(struct cli_pairs *p)
{
    free(p->items);
}

bool cli_pairs_is_beside(const struct cli_pairs *p, size_t input)
{
    return !p->items[input].is_sidecar && p->items[input].other != CLI_NO_INPUT;
}

enum ds_status cli_pairs_join(const struct cli_pairs *p, const struct cli_inputs *in, size_t input,
                              struct cli_carried *carried, struct ds_error *err)
{
    const struct cli_pair *pair = &p->items[input];
    if (carried->found == NULL || carrier_found_placement(carried->found) != CARRIER_SIDECAR) {
        return DS_OK;
    }
    if (pair->other == CLI_NO_INPUT) {
        return ds_fail(err, DS_ENOTFOUND, "the instance that the sidecar belongs to is missing: %s",
                       pair->belongs_to[0] != '\0' ? pair->belongs_to : "it names none");
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = ds_file_read(in->items[pair->other].path, &file, err);
    return s == DS_OK ? carrier_found_join(carried->found, &file, err) : s;
}

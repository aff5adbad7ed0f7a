/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/renamed.h"

#include "carrier/references.h"

static enum ds_status add_uid(struct carrier_uid_map *map, enum carrier_uid purpose,
                              const struct dicom_dataset *d, dicom_tag tag, const char *site,
                              struct ds_error *err)
{
    char old[DICOM_UID_BYTES] = "";
    char new[DICOM_UID_BYTES];
    if (dicom_dataset_get(d, tag, old, sizeof(old), NULL) != DS_OK || old[0] == '\0') {
        return DS_OK;
    }
    const enum ds_status s = carrier_derived_uid(purpose, site, old, NULL, new, err);
    return s == DS_OK ? carrier_uid_map_add(map, old, new, err) : s;
}

static enum ds_status add_file(struct carrier_uid_map *map, const char *path, const char *site,
                               struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_read_file(&d, path, err);
    if (s != DS_OK) {
        return s == DS_ENOMEM ? s : DS_OK;
    }
    s = add_uid(map, CARRIER_UID_INSTANCE, d, DICOM_TAG_SOP_INSTANCE_UID, site, err);
    return s == DS_OK
               ? add_uid(map, CARRIER_UID_SERIES, d, DICOM_TAG_SERIES_INSTANCE_UID, site, err)
               : s;
}

enum ds_status cli_renamed(const struct cli_inputs *inputs, const struct carrier_slot *slots,
                           const char *site, struct carrier_uid_map **out, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
    enum ds_status s = carrier_uid_map_new(&map, err);
    for (size_t i = 0; i < inputs->count && s == DS_OK; i++) {
        if (slots == NULL || slots[i].placement == CARRIER_IN_PIXELS) {
            s = add_file(map, inputs->items[i].path, site, err);
        }
    }
    if (s == DS_OK) {
        carrier_uid_map_complete(map);
        *out = map;
        map = NULL;
    }
    return s;
}

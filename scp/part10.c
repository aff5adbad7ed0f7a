/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/part10.h"

#include "dicom/dataset.h"
#include "dicom/implementation.h"

#include <string.h>

#define PREAMBLE_BYTES   128U
#define HEADER_MAX_BYTES 2048U

struct meta_element {
    uint16_t element;
    const char *vr;
    const char *value;
    size_t max_len;
};

/* Explicit VR Little Endian, short form: these VRs all have a 16-bit length (PS3.5 7.1.2). */
static enum ds_status put_text(struct ds_bytes *out, const struct meta_element *e,
                               struct ds_error *err)
{
    const size_t len = e->value == NULL ? 0 : strnlen(e->value, e->max_len + 1);
    if (len == 0 || len > e->max_len) {
        return ds_fail(err, DS_EINVAL, "(0002,%04x) has 1 to %zu characters", (unsigned)e->element,
                       e->max_len);
    }
    enum ds_status s = ds_bytes_put_le(out, 0x0002, 2, err);
    s = s == DS_OK ? ds_bytes_put_le(out, e->element, 2, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, e->vr, 2, err) : s;
    s = s == DS_OK ? ds_bytes_put_le(out, len + len % 2, 2, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, e->value, len, err) : s;
    if (s == DS_OK && len % 2 != 0) {
        /* UIDs are padded with NUL, text with a space (PS3.5 6.2). */
        s = ds_bytes_put_u8(out, memcmp(e->vr, "UI", 2) == 0 ? 0 : ' ', err);
    }
    return s;
}

static enum ds_status put_elements(const struct spool_meta *m, struct ds_bytes *out,
                                   struct ds_error *err)
{
    static const uint8_t version[] = {0x02, 0x00, 0x01, 0x00, 'O', 'B', 0, 0, 2, 0, 0, 0, 0, 1};
    const struct meta_element elements[] = {
        {0x0002, "UI", m->sop_class_uid, DICOM_UID_BYTES - 1},
        {0x0003, "UI", m->sop_instance_uid, DICOM_UID_BYTES - 1},
        {0x0010, "UI", m->transfer_syntax, DICOM_UID_BYTES - 1},
        {0x0012, "UI", DICOM_IMPLEMENTATION_CLASS_UID, DICOM_UID_BYTES - 1},
        {0x0013, "SH", DICOM_IMPLEMENTATION_VERSION_NAME, 16},
        {0x0016, "AE", m->calling_ae, DICOM_AE_BYTES - 1},
        {0x0018, "AE", m->called_ae, DICOM_AE_BYTES - 1},
    };
    enum ds_status s = ds_bytes_append(out, version, sizeof(version), err);
    for (size_t i = 0; i < DS_ARRAY_SIZE(elements) && s == DS_OK; i++) {
        s = put_text(out, &elements[i], err);
    }
    return s;
}

enum ds_status part10_header(const struct spool_meta *meta, struct ds_bytes *out,
                             struct ds_error *err)
{
    static const uint8_t preamble[PREAMBLE_BYTES] = {0};
    static const uint8_t group_length[] = {0x02, 0x00, 0x00, 0x00, 'U', 'L', 4, 0};
    DS_AUTO(ds_bytes_free) struct ds_bytes rest = DS_BYTES_INIT(HEADER_MAX_BYTES);
    enum ds_status s = put_elements(meta, &rest, err);
    s = s == DS_OK ? ds_bytes_append(out, preamble, sizeof(preamble), err) : s;
    s = s == DS_OK ? ds_bytes_append(out, "DICM", 4, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, group_length, sizeof(group_length), err) : s;
    s = s == DS_OK ? ds_bytes_put_le(out, rest.len, 4, err) : s;
    return s == DS_OK ? ds_bytes_append(out, rest.data, rest.len, err) : s;
}

uint64_t part10_dataset_offset(const uint8_t lead[PART10_LEAD_BYTES])
{
    if (memcmp(lead + PREAMBLE_BYTES, "DICM\2\0\0\0UL\4\0", 12) != 0) {
        return 0;
    }
    struct ds_cursor c = ds_cursor_over(lead + PART10_LEAD_BYTES - 4, 4);
    return PART10_LEAD_BYTES + ds_cursor_le(&c, 4);
}

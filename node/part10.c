/* SPDX-License-Identifier: Apache-2.0 */
#include "node/part10.h"

#include <string.h>

#define PREAMBLE_BYTES 128U

/* A value of group 0002 without its padding. What is longer than the field is no AE title or UID
 * and is left out. */
static void text_value(char *out, size_t size, const uint8_t *value, size_t len)
{
    while (len > 0 && (value[len - 1] == 0 || value[len - 1] == ' ')) {
        len--;
    }
    if (len < size) {
        memcpy(out, value, len);
        out[len] = '\0';
    }
}

/* PS3.5 7.1.2: these have two reserved bytes and a 32-bit length. */
static bool has_long_length(const uint8_t vr[2])
{
    static const char *const names[] = {"OB", "OW", "OF", "OD", "OL", "OV", "SQ",
                                        "UC", "UR", "UT", "UN", "SV", "UV"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        if (memcmp(vr, names[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

static void keep(struct part10 *out, uint64_t element, const uint8_t *value, size_t len)
{
    switch (element) {
    case 0x0003:
        text_value(out->sop_instance_uid, sizeof(out->sop_instance_uid), value, len);
        break;
    case 0x0010:
        text_value(out->transfer_syntax, sizeof(out->transfer_syntax), value, len);
        break;
    case 0x0016:
        text_value(out->source_ae, sizeof(out->source_ae), value, len);
        break;
    case 0x0018:
        text_value(out->receiving_ae, sizeof(out->receiving_ae), value, len);
        break;
    default:
        break;
    }
}

/* One element of group 0002; false at the first element of another group or at the end. */
static bool read_element(struct ds_cursor *c, struct part10 *out)
{
    const struct ds_cursor before = *c;
    if (ds_cursor_left(c) < 8 || ds_cursor_le(c, 2) != 0x0002) {
        *c = before;
        return false;
    }
    const uint64_t element = ds_cursor_le(c, 2);
    const uint8_t *vr = ds_cursor_bytes(c, 2);
    uint64_t len = ds_cursor_le(c, 2);
    if (vr != NULL && has_long_length(vr)) {
        len = ds_cursor_le(c, 4);
    }
    const uint8_t *value = ds_cursor_bytes(c, (size_t)len);
    if (value == NULL) {
        return false; /* the cursor has failed: the caller sees it */
    }
    keep(out, element, value, (size_t)len);
    return true;
}

enum ds_status part10_read(struct part10 *out, const uint8_t *file, size_t len,
                           struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_cursor c = ds_cursor_over(file, len);
    const uint8_t *preamble = ds_cursor_bytes(&c, PREAMBLE_BYTES);
    const uint8_t *magic = ds_cursor_bytes(&c, 4);
    if (preamble == NULL || magic == NULL || memcmp(magic, "DICM", 4) != 0) {
        return ds_fail(err, DS_EFORMAT, "not a DICOM Part 10 file");
    }
    while (read_element(&c, out)) {
    }
    if (c.failed || out->transfer_syntax[0] == '\0') {
        return ds_fail(err, DS_EFORMAT, "the file meta information is damaged");
    }
    out->dataset_offset = c.at;
    return DS_OK;
}

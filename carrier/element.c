/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/element.h"

#include <string.h>

/* PS3.5 table 7.1-1: the VRs whose explicit header has a 32-bit length. */
static bool has_long_form(const uint8_t vr[2])
{
    static const char long_forms[][3] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                         "SV", "UC", "UN", "UR", "UT", "UV"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(long_forms); i++) {
        if (memcmp(vr, long_forms[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

bool carrier_element_read(struct ds_cursor *c, struct carrier_element *out)
{
    memset(out, 0, sizeof(*out));
    out->group = (uint16_t)ds_cursor_le(c, 2);
    out->number = (uint16_t)ds_cursor_le(c, 2);
    if (out->group == 0xfffeU) {
        out->len = (uint32_t)ds_cursor_le(c, 4);
    } else {
        const uint8_t *vr = ds_cursor_bytes(c, 2);
        if (vr == NULL) {
            return false;
        }
        memcpy(out->vr, vr, 2);
        out->long_form = has_long_form(vr);
        if (out->long_form) {
            (void)ds_cursor_le(c, 2);
        }
        out->len = (uint32_t)ds_cursor_le(c, out->long_form ? 4 : 2);
    }
    if (out->len != CARRIER_LENGTH_UNDEFINED) {
        out->value = ds_cursor_bytes(c, out->len);
    }
    return !c->failed;
}

bool carrier_element_is_vr(const struct carrier_element *e, const char *vr)
{
    return memcmp(e->vr, vr, 2) == 0;
}

enum ds_status carrier_element_header(struct ds_bytes *out, const struct carrier_element *e,
                                      uint32_t len, struct ds_error *err)
{
    if (!e->long_form && len > UINT16_MAX) {
        return ds_fail(err, DS_EFORMAT, "(%04x,%04x) is too long for its VR", e->group, e->number);
    }
    enum ds_status s = ds_bytes_put_le(out, e->group, 2, err);
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, e->number, 2, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, e->vr, 2, err);
    }
    if (s == DS_OK && e->long_form) {
        s = ds_bytes_put_le(out, 0, 2, err);
    }
    return s == DS_OK ? ds_bytes_put_le(out, len, e->long_form ? 4 : 2, err) : s;
}

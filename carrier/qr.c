/* SPDX-License-Identifier: Apache-2.0 */
/* QR codes (ISO/IEC 18004) in a rectangle of pixels. */
#include "carrier/carrier_private.h"

#include <qrencode.h>
#include <stdlib.h>
#include <string.h>

#define QUIET_MODULES   4U /* the light border around a code */
#define CODES_MAX       16U
#define VERSION_MAX     40U
#define SINGLE_MAX      2331U /* bytes in one code of version 40, level M */
#define SPLIT_MAX_BYTES (CODES_MAX * SINGLE_MAX)

/* The codes lie in a grid, each in the middle of its cell. */
struct carrier_qr {
    QRcode *single;
    QRcode_List *list;
    const QRcode *codes[CODES_MAX];
    uint32_t count, across, down;
    uint32_t scale; /* pixels of a module */
    uint32_t cell_width, cell_height;
};

void carrier_qr_free(struct carrier_qr *q)
{
    if (q != NULL) {
        QRcode_free(q->single);
        QRcode_List_free(q->list);
        free(q);
    }
}

void carrier_qr_auto(struct carrier_qr **q)
{
    carrier_qr_free(*q);
}

static uint32_t modules_of(uint32_t version)
{
    return 17U + 4U * version + 2U * QUIET_MODULES;
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The largest modules with which count codes of so many fit; 0: none. */
static uint32_t scale_for(uint32_t width, uint32_t height, uint32_t modules, uint32_t count)
{
    uint32_t scale = least_of(width, height) / modules;
    while (scale > 0 &&
           (uint64_t)(width / (modules * scale)) * (height / (modules * scale)) < count) {
        scale--;
    }
    return scale;
}

static void lay_out(struct carrier_qr *q, uint32_t width, uint32_t height)
{
    const uint32_t side = ((uint32_t)q->codes[0]->width + 2U * QUIET_MODULES) * q->scale;
    q->across = least_of(width / side, q->count);
    q->down = (q->count + q->across - 1) / q->across;
    q->cell_width = width / q->across;
    q->cell_height = height / q->down;
}

/* Level M, where that is too large for the rectangle L. */
static enum ds_status try_single(struct carrier_qr *q, uint32_t width, uint32_t height,
                                 const char *text, uint32_t *least, struct ds_error *err)
{
    static const QRecLevel levels[] = {QR_ECLEVEL_M, QR_ECLEVEL_L};
    *least = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(levels); i++) {
        QRcode *code =
            strlen(text) > SINGLE_MAX ? NULL : QRcode_encodeString8bit(text, 0, levels[i]);
        if (code == NULL) {
            break;
        }
        const uint32_t modules = (uint32_t)code->width + 2U * QUIET_MODULES;
        q->scale = least_of(width, height) / modules;
        *least = modules * CARRIER_QR_MODULE_MIN;
        if (q->scale >= CARRIER_QR_MODULE_MIN) {
            q->single = code;
            q->codes[0] = code;
            q->count = 1;
            return DS_OK;
        }
        QRcode_free(code);
    }
    return ds_fail(err, DS_ECAPACITY, "no QR code of %zu characters fits", strlen(text));
}

static QRcode_List *split(const char *text, uint32_t version)
{
    const size_t len = strlen(text);
    DS_AUTO(ds_bytes_free) struct ds_bytes copy = DS_BYTES_INIT(SPLIT_MAX_BYTES + 1);
    return ds_bytes_append(&copy, text, len, NULL) == DS_OK
               ? QRcode_encodeDataStructured((int)len, copy.data, (int)version, QR_ECLEVEL_M)
               : NULL;
}

/* The version whose codes, as many as it takes, have the largest modules. */
static enum ds_status try_split(struct carrier_qr *q, uint32_t width, uint32_t height,
                                const char *text, struct ds_error *err)
{
    const size_t len = strlen(text);
    q->scale = CARRIER_QR_MODULE_MIN - 1;
    for (uint32_t version = 1; version <= VERSION_MAX && len <= SPLIT_MAX_BYTES; version++) {
        if (scale_for(width, height, modules_of(version), 2) <= q->scale) {
            break; /* larger codes have smaller modules still */
        }
        QRcode_List *list = split(text, version);
        const uint32_t count = list != NULL ? (uint32_t)QRcode_List_size(list) : CODES_MAX + 1;
        const uint32_t scale = scale_for(width, height, modules_of(version), count);
        if (count <= CODES_MAX && scale > q->scale) {
            QRcode_List_free(q->list);
            q->list = list;
            q->scale = scale;
        } else {
            QRcode_List_free(list);
        }
    }
    for (QRcode_List *at = q->list; at != NULL; at = at->next) {
        q->codes[q->count++] = at->code;
    }
    return q->count > 0 ? DS_OK
                        : ds_fail(err, DS_ECAPACITY, "no QR codes of %zu characters fit", len);
}

enum ds_status carrier_qr_make(struct carrier_qr **out, uint32_t width, uint32_t height,
                               const struct carrier_qr_text *text, uint32_t *least,
                               struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_qr_auto) struct carrier_qr *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a QR code");
    }
    enum ds_status s = try_single(q, width, height, text->text, least, err);
    if (s == DS_ECAPACITY && text->may_split) {
        s = try_split(q, width, height, text->text, err);
    }
    if (s == DS_OK) {
        lay_out(q, width, height);
        *out = q;
        q = NULL;
    }
    return s;
}

bool carrier_qr_is_dark(const struct carrier_qr *q, uint32_t x, uint32_t y)
{
    const uint32_t column = x / q->cell_width;
    const uint32_t row = y / q->cell_height;
    const uint32_t i = row * q->across + column;
    if (column >= q->across || i >= q->count) {
        return false;
    }
    const QRcode *code = q->codes[i];
    const uint32_t side = (uint32_t)code->width * q->scale;
    const uint32_t left = (q->cell_width - side) / 2;
    const uint32_t top = (q->cell_height - side) / 2;
    const uint32_t in_x = x % q->cell_width;
    const uint32_t in_y = y % q->cell_height;
    if (in_x < left || in_x >= left + side || in_y < top || in_y >= top + side) {
        return false;
    }
    const size_t module =
        (size_t)((in_y - top) / q->scale) * (uint32_t)code->width + (in_x - left) / q->scale;
    return (code->data[module] & 1U) != 0;
}

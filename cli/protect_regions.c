/* SPDX-License-Identifier: Apache-2.0 */
/* Which rectangles of an image are its key regions: those of the command line, of a table, what a
 * presentation state draws on it, or what its own overlays mark. */
#include "cli/protect.h"

#include "base/file.h"
#include "dicom/graphics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX_BYTES (4U * 1024U * 1024U)

#define OVERLAY_GROUPS    16U /* 6000, 6002 ... 601E (PS3.3 C.9.2) */
#define OVERLAY_TAG(g, e) DICOM_TAG(0x6000U + 2U * (g), e)
#define OVERLAY_ROWS      0x0010U
#define OVERLAY_COLUMNS   0x0011U
#define OVERLAY_ORIGIN    0x0050U
#define OVERLAY_DATA      0x3000U

static enum ds_status add(struct protect_regions *out, const struct stego_rect *r,
                          struct ds_error *err)
{
    if (out->count == CARRIER_REGIONS_MAX) {
        return ds_fail(err, DS_EINVAL, "more than %u key regions", CARRIER_REGIONS_MAX);
    }
    out->items[out->count++] = *r;
    return DS_OK;
}

/* ---- a table ---- */

/* The name in the table is the path's end, from a folder's name on. */
static bool is_meant(const char *path, const char *name, size_t len)
{
    const size_t path_len = strlen(path);
    return len > 0 && path_len >= len && memcmp(path + path_len - len, name, len) == 0 &&
           (path_len == len || path[path_len - len - 1] == '/');
}

/* frame (from 1), x, y, width, height, each behind a tab; what follows is for people. */
static bool parse_numbers(const char *text, struct stego_rect *out)
{
    uint32_t n[5] = {0};
    for (size_t i = 0; i < DS_ARRAY_SIZE(n); i++) {
        const bool is_last = i + 1 == DS_ARRAY_SIZE(n);
        const char *at = text;
        if (!cli_number(&at, '\t', &n[i]) &&
            !(is_last && (at = text, cli_number(&at, '\0', &n[i])))) {
            return false;
        }
        text = at;
    }
    *out =
        (struct stego_rect){.frame = n[0] - 1, .x = n[1], .y = n[2], .width = n[3], .height = n[4]};
    return n[0] > 0 && n[3] > 0 && n[4] > 0;
}

static enum ds_status take_line(const struct cli_input *in, char *line, size_t number,
                                struct protect_regions *out, struct ds_error *err)
{
    const char *tab = strchr(line, '\t');
    struct stego_rect r = {0};
    if (tab == NULL || !is_meant(in->path, line, (size_t)(tab - line))) {
        return DS_OK; /* the heading, another image's */
    }
    return parse_numbers(tab + 1, &r)
               ? add(out, &r, err)
               : ds_fail(err, DS_ECONFIG,
                         "--region-from, line %zu: image, frame, x, y, width, height and tabs "
                         "between them are expected",
                         number);
}

/* text: terminated; it is cut into lines. */
static enum ds_status take_table(const struct cli_input *in, struct ds_bytes *text,
                                 struct protect_regions *out, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    size_t number = 1;
    char *rest = (char *)text->data;
    for (char *line = strsep(&rest, "\n"); line != NULL && s == DS_OK;
         line = strsep(&rest, "\n"), number++) {
        line[strcspn(line, "\r")] = '\0';
        s = take_line(in, line, number, out, err);
    }
    return s;
}

/* ---- overlays ---- */

static bool get_pair(const struct dicom_dataset *d, dicom_tag tag, long *first, long *second)
{
    char text[64] = "";
    char *end = NULL;
    if (dicom_dataset_get(d, tag, text, sizeof(text), NULL) != DS_OK) {
        return false;
    }
    *first = strtol(text, &end, 10);
    *second = *end == '\\' ? strtol(end + 1, &end, 10) : 0;
    return end != text;
}

/* What encloses the bits, first in the lowest bit (PS3.5 8.1.2). Empty without any. */
static struct stego_rect enclose(const uint8_t *bits, uint32_t columns, uint32_t rows)
{
    uint32_t left = columns;
    uint32_t right = 0;
    uint32_t top = rows;
    uint32_t bottom = 0;
    for (uint32_t y = 0; y < rows; y++) {
        for (uint32_t x = 0; x < columns; x++) {
            const size_t i = (size_t)y * columns + x;
            if ((bits[i / 8] >> i % 8 & 1) != 0) {
                left = x < left ? x : left;
                right = x + 1 > right ? x + 1 : right;
                top = y < top ? y : top;
                bottom = y + 1;
            }
        }
    }
    return right == 0 ? (struct stego_rect){0}
                      : (struct stego_rect){
                            .x = left, .y = top, .width = right - left, .height = bottom - top};
}

/* The part of it that lies in the image; left and top: where its corner is. */
static enum ds_status place(struct stego_rect r, int64_t left, int64_t top,
                            const struct stego_image *image, struct protect_regions *out,
                            struct ds_error *err)
{
    const int64_t right = left + r.width;
    const int64_t bottom = top + r.height;
    r.x = left < 0 ? 0 : (uint32_t)left;
    r.y = top < 0 ? 0 : (uint32_t)top;
    if (right <= (int64_t)r.x || bottom <= (int64_t)r.y || r.x >= image->columns ||
        r.y >= image->rows) {
        return DS_OK; /* nothing of it is on the image */
    }
    r.width = (uint32_t)(right > image->columns ? image->columns : right) - r.x;
    r.height = (uint32_t)(bottom > image->rows ? image->rows : bottom) - r.y;
    return add(out, &r, err);
}

static enum ds_status take_overlay(const struct dicom_dataset *d, unsigned group,
                                   const struct stego_image *image, struct protect_regions *out,
                                   struct ds_error *err)
{
    const uint8_t *bits = NULL;
    size_t len = 0;
    long n[2] = {0, 0};
    long origin[2] = {1, 1};
    long unused = 0;
    if (dicom_dataset_bytes(d, OVERLAY_TAG(group, OVERLAY_DATA), &bits, &len, NULL) != DS_OK ||
        bits == NULL || !get_pair(d, OVERLAY_TAG(group, OVERLAY_ROWS), &n[0], &unused) ||
        !get_pair(d, OVERLAY_TAG(group, OVERLAY_COLUMNS), &n[1], &unused)) {
        return DS_OK; /* none in this group */
    }
    (void)get_pair(d, OVERLAY_TAG(group, OVERLAY_ORIGIN), &origin[0], &origin[1]);
    if (n[0] <= 0 || n[1] <= 0 || n[0] > UINT16_MAX || n[1] > UINT16_MAX ||
        ((uint64_t)n[0] * (uint64_t)n[1] + 7) / 8 > len) {
        return ds_fail(err, DS_EFORMAT, "an overlay is shorter than it says");
    }
    const struct stego_rect r = enclose(bits, (uint32_t)n[1], (uint32_t)n[0]);
    /* The overlay's origin is row and column, 1 and 1 at the image's corner. */
    return r.width == 0 ? DS_OK
                        : place(r, (int64_t)r.x + origin[1] - 1, (int64_t)r.y + origin[0] - 1,
                                image, out, err);
}

static enum ds_status take_overlays(const struct carrier_original *o, struct protect_regions *out,
                                    struct ds_error *err)
{
    const struct stego_image *image = carrier_original_image(o);
    enum ds_status s = DS_OK;
    for (unsigned group = 0; image != NULL && group < OVERLAY_GROUPS && s == DS_OK; group++) {
        s = take_overlay(carrier_original_dataset(o), group, image, out, err);
    }
    return s == DS_OK && image != NULL && out->count == 0
               ? ds_fail(err, DS_EINVAL, "its overlays mark nothing")
               : s;
}

/* ---- presentation states ---- */

static enum ds_status take_state(const struct dicom_dataset *state,
                                 const struct carrier_original *o, struct protect_regions *out,
                                 struct ds_error *err)
{
    const struct stego_image *image = carrier_original_image(o);
    struct dicom_graphic graphics[CARRIER_REGIONS_MAX];
    char uid[DICOM_UID_BYTES] = "";
    size_t count = 0;
    enum ds_status s = dicom_dataset_get(carrier_original_dataset(o), DICOM_TAG_SOP_INSTANCE_UID,
                                         uid, sizeof(uid), err);
    if (s == DS_OK) {
        s = dicom_graphics_of(state, uid, graphics, DS_ARRAY_SIZE(graphics), &count, err);
    }
    if (s == DS_OK && count > DS_ARRAY_SIZE(graphics)) {
        s = ds_fail(err, DS_EINVAL, "more than %u key regions", CARRIER_REGIONS_MAX);
    }
    for (size_t i = 0; i < count && s == DS_OK && image != NULL; i++) {
        const int64_t left = (int64_t)floor(graphics[i].left);
        const int64_t top = (int64_t)floor(graphics[i].top);
        const int64_t right = (int64_t)ceil(graphics[i].right);
        const int64_t bottom = (int64_t)ceil(graphics[i].bottom);
        const struct stego_rect r = {.frame = graphics[i].frame,
                                     .width = right > left ? (uint32_t)(right - left) : 1,
                                     .height = bottom > top ? (uint32_t)(bottom - top) : 1};
        s = place(r, left, top, image, out, err);
    }
    return s;
}

/* A presentation state by what is in it, else a table. */
static enum ds_status take_file(const struct cli_input *in, const struct carrier_original *o,
                                const char *path, struct protect_regions *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(TABLE_MAX_BYTES);
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *state = NULL;
    enum ds_status s = ds_file_read(path, &file, err);
    if (s == DS_OK && dicom_dataset_read(&state, file.data, file.len, NULL, NULL) == DS_OK &&
        dicom_graphics_are_in(state)) {
        return take_state(state, o, out, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(&file, 0, err);
    }
    return s == DS_OK ? take_table(in, &file, out, err)
                      : ds_fail_context(err, DS_ECONFIG, "--region-from");
}

/* ---- either ---- */

enum ds_status protect_regions_of(const struct protect_options *options, const struct cli_input *in,
                                  const struct carrier_original *o, struct protect_regions *out,
                                  struct ds_error *err)
{
    enum ds_status s = DS_OK;
    *out = (struct protect_regions){.count = 0};
    for (size_t i = 0; i < options->region_count && s == DS_OK; i++) {
        s = add(out, &options->regions[i], err);
    }
    if (s == DS_OK && options->region_source != NULL) {
        s = strcmp(options->region_source, "overlay") == 0
                ? take_overlays(o, out, err)
                : take_file(in, o, options->region_source, out, err);
    }
    return s;
}

/* About what a CMS message costs beyond its content, and what a document's name and type do. */
#define SEAL_BYTES      110U
#define RECIPIENT_BYTES 190U
#define DOCUMENT_BYTES  110U

enum carrier_attributes protect_attributes(const struct protection *p)
{
    const struct protect_options *o = &p->options;
    size_t sealed = SEAL_BYTES + RECIPIENT_BYTES * p->request.recipient_count;
    if (o->attributes_given || !o->qr || o->region_count == 0) {
        return o->attributes;
    }
    for (size_t i = 0; i < p->request.document_count; i++) {
        if (p->request.documents[i].len > STEGO_REPORT_MAX_BYTES - sealed) {
            return o->attributes;
        }
        sealed += DOCUMENT_BYTES + p->request.documents[i].len;
    }
    /* Whole headers beside the reports would leave no room for them. */
    return p->request.document_count > 0 && carrier_region_holds(&o->regions[0], sealed)
               ? CARRIER_ATTRIBUTES_CHANGED
               : o->attributes;
}

struct carrier_regions protect_regions_more(const struct protect_regions *r)
{
    return (struct carrier_regions){r->items + 1, r->count > 1 ? r->count - 1 : 0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say how to hide, shared by 'protect' and 'capacity'. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const efforts[] = {"fast", "balanced", "best"};

bool cli_number(const char **text, char end, uint32_t *out)
{
    char *after = NULL;
    errno = 0;
    const unsigned long v = strtoul(*text, &after, 10);
    if (errno != 0 || after == *text || *after != end || v > UINT32_MAX || **text < '0' ||
        **text > '9') {
        return false;
    }
    *out = (uint32_t)v;
    *text = end == '\0' ? after : after + 1;
    return true;
}

bool cli_rectangle(const char *text, struct stego_rect *out)
{
    return cli_number(&text, ',', &out->x) && cli_number(&text, ',', &out->y) &&
           cli_number(&text, ',', &out->width) && cli_number(&text, '\0', &out->height) &&
           out->width > 0 && out->height > 0;
}

/* A rectangle of every frame, or with a fifth number of that one, counted from 1. */
static bool parse_preserve(const char *text, struct stego_rect *out)
{
    out->frame = CARRIER_EVERY_FRAME;
    if (cli_rectangle(text, out)) {
        return true;
    }
    uint32_t frame = 0;
    if (!cli_number(&text, ',', &out->x) || !cli_number(&text, ',', &out->y) ||
        !cli_number(&text, ',', &out->width) || !cli_number(&text, ',', &out->height) ||
        !cli_number(&text, '\0', &frame) || frame == 0) {
        return false;
    }
    out->frame = frame - 1;
    return out->width > 0 && out->height > 0;
}

static const char *add_preserve(struct cli_hiding *h, const char *text)
{
    if (h->how.preserve_count == STEGO_PRESERVE_MAX) {
        return "--preserve is given too often; more than 64 rectangles fit into a --preserve-mask";
    }
    if (!parse_preserve(text, &h->preserve[h->how.preserve_count])) {
        return "--preserve takes X,Y,WIDTH,HEIGHT or X,Y,WIDTH,HEIGHT,FRAME, frames from 1";
    }
    h->how.preserve_count++;
    return NULL;
}

static const char *parse_effort(struct cli_hiding *h, const char *text)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(efforts); i++) {
        if (strcmp(text, efforts[i]) == 0) {
            h->how.effort = (enum stego_effort)i;
            h->has_effort = true;
            return NULL;
        }
    }
    return "--effort takes fast, balanced or best";
}

/* Digits, and a fraction if need be: no sign, no exponent, no infinity. */
static const char *parse_psnr(struct cli_hiding *h, const char *text)
{
    char *end = NULL;
    const double v = strtod(text, &end);
    if (text[0] == '\0' || text[strspn(text, "0123456789.")] != '\0' || *end != '\0' || v <= 0 ||
        v > 1000) {
        return "--min-psnr takes decibels above 0, such as 70 or 72.5";
    }
    h->how.min_psnr_db = v;
    return NULL;
}

const char *cli_hiding_option(struct cli_hiding *h, int c, const char *value)
{
    switch (c) {
    case CLI_OPTION_EFFORT:
        return parse_effort(h, value);
    case CLI_OPTION_PRESERVE:
        return add_preserve(h, value);
    case CLI_OPTION_PRESERVE_MASK:
        h->mask_path = value;
        return NULL;
    case CLI_OPTION_MAX_DIFFERENCE:
        return cli_number(&value, '\0', &h->how.max_difference) && h->how.max_difference > 0
                   ? NULL
                   : "--max-difference takes a number from 1";
    case CLI_OPTION_MIN_PSNR:
        return parse_psnr(h, value);
    case CLI_OPTION_USE_PADDING:
        h->how.use_padding = true;
        return NULL;
    default:
        return cli_method_option(h, c, value);
    }
}

static enum ds_status load_mask(struct cli_hiding *h, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    struct stego_image image = {0};
    size_t n = 0;
    enum ds_status s = ds_file_read(h->mask_path, &file, err);
    if (s == DS_OK) {
        s = cli_is_png(&file) ? cli_png_read(&file, &image, err)
                              : ds_fail(err, DS_EFORMAT, "not a PNG");
    }
    if (s == DS_OK && stego_image_count(&image, &n)) {
        h->mask = calloc(n, 1);
        s = h->mask != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "no memory for a mask");
    }
    for (size_t i = 0; s == DS_OK && i < n; i++) {
        h->mask[i] = image.samples[i] != 0;
    }
    h->how.mask = h->mask;
    h->how.mask_columns = image.columns;
    h->how.mask_rows = image.rows;
    stego_image_free(&image);
    return s;
}

enum ds_status cli_hiding_load(struct cli_hiding *h, struct ds_error *err)
{
    h->how.preserve = h->preserve;
    h->how.pool = cli_pool();
    if (h->mask_path == NULL) {
        return DS_OK;
    }
    const enum ds_status s = load_mask(h, err);
    return s == DS_OK ? s : ds_fail_context(err, s, "--preserve-mask %s", h->mask_path);
}

void cli_hiding_finish(struct cli_hiding *h)
{
    free(h->mask);
    ds_wipe(&h->key, sizeof(h->key));
}

const char *cli_effort_name(enum stego_effort effort)
{
    return efforts[effort];
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * samples - what the tests of this folder share: small instances made from scratch, and a walk over
 * the collection of real files that DICOMSTEGO_TEST_DATA names (where there is none, tests skip).
 */
#ifndef DICOMSTEGO_TESTS_DICOM_SAMPLES_H
#define DICOMSTEGO_TESTS_DICOM_SAMPLES_H

#include "base/file.h"
#include "dicom/dataset.h"
#include "dicom/pixels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMPLICIT_LE "1.2.840.10008.1.2"
#define EXPLICIT_LE "1.2.840.10008.1.2.1"
#define EXPLICIT_BE "1.2.840.10008.1.2.2"
#define DEFLATED_LE "1.2.840.10008.1.2.1.99"
#define FILE_MAX    ((size_t)1 << 31)

static inline void assert_ok(enum ds_status s, const struct ds_error *err)
{
    if (s != DS_OK) {
        fail_msg("%s: %s", ds_status_name(s), err->text);
    }
}

static inline int start_dicom(void **state)
{
    (void)state;
    struct ds_error err;
    return dicom_init(&err) == DS_OK ? 0 : -1;
}

/* The collection's folder; skips the test when there is none. */
static inline const char *data_root(void)
{
    const char *root = getenv("DICOMSTEGO_TEST_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/manifest.tsv", root == NULL ? "" : root);
    if (root == NULL || !ds_file_exists(path)) {
        print_message("skipped: DICOMSTEGO_TEST_DATA names no collection\n");
        skip();
    }
    return root;
}

static inline struct ds_bytes read_sample(const char *name)
{
    char path[4096];
    struct ds_error err;
    struct ds_bytes file = DS_BYTES_INIT(FILE_MAX);
    snprintf(path, sizeof path, "%s/%s", data_root(), name);
    assert_ok(ds_file_read(path, &file, &err), &err);
    return file;
}

static inline struct dicom_dataset *parse_sample(const char *name)
{
    struct ds_error err;
    struct ds_bytes file = read_sample(name);
    struct dicom_dataset *d = NULL;
    assert_ok(dicom_dataset_read(&d, file.data, file.len, NULL, &err), &err);
    ds_bytes_free(&file);
    return d;
}

struct sample_row {
    char *path;
    bool lossy;
    char *pixel_hash; /* "-" when nobody could decode it */
};

static inline void split_row(char *line, struct sample_row *row)
{
    char *field = line;
    memset(row, 0, sizeof *row);
    for (unsigned i = 0; field != NULL; i++) {
        char *value = strsep(&field, "\t\n");
        row->path = i == 0 ? value : row->path;
        row->lossy = i == 14 ? strcmp(value, "0") != 0 : row->lossy;
        row->pixel_hash = i == 18 ? value : row->pixel_hash;
    }
}

/* Calls visit with each DICOM file of the collection that is not there to be broken. Returns their
 * number. */
static inline unsigned each_sample(void (*visit)(const struct sample_row *row, void *context),
                                   void *context)
{
    char *line = NULL;
    size_t room = 0;
    unsigned count = 0;
    char path[4096];
    snprintf(path, sizeof path, "%s/manifest.tsv", data_root());
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (getline(&line, &room, f) > 0) {
        struct sample_row row;
        split_row(line, &row);
        const size_t len = strlen(row.path);
        if (row.pixel_hash != NULL && strncmp(row.path, "malformed/", 10) != 0 && len > 4 &&
            strcmp(row.path + len - 4, ".dcm") == 0) {
            visit(&row, context);
            count++;
        }
    }
    free(line);
    fclose(f);
    return count;
}

/* ---- made from scratch ---- */

static inline void set(struct dicom_dataset *d, uint16_t group, uint16_t element, const char *value)
{
    struct ds_error err;
    assert_ok(dicom_dataset_set(d, DICOM_TAG(group, element), value, &err), &err);
}

/* Identifiers and the image attributes of *p; then the pixels themselves. */
static inline struct dicom_dataset *make_image(const struct dicom_pixels *p)
{
    struct ds_error err;
    char number[16];
    struct dicom_dataset *d = NULL;
    assert_ok(dicom_dataset_new(&d, &err), &err);
    set(d, 0x0008, 0x0016, "1.2.840.10008.5.1.4.1.1.7");
    set(d, 0x0008, 0x0018, "2.25.1");
    set(d, 0x0028, 0x0004, p->photometric);
    const struct {
        uint16_t element;
        unsigned value;
    } numbers[] = {
        {0x0002, p->samples_per_pixel}, {0x0008, p->frames},         {0x0010, p->rows},
        {0x0011, p->columns},           {0x0100, p->bits_allocated}, {0x0101, p->bits_stored},
        {0x0102, p->high_bit},          {0x0103, p->is_signed},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(numbers); i++) {
        snprintf(number, sizeof number, "%u", numbers[i].value);
        set(d, 0x0028, numbers[i].element, number);
    }
    assert_ok(dicom_pixels_write(d, p, &err), &err);
    return d;
}

/* A greyscale image whose cells count up. */
static inline struct dicom_pixels make_pixels(uint32_t columns, uint32_t rows, uint16_t allocated,
                                              uint16_t stored, bool is_signed)
{
    struct ds_error err;
    struct dicom_pixels p = {
        .columns = columns,
        .rows = rows,
        .frames = 1,
        .samples_per_pixel = 1,
        .bits_allocated = allocated,
        .bits_stored = stored,
        .high_bit = (uint16_t)(stored - 1),
        .is_signed = is_signed,
        .photometric = "MONOCHROME2",
        .cells = DS_BYTES_INIT(FILE_MAX),
    };
    const size_t len = (size_t)columns * rows * allocated / 8;
    assert_ok(ds_bytes_resize(&p.cells, len, &err), &err);
    for (size_t i = 0; i < len; i++) {
        p.cells.data[i] = (uint8_t)(allocated == 16 && i % 2 == 1 ? 0 : i);
    }
    return p;
}

static inline void write_as(const struct dicom_dataset *d, const char *syntax, struct ds_bytes *out)
{
    struct ds_error err;
    *out = DS_BYTES_INIT(FILE_MAX);
    assert_ok(dicom_dataset_write(d, syntax, out, &err), &err);
}

static inline struct dicom_dataset *parse_as(const struct ds_bytes *b, const char *syntax)
{
    struct ds_error err;
    struct dicom_dataset *d = NULL;
    assert_ok(dicom_dataset_read(&d, b->data, b->len, syntax, &err), &err);
    return d;
}

static inline void hash_of(const struct dicom_dataset *d, uint8_t out[DS_SHA256_BYTES])
{
    struct ds_error err;
    assert_ok(dicom_dataset_hash(d, out, &err), &err);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cipher image as PNG of 16 bits, or as a Secondary Capture instance (PS3.3 A.8.1): any archive
 * stores one, and no viewer takes noise for anatomy of another class. Patient and study are not the
 * original's, which would say what the noise hides.
 */
#include "cli/cipher.h"

#include "base/secret.h"

#include <string.h>

#define SECONDARY_CAPTURE "1.2.840.10008.5.1.4.1.1.7"
#define CELL_BITS         16

/* The private element (0099,xx02) with the key file (PS3.5 7.8.1). */
#define KEY_FILE_CREATOR "DICOMSTEGO 1.0"
#define KEY_FILE_TAG     DICOM_TAG(0x0099, 0x0002)

static bool is_png_name(const char *name)
{
    const size_t len = strlen(name);
    return len > 4 && strcasecmp(name + len - 4, ".png") == 0;
}

static enum ds_status write_png(const struct stego_cipher_form *form, const struct ds_bytes *cells,
                                struct ds_bytes *out, struct ds_error *err)
{
    struct stego_image image = {.columns = form->columns,
                                .rows = form->rows,
                                .frames = 1,
                                .components = 1,
                                .bits_stored = CELL_BITS};
    enum ds_status s = stego_image_new(&image, err);
    for (size_t i = 0; s == DS_OK && i < cells->len / 2; i++) {
        image.samples[i] = cells->data[2 * i] << 8 | cells->data[2 * i + 1];
    }
    if (s == DS_OK) {
        s = cli_png_write(&image, out, err);
    }
    stego_image_free(&image);
    return s;
}

/* ---- DICOM ---- */

static enum ds_status set_uids(struct dicom_dataset *d, struct ds_error *err)
{
    static const dicom_tag tags[] = {DICOM_TAG_SOP_INSTANCE_UID, DICOM_TAG_SERIES_INSTANCE_UID,
                                     DICOM_TAG_STUDY_INSTANCE_UID};
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(tags) && s == DS_OK; i++) {
        uint8_t drawn[DS_SHA256_BYTES];
        char uid[DICOM_UID_BYTES];
        s = ds_random(drawn, sizeof(drawn), err);
        if (s == DS_OK) {
            dicom_uid_from_digest(drawn, uid);
            s = dicom_dataset_set(d, tags[i], uid, err);
        }
    }
    return s;
}

static enum ds_status set_all(struct dicom_dataset *d, const struct stego_cipher_form *form,
                              struct ds_error *err)
{
    char columns[16];
    char rows[16];
    (void)snprintf(columns, sizeof(columns), "%u", form->columns);
    (void)snprintf(rows, sizeof(rows), "%u", form->rows);
    const struct dicom_value values[] = {
        {DICOM_TAG_SOP_CLASS_UID, SECONDARY_CAPTURE},
        {DICOM_TAG_IMAGE_TYPE, "DERIVED\\SECONDARY"},
        {DICOM_TAG_MODALITY, "OT"},
        {DICOM_TAG(0x0008, 0x0064), "WSD"}, /* Conversion Type */
        {DICOM_TAG_STUDY_DATE, ""},
        {DICOM_TAG_STUDY_TIME, ""},
        {DICOM_TAG_ACCESSION_NUMBER, ""},
        {DICOM_TAG(0x0008, 0x0090), ""},                        /* Referring Physician's Name */
        {DICOM_TAG(0x0008, 0x2111), "dicomstego cipher image"}, /* Derivation Description */
        {DICOM_TAG_PATIENT_NAME, ""},
        {DICOM_TAG_PATIENT_ID, ""},
        {DICOM_TAG(0x0010, 0x0030), ""}, /* Patient's Birth Date */
        {DICOM_TAG(0x0010, 0x0040), ""}, /* Patient's Sex */
        {DICOM_TAG(0x0020, 0x0010), ""}, /* Study ID */
        {DICOM_TAG_SERIES_NUMBER, "1"},
        {DICOM_TAG_INSTANCE_NUMBER, "1"},
        {DICOM_TAG(0x0020, 0x0020), ""}, /* Patient Orientation */
        {DICOM_TAG(0x0028, 0x0002), "1"},
        {DICOM_TAG(0x0028, 0x0004), "MONOCHROME2"},
        {DICOM_TAG(0x0028, 0x0010), rows},
        {DICOM_TAG(0x0028, 0x0011), columns},
        {DICOM_TAG(0x0028, 0x0100), "16"},
        {DICOM_TAG(0x0028, 0x0101), "16"},
        {DICOM_TAG(0x0028, 0x0102), "15"},
        {DICOM_TAG(0x0028, 0x0103), "0"},
    };
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(values) && s == DS_OK; i++) {
        s = dicom_dataset_set(d, values[i].tag, values[i].value, err);
    }
    return s == DS_OK ? set_uids(d, err) : s;
}

static void swap_cells(uint8_t *cells, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        const uint8_t first = cells[i];
        cells[i] = cells[i + 1];
        cells[i + 1] = first;
    }
}

static enum ds_status set_pixels(struct dicom_dataset *d, const struct stego_cipher_form *form,
                                 const struct ds_bytes *cells, struct ds_error *err)
{
    struct dicom_pixels pixels = {
        .columns = form->columns,
        .rows = form->rows,
        .frames = 1,
        .all_frames = 1,
        .all_bytes = cells->len,
        .samples_per_pixel = 1,
        .bits_allocated = CELL_BITS,
        .bits_stored = CELL_BITS,
        .high_bit = CELL_BITS - 1,
        .photometric = "MONOCHROME2",
        .cells = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES),
    };
    enum ds_status s = ds_bytes_append(&pixels.cells, cells->data, cells->len, err);
    if (s == DS_OK) {
        swap_cells(pixels.cells.data, pixels.cells.len);
        s = dicom_pixels_write(d, &pixels, err);
    }
    dicom_pixels_free(&pixels);
    return s;
}

static enum ds_status write_dicom(const struct stego_cipher_form *form,
                                  const struct ds_bytes *cells, const struct ds_bytes *key_file,
                                  struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_new(&d, err);
    if (s == DS_OK) {
        s = set_all(d, form, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_set_bytes(d, KEY_FILE_TAG, KEY_FILE_CREATOR, key_file->data,
                                    key_file->len, err);
    }
    if (s == DS_OK) {
        s = set_pixels(d, form, cells, err);
    }
    return s == DS_OK ? dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, out, err) : s;
}

enum ds_status cipher_image_write(const char *name, const struct stego_cipher_form *form,
                                  const struct ds_bytes *cells, const struct ds_bytes *key_file,
                                  struct ds_bytes *out, struct ds_error *err)
{
    return is_png_name(name) ? write_png(form, cells, out, err)
                             : write_dicom(form, cells, key_file, out, err);
}

/* ---- reading ---- */

static enum ds_status read_png(const struct ds_bytes *file, struct ds_bytes *cells,
                               struct ds_error *err)
{
    struct stego_image image = {0};
    size_t count = 0;
    enum ds_status s = cli_png_read(file, &image, err);
    if (s == DS_OK && (image.bits_stored != CELL_BITS || image.components != 1 ||
                       !stego_image_count(&image, &count))) {
        s = ds_fail(err, DS_EAUTH, "this is no cipher image");
    }
    if (s == DS_OK) {
        s = ds_bytes_resize(cells, 2 * count, err);
    }
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        cells->data[2 * i] = (uint8_t)((uint32_t)image.samples[i] >> 8);
        cells->data[2 * i + 1] = (uint8_t)image.samples[i];
    }
    stego_image_free(&image);
    return s;
}

static enum ds_status read_dicom(const struct ds_bytes *file, struct ds_bytes *cells,
                                 struct ds_bytes *key_file, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    struct dicom_pixels pixels = {0};
    const uint8_t *text = NULL;
    size_t len = 0;
    enum ds_status s = dicom_dataset_view(&d, file->data, file->len, NULL, err);
    if (s == DS_OK) {
        s = dicom_pixels_read(&pixels, d, err);
    }
    if (s == DS_OK && (pixels.bits_allocated != CELL_BITS || pixels.samples_per_pixel != 1)) {
        s = ds_fail(err, DS_EAUTH, "this is no cipher image");
    }
    if (s == DS_OK) {
        s = ds_bytes_append(cells, pixels.cells.data, pixels.cells.len, err);
    }
    dicom_pixels_free(&pixels);
    if (s != DS_OK) {
        return s;
    }
    swap_cells(cells->data, cells->len);
    /* An archive may have dropped it. */
    return dicom_dataset_private_bytes(d, KEY_FILE_TAG, KEY_FILE_CREATOR, &text, &len, NULL) ==
                   DS_OK
               ? ds_bytes_append(key_file, text, len, err)
               : DS_OK;
}

enum ds_status cipher_image_read(const struct ds_bytes *file, struct ds_bytes *cells,
                                 struct ds_bytes *key_file, struct ds_error *err)
{
    const enum ds_status s =
        cli_is_png(file) ? read_png(file, cells, err) : read_dicom(file, cells, key_file, err);
    /* A file that cannot be read any more has been altered like one that is read otherwise. */
    return s == DS_EFORMAT || s == DS_EUNSUPPORTED || s == DS_ENOTHING
               ? ds_fail_context(err, DS_EAUTH, "no cipher image")
               : s;
}

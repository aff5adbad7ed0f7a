/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include "base/file.h"
#include "cli/cli.h"

static enum ds_status load_dicom(struct bench_file *out, const char *path, struct ds_error *err)
{
    enum ds_status s = carrier_original_open(&out->original, path, err);
    if (s == DS_OK) {
        s = carrier_original_suitable(out->original, err);
    }
    return s == DS_OK ? stego_image_copy(&out->image, carrier_original_image(out->original), err)
                      : s;
}

enum ds_status bench_file_load(struct bench_file *out, const char *path, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    *out = (struct bench_file){0};
    const enum ds_status s = ds_file_read(path, &bytes, err);
    if (s != DS_OK) {
        return s;
    }
    return cli_is_png(&bytes) ? cli_png_read(&bytes, &out->image, err) : load_dicom(out, path, err);
}

static enum ds_status put_pixels(struct dicom_dataset *d, const struct stego_image *carrier,
                                 struct ds_error *err)
{
    struct dicom_pixels pixels = {0};
    size_t count = 0;
    enum ds_status s = dicom_pixels_read_front(&pixels, d, CARRIER_WINDOW_SAMPLES, err);
    if (s == DS_OK && !stego_image_count(carrier, &count)) {
        s = ds_fail(err, DS_EINVAL, "a carrier without samples");
    }
    if (s == DS_OK) {
        s = dicom_pixels_set_samples(&pixels, carrier->samples, count,
                                     dicom_pixels_cell_rule(&pixels), err);
    }
    if (s == DS_OK) {
        s = dicom_pixels_write(d, &pixels, err);
    }
    dicom_pixels_free(&pixels);
    return s;
}

static enum ds_status store_dicom(const struct bench_file *file, const struct stego_image *carrier,
                                  struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_copy(&d, carrier_original_dataset(file->original), err);
    if (s == DS_OK) {
        s = put_pixels(d, carrier, err);
    }
    return s == DS_OK ? dicom_dataset_write_part10(d, dicom_dataset_transfer_syntax(d), out, err)
                      : s;
}

enum ds_status bench_file_store(const struct bench_file *file, const struct stego_image *carrier,
                                const char *path, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = file->original != NULL ? store_dicom(file, carrier, &bytes, err)
                                                    : cli_png_write(carrier, &bytes, err);
    return s == DS_OK ? ds_file_write(path, bytes.data, bytes.len, DS_FILE_REPLACE, 0644, err) : s;
}

void bench_file_free(struct bench_file *f)
{
    carrier_original_free(f->original);
    stego_image_free(&f->image);
    *f = (struct bench_file){0};
}

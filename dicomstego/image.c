/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/image.h"

#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A plane has at most 2^32 * 2^32 samples, so only the products that follow can overflow. */
bool stego_image_count(const struct stego_image *image, size_t *out)
{
    const size_t columns = image->columns;
    size_t n = columns;
    size_t bytes = 0;
    *out = 0;
    if (image->columns == 0 || image->rows == 0 || image->frames == 0 ||
        (image->components != 1 && image->components != 3)) {
        return false;
    }
    if (image->components == 3) {
        n = image->chroma_halved ? 2 * columns : 3 * columns;
    }
    if (image->chroma_halved && (image->components != 3 || columns % 2 != 0)) {
        return false;
    }
    if (!ds_size_mul(n, image->rows, &n) || !ds_size_mul(n, image->frames, &n) ||
        !ds_size_mul(n, sizeof(int32_t), &bytes)) {
        return false;
    }
    *out = n;
    return true;
}

enum ds_status stego_image_new(struct stego_image *image, struct ds_error *err)
{
    size_t n = 0;
    image->samples = NULL;
    if (!stego_image_count(image, &n)) {
        return ds_fail(err, DS_EFORMAT,
                       "no image has %u columns, %u rows, %u frames and %u components",
                       image->columns, image->rows, image->frames, image->components);
    }
    image->samples = calloc(n, sizeof(int32_t));
    if (image->samples == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu samples", n);
    }
    return DS_OK;
}

enum ds_status stego_image_copy(struct stego_image *out, const struct stego_image *from,
                                struct ds_error *err)
{
    size_t n = 0;
    struct stego_image copy = *from;
    *out = (struct stego_image){0};
    const enum ds_status s = stego_image_new(&copy, err);
    if (s != DS_OK) {
        return s;
    }
    if (stego_image_count(from, &n)) {
        memcpy(copy.samples, from->samples, n * sizeof(int32_t));
    }
    *out = copy;
    return DS_OK;
}

void stego_image_free(struct stego_image *image)
{
    free(image->samples);
    image->samples = NULL;
}

int32_t stego_image_min(const struct stego_image *image)
{
    return image->is_signed ? (int32_t) - (INT64_C(1) << (image->bits_stored - 1U)) : 0;
}

int32_t stego_image_max(const struct stego_image *image)
{
    const unsigned bits = image->is_signed ? image->bits_stored - 1U : image->bits_stored;
    return bits >= 31 ? INT32_MAX : (INT32_C(1) << bits) - 1;
}

static bool is_padding(const struct stego_image *image, int32_t x)
{
    return image->has_padding && x >= image->padding_min && x <= image->padding_max;
}

static double psnr_db(double peak, double mse)
{
    if (mse <= 0.0) {
        return INFINITY;
    }
    return 10.0 * log10(peak * peak / mse);
}

/* max - min of what is not padding; 0 where there is nothing. */
static double dynamic_range(const struct stego_image *image, size_t n)
{
    int32_t low = INT32_MAX;
    int32_t high = INT32_MIN;
    const bool has_padding = image->has_padding;
    for (size_t i = 0; i < n; i++) {
        const int32_t x = image->samples[i];
        const bool counts = !has_padding || !is_padding(image, x);
        low = counts && x < low ? x : low;
        high = counts && x > high ? x : high;
    }
    return low > high ? 0.0 : (double)high - (double)low;
}

/* What differs between count samples of at most 16 bits: sums of integers, which are exact and
 * quick.
 */
static uint64_t tally_difference(const int32_t *cover, const int32_t *carrier, size_t count,
                                 struct stego_distortion *out)
{
    uint64_t squares = 0;
    uint32_t changed = 0;
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t d = carrier[i] - cover[i];
        const uint32_t size = (uint32_t)(d < 0 ? -d : d);
        changed += size != 0;
        most = size > most ? size : most;
        squares += (uint64_t)size * size;
    }
    out->changed_samples += changed;
    out->max_difference = most > out->max_difference ? most : out->max_difference;
    return squares;
}

/* The same of wider samples. */
static double tally_wide_difference(const int32_t *cover, const int32_t *carrier, size_t count,
                                    struct stego_distortion *out)
{
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        const int64_t d = (int64_t)carrier[i] - cover[i];
        const uint32_t size = (uint32_t)(d < 0 ? -d : d);
        out->changed_samples += size != 0;
        out->max_difference = size > out->max_difference ? size : out->max_difference;
        squares += (double)size * size;
    }
    return squares;
}

#define TALLY_STEP ((size_t)1 << 16) /* of so many samples the sums above fit their types */

enum ds_status stego_image_compare(const struct stego_image *cover,
                                   const struct stego_image *carrier, struct stego_distortion *out,
                                   struct ds_error *err)
{
    size_t n = 0;
    *out = (struct stego_distortion){0};
    if (!stego_image_count(cover, &n) || cover->columns != carrier->columns ||
        cover->rows != carrier->rows || cover->frames != carrier->frames ||
        cover->components != carrier->components ||
        cover->chroma_halved != carrier->chroma_halved) {
        return ds_fail(err, DS_EINVAL, "images of different geometry cannot be compared");
    }
    double squares = 0.0;
    for (size_t at = 0; at < n; at += TALLY_STEP) {
        const size_t count = n - at < TALLY_STEP ? n - at : TALLY_STEP;
        const int32_t *before = cover->samples + at;
        const int32_t *after = carrier->samples + at;
        squares += cover->bits_stored <= 16 ? (double)tally_difference(before, after, count, out)
                                            : tally_wide_difference(before, after, count, out);
    }
    out->mse = squares / (double)n;
    out->psnr_format_db = psnr_db((double)((INT64_C(1) << cover->bits_stored) - 1), out->mse);
    out->psnr_dynamic_db = psnr_db(dynamic_range(cover, n), out->mse);
    return DS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words - native cells as the numbers that an encoder takes; private to dicom/.
 *
 * A codestream has one precision for all samples. What it must hold is the whole cell, bits above
 * Bits Stored included, because the cells are what the hashes are made of.
 */
#ifndef DICOMSTEGO_DICOM_WORDS_H
#define DICOMSTEGO_DICOM_WORDS_H

#include "dicom/pixels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_word_form {
    unsigned bits;  /* 2 to 16: of every sample */
    bool is_signed; /* cells are sign-extended from bits */
};

/* One frame's form: Bits Stored where the bits above them are zero, or copies of the sign of signed
 * pixels; else Bits Allocated. Above 8 allocated bits never 8 or fewer: decoders go by the
 * attributes when they count bytes. */
struct dicom_word_form dicom_word_form_of(const struct dicom_pixels *p, const uint8_t *cells);

/* The cell of a sample, of 8 or 16 bits. */
static inline uint32_t dicom_word_at(const struct dicom_pixels *p, const uint8_t *cells, size_t at)
{
    if (p->bits_allocated == 8) {
        return p->is_signed ? (uint32_t)(uint16_t)(int8_t)cells[at] : cells[at];
    }
    return cells[2 * at] | (uint32_t)cells[2 * at + 1] << 8;
}

/* DS_EUNSUPPORTED when an encoder of such words cannot take the image: other than 8 or 16 bits
 * allocated, other than 1 or 3 samples, colour by plane or natively subsampled. */
DS_CHECKED enum ds_status dicom_words_check(const struct dicom_pixels *p, const char *syntax,
                                            struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif

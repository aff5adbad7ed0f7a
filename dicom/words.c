/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/words.h"

/* All bits above the stored ones are zero (not for negative ones), or all are copies of the sign.
 */
static void look(const struct dicom_pixels *p, const uint8_t *cells, bool *zero, bool *sign)
{
    const size_t count = (size_t)p->columns * p->rows * p->samples_per_pixel;
    const uint32_t above = 0xffffU << p->bits_stored & 0xffffU;
    const uint32_t top = 1U << (p->bits_stored - 1U);
    *zero = true;
    *sign = true;
    for (size_t i = 0; i < count && (*zero || *sign); i++) {
        const uint32_t word = dicom_word_at(p, cells, i);
        *zero = *zero && (word & above) == 0;
        *sign = *sign && (word & above) == ((word & top) != 0 ? above : 0);
    }
}

struct dicom_word_form dicom_word_form_of(const struct dicom_pixels *p, const uint8_t *cells)
{
    const unsigned all = p->bits_allocated;
    const struct dicom_word_form whole = {all, p->is_signed};
    bool zero = false;
    bool sign = false;
    if (p->high_bit + 1U != p->bits_stored || p->bits_stored < 2 ||
        (all == 16 && p->bits_stored <= 8)) {
        return whole;
    }
    look(p, cells, &zero, &sign);
    const bool fits = p->is_signed ? sign : zero;
    return fits ? (struct dicom_word_form){p->bits_stored, p->is_signed} : whole;
}

enum ds_status dicom_words_check(const struct dicom_pixels *p, const char *syntax,
                                 struct ds_error *err)
{
    if (p->bits_allocated != 8 && p->bits_allocated != 16) {
        return ds_fail(err, DS_EUNSUPPORTED, "%s is not written with %u bits allocated", syntax,
                       p->bits_allocated);
    }
    if ((p->samples_per_pixel != 1 && p->samples_per_pixel != 3) || p->is_planar) {
        return ds_fail(err, DS_EUNSUPPORTED, "%s is not written with %u samples a pixel%s", syntax,
                       p->samples_per_pixel, p->is_planar ? " by plane" : "");
    }
    return DS_OK;
}

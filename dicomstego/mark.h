/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark - how a carrier is found: the run of pixels whose lowest bits hold the mark, the lead and
 * the last stage's blob. Private to the engine.
 *
 * Mark and lead lie in consecutive samples of the raster (over all frames), none of which is
 * padding, could become padding by a change of bit 0, or is excluded: so they can be read before
 * anything is known. The blob follows in the next such samples, others being skipped. The displaced
 * bits travel in the hidden stream.
 */
#ifndef DICOMSTEGO_MARK_H
#define DICOMSTEGO_MARK_H

#include "dicomstego/bits.h"
#include "dicomstego/scan.h"

#define STEGO_STAGES_MAX 8U

/* What the reader has to know of the last stage; padding and exclusion hold for all stages. */
struct stego_lead {
    unsigned stages; /* 1..STEGO_STAGES_MAX */
    bool has_padding;
    int32_t padding_min, padding_max;
    struct stego_rect exclude; /* empty when width is 0 */
    size_t bits;               /* hidden in the last stage */
    size_t blob_bits;          /* room of its blob in the run, zeros at its end */
};

/* Width of a field that counts bits: both sides know the number of samples. */
unsigned stego_count_width(const struct stego_scan *scan);

/* Mark, lead and checksum together, in bits. */
size_t stego_lead_length(const struct stego_scan *scan, const struct stego_lead *lead);
void stego_lead_write(const struct stego_scan *scan, const struct stego_lead *lead,
                      struct stego_bits *out);

enum stego_finding {
    STEGO_FOUND_NOTHING,
    STEGO_FOUND_ALTERED, /* a mark, but not one that holds together */
    STEGO_FOUND_CARRIER
};

/* Only geometry and format of scan are used. The first sound mark counts. */
enum stego_finding stego_mark_find(const struct stego_scan *scan, const int32_t *samples,
                                   struct stego_lead *lead, size_t *begin);

/* The end of a run of `total` bits at begin whose first `consecutive` samples have no gap; 0 when
 * there is no room. */
size_t stego_run_end(const struct stego_scan *scan, const int32_t *samples, size_t begin,
                     size_t consecutive, size_t total);
/* The most restless place for such a run that starts at or before `latest`. */
DS_CHECKED bool stego_run_choose(const struct stego_scan *scan, const int32_t *samples,
                                 size_t consecutive, size_t total, size_t latest, size_t *begin,
                                 size_t *end);
/* Appends the lowest bits of the run's samples, skipping those that hold none. */
void stego_run_read(const struct stego_scan *scan, const int32_t *samples, size_t begin, size_t end,
                    struct stego_bits *out);
/* Sets them; bits has one for each. */
void stego_run_write(const struct stego_scan *scan, int32_t *samples, size_t begin, size_t end,
                     const uint8_t *bits);

#endif

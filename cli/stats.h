/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats - what the parts of the verb share: stats.c measures and prints, plot.c draws.
 */
#ifndef DICOMSTEGO_CLI_STATS_H
#define DICOMSTEGO_CLI_STATS_H

#include "cli/cipher.h"
#include "dicomstego/statistics.h"
#include "dicomstego/steganalysis.h"

#define STATS_PREFIXES 10U /* the chi-square attack looks at 10 %, 20 % ... of the samples */

/* One of the two images. */
struct stats_image {
    size_t file_bytes;
    struct carrier_original *original; /* NULL for a PNG */
    struct stego_image png;
    const struct stego_image *image; /* borrowed from one of the two */
    struct stego_statistics statistics;
    double attack[STATS_PREFIXES];
    struct stego_rs rs;
};

struct stats {
    struct stats_image cover, other;
    bool is_same_geometry; /* then distortion and ssim count */
    struct stego_change change;
    struct stego_distortion distortion;
    double ssim;
    struct stego_cipher_sizes sizes; /* of the cover's stages */
};

/* Appends the figures as a PNG, drawn by the program gnuplot. DS_ENOTFOUND: there is none. */
DS_CHECKED enum ds_status stats_plot(const struct stats *s, struct ds_bytes *out,
                                     struct ds_error *err);

#endif

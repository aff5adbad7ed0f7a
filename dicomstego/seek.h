/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seek - reads one plane: finds what it carries, takes it out and restores it. Private.
 */
#ifndef DICOMSTEGO_SEEK_H
#define DICOMSTEGO_SEEK_H

#include "dicomstego/mark.h"

struct stego_reading {
    enum stego_finding finding; /* STEGO_FOUND_MARK: there is a lead, or status says why not */
    struct stego_lead lead;
    struct stego_bits message; /* lead.count payload bits, maybe more; freed by the owner */
    enum ds_status status;     /* DS_EAUTH: altered; DS_ENOMEM */
};

/* Reads plane `index` and restores it in place. Nothing here trusts a sample. */
void stego_plane_seek(const struct stego_image *image, size_t index, struct stego_reading *out);

#endif

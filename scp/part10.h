/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part10 - what stands before the data set in a spool file (PS3.10 7.1); private to scp/.
 */
#ifndef DICOMSTEGO_SCP_PART10_H
#define DICOMSTEGO_SCP_PART10_H

#include "scp/spool.h"

/* Preamble, "DICM" and the element that says how long the rest of group 0002 is. */
#define PART10_LEAD_BYTES 144U

/* Appends preamble and group 0002. DS_EINVAL when a value is missing or too long. */
DS_CHECKED enum ds_status part10_header(const struct spool_meta *meta, struct ds_bytes *out,
                                        struct ds_error *err);

/* Where the data set begins in a file that part10_header began. lead: its first PART10_LEAD_BYTES.
 * 0 when it is none of ours. */
uint64_t part10_dataset_offset(const uint8_t lead[PART10_LEAD_BYTES]);

#endif

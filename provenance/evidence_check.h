/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence_check - verifies evidence, step by step, with nothing but the file and whom one trusts.
 */
#ifndef DICOMSTEGO_PROVENANCE_EVIDENCE_CHECK_H
#define DICOMSTEGO_PROVENANCE_EVIDENCE_CHECK_H

#include "provenance/evidence.h"

struct evidence_trust {
    const struct stego_trust *signers; /* NULL: keys are taken as they are, and the step says so */
    const char *const *stamp_ca_paths; /* PEM, for time stamps; count 0 likewise */
    size_t stamp_ca_count;
};

/* One step. item: the line that it is about, for who shows it. text: what is wrong, or what there
 * is to say ("" often). */
struct evidence_step {
    const char *name; /* "key", "certificate", "head", "time stamp", "event", "witness", "prefix",
                         "seal" */
    const struct evidence_item *item;
    enum ds_status status;
    const char *text;
};
typedef void evidence_report(void *context, const struct evidence_step *step);

/* All steps, also after one has failed. DS_EAUTH with the first that failed; other codes when a
 * step could not be taken (DS_ENOMEM, DS_ECONFIG). */
DS_CHECKED enum ds_status evidence_check(const struct evidence *e,
                                         const struct evidence_trust *trust,
                                         evidence_report *report, void *context,
                                         struct ds_error *err);

/* The file's head of this log, or NULL; log NULL: the first head. */
const struct evidence_item *evidence_head_of(const struct evidence *e,
                                             const uint8_t log[DS_SHA256_BYTES]);

#endif

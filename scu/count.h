/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count - how many instances of a study a peer has, by its own account (C-FIND, Study Root).
 */
#ifndef DICOMSTEGO_SCU_COUNT_H
#define DICOMSTEGO_SCU_COUNT_H

#include "dicom/association.h"

/* On an association of its own. Number of Study Related Instances (0020,1208); where the peer
 * leaves that empty, the sum over its series, by (0020,1209) or by counting. 0: it does not know
 * the study. DS_EIO: no answer now; DS_EREFUSED: the peer does not offer it; DS_EFORMAT: an answer
 * that is none. */
DS_CHECKED enum ds_status scu_study_count(const struct dicom_requestor_options *options,
                                          const char *study_uid, uint64_t *count,
                                          struct ds_error *err);

#endif

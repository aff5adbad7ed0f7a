/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recoverer - carriers back to originals and reports, or refused with a reason.
 *
 * Each carrier is verified, restored and proven; what is restored goes into the archive and is owed
 * to the rule's destinations, with the reports as DICOM objects. A carrier that does not verify is
 * quarantined. Everything made here has an identity that depends on its bytes alone, so that doing
 * it again after a crash finds what is there already.
 */
#ifndef DICOMSTEGO_NODE_RECOVERER_H
#define DICOMSTEGO_NODE_RECOVERER_H

#include "node/planner.h"

/* Rules with recover. */
DS_CHECKED enum ds_status recoverer_plan(const struct due_study *due, struct draft *draft,
                                         struct ds_error *err);

#endif

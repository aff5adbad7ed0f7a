/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commitment - storage commitment on associations of our own (PS3.4 annex J): asking a peer, and
 * reporting to one that has asked us.
 *
 * Each call is one association, Implicit and Explicit VR Little Endian offered. Any thread.
 */
#ifndef DICOMSTEGO_SCU_COMMITMENT_H
#define DICOMSTEGO_SCU_COMMITMENT_H

#include "dicom/commitment.h"
#include "scu/scu.h"

/* Asks. SCU_DELIVERED: the peer has taken the request (0000H); SCU_TRANSIENT: ask again later;
 * SCU_PERMANENT: it does not offer the service, or refuses the request for good. A report that
 * comes on the same association within wait_s is given to take, which answers a DIMSE status. */
struct scu_outcome scu_commitment_ask(const struct dicom_requestor_options *options,
                                      const struct dicom_commitment *request, unsigned wait_s,
                                      uint16_t (*take)(void *context,
                                                       const struct dicom_commitment *report),
                                      void *context);
/* Reports. SCU_DELIVERED: the peer has it. */
struct scu_outcome scu_commitment_report(const struct dicom_requestor_options *options,
                                         const struct dicom_commitment *report);

/* What a failure means for an instance that we have sent (PS3.3 C.14.1.1). */
enum scu_commitment_verdict {
    SCU_COMMITTED,
    SCU_COMMITMENT_SEND_AGAIN, /* the peer has lost it */
    SCU_COMMITMENT_ASK_AGAIN,  /* it could not look */
    SCU_COMMITMENT_FAILED,     /* it has something else, or will never commit itself */
};
enum scu_commitment_verdict scu_commitment_verdict_of(uint16_t failure);

#endif

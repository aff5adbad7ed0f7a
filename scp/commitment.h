/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commitment - storage commitment on associations that others open (PS3.4 annex J): requests to us,
 * reports about what we asked, and our reports where the peer is there to take them.
 */
#ifndef DICOMSTEGO_SCP_COMMITMENT_H
#define DICOMSTEGO_SCP_COMMITMENT_H

#include "dicom/commitment.h"

/* The node's answers; called from association threads, several at once. Messages are borrowed. */
struct scp_commitment {
    void *context;
    /* May the peer ask us? */
    bool (*may_ask)(void *context, const struct dicom_peer *peer);
    /* A request. DS_OK: it is stored, survives a crash and will be reported on. */
    enum ds_status (*asked)(void *context, const struct dicom_peer *peer,
                            const struct dicom_commitment *request, struct ds_error *err);
    /* A report. *known false: this peer was never asked so. DS_OK: it is stored. */
    enum ds_status (*reported)(void *context, const struct dicom_peer *peer,
                               const struct dicom_commitment *report, bool *known,
                               struct ds_error *err);
    /* Is there a report for this peer now? *out is then the callee's to fill, and freed here. */
    bool (*due)(void *context, const struct dicom_peer *peer, struct dicom_commitment *out,
                uint64_t *token);
    /* Once for each that was due: the peer has it (taken), or not. */
    void (*done)(void *context, uint64_t token, bool taken);
};

/* The four callbacks of a dicom_service. N-ACTION answers 0000H only after `asked`; 0124H without
 * the right, 0213H while the request cannot be stored, and what dicom_commitment_accept refuses. */
uint16_t scp_commitment_action(const struct scp_commitment *c, const struct dicom_message *m);
/* N-EVENT-REPORT: 0112H for a transaction that we never asked of this peer. */
uint16_t scp_commitment_event(const struct scp_commitment *c, const struct dicom_message *m);
bool scp_commitment_report(const struct scp_commitment *c, const struct dicom_peer *peer,
                           const char *transfer_syntax, struct dicom_report *out);
void scp_commitment_reported(const struct scp_commitment *c, const struct dicom_peer *peer,
                             uint64_t token, bool answered, uint16_t status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scp - what others ask of us: verification (C-ECHO), storage (C-STORE into the spool), storage
 * commitment (commitment.h), query and retrieval (whose answers the node gives).
 *
 * Below the disk's watermark associations are rejected-transient. The answer to a C-STORE: 0000H
 * after spool_commit; A700 when the disk is below its watermark or fails; A900 when the SOP class
 * does not fit the context, or the data set is of another class or instance than the command says;
 * C000 when the data set is not one; 0124 when the peer may not store. Every answer but 0000H is
 * logged with its cause; the watermark once, by the spool.
 */
#ifndef DICOMSTEGO_SCP_SCP_H
#define DICOMSTEGO_SCP_SCP_H

#include "dicom/operation.h"
#include "scp/commitment.h"
#include "scp/spool.h"

enum scp_right {
    SCP_RIGHT_ECHO,
    SCP_RIGHT_STORE,
    SCP_RIGHT_COMMIT,
    SCP_RIGHT_FIND,
    SCP_RIGHT_MOVE,
    SCP_RIGHT_GET
};

/* The node's answers; called from association threads. */
struct scp_policy {
    void *context;
    /* Is this caller (AE title, address, TLS) one of our peers at all? */
    bool (*knows)(void *context, const struct dicom_peer *peer);
    bool (*may)(void *context, const struct dicom_peer *peer, enum scp_right right);
    /* An instance was accepted: entry and peer are borrowed. Must be quick (a queue). */
    void (*stored)(void *context, const struct spool_entry *entry, const struct dicom_peer *peer);
    /* TLS did not take the certificate of a caller, of whom only the address is known. May be NULL.
     */
    void (*untrusted)(void *context, const struct dicom_peer *peer);
    /* Is this C-STORE what a C-MOVE of our own brings? Asked for those whose Move Originator we are
     * (called_ae), all three or none. Then its bytes go to divert_data and divert_end, as
     * store_data and store_end of struct dicom_service, and nothing of it to the spool. Without a
     * sink it is refused with the status: nobody waits for it, and it is no new instance. */
    uint16_t (*divert)(void *context, const struct dicom_store_request *request, void **sink);
    uint16_t (*divert_data)(void *sink, const uint8_t *data, size_t len);
    uint16_t (*divert_end)(void *sink, bool complete);
    /* An association ended. */
    void (*closed)(void *context, const struct dicom_peer *peer, unsigned stored);
    const struct scp_commitment *commitment; /* copied; NULL: none is served */
    /* Queries and retrievals (dicom/operation.h); NULL: that kind is not served. Called only for
     * peers that have the right. */
    void (*find)(void *context, const struct dicom_operation_request *request,
                 struct dicom_operation *operation);
    void (*move)(void *context, const struct dicom_operation_request *request,
                 struct dicom_operation *operation);
    void (*get)(void *context, const struct dicom_operation_request *request,
                struct dicom_operation *operation);
};

struct scp;

/* Serves on options' port until stopped. spool and policy's context must outlive it. */
DS_CHECKED enum ds_status scp_start(struct scp **out, const struct dicom_listener_options *options,
                                    struct spool *spool, const struct scp_policy *policy,
                                    struct ds_error *err);
/* As dicom_listener_reload_tls. */
DS_CHECKED enum ds_status scp_reload_tls(struct scp *s, const struct dicom_tls *tls,
                                         struct ds_error *err);
uint16_t scp_port(const struct scp *s);
void scp_stop(struct scp *s, unsigned drain_ms); /* NULL is fine */

#endif

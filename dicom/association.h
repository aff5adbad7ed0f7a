/* SPDX-License-Identifier: Apache-2.0 */
/*
 * association - DICOM upper layer (PS3.8) and the DIMSE-C services (PS3.7) that the node uses.
 *
 * Both ends set TCP_NODELAY; the receiving end re-arms TCP_QUICKACK around its reads, because DCMTK
 * peers write header and body of a PDU apart and would wait 40 ms for our delayed acknowledgement.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATION_H
#define DICOMSTEGO_DICOM_ASSOCIATION_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* DIMSE status codes that we send (PS3.4 B.2.3, PS3.7 C). */
#define DICOM_STATUS_SUCCESS             0x0000U
#define DICOM_STATUS_OUT_OF_RESOURCES    0xa700U
#define DICOM_STATUS_MISMATCH            0xa900U
#define DICOM_STATUS_CANNOT_UNDERSTAND   0xc000U
#define DICOM_STATUS_CLASS_NOT_SUPPORTED 0x0122U
#define DICOM_STATUS_NOT_AUTHORIZED      0x0124U
#define DICOM_STATUS_UNKNOWN_OPERATION   0x0211U

/* TLS by BCP 195 profile; certificates are PEM. NULL pointer members: not used. */
struct dicom_tls {
    const char *key_path;
    const char *certificate_path;
    const char *const *trusted_paths; /* certificates or CAs of the peers */
    size_t trusted_count;
    bool require_peer_certificate; /* mutual */
};

/* ---- accepting ---- */

struct dicom_listener_options {
    const char *address;  /* bind address; NULL: all */
    uint16_t port;        /* 0: any free one, see dicom_listener_port */
    const char *ae_title; /* ours; other called titles are rejected unless any_called_ae */
    bool any_called_ae;
    unsigned max_associations;            /* more: rejected-transient, local limit exceeded */
    uint32_t max_pdu_bytes;               /* 0: the largest that DCMTK takes, 131072 */
    unsigned timeout_s;                   /* DIMSE and ACSE; 0: 60 */
    const char *const *transfer_syntaxes; /* accepted for storage, in order of preference; NULL: all
                                             that carry their pixels */
    size_t transfer_syntax_count;
    /* Refuse abstract syntaxes that are no storage class of the standard as we know it. Else all
     * are taken that do not belong to another service. */
    bool only_known_classes;
    const struct dicom_tls *tls; /* NULL: plain */
};

#define DICOM_KEY_ID_BYTES 8U

/* Who is on the other end; borrowed during the callbacks. */
struct dicom_peer {
    uint64_t association; /* counts up, for logs */
    char calling_ae[DICOM_AE_BYTES];
    char called_ae[DICOM_AE_BYTES];
    char address[64];
    bool tls;
    /* The first bytes of the SHA-256 of the certificate's SubjectPublicKeyInfo: an AE title is only
     * a claim, the key behind the TLS session is not. */
    bool has_key_id;
    uint8_t key_id[DICOM_KEY_ID_BYTES];
};

/* One C-STORE request as it begins. */
struct dicom_store_request {
    const struct dicom_peer *peer;
    const char *sop_class_uid;
    const char *sop_instance_uid;
    const char *transfer_syntax;
};

/* What the node does with what arrives. Called from the association's own thread; several at once.
 * No callback may throw or longjmp. */
struct dicom_service {
    void *context;
    /* false with a reason: association rejected (calling AE not recognised, or, when *transient is
     * set, local limit: try again). */
    bool (*admit)(void *context, const struct dicom_peer *peer, bool *transient);
    bool (*may_store)(void *context, const struct dicom_peer *peer);
    /* The data set's bytes follow through store_data in the order of arrival, as they came over
     * the wire. *sink is handed back to store_data and store_end. A DIMSE status other than 0000H
     * refuses: the bytes are then drained and the status is answered. */
    uint16_t (*store_begin)(void *context, const struct dicom_store_request *request, void **sink);
    /* A status other than 0000H stops writing: drained, then store_end(complete=false). */
    uint16_t (*store_data)(void *sink, const uint8_t *data, size_t len);
    /* Always called once after a store_begin that gave a sink. complete: all bytes came. Returns
     * the status to answer; 0000H only when the instance is on stable storage. */
    uint16_t (*store_end)(void *sink, bool complete);
    void (*closed)(void *context, const struct dicom_peer *peer, const char *how, unsigned stored);
};

struct dicom_listener;

/* Opens the port and serves on threads of its own until stopped. options, service copied. */
DS_CHECKED enum ds_status dicom_listener_start(struct dicom_listener **out,
                                               const struct dicom_listener_options *options,
                                               const struct dicom_service *service,
                                               struct ds_error *err);
uint16_t dicom_listener_port(const struct dicom_listener *l);
/* No new associations from now on; running ones get up to drain_ms to end, are then aborted. Joins
 * every thread and frees. NULL is fine. */
void dicom_listener_stop(struct dicom_listener *l, unsigned drain_ms);

/* ---- requesting ---- */

struct dicom_requestor_options {
    const char *host;
    uint16_t port;
    const char *calling_ae, *called_ae;
    unsigned timeout_s;     /* connect, ACSE and DIMSE; 0: 30 */
    uint32_t max_pdu_bytes; /* 0: 131072 */
    const struct dicom_tls *tls;
};

/* A presentation context to propose. Each syntax gets a context of its own, so that the acceptor
 * cannot choose another than the one the instance is in (PS3.8 9.3.2.2). */
struct dicom_context {
    const char *sop_class_uid;
    const char *transfer_syntax;
};

struct dicom_requestor;

/* Connects and negotiates. Verification is always proposed too, so at most 127 contexts fit:
 * DS_EINVAL. DS_EIO: network, or rejected-transient: retry. DS_EREFUSED: rejected for good.
 * DS_EAUTH: the peer's certificate is not trusted. With tls->trusted_count 0 and
 * require_peer_certificate false the peer is not verified at all. */
DS_CHECKED enum ds_status dicom_requestor_open(struct dicom_requestor **out,
                                               const struct dicom_requestor_options *options,
                                               const struct dicom_context *contexts, size_t count,
                                               struct ds_error *err);
/* Was this context accepted? */
bool dicom_requestor_accepts(const struct dicom_requestor *r, const char *sop_class_uid,
                             const char *transfer_syntax);
DS_CHECKED enum ds_status dicom_requestor_echo(struct dicom_requestor *r, struct ds_error *err);

/* Sends the bytes of a data set (no group 0002), already in transfer_syntax. *status: the DIMSE
 * status answered. The length is even; a deflated one of odd length is padded (PS3.5 A.5).
 * DS_EREFUSED: no accepted context. DS_EIO: the association is broken, it can only be closed. A
 * status that is an error is DS_OK here: the caller judges it. */
DS_CHECKED enum ds_status dicom_requestor_store(struct dicom_requestor *r,
                                                const char *sop_class_uid,
                                                const char *sop_instance_uid,
                                                const char *transfer_syntax, const uint8_t *data,
                                                size_t len, uint16_t *status, struct ds_error *err);
/* Releases (or aborts when broken) and frees. NULL is fine. */
void dicom_requestor_close(struct dicom_requestor *r);

#ifdef __cplusplus
}
#endif
#endif

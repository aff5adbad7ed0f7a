/* SPDX-License-Identifier: Apache-2.0 */
/*
 * association - DICOM upper layer (PS3.8) and the DIMSE-C services (PS3.7) that the node uses.
 *
 * Both ends set TCP_NODELAY, and TCP_QUICKACK before every wait for the peer, because DCMTK peers
 * write header and body of a PDU apart and would wait 40 ms for our delayed acknowledgement. A peer
 * that stalls costs its own thread, for as long as the timeout says.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATION_H
#define DICOMSTEGO_DICOM_ASSOCIATION_H

#include "dicom/dataset.h"
#include "dicom/sop_class.h"

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
/* Of queries and retrievals beside those (PS3.4 C.4.1.1.4, C.4.2.1.5, C.4.3.1.4). */
#define DICOM_STATUS_PENDING             0xff00U
#define DICOM_STATUS_PENDING_UNSUPPORTED 0xff01U /* optional keys that are not supported */
#define DICOM_STATUS_CANCEL              0xfe00U
#define DICOM_STATUS_CANNOT_COUNT        0xa701U /* out of resources, number of matches */
#define DICOM_STATUS_CANNOT_PERFORM      0xa702U /* out of resources, sub-operations */
#define DICOM_STATUS_UNKNOWN_DESTINATION 0xa801U
#define DICOM_STATUS_SOME_FAILED         0xb000U /* sub-operations complete, failures or warnings */
/* Of DIMSE-N (PS3.7 C.5, 10.1). */
#define DICOM_STATUS_PROCESSING_FAILURE  0x0110U
#define DICOM_STATUS_NO_SUCH_INSTANCE    0x0112U
#define DICOM_STATUS_NO_SUCH_EVENT       0x0113U
#define DICOM_STATUS_INVALID_ARGUMENT    0x0115U
#define DICOM_STATUS_NO_SUCH_CLASS       0x0118U
#define DICOM_STATUS_NO_SUCH_ACTION      0x0123U
#define DICOM_STATUS_RESOURCE_LIMITATION 0x0213U

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
    const char *const *more_ae_titles; /* that we answer to, too */
    size_t more_ae_title_count;
    unsigned max_associations; /* more: rejected-transient, local limit exceeded */
    uint32_t max_pdu_bytes;    /* 4096 to 1048576; 0: 131072 */
    unsigned timeout_s;        /* how long a peer may be silent, or below 1 KiB/s; 0: 60 */
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
    const char *move_originator; /* AE title of who asked for it by C-MOVE; "" when nobody did */
};

/* One N-ACTION or N-EVENT-REPORT request (PS3.7 10.1.4, 10.1.1) with its data set. The UIDs are
 * those of the command, "" where it has none. */
#define DICOM_MESSAGE_MAX_BYTES (4U * 1024U * 1024U)
struct dicom_message {
    const struct dicom_peer *peer; /* NULL where we have called it */
    const char *sop_class_uid, *sop_instance_uid;
    uint16_t type; /* Action Type ID or Event Type ID */
    const char *transfer_syntax;
    const uint8_t *data;
    size_t len;
};

/* An N-EVENT-REPORT that we owe a peer. */
struct dicom_report {
    uint64_t token;                               /* comes back with the answer */
    const char *sop_class_uid, *sop_instance_uid; /* static */
    uint16_t type;                                /* Event Type ID */
    struct ds_bytes *data;                        /* to append the data set to */
};

/* Numbers of sub-operations (PS3.4 C.4.2.1.6). */
struct dicom_counts {
    uint16_t remaining, completed, failed, warning;
};

struct dicom_operation;
struct dicom_operation_request;

/* What the node does with what arrives. Called from the association's own thread; several at once.
 * No callback may throw or longjmp. */
struct dicom_service {
    void *context;
    /* false with a reason: association rejected (calling AE not recognised, or, when *transient is
     * set, local limit: try again). */
    bool (*admit)(void *context, const struct dicom_peer *peer, bool *transient);
    /* May be NULL. A caller whose certificate TLS did not take: of the peer only the address is
     * known, and there is no association. */
    void (*untrusted)(void *context, const struct dicom_peer *peer);
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

    /* Storage commitment; all four or none, then its contexts are refused. The first two return the
     * status to answer. */
    uint16_t (*action)(void *context, const struct dicom_message *request);
    uint16_t (*event)(void *context, const struct dicom_message *report);
    /* Between messages of an association with a context for it, about every second: is there
     * something to report to this peer? The data set in transfer_syntax goes into out->data. */
    bool (*report)(void *context, const struct dicom_peer *peer, const char *transfer_syntax,
                   struct dicom_report *out);
    /* Once for each report: answered with a status, or not before the association ended. */
    void (*reported)(void *context, const struct dicom_peer *peer, uint64_t token, bool answered,
                     uint16_t status);

    /* Query and retrieval (dicom/operation.h). Contexts of a kind are accepted where its callback
     * is given and the peer may; may_query NULL: every peer may. What is not permitted any more
     * when it is asked for is answered 0124. */
    bool (*may_query)(void *context, const struct dicom_peer *peer, enum dicom_query_kind kind);
    void (*find)(void *context, const struct dicom_operation_request *request,
                 struct dicom_operation *operation);
    void (*move)(void *context, const struct dicom_operation_request *request,
                 struct dicom_operation *operation);
    void (*get)(void *context, const struct dicom_operation_request *request,
                struct dicom_operation *operation);
};

struct dicom_listener;

/* Opens the port and serves on threads of its own until stopped. options, service copied. */
DS_CHECKED enum ds_status dicom_listener_start(struct dicom_listener **out,
                                               const struct dicom_listener_options *options,
                                               const struct dicom_service *service,
                                               struct ds_error *err);
uint16_t dicom_listener_port(const struct dicom_listener *l);
/* Key, certificate and trusted certificates of connections to come; those that are open keep what
 * they were made with. On failure nothing has changed. DS_EINVAL: it was started without TLS. */
DS_CHECKED enum ds_status dicom_listener_reload_tls(struct dicom_listener *l,
                                                    const struct dicom_tls *tls,
                                                    struct ds_error *err);
/* No new associations from now on; running ones get up to drain_ms to end, are then aborted. Joins
 * every thread and frees. NULL is fine. */
void dicom_listener_stop(struct dicom_listener *l, unsigned drain_ms);

/* ---- requesting ---- */

struct dicom_requestor_options {
    const char *host;
    uint16_t port;
    const char *calling_ae, *called_ae;
    /* For connecting, TLS and negotiation together; then how long the peer may be silent, or below
     * 1 KiB/s, in either direction. 0: 30 */
    unsigned timeout_s;
    uint32_t max_pdu_bytes; /* 0: 131072 */
    const struct dicom_tls *tls;
    /* We report, or get: proposes the role of an SCP for all contexts but Verification and
     * Query/Retrieve (PS3.7 D.3.3.4). A peer that answers nothing to that is reported to all the
     * same. */
    bool as_scp;
    /* What is stored is stored for this C-MOVE of somebody else (PS3.7 9.1.1.1.7); NULL: none. */
    const char *move_originator;
    uint16_t move_message_id;
    /* NULL, or the operation that it is done for: ends like that one when the listener stops. */
    const struct dicom_operation *during;
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
/* Can another request go out? False once anything failed, and as soon as an idle peer has ended the
 * association: then it can only be closed. Does not wait. */
bool dicom_requestor_usable(struct dicom_requestor *r);
/* After DS_EIO: the peer ended the association or the connection, rather than being silent or
 * sending nonsense. When that was idle before, another one may well do. */
bool dicom_requestor_was_cut(const struct dicom_requestor *r);
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

/* N-ACTION; *status: what was answered. Then waits up to wait_s for an N-EVENT-REPORT on this
 * association, which is given to take, and answers what that returns; *reported: one came, maybe
 * before the response. A wait in vain, or a peer that leaves meanwhile, is DS_OK. Errors as for
 * dicom_requestor_store. */
DS_CHECKED enum ds_status
dicom_requestor_action(struct dicom_requestor *r, const struct dicom_message *request,
                       unsigned wait_s,
                       uint16_t (*take)(void *context, const struct dicom_message *report),
                       void *context, uint16_t *status, bool *reported, struct ds_error *err);
/* N-EVENT-REPORT; *status: what was answered. */
DS_CHECKED enum ds_status dicom_requestor_report(struct dicom_requestor *r,
                                                 const struct dicom_message *report,
                                                 uint16_t *status, struct ds_error *err);

/* One match; false ends the reading, and the association with it. */
typedef bool (*dicom_match_visit)(void *context, const struct dicom_dataset *match);
/* C-FIND (PS3.7 9.1.2) on the context of the class, in the native syntax that was accepted for it;
 * query is the identifier. *status: the final one; matches that came before it were visited. A
 * match of more than 1 MiB, or that cannot be parsed, is DS_EFORMAT, and the association can only
 * be closed. DS_EREFUSED, DS_EIO: as dicom_requestor_store. */
DS_CHECKED enum ds_status dicom_requestor_find(struct dicom_requestor *r, const char *class_uid,
                                               const struct dicom_dataset *query,
                                               dicom_match_visit visit, void *context,
                                               uint16_t *status, struct ds_error *err);
/* Releases (or aborts when broken) and frees. NULL is fine. */
void dicom_requestor_close(struct dicom_requestor *r);

#ifdef __cplusplus
}
#endif
#endif

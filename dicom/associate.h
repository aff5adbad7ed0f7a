/* SPDX-License-Identifier: Apache-2.0 */
/*
 * associate - the PDUs that begin an association: A-ASSOCIATE-RQ, -AC and -RJ (PS3.8 9.3.2 to
 * 9.3.4, annex D; PS3.7 annex D.3.3), bytes to struct and back.
 *
 * Whoever can connect can send these, so everything is checked before anything is taken: items fill
 * what surrounds them, numbers stand once, texts have room. What is read borrows from the bytes.
 *
 * Pure; any thread.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATE_H
#define DICOMSTEGO_DICOM_ASSOCIATE_H

#include "base/bytes.h"
#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_ASSOCIATE_MAX_BYTES (1024U * 1024U) /* 128 contexts with 50 syntaxes take 0.5 MB */
#define DICOM_CONTEXTS_MAX        128U            /* odd numbers of one byte */
#define DICOM_CONTEXT_SYNTAXES    50U             /* in one context */

#define DICOM_APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1" /* the only one there is: PS3.7 A.2.1 */

enum dicom_pdu_type {
    DICOM_PDU_ASSOCIATE_RQ = 1,
    DICOM_PDU_ASSOCIATE_AC = 2,
    DICOM_PDU_ASSOCIATE_RJ = 3,
    DICOM_PDU_DATA = 4,
    DICOM_PDU_RELEASE_RQ = 5,
    DICOM_PDU_RELEASE_RP = 6,
    DICOM_PDU_ABORT = 7,
};
#define DICOM_PDU_HEAD_BYTES 6U /* type, reserved, length: PS3.8 9.3.1 */

/* Result of one context (PS3.8 table 9-18). */
enum dicom_context_result {
    DICOM_CONTEXT_ACCEPTED = 0,
    DICOM_CONTEXT_USER_REJECTION = 1,
    DICOM_CONTEXT_NO_ABSTRACT_SYNTAX = 3,
    DICOM_CONTEXT_NO_TRANSFER_SYNTAX = 4,
};

/* Who may be SCU and who SCP of a class (PS3.7 D.3.3.4), of the requestor, as bits. */
#define DICOM_ROLE_SCU 1U
#define DICOM_ROLE_SCP 2U

#define DICOM_EXTENDED_MAX_BYTES 8U /* of query and retrieve there are at most six */

/* One presentation context. */
struct dicom_presentation {
    uint8_t id; /* odd */
    char abstract_syntax[DICOM_UID_BYTES];
    struct ds_cursor syntaxes; /* proposed: what dicom_presentation_next reads */
    bool has_roles;            /* a role selection item named the class */
    unsigned roles;            /* DICOM_ROLE_* proposed there */
    struct ds_cursor extended; /* service class application information (PS3.7 D.3.3.5); or empty */
};

struct dicom_associate_request {
    bool version_1; /* bit 0 of the protocol version: PS3.8 9.3.2 */
    char called_ae[DICOM_AE_BYTES], calling_ae[DICOM_AE_BYTES]; /* without padding */
    char application_context[DICOM_UID_BYTES];
    uint32_t max_pdu_bytes; /* that the requestor takes; 0: any (PS3.8 D.1) */
    size_t count;
    struct dicom_presentation contexts[DICOM_CONTEXTS_MAX];
};

/* body: what follows the six-byte head. DS_EFORMAT with what is wrong: an AE title of nothing,
 * items that do not fill what surrounds them, a UID longer than 64 characters, a context whose
 * number is even or stands twice, or that has not one abstract and 1 to DICOM_CONTEXT_SYNTAXES
 * transfer syntaxes. Items of unknown types are passed over (PS3.8 9.3.1). *out borrows body. */
DS_CHECKED enum ds_status dicom_associate_request_parse(const uint8_t *body, size_t len,
                                                        struct dicom_associate_request *out,
                                                        struct ds_error *err);

/* The next transfer syntax of a context; false: no more. Start with a copy of its cursor. */
bool dicom_presentation_next(struct ds_cursor *syntaxes, char out[DICOM_UID_BYTES]);

/* What a requestor proposes as one context. */
struct dicom_proposal {
    uint8_t id;
    const char *abstract_syntax;
    const char *syntax, *other_syntax; /* the second may be NULL */
    unsigned roles;                    /* DICOM_ROLE_* beside the default of SCU; 0: no item */
};

/* Appends the whole PDU. Titles have 1 to 16 characters. */
DS_CHECKED enum ds_status
dicom_associate_request_encode(const char *called_ae, const char *calling_ae,
                               uint32_t max_pdu_bytes, const struct dicom_proposal *proposals,
                               size_t count, struct ds_bytes *out, struct ds_error *err);

/* The answer to one context. */
struct dicom_context_answer {
    uint8_t id;
    uint8_t result; /* enum dicom_context_result */
    char transfer_syntax[DICOM_UID_BYTES];
    char abstract_syntax[DICOM_UID_BYTES]; /* written into role items only; not read */
    bool has_roles;
    unsigned roles; /* accepted */
    /* Service class application information, written where extended_len > 0; not read. */
    uint8_t extended[DICOM_EXTENDED_MAX_BYTES];
    size_t extended_len;
};

/* Appends the whole PDU. The titles go back as they came: title_bytes are the 64 bytes behind the
 * protocol version and its reserved bytes (PS3.8 9.3.3). */
DS_CHECKED enum ds_status dicom_associate_accept_encode(const uint8_t title_bytes[64],
                                                        uint32_t max_pdu_bytes,
                                                        const struct dicom_context_answer *answers,
                                                        size_t count, struct ds_bytes *out,
                                                        struct ds_error *err);

struct dicom_associate_accept {
    uint32_t max_pdu_bytes;
    size_t count;
    struct dicom_context_answer answers[DICOM_CONTEXTS_MAX];
    struct ds_cursor user; /* borrowed: for dicom_associate_roles */
};

/* As dicom_associate_request_parse, for what an acceptor answered. */
DS_CHECKED enum ds_status dicom_associate_accept_parse(const uint8_t *body, size_t len,
                                                       struct dicom_associate_accept *out,
                                                       struct ds_error *err);

/* The roles that user information names for a class; false: none. */
bool dicom_associate_roles(struct ds_cursor user, const char *abstract_syntax, unsigned *roles);

/* Result, source, reason: PS3.8 table 9-21. */
struct dicom_rejection {
    uint8_t result, source, reason;
};
#define DICOM_REJECTED_FOR_GOOD 1U
#define DICOM_REJECTED_FOR_NOW  2U
/* A short text; never NULL. */
const char *dicom_rejection_text(struct dicom_rejection r);

#ifdef __cplusplus
}
#endif
#endif

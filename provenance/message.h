/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message - an audit message in the form of DICOM PS3.15 A.5, for an audit record repository.
 *
 * What a message says stands in struct provenance_message; provenance_message_write makes the XML
 * of A.5.1 of it: EventIdentification, ActiveParticipant, AuditSourceIdentification,
 * ParticipantObjectIdentification, in this order. Codes are those of PS3.16 CID 400 (events), 401
 * (types), 402 (roles) and 404 (objects). Which event of ours becomes which message is the node's
 * to say (docs/audit-messages.md). Pure; strings are borrowed, and may be anything.
 */
#ifndef DICOMSTEGO_PROVENANCE_MESSAGE_H
#define DICOMSTEGO_PROVENANCE_MESSAGE_H

#include "base/bytes.h"

enum provenance_audit_event {
    PROVENANCE_APPLICATION_ACTIVITY, /* 110100 */
    PROVENANCE_BEGIN_TRANSFERRING,   /* 110102 */
    PROVENANCE_INSTANCES_ACCESSED,   /* 110103 */
    PROVENANCE_TRANSFERRED,          /* 110104 */
    PROVENANCE_STUDY_DELETED,        /* 110105 */
    PROVENANCE_EXPORT,               /* 110106 */
    PROVENANCE_IMPORT,               /* 110107 */
    PROVENANCE_QUERY,                /* 110112 */
    PROVENANCE_SECURITY_ALERT,       /* 110113 */
    PROVENANCE_USER_AUTHENTICATION,  /* 110114 */
};
enum provenance_audit_type {
    PROVENANCE_NO_TYPE,
    PROVENANCE_APPLICATION_START,   /* 110120 */
    PROVENANCE_APPLICATION_STOP,    /* 110121 */
    PROVENANCE_NODE_AUTHENTICATION, /* 110126 */
    PROVENANCE_RESTRICTED_FUNCTION, /* 110132 */
    PROVENANCE_OBJECT_SECURITY,     /* 110135 */
};
enum provenance_role {
    PROVENANCE_NO_ROLE,
    PROVENANCE_APPLICATION,       /* 110150 */
    PROVENANCE_DESTINATION,       /* 110152 */
    PROVENANCE_SOURCE,            /* 110153 */
    PROVENANCE_DESTINATION_MEDIA, /* 110154 */
};

struct provenance_participant {
    enum provenance_role role;
    const char *user_id;  /* required */
    const char *ae_title; /* AlternativeUserID "AETITLES=..."; NULL: none */
    bool is_requestor;
    const char *address; /* an IP address or a machine's name; NULL: none */
};
#define PROVENANCE_PARTICIPANTS_MAX 3U

struct provenance_sop_class {
    const char *uid;
    uint64_t instances;
};
#define PROVENANCE_SOP_CLASSES_MAX 16U

struct provenance_message {
    enum provenance_audit_event event;
    enum provenance_audit_type type;
    char action;             /* 'C' create, 'R' read, 'U' update, 'D' delete, 'E' execute */
    unsigned outcome;        /* 0 success, 4 minor, 8 serious, 12 major failure */
    int64_t at_us;           /* UTC */
    const char *description; /* EventOutcomeDescription: words of our own; NULL: none */
    struct provenance_participant participants[PROVENANCE_PARTICIPANTS_MAX];
    size_t participant_count;                /* at least 1 */
    const char *source_id, *enterprise_site; /* of the audit source; site may be NULL */
    /* The study and the patient, when known; NULL or "": none. */
    const char *study_uid, *accession, *patient_id;
    struct provenance_sop_class sop_classes[PROVENANCE_SOP_CLASSES_MAX];
    size_t sop_class_count;
    /* Of a query: the SOP class of the model, and the identifier. */
    const char *query_class;
    const char *query; /* NULL: none */
    /* The rows of the provenance log that this message tells of, as "17-44,46"; NULL: none. */
    const char *log_rows;
};

/* Appends the XML document. DS_EINVAL: a message without participant. */
DS_CHECKED enum ds_status provenance_message_write(const struct provenance_message *m,
                                                   struct ds_bytes *out, struct ds_error *err);

#endif

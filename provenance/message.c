/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/message.h"

#include "base/clock.h"
#include "provenance/xml.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct code {
    const char *value, *scheme, *meaning;
};

static const struct code events[] = {
    [PROVENANCE_APPLICATION_ACTIVITY] = {"110100", "DCM", "Application Activity"},
    [PROVENANCE_BEGIN_TRANSFERRING] = {"110102", "DCM", "Begin Transferring DICOM Instances"},
    [PROVENANCE_INSTANCES_ACCESSED] = {"110103", "DCM", "DICOM Instances Accessed"},
    [PROVENANCE_TRANSFERRED] = {"110104", "DCM", "DICOM Instances Transferred"},
    [PROVENANCE_STUDY_DELETED] = {"110105", "DCM", "DICOM Study Deleted"},
    [PROVENANCE_EXPORT] = {"110106", "DCM", "Export"},
    [PROVENANCE_IMPORT] = {"110107", "DCM", "Import"},
    [PROVENANCE_QUERY] = {"110112", "DCM", "Query"},
    [PROVENANCE_SECURITY_ALERT] = {"110113", "DCM", "Security Alert"},
    [PROVENANCE_USER_AUTHENTICATION] = {"110114", "DCM", "User Authentication"},
};
static const struct code types[] = {
    [PROVENANCE_NO_TYPE] = {NULL, NULL, NULL},
    [PROVENANCE_APPLICATION_START] = {"110120", "DCM", "Application Start"},
    [PROVENANCE_APPLICATION_STOP] = {"110121", "DCM", "Application Stop"},
    [PROVENANCE_NODE_AUTHENTICATION] = {"110126", "DCM", "Node Authentication"},
    [PROVENANCE_RESTRICTED_FUNCTION] = {"110132", "DCM", "Use of Restricted Function"},
    [PROVENANCE_OBJECT_SECURITY] = {"110135", "DCM", "Object Security Attributes Changed"},
};
static const struct code roles[] = {
    [PROVENANCE_NO_ROLE] = {NULL, NULL, NULL},
    [PROVENANCE_APPLICATION] = {"110150", "DCM", "Application"},
    [PROVENANCE_DESTINATION] = {"110152", "DCM", "Destination Role ID"},
    [PROVENANCE_SOURCE] = {"110153", "DCM", "Source Role ID"},
    [PROVENANCE_DESTINATION_MEDIA] = {"110154", "DCM", "Destination Media"},
};
static const struct code study_id = {"110180", "DCM", "Study Instance UID"};
static const struct code class_id = {"110181", "DCM", "SOP Class UID"};
static const struct code node_id = {"110182", "DCM", "Node ID"};
static const struct code patient_number = {"2", "RFC-3881", "Patient Number"};

/* A CodedValueType; nothing for one that is not there. */
static void put_code(struct xml *x, const char *element, const struct code *c)
{
    if (c->value == NULL) {
        return;
    }
    xml_open(x, element);
    xml_attribute(x, "csd-code", c->value);
    xml_attribute(x, "codeSystemName", c->scheme);
    xml_attribute(x, "originalText", c->meaning);
    xml_close(x);
}

static void put_event(struct xml *x, const struct provenance_message *m)
{
    char when[DS_CLOCK_TEXT_BYTES];
    const char action[] = {m->action, '\0'};
    ds_clock_format_utc(m->at_us, when);
    xml_open(x, "EventIdentification");
    xml_attribute(x, "EventActionCode", action);
    xml_attribute(x, "EventDateTime", when);
    xml_attribute_int(x, "EventOutcomeIndicator", m->outcome);
    put_code(x, "EventID", &events[m->event]);
    put_code(x, "EventTypeCode", &types[m->type]);
    if (m->description != NULL) {
        xml_open(x, "EventOutcomeDescription");
        xml_text(x, m->description);
        xml_close(x);
    }
    xml_close(x);
}

/* Digits and dots, or a colon: an address and no name. */
static bool is_address(const char *text)
{
    return strchr(text, ':') != NULL || text[strspn(text, "0123456789.")] == '\0';
}

static void put_participant(struct xml *x, const struct provenance_participant *p)
{
    char titles[80];
    xml_open(x, "ActiveParticipant");
    xml_attribute(x, "UserID", p->user_id);
    if (p->ae_title != NULL) {
        (void)snprintf(titles, sizeof(titles), "AETITLES=%.64s", p->ae_title);
        xml_attribute(x, "AlternativeUserID", titles);
    }
    xml_attribute(x, "UserIsRequestor", p->is_requestor ? "true" : "false");
    if (p->address != NULL && p->address[0] != '\0') {
        xml_attribute(x, "NetworkAccessPointID", p->address);
        xml_attribute(x, "NetworkAccessPointTypeCode", is_address(p->address) ? "2" : "1");
    }
    put_code(x, "RoleIDCode", &roles[p->role]);
    xml_close(x);
}

static void put_source(struct xml *x, const struct provenance_message *m)
{
    xml_open(x, "AuditSourceIdentification");
    xml_attribute(x, "AuditEnterpriseSiteID", m->enterprise_site);
    xml_attribute(x, "AuditSourceID", m->source_id);
    xml_close(x);
}

/* ---- objects ---- */

static void begin_object(struct xml *x, const char *id, const char *type, const char *role,
                         const struct code *code)
{
    xml_open(x, "ParticipantObjectIdentification");
    xml_attribute(x, "ParticipantObjectID", id);
    xml_attribute(x, "ParticipantObjectTypeCode", type);
    xml_attribute(x, "ParticipantObjectTypeCodeRole", role);
    put_code(x, "ParticipantObjectIDTypeCode", code);
}

/* The schema wants a name where there is no query; a person's or a study's name is not told. */
static void put_no_name(struct xml *x)
{
    xml_open(x, "ParticipantObjectName");
    xml_close(x);
}

/* Of xsd:base64Binary, as every detail is. */
static void put_base64(struct xml *x, const char *text, const char *attribute)
{
    const size_t len = strlen(text);
    unsigned char *base64 = len > 1024U * 1024U ? NULL : malloc(len / 3 * 4 + 8);
    if (base64 == NULL) {
        x->status = x->status == DS_OK ? DS_ENOMEM : x->status;
        return;
    }
    (void)EVP_EncodeBlock(base64, (const unsigned char *)text, (int)len);
    if (attribute != NULL) {
        xml_attribute(x, attribute, (const char *)base64);
    } else {
        xml_text(x, (const char *)base64);
    }
    free(base64);
}

static void put_detail(struct xml *x, const char *type, const char *value)
{
    if (value == NULL) {
        return;
    }
    xml_open(x, "ParticipantObjectDetail");
    xml_attribute(x, "type", type);
    put_base64(x, value, "value");
    xml_close(x);
}

static void put_study(struct xml *x, const struct provenance_message *m)
{
    begin_object(x, m->study_uid, "2", "3", &study_id);
    put_no_name(x);
    put_detail(x, "provenance rows", m->log_rows);
    xml_open(x, "ParticipantObjectDescription");
    if (m->accession != NULL && m->accession[0] != '\0') {
        xml_open(x, "Accession");
        xml_attribute(x, "Number", m->accession);
        xml_close(x);
    }
    for (size_t i = 0; i < m->sop_class_count; i++) {
        xml_open(x, "SOPClass");
        xml_attribute(x, "UID", m->sop_classes[i].uid);
        xml_attribute_int(x, "NumberOfInstances", (int64_t)m->sop_classes[i].instances);
        xml_close(x);
    }
    xml_close(x);
    xml_close(x);
}

static void put_patient(struct xml *x, const struct provenance_message *m)
{
    begin_object(x, m->patient_id, "1", "1", &patient_number);
    put_no_name(x);
    xml_close(x);
}

static void put_query(struct xml *x, const struct provenance_message *m)
{
    begin_object(x, m->query_class, "2", "3", &class_id);
    xml_open(x, "ParticipantObjectQuery");
    put_base64(x, m->query, NULL);
    xml_close(x);
    xml_close(x);
}

/* What has no study still says where it is written down. */
static void put_log(struct xml *x, const struct provenance_message *m)
{
    begin_object(x, m->source_id, "2", "13", &node_id);
    put_no_name(x);
    put_detail(x, "provenance rows", m->log_rows);
    xml_close(x);
}

static bool has(const char *text)
{
    return text != NULL && text[0] != '\0';
}

enum ds_status provenance_message_write(const struct provenance_message *m, struct ds_bytes *out,
                                        struct ds_error *err)
{
    if (m->participant_count == 0 || m->participant_count > PROVENANCE_PARTICIPANTS_MAX ||
        m->sop_class_count > PROVENANCE_SOP_CLASSES_MAX) {
        return ds_fail(err, DS_EINVAL, "an audit message has 1 to %u participants",
                       PROVENANCE_PARTICIPANTS_MAX);
    }
    struct xml x = xml_begin(out);
    xml_open(&x, "AuditMessage");
    put_event(&x, m);
    for (size_t i = 0; i < m->participant_count; i++) {
        put_participant(&x, &m->participants[i]);
    }
    put_source(&x, m);
    if (m->query != NULL) {
        put_query(&x, m);
    }
    if (has(m->study_uid)) {
        put_study(&x, m);
    } else if (m->log_rows != NULL) {
        put_log(&x, m);
    }
    if (has(m->patient_id)) {
        put_patient(&x, m);
    }
    xml_close(&x);
    return xml_end(&x, err);
}

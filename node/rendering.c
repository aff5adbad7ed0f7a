/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rendering.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Of the rows in one message: many receivers take no more than 8 KiB of it (RFC 5425 4.3.1). */
#define ROWS_BYTES 1024U
#define OPERATOR   "operator "

/* Who takes part. */
enum cast {
    OURSELVES,
    FROM_SENDER, /* the actor is the AE title that sent to us */
    TO_PEER,     /* we send to the peer */
    FOR_ANOTHER, /* as TO_PEER, and the actor is the AE title that asked for it */
    BY_OPERATOR, /* only of events whose actor is an operator */
};

static const struct telling {
    const char *kind; /* of the event */
    const char *only; /* the event's outcome; NULL: any. The first that fits counts */
    enum provenance_audit_event event;
    enum provenance_audit_type type;
    char action;
    unsigned outcome;
    enum cast cast;
    bool is_urgent;
    const char *description;
} tellings[] = {
    {"node-started", NULL, PROVENANCE_APPLICATION_ACTIVITY, PROVENANCE_APPLICATION_START, 'E', 0,
     OURSELVES, true, NULL},
    {"node-stopped", NULL, PROVENANCE_APPLICATION_ACTIVITY, PROVENANCE_APPLICATION_STOP, 'E', 0,
     OURSELVES, true, NULL},
    {"received", NULL, PROVENANCE_TRANSFERRED, PROVENANCE_NO_TYPE, 'C', 0, FROM_SENDER, false,
     NULL},
    {"duplicate", NULL, PROVENANCE_TRANSFERRED, PROVENANCE_NO_TYPE, 'R', 0, FROM_SENDER, false,
     "the receiver had it already"},
    {"planned", NULL, PROVENANCE_BEGIN_TRANSFERRING, PROVENANCE_NO_TYPE, 'E', 0, TO_PEER, false,
     NULL},
    {"sent", NULL, PROVENANCE_TRANSFERRED, PROVENANCE_NO_TYPE, 'C', 0, TO_PEER, false, NULL},
    {"send-failed", NULL, PROVENANCE_TRANSFERRED, PROVENANCE_NO_TYPE, 'C', 8, TO_PEER, false,
     "the transfer failed"},
    {"retrieved", NULL, PROVENANCE_TRANSFERRED, PROVENANCE_NO_TYPE, 'R', 0, FOR_ANOTHER, false,
     NULL},
    {"queried", NULL, PROVENANCE_QUERY, PROVENANCE_NO_TYPE, 'E', 0, FROM_SENDER, false, NULL},
    {"recovered", NULL, PROVENANCE_INSTANCES_ACCESSED, PROVENANCE_NO_TYPE, 'C', 0, OURSELVES, false,
     "restored from a carrier"},
    {"report-received", NULL, PROVENANCE_IMPORT, PROVENANCE_NO_TYPE, 'C', 0, OURSELVES, false,
     "a report of the study"},
    {"exported", NULL, PROVENANCE_EXPORT, PROVENANCE_NO_TYPE, 'R', 0, BY_OPERATOR, true,
     "written to a file by an operator"},
    {"deleted", NULL, PROVENANCE_STUDY_DELETED, PROVENANCE_NO_TYPE, 'D', 0, OURSELVES, false,
     "by the rule's retention"},
    {"discarded", NULL, PROVENANCE_STUDY_DELETED, PROVENANCE_NO_TYPE, 'D', 0, BY_OPERATOR, true,
     "discarded from quarantine"},
    {"refused", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_OBJECT_SECURITY, 'E', 8, OURSELVES,
     true, "a carrier did not verify"},
    {"quarantined", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_OBJECT_SECURITY, 'E', 4, OURSELVES,
     true, "taken out of the flow"},
    {"conflict", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_OBJECT_SECURITY, 'E', 4, OURSELVES,
     true, "other contents came under a known SOP Instance UID"},
    {"released", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_RESTRICTED_FUNCTION, 'E', 0,
     BY_OPERATOR, true, "released from quarantine"},
    {"requeued", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_RESTRICTED_FUNCTION, 'E', 0,
     BY_OPERATOR, false, "delivery asked for again"},
    {"cancelled", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_RESTRICTED_FUNCTION, 'E', 0,
     BY_OPERATOR, false, "delivery cancelled"},
    {"peer-paused", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_RESTRICTED_FUNCTION, 'E', 0,
     BY_OPERATOR, false, "deliveries to a peer stopped"},
    {"peer-resumed", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_RESTRICTED_FUNCTION, 'E', 0,
     BY_OPERATOR, false, "deliveries to a peer go on"},
    {"complete-asked", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_RESTRICTED_FUNCTION, 'E', 0,
     BY_OPERATOR, false, "study said to be complete"},
    {"association-refused", NULL, PROVENANCE_USER_AUTHENTICATION, PROVENANCE_NODE_AUTHENTICATION,
     'E', 4, FROM_SENDER, true, "association refused"},
    {"retrieve-failed", NULL, PROVENANCE_TRANSFERRED, PROVENANCE_NO_TYPE, 'R', 8, FOR_ANOTHER,
     false, "the transfer failed"},
    {"read-back", "intact", PROVENANCE_INSTANCES_ACCESSED, PROVENANCE_NO_TYPE, 'R', 0, TO_PEER,
     false, "read back from the peer, as it was sent"},
    {"read-back", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_OBJECT_SECURITY, 'E', 8, TO_PEER,
     true, "the peer does not have what it was sent"},
    {"log-damaged", NULL, PROVENANCE_SECURITY_ALERT, PROVENANCE_OBJECT_SECURITY, 'E', 12, OURSELVES,
     true, "the provenance log was changed"},
};

static const struct telling *telling_of(const struct db_told *e)
{
    const bool by_operator = strncmp(e->actor, OPERATOR, strlen(OPERATOR)) == 0;
    const bool by_node = strcmp(e->actor, "node") == 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(tellings); i++) {
        const struct telling *t = &tellings[i];
        const bool fits = t->only == NULL || strcmp(t->only, e->outcome) == 0;
        if (fits && strcmp(t->kind, e->kind) == 0) {
            /* What the node does for the same reason is told of by another event. */
            const bool other =
                (t->cast == BY_OPERATOR && !by_operator) || (t->cast == FROM_SENDER && by_node);
            return other ? NULL : t;
        }
    }
    return NULL;
}

bool rendering_tells(const struct db_told *event)
{
    return telling_of(event) != NULL;
}

bool rendering_is_urgent(const struct db_told *event)
{
    const struct telling *t = telling_of(event);
    return t != NULL && t->is_urgent;
}

/* ---- participants ---- */

static void add(struct provenance_message *m, const struct provenance_participant *p)
{
    if (m->participant_count < PROVENANCE_PARTICIPANTS_MAX) {
        m->participants[m->participant_count++] = *p;
    }
}

static void add_ourselves(const struct rendering *r, struct provenance_message *m,
                          enum provenance_role role, bool is_requestor)
{
    const struct provenance_participant p = {.role = role,
                                             .user_id = r->config->ae_title,
                                             .ae_title = r->config->ae_title,
                                             .is_requestor = is_requestor,
                                             .address = r->machine};
    add(m, &p);
}

/* Named as in the configuration or by its AE title. */
static const struct config_peer *peer_of(const struct config *c, const char *name)
{
    const struct config_peer *named = config_peer_named(c, name);
    for (size_t i = 0; named == NULL && i < c->peer_count; i++) {
        named = strcmp(c->peers[i].ae_title, name) == 0 ? &c->peers[i] : NULL;
    }
    return named;
}

static void add_peer(const struct rendering *r, struct provenance_message *m,
                     const struct db_told *e, bool is_requestor)
{
    const struct config_peer *peer = peer_of(r->config, e->peer);
    const char *ae = peer != NULL ? peer->ae_title : e->peer;
    const struct provenance_participant p = {.role = PROVENANCE_DESTINATION,
                                             .user_id = ae,
                                             .ae_title = ae,
                                             .is_requestor = is_requestor,
                                             .address = peer != NULL ? peer->host : NULL};
    add(m, &p);
}

static void add_sender(struct provenance_message *m, const struct db_told *e, const char *address)
{
    const struct provenance_participant p = {.role = PROVENANCE_SOURCE,
                                             .user_id = e->actor,
                                             .ae_title = e->actor,
                                             .is_requestor = true,
                                             .address = address};
    add(m, &p);
}

/* Who asked that another is sent something. */
static void add_requestor(struct provenance_message *m, const struct db_told *e)
{
    const struct provenance_participant p = {
        .user_id = e->actor, .ae_title = e->actor, .is_requestor = true};
    if (strcmp(e->peer, e->actor) != 0) {
        add(m, &p);
    }
}

static void add_operator(const struct rendering *r, struct provenance_message *m,
                         const struct db_told *e)
{
    const struct provenance_participant p = {
        .user_id = e->actor + strlen(OPERATOR), .is_requestor = true, .address = r->machine};
    add(m, &p);
    if (m->event == PROVENANCE_EXPORT) {
        const struct provenance_participant media = {.role = PROVENANCE_DESTINATION_MEDIA,
                                                     .user_id = "file"};
        add(m, &media);
    }
}

static void put_cast(const struct rendering *r, enum cast cast, const struct db_told *e,
                     const char *address, struct provenance_message *m)
{
    switch (cast) {
    case OURSELVES:
        add_ourselves(r, m, PROVENANCE_APPLICATION, true);
        break;
    case FROM_SENDER:
        add_sender(m, e, address);
        add_ourselves(r, m, PROVENANCE_DESTINATION, false);
        break;
    case TO_PEER:
        add_ourselves(r, m, PROVENANCE_SOURCE, true);
        add_peer(r, m, e, false);
        break;
    case FOR_ANOTHER:
        add_ourselves(r, m, PROVENANCE_SOURCE, false);
        add_peer(r, m, e, strcmp(e->peer, e->actor) == 0);
        add_requestor(m, e);
        break;
    case BY_OPERATOR:
        add_operator(r, m, e);
        add_ourselves(r, m, PROVENANCE_APPLICATION, false);
        break;
    }
}

/* ---- joining ---- */

static bool joins(const struct db_told *a, const struct db_told *b)
{
    return strcmp(a->kind, b->kind) == 0 && strcmp(a->study_uid, b->study_uid) == 0 &&
           strcmp(a->peer, b->peer) == 0 && strcmp(a->actor, b->actor) == 0 &&
           strcmp(a->outcome, b->outcome) == 0;
}

/* What has no study is told one by one: its detail is its own. */
static bool may_join(const struct db_told *a, const struct db_told *b)
{
    return a->study_uid[0] != '\0' && strcmp(a->kind, "queried") != 0 && joins(a, b);
}

/* Rows as "17-44,46"; they come in rising order. */
struct rows {
    char text[ROWS_BYTES];
    size_t len;       /* without the range that is open */
    int64_t from, to; /* the open range; from 0: none */
};

static void append_range(struct rows *r)
{
    char range[48];
    const int n =
        r->from == r->to
            ? snprintf(range, sizeof(range), "%s%lld", r->len > 0 ? "," : "", (long long)r->from)
            : snprintf(range, sizeof(range), "%s%lld-%lld", r->len > 0 ? "," : "",
                       (long long)r->from, (long long)r->to);
    memcpy(r->text + r->len, range, (size_t)n + 1); /* rows_has_room: it fits */
    r->len += (size_t)n;
}

static bool rows_has_room(const struct rows *r)
{
    return r->len + 2 * 48 < sizeof(r->text);
}

static void rows_add(struct rows *r, int64_t row)
{
    if (r->from != 0 && row == r->to + 1) {
        r->to = row;
        return;
    }
    if (r->from != 0) {
        append_range(r);
    }
    r->from = row;
    r->to = row;
}

static bool count_class(struct provenance_message *m, const char *uid)
{
    for (size_t i = 0; i < m->sop_class_count; i++) {
        if (strcmp(m->sop_classes[i].uid, uid) == 0) {
            m->sop_classes[i].instances++;
            return true;
        }
    }
    if (uid[0] != '\0' && m->sop_class_count < PROVENANCE_SOP_CLASSES_MAX) {
        m->sop_classes[m->sop_class_count++] = (struct provenance_sop_class){uid, 1};
        return true;
    }
    return uid[0] == '\0';
}

/* As many as fit; the others have a message of their own. */
static void join_all(const struct db_told *events, size_t count, size_t first, bool *done,
                     struct provenance_message *m, struct rows *rows)
{
    for (size_t i = first; i < count; i++) {
        const bool is_one_of_them =
            !done[i] && (i == first || may_join(&events[first], &events[i]));
        if (!is_one_of_them) {
            continue;
        }
        if (!rows_has_room(rows) || !count_class(m, events[i].sop_class_uid)) {
            break;
        }
        rows_add(rows, events[i].event_id);
        done[i] = true;
        if (m->event != PROVENANCE_BEGIN_TRANSFERRING) {
            m->at_us = events[i].at_us; /* a transfer is over with its last instance */
        }
    }
}

/* ---- all of it ---- */

static const char *detail_text(const json_t *detail, const char *member)
{
    return json_string_value(json_object_get(detail, member));
}

/* PS3.4 C.6.1.3 and C.6.2.3. Of the query itself the provenance knows the level and the names of
 * the keys, not for whom was looked. */
static void put_query(struct provenance_message *m, const struct db_told *e, const json_t *detail)
{
    if (m->event == PROVENANCE_QUERY) {
        const char *model = detail_text(detail, "model");
        m->query_class = model != NULL && strcmp(model, "patient root") == 0
                             ? "1.2.840.10008.5.1.4.1.2.1.1"
                             : "1.2.840.10008.5.1.4.1.2.2.1";
        m->query = e->detail;
    }
}

enum ds_status rendering_message(const struct rendering *r, const struct db_told *events,
                                 size_t count, size_t first, bool *done, struct ds_bytes *out,
                                 struct ds_error *err)
{
    const struct db_told *e = &events[first];
    const struct telling *t = telling_of(e);
    if (t == NULL) {
        return ds_fail(err, DS_EINVAL, "an event that is not told");
    }
    struct provenance_message m = {.event = t->event,
                                   .type = t->type,
                                   .action = t->action,
                                   .outcome = t->outcome,
                                   .at_us = e->at_us,
                                   .description = t->description,
                                   .source_id = r->config->ae_title,
                                   .enterprise_site = r->config->site,
                                   .study_uid = e->study_uid,
                                   .accession = e->accession,
                                   .patient_id = e->patient_id};
    struct rows rows = {.len = 0};
    json_t *detail = json_loads(e->detail, 0, NULL); /* NULL: no detail */
    put_cast(r, t->cast, e, detail_text(detail, "address"), &m);
    put_query(&m, e, detail);
    join_all(events, count, first, done, &m, &rows);
    append_range(&rows);
    m.log_rows = rows.text;
    const enum ds_status s = provenance_message_write(&m, out, err);
    json_decref(detail);
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - the identifier of a C-FIND request, checked, as a question to the database
 * (PS3.4 C.4.1.2, C.2.2.2).
 */
#ifndef DICOMSTEGO_NODE_QUERY_H
#define DICOMSTEGO_NODE_QUERY_H

#include "db/find.h"
#include "dicom/identifier.h"
#include "dicom/operation.h"
#include "dicom/query_key.h"

#define QUERY_COMMENT_BYTES 65U /* of an Error Comment (PS3.7 annex E) */

/* How one key of the request is answered. */
enum query_answer {
    QUERY_ANSWER_EMPTY,    /* not supported, or known only below */
    QUERY_ANSWER_FOUND,    /* what the database says: the attribute wanted at index */
    QUERY_ANSWER_SEQUENCE, /* likewise, a sequence as JSON */
    QUERY_ANSWER_AVAILABILITY,
    QUERY_ANSWER_NOTHING, /* in every answer, or in none, or it comes with its sequence */
};

struct query {
    struct dicom_identifier identifier;
    enum dicom_level level;
    bool has_unsupported;                      /* pending answers say so: FF01H */
    enum query_answer answers[DICOM_KEYS_MAX]; /* beside identifier.keys */
    size_t indexes[DICOM_KEYS_MAX];            /* of wanted */
    struct db_wanted wanted[DB_WANTED_MAX];
    size_t wanted_count;
    struct db_condition conditions[DB_CONDITIONS_MAX];
    size_t condition_count;
    struct query_text *texts; /* all values of conditions */
};

/* Why a request is refused. */
struct query_refusal {
    uint16_t status; /* A900H, A700H or C000H; 0: out of memory */
    dicom_tag element;
    char comment[QUERY_COMMENT_BYTES];
};

/* False: *why says what to answer. query_free in either case. fuzzy: names of patients are compared
 * by their words and how they sound. */
bool query_read(struct query *q, const struct dicom_operation_request *request, bool fuzzy,
                struct query_refusal *why);
void query_free(struct query *q);

#endif

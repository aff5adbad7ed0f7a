/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find - what peers ask for by C-FIND (PS3.4 C.2.2.2, C.4.1): conditions over the attributes of
 * patients, studies, series and instances, and the attributes of those that match.
 *
 * Shown is what lies in our archive, neither deleted nor in quarantine, of the kinds that are asked
 * for; of several instances with one SOP Instance UID the newest. A study or series without such an
 * instance is not there. Matches come in the order in which they were indexed. They are read in
 * pages: no connection is held, and no statement runs, while the caller passes one on.
 *
 * A tag is group << 16 | element. Values are UTF-8. The attributes of a level are a JSON object by
 * tag (eight hexadecimal digits, upper case); a person's name stands there a second time, as it is
 * compared, by tag and "k". Any thread.
 */
#ifndef DICOMSTEGO_DB_FIND_H
#define DICOMSTEGO_DB_FIND_H

#include "db/db.h"

enum db_level { DB_LEVEL_PATIENT, DB_LEVEL_STUDY, DB_LEVEL_SERIES, DB_LEVEL_IMAGE };

/* How a value is compared. */
enum db_comparison {
    DB_COMPARE_EQUAL,    /* with any of the values */
    DB_COMPARE_LIKE,     /* any of the patterns: * for any characters, ? for one */
    DB_COMPARE_NUMBER,   /* equal as numbers, whatever they are written like */
    DB_COMPARE_DATE,     /* values: from and to as YYYYMMDD, "" for open */
    DB_COMPARE_TIME,     /* likewise as HHMMSSFFFFFF */
    DB_COMPARE_DATETIME, /* likewise as YYYYMMDDHHMMSSFFFFFF, time zones left out */
    DB_COMPARE_NAME,     /* of the patient, case folded: patterns as above, of one component group
                            or of all */
    DB_COMPARE_WORDS,    /* of the patient, fuzzy: each value is in its words as it stands */
};

struct db_condition {
    enum db_level level; /* where the attribute is kept */
    uint32_t tag;
    uint32_t sequence; /* the attribute is in an item of this sequence; 0: it is not. All conditions
                          on one sequence hold of one item */
    bool is_folded;    /* a person's name other than the patient's: compared case folded */
    bool is_multiple;  /* one of several values, separated by backslashes, is enough */
    enum db_comparison how;
    const char *const *values;
    size_t count;
};
#define DB_CONDITIONS_MAX 24U

struct db_wanted {
    enum db_level level;
    uint32_t tag;
};
#define DB_WANTED_MAX 128U

#define DB_KINDS(kind) (1U << (unsigned)(kind)) /* of enum db_kind */

struct db_query {
    enum db_level level;
    unsigned kinds; /* bits: DB_KINDS */
    const struct db_condition *conditions;
    size_t condition_count;
    const struct db_wanted *wanted;
    size_t wanted_count;
    uint64_t max; /* matches at most; 1 or more */
};

/* values: one for each wanted attribute, "" when there is none; a sequence as a JSON list of
 * objects by tag, with texts. False ends the reading. */
typedef bool (*db_match_visit)(void *context, const char *const *values);
/* *more: there are more than max. DS_ECAPACITY: more conditions or wanted attributes than fit.
 * DS_EIO: the database is away; some matches may have been visited. */
DS_CHECKED enum ds_status db_find(struct db *d, const struct db_query *q, db_match_visit visit,
                                  void *context, bool *more, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query_value - the value of one key as what the database compares (PS3.4 C.2.2.2, PS3.5 6.2).
 */
#ifndef DICOMSTEGO_NODE_QUERY_VALUE_H
#define DICOMSTEGO_NODE_QUERY_VALUE_H

#include "db/find.h"
#include "dicom/query_key.h"

/* What conditions point to: freed together. */
struct query_text {
    struct query_text *next;
    char text[];
};
void query_texts_free(struct query_text *texts);

enum query_verdict {
    QUERY_VALUE_UNIVERSAL, /* matches everything: no condition */
    QUERY_VALUE_OK,
    QUERY_VALUE_BAD,      /* not of the attribute's VR */
    QUERY_VALUE_TOO_MANY, /* conditions */
    QUERY_VALUE_NO_MEMORY,
};

/* Adds conditions for a value (UTF-8, several with backslashes) of a key. */
enum query_verdict query_value_read(const struct dicom_query_key *key, const char *value,
                                    bool fuzzy, struct db_condition *conditions, size_t *count,
                                    struct query_text **texts);

#endif

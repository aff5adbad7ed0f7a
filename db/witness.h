/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness - tree heads of other nodes that we have seen, and time stamps of our own.
 *
 * As in db.h: a function is one transaction, any thread may call, DS_EIO when the database is away.
 */
#ifndef DICOMSTEGO_DB_WITNESS_H
#define DICOMSTEGO_DB_WITNESS_H

#include "db/log.h"
#include "provenance/evidence.h"

struct db_seen {
    char origin[DB_TEXT_BYTES];       /* AE title, as the manifest has it */
    struct provenance_head head;      /* the origin's log; at_us: when it was seen */
    uint8_t witness[DS_SHA256_BYTES]; /* the log of who signed */
    size_t signature_len;
    uint8_t signature[DB_SIGNATURE_BYTES];
    /* Of a witness that is none of our nodes; borrowed, and empty otherwise. */
    struct provenance_bytes key, certificate;
};
/* An event "witnessed" (with a key: "countersigned") in the same transaction; one that is there
 * already adds nothing. peer: the other side's name in the configuration. *is_new: it was added. */
DS_CHECKED enum ds_status db_seen_add(struct db *d, const struct db_seen *seen, const char *peer,
                                      bool *is_new, struct ds_error *err);
/* What the witness has seen of the log, the smallest first, at most max. *out: free() */
DS_CHECKED enum ds_status db_seen_list(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                       const uint8_t witness[DS_SHA256_BYTES], size_t max,
                                       struct db_seen **out, size_t *count, struct ds_error *err);

/* Those of others that have seen this log, each with the largest head up to size; lent to take. */
typedef enum ds_status db_witness_take(void *context, const struct db_seen *seen,
                                       struct ds_error *err);
DS_CHECKED enum ds_status db_witnesses(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                       uint64_t size, db_witness_take *take, void *context,
                                       struct ds_error *err);

/* One that is there already is no error. */
DS_CHECKED enum ds_status db_stamp_add(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                       uint64_t size, int64_t at_us, const uint8_t *token,
                                       size_t len, struct ds_error *err);
/* The first head of at least this size that has a token, which is appended; DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_stamp_first(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                         uint64_t from, uint64_t *size, struct ds_bytes *token,
                                         struct ds_error *err);
/* The newest token's time, or 0. */
DS_CHECKED enum ds_status db_stamp_newest(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                          int64_t *at_us, struct ds_error *err);

#endif

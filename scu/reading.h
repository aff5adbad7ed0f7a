/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reading - what a peer holds of a study, and single instances of it back from the peer (PS3.4
 * C.4.1 to C.4.3, Study Root, hierarchical).
 *
 * A reader has two associations at most, kept open: one for queries and C-MOVE, one for C-GET,
 * which proposes the storage classes that are to come in every syntax that we can judge. It belongs
 * to one thread. DS_EIO: the peer is away or the association broke; the next call opens it again.
 * DS_EREFUSED: it does not serve this.
 */
#ifndef DICOMSTEGO_SCU_READING_H
#define DICOMSTEGO_SCU_READING_H

#include "dicom/association.h"

struct scu_reader;

/* options is copied (tls deeply too). Connects lazily. */
DS_CHECKED enum ds_status scu_reader_new(struct scu_reader **out,
                                         const struct dicom_requestor_options *options,
                                         struct ds_error *err);
void scu_reader_free(struct scu_reader *r); /* releases; NULL is fine */

/* A study of more instances is not listed. */
#define SCU_HELD_MAX 200000U

struct scu_held {
    char series_uid[DICOM_UID_BYTES];
    char sop_uid[DICOM_UID_BYTES];
};
/* All instances that the peer names under the study: a C-FIND for its series, and one for each of
 * them. A study that it does not have has none. *out: free(). */
DS_CHECKED enum ds_status scu_reader_list(struct scu_reader *r, const char *study_uid,
                                          struct scu_held **out, size_t *count,
                                          struct ds_error *err);

struct scu_wanted {
    const char *study_uid, *series_uid, *sop_uid;
    const char *sop_class_uid;   /* as sent */
    const char *transfer_syntax; /* as sent; "" when not known */
};
/* One instance by C-GET: appended to file as Part 10. *status: the peer's final answer; *came: it
 * has come whole. DS_EREFUSED: the peer takes no C-GET. */
DS_CHECKED enum ds_status scu_reader_get(struct scu_reader *r, const struct scu_wanted *w,
                                         struct ds_bytes *file, bool *came, uint16_t *status,
                                         struct ds_error *err);
/* Has the peer send one instance to destination.. DS_EREFUSED:
 * it takes no C-MOVE. */
DS_CHECKED enum ds_status scu_reader_move(struct scu_reader *r, const struct scu_wanted *w,
                                          const char *destination, uint16_t *status,
                                          struct ds_error *err);

/* Begins a Part 10 file for a data set that follows. */
DS_CHECKED enum ds_status scu_reading_begin_file(const char *sop_class_uid, const char *sop_uid,
                                                 const char *transfer_syntax, struct ds_bytes *file,
                                                 struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headfile - the tree heads that the node has signed, on its own disk: what a database that was put
 * back, or rows and heads that went together, are found by.
 *
 * Under state_dir/provenance: `heads-ID`, one line for each head (size, time in microseconds, root,
 * signature; numbers decimal, bytes hexadecimal), only ever added to; and `edge-ID`, the newest
 * head with the right edge of its tree, from which the tree goes on. ID: the first 16 digits of the
 * log's id. One thread writes; reading is for anyone.
 */
#ifndef DICOMSTEGO_NODE_HEADFILE_H
#define DICOMSTEGO_NODE_HEADFILE_H

#include "db/log.h"

struct headfile;

/* folder: state_dir/provenance, made when it is not there. */
DS_CHECKED enum ds_status headfile_open(struct headfile **out, const char *folder,
                                        const uint8_t log[DS_SHA256_BYTES], struct ds_error *err);
void headfile_close(struct headfile *f);

/* The newest head and its tree, whose root is the head's; the signature is the caller's to check.
 * DS_ENOTFOUND: none yet. DS_EAUTH: the file does not agree with itself. */
DS_CHECKED enum ds_status headfile_last(const struct headfile *f, struct db_head *head,
                                        struct provenance_tree *tree, struct ds_error *err);
/* On stable storage when it returns. */
DS_CHECKED enum ds_status headfile_add(struct headfile *f, const struct db_head *head,
                                       const struct provenance_tree *tree, struct ds_error *err);

/* From the first head on. Lines that cannot be read are stepped over, and *damaged is set. */
struct headfile_reader;
DS_CHECKED enum ds_status headfile_read(const struct headfile *f, struct headfile_reader **out,
                                        struct ds_error *err);
bool headfile_next(struct headfile_reader *r, struct db_head *out, bool *damaged);
void headfile_reader_free(struct headfile_reader *r);

#endif

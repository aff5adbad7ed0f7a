/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing - an instance of the archive as it is sent: proven by its file hash, in the syntax that
 * the receiver takes.
 */
#ifndef DICOMSTEGO_NODE_OUTGOING_H
#define DICOMSTEGO_NODE_OUTGOING_H

#include "base/map.h"
#include "db/db.h"
#include "dicom/dataset.h"

/* Zeroed before; outgoing_free in any case. */
struct outgoing {
    const uint8_t *data; /* the data set without group 0002, borrowed from what follows */
    size_t len;
    char stored_in[DICOM_UID_BYTES]; /* the transfer syntax of the file */
    struct ds_map file;
    struct dicom_dataset *set; /* NULL where the file's bytes go as they are */
    struct ds_bytes rewritten;
};

/* DS_EAUTH: the file is not the one that was indexed. DS_EUNSUPPORTED: the syntax has no form for
 * it. DS_EIO, DS_ENOTFOUND, DS_EFORMAT. */
DS_CHECKED enum ds_status outgoing_load(const struct db_instance *instance,
                                        const char *transfer_syntax, struct outgoing *out,
                                        struct ds_error *err);
void outgoing_free(struct outgoing *o);

/* What went out is not the file that came in, in words an operator understands; "" when it is. */
void outgoing_note(const char *stored_in, const char *sent_in, char *text, size_t size);

#endif

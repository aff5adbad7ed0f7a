/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answering - storage commitment that peers ask of us.
 *
 * A request is a row before it is answered. We commit ourselves only to what we have read again
 * from the disk and whose hash is that of what was received; what is on its way to the index is
 * waited for. The report goes out on an association of the peer, or on one of our own where the
 * configuration says how to call it.
 */
#ifndef DICOMSTEGO_NODE_ANSWERING_H
#define DICOMSTEGO_NODE_ANSWERING_H

#include "dicom/commitment.h"
#include "node/services.h"

/* Stores a request. peer: its name in the configuration. */
DS_CHECKED enum ds_status answering_take_request(struct services *s, const char *peer,
                                                 const struct dicom_peer *from,
                                                 const struct dicom_commitment *request,
                                                 struct ds_error *err);

/* Checks or reports the next request that is due; false when there was none. */
bool answering_serve(struct services *s, struct db *db);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieving - what peers ask of us by C-MOVE and C-GET (PS3.4 C.4.2, C.4.3), over what the archive
 * holds.
 *
 * Each instance is proven by its file hash before it leaves: one that is damaged is a failed
 * sub-operation and never sent. It goes as it is stored where the receiver takes that, else
 * rewritten without loss. Every one is an event, "retrieved" or "retrieve-failed", a page of them
 * in one transaction; when they cannot be written, the retrieval ends. One page of instances is in
 * memory at a time.
 *
 * Called on the thread of the association that asks, which is the only one that a slow receiver
 * holds.
 */
#ifndef DICOMSTEGO_NODE_RETRIEVING_H
#define DICOMSTEGO_NODE_RETRIEVING_H

#include "dicom/operation.h"
#include "node/services.h"

/* C-MOVE to a peer of the configuration that has a host; any other destination is answered A801. */
void retrieving_move(struct services *s, const struct dicom_operation_request *request,
                     struct dicom_operation *operation);
void retrieving_get(struct services *s, const struct dicom_operation_request *request,
                    struct dicom_operation *operation);

#endif

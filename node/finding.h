/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finding - answers to C-FIND: what the node holds, as the view that the called AE title stands for
 * (PS3.4 C.4.1). Every query is an event, whatever became of it.
 */
#ifndef DICOMSTEGO_NODE_FINDING_H
#define DICOMSTEGO_NODE_FINDING_H

#include "dicom/operation.h"
#include "node/services.h"

/* What callers of this AE title see: bits of DB_KINDS. Our own title is for the originals, which
 * are those that were received as such, what was restored here, and reports. */
unsigned finding_kinds(const struct config *config, const char *called_ae);

/* Answers the request through the operation; on the association's thread. */
void finding_answer(struct services *services, const struct dicom_operation_request *request,
                    struct dicom_operation *operation);

#endif

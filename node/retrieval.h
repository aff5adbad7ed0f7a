/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieval - one C-MOVE or C-GET on its way: sending an instance, counting it, and the events of a
 * page. Private to retrieving.c and retrieval.c.
 */
#ifndef DICOMSTEGO_NODE_RETRIEVAL_H
#define DICOMSTEGO_NODE_RETRIEVAL_H

#include "db/retrieve.h"
#include "dicom/operation.h"
#include "node/ahead.h"
#include "node/services.h"
#include "scu/scu.h"

#define RETRIEVAL_PAGE 256U

/* The UIDs of those that failed; in an explicit VR a value has at most so many bytes. */
#define RETRIEVAL_FAILED_MAX_BYTES 65000U

struct retrieval {
    struct services *services;
    const struct dicom_operation_request *request;
    struct dicom_operation *operation;
    const char *destination; /* AE title of who receives */
    const char *peer;        /* his name in the configuration */
    struct scu_link *link;   /* to the destination of a C-MOVE; NULL: C-GET */
    struct ahead *ahead;     /* during a page; may be NULL */
    struct dicom_counts counts;
    struct ds_bytes failed; /* UIDs with backslashes between them */
    const char *comment;    /* why it ended early, or NULL */
    unsigned silent;        /* sub-operations in a row that were not answered */
    bool given_up;          /* no more is tried: what remains has failed */
    bool cancelled;
    struct db_event events[RETRIEVAL_PAGE];
    char *details[RETRIEVAL_PAGE]; /* of the events */
    char outcomes[RETRIEVAL_PAGE][8];
    size_t event_count;
};

/* Sends one instance, counts it and notes its event. next: the one after it in the page, or NULL;
 * its file is proven meanwhile. */
void retrieval_send(struct retrieval *r, const struct db_instance *instance,
                    const struct db_instance *next);
/* The contexts of a page together, so that one association serves it. */
void retrieval_prepare(struct retrieval *r, const struct db_instance *page, size_t count);
/* So many that are not there any more, or that are not tried. */
void retrieval_fail(struct retrieval *r, size_t count);
/* Writes the events that were noted. False: they could not be. */
DS_CHECKED bool retrieval_record(struct retrieval *r);
void retrieval_finish(struct retrieval *r);

#endif

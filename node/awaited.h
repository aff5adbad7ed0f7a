/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awaited - instances that we have asked a peer to move to us, on their way from the listener to
 * whoever asked.
 *
 * Such an instance is no new one: it never sees the spool. Each is awaited from one AE title,
 * under one SOP Instance UID, for as long as its owner waits; what comes before or after is
 * refused. Any thread.
 */
#ifndef DICOMSTEGO_NODE_AWAITED_H
#define DICOMSTEGO_NODE_AWAITED_H

#include "dicom/association.h"

#include <pthread.h>

struct awaited_one;

struct awaited {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct awaited_one *first;
};

void awaited_init(struct awaited *e);
void awaited_finish(struct awaited *e); /* nobody waits any more */

/* From now on the instance is awaited from calling_ae. */
DS_CHECKED enum ds_status awaited_begin(struct awaited *e, const char *calling_ae,
                                        const char *sop_uid, struct awaited_one **out,
                                        struct ds_error *err);
/* No longer. Waits up to wait_ms for one that has come only in part, or may still begin. *came: it
 * has come whole, and file has it as Part 10; x is freed. */
void awaited_end(struct awaited *e, struct awaited_one *x, int64_t wait_ms, struct ds_bytes *file,
                 bool *came);

/* For scp_policy: divert, divert_data, divert_end. */
uint16_t awaited_divert(struct awaited *e, const struct dicom_store_request *request, void **sink);
uint16_t awaited_data(void *sink, const uint8_t *data, size_t len);
uint16_t awaited_complete(void *sink, bool complete);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offers - reports of storage commitment that wait for an association of their peer.
 *
 * A peer that has asked may stay on its association, or call again: then it gets its report there
 * (PS3.4 J.3.3 leaves the choice to us). Association threads ask every moment whether there is one;
 * whoever has a report to deliver offers it for a while and calls the peer himself when nobody
 * came. Any thread.
 */
#ifndef DICOMSTEGO_NODE_OFFERS_H
#define DICOMSTEGO_NODE_OFFERS_H

#include "dicom/commitment.h"

struct offers;

DS_CHECKED enum ds_status offers_new(struct offers **out, struct ds_error *err);
void offers_free(struct offers *o); /* NULL is fine */

/* A peer's association is there. */
void offers_heard(struct offers *o, const char *ae);
/* Was one there a moment ago? */
bool offers_is_there(struct offers *o, const char *ae);

enum offers_result { OFFERS_TAKEN, OFFERS_REFUSED, OFFERS_NOT_TAKEN };
/* Waits up to wait_ms for an association of the peer to take the report, and then for its answer,
 * which comes or the association ends. report is borrowed. */
enum offers_result offers_put(struct offers *o, const char *ae,
                              const struct dicom_commitment *report, int64_t wait_ms);

/* The association's side: a copy of what there is for the peer, the oldest first. */
DS_CHECKED bool offers_take(struct offers *o, const char *ae, struct dicom_commitment *out,
                            uint64_t *token);
/* Exactly once for each that was taken. */
void offers_done(struct offers *o, uint64_t token, bool taken);

#endif

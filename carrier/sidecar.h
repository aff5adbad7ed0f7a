/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sidecar - the instance beside an original that cannot carry. Private.
 *
 * A Raw Data instance (PS3.3 A.37) in the same study, in a series of its capsule: patient and study
 * are the original's, Referenced Instance Sequence names the original, and a private element holds
 * the very bytes that would have been hidden in pixels. The original itself travels untouched. What
 * a data set says about its neighbour is unproven; the signed manifest in the bytes decides.
 */
#ifndef DICOMSTEGO_CARRIER_SIDECAR_H
#define DICOMSTEGO_CARRIER_SIDECAR_H

#include "carrier/carrier_private.h"

/* The private element (0099,xx01), reserved by this creator (PS3.5 7.8.1). */
#define CARRIER_SIDECAR_CREATOR "DICOMSTEGO 1.0"
#define CARRIER_SIDECAR_TAG     DICOM_TAG(0x0099, 0x0001)

/* Pure: the same original, capsule and payload give the same data set. beside: what travels beside
 * it, the original's data set or a derived one. */
DS_CHECKED enum ds_status carrier_sidecar_build(const struct carrier_original *o,
                                                const struct dicom_dataset *beside,
                                                const struct carrier_derivation *how,
                                                const struct ds_bytes *payload,
                                                struct dicom_dataset **out, struct ds_error *err);

/* Appends what a sidecar holds. DS_ENOTHING: the data set is no sidecar. DS_EAUTH: cut short or
 * stretched. */
DS_CHECKED enum ds_status carrier_sidecar_payload(const struct dicom_dataset *d,
                                                  struct ds_bytes *out, struct ds_error *err);

/* The SOP Instance UID that a sidecar names; "" when it names none. */
DS_CHECKED enum ds_status carrier_sidecar_names(const struct dicom_dataset *d,
                                                char uid[DICOM_UID_BYTES], struct ds_error *err);

#endif

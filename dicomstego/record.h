/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - the restore record of one instance, sealed under the study key without randomness.
 */
#ifndef DICOMSTEGO_RECORD_H
#define DICOMSTEGO_RECORD_H

#include "dicomstego/capsule.h"
#include "dicomstego/crypto.h"

#define STEGO_RECORD_SALT_BYTES 8U
#define STEGO_RECORD_OVERHEAD   (STEGO_RECORD_SALT_BYTES + STEGO_GCM_TAG_BYTES)

/* Appends salt, ciphertext and tag. context: what is bound to the record but not hidden. */
DS_CHECKED enum ds_status stego_record_seal(const uint8_t study_key[STEGO_KEY_BYTES],
                                            const uint8_t capsule_id[STEGO_CAPSULE_ID_BYTES],
                                            const uint8_t *context, size_t context_len,
                                            const uint8_t *record, size_t len, struct ds_bytes *out,
                                            struct ds_error *err);
/* Appends the record. DS_EAUTH when record or context was altered. */
DS_CHECKED enum ds_status stego_record_open(const uint8_t study_key[STEGO_KEY_BYTES],
                                            const uint8_t capsule_id[STEGO_CAPSULE_ID_BYTES],
                                            const uint8_t *context, size_t context_len,
                                            const uint8_t *sealed, size_t len, struct ds_bytes *out,
                                            struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capsule_internal - what capsule, its saved form, parts and the collector share among themselves.
 */
#ifndef DICOMSTEGO_CAPSULE_INTERNAL_H
#define DICOMSTEGO_CAPSULE_INTERNAL_H

#include "dicomstego/capsule.h"
#include "dicomstego/crypto.h"
#include "dicomstego/documents.h"
#include "dicomstego/manifest.h"
#include "dicomstego/shares.h"

/* What is coded into shares: packed documents sealed, the key block, room for the CMS around them.
 */
#define STEGO_SHARE_DATA_MAX (STEGO_ARCHIVE_MAX_BYTES + 1024U * 1024U)

/* All instances of one capsule: longest that a container can be. */
#define STEGO_CONTAINER_MAX (STEGO_SHARE_DATA_MAX + STEGO_RECORD_MAX_BYTES + 1024U * 1024U)

#define STEGO_SIGNED_MANIFEST "dicomstego manifest 1\n"
#define STEGO_SIGNED_SAVED    "dicomstego saved capsule 1\n"

struct stego_capsule {
    uint8_t id[STEGO_CAPSULE_ID_BYTES];
    char origin[STEGO_ORIGIN_BYTES];
    int64_t created_utc_us;
    struct stego_shares shares;
    struct stego_tree_head head;
    bool is_sealed;
    uint8_t study_key[STEGO_KEY_BYTES];
    struct ds_bytes key_block;
    struct ds_bytes share_data;
    EVP_PKEY *signer; /* NULL: unsigned */
    uint8_t signer_key_id[STEGO_KEY_ID_BYTES];
    struct ds_bytes signer_certificate; /* DER */
};

/* A capsule with empty buffers. */
DS_CHECKED enum ds_status stego_capsule_new(struct stego_capsule **out, struct ds_error *err);
/* Keeps what it needs of the identity, which may be freed. */
DS_CHECKED enum ds_status stego_capsule_set_signer(struct stego_capsule *c,
                                                   const struct stego_identity *signer,
                                                   struct ds_error *err);

/* Signs label and bytes together: a signature made for one purpose is no use for another. */
DS_CHECKED enum ds_status stego_sign_labelled(EVP_PKEY *key, const char *label,
                                              struct stego_span bytes, struct ds_bytes *out,
                                              struct ds_error *err);
DS_CHECKED enum ds_status stego_verify_labelled(EVP_PKEY *key, const char *label,
                                                struct stego_span bytes,
                                                struct stego_span signature, struct ds_error *err);

/* Share data: digest (16) | key block length (4) | sealed length (4) | key block | sealed documents
 */
struct stego_share_view {
    struct stego_span key_block, sealed;
};
DS_CHECKED enum ds_status stego_share_data_put(struct ds_bytes *out, struct stego_span key_block,
                                               struct stego_span sealed, struct ds_error *err);
/* bytes: decoded, with zeros behind. DS_EAUTH when it does not hold together. Empty gives an empty
 * view. */
DS_CHECKED enum ds_status stego_share_data_get(struct stego_share_view *out, const uint8_t *bytes,
                                               size_t len, struct ds_error *err);

/* The study key out of a key block. */
DS_CHECKED enum ds_status stego_study_key_open(struct stego_span key_block,
                                               const struct stego_keyring *keyring,
                                               uint8_t out[STEGO_KEY_BYTES], struct ds_error *err);

struct stego_part {
    struct ds_bytes bytes;
    struct stego_container container; /* into bytes */
    enum stego_origin_state origin;
    char *signer; /* NULL when unknown */
};

/* The key block of the study's share data; *out empty when the capsule has none. DS_ECAPACITY when
 * there are too few shares. */
DS_CHECKED enum ds_status stego_collector_key_block(struct stego_collector *c,
                                                    struct stego_span *out, struct ds_error *err);
/* stego_study_key_open, remembering the last result: a password costs a tenth of a second for each
 * instance otherwise. */
DS_CHECKED enum ds_status stego_collector_study_key(struct stego_collector *c,
                                                    struct stego_span key_block,
                                                    const struct stego_keyring *keyring,
                                                    uint8_t out[STEGO_KEY_BYTES],
                                                    struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capsule - the sealed package of a study's payload, and what each instance carries of it.
 *
 * Sending side, once per study:   stego_capsule_seal -> (save in the database, load after a crash)
 *               once per instance: stego_capsule_instance -> the bytes that the engine hides
 * Receiving side, per instance:   stego_part_open  (verify the manifest, open the restore record)
 *               per study:        stego_collector_* (any k of n shares give the reports back)
 *
 * What is random is drawn in stego_capsule_seal and kept: stego_capsule_instance is a pure
 * function, so a retry hides the same bytes. The order of trust when opening is: digest and
 * signature of the manifest, authenticated decryption of the rest, and only then parsing.
 * docs/capsule-format.md is the format; signatures are deterministic (ECDSA by RFC 6979, RSA by
 * PKCS#1 v1.5).
 */
#ifndef DICOMSTEGO_CAPSULE_H
#define DICOMSTEGO_CAPSULE_H

#include "base/bytes.h"
#include "base/sha256.h"
#include "dicomstego/key.h"

#include <stdbool.h>

#define STEGO_CAPSULE_ID_BYTES 16U
#define STEGO_ORIGIN_BYTES     17U /* an AE title and its terminator */
#define STEGO_NAME_BYTES       256U
#define STEGO_RECORD_MAX_BYTES (16U * 1024U * 1024U)
#define STEGO_REPORT_MAX_BYTES (32U * 1024U * 1024U)
#define STEGO_SHARES_MAX       65535U
#define STEGO_HEAD_BYTES       40U /* what naming the head costs in each instance */

/* One document of the study: a report, or what the carrier room adds ("attributes"). */
struct stego_document {
    const char *name;       /* file name without a folder, UTF-8, < STEGO_NAME_BYTES */
    const char *media_type; /* "text/plain; charset=utf-8", "application/pdf" ... */
    const uint8_t *data;
    size_t len;
};

/* The newest head of the origin's provenance log when the study was sealed (provenance/head.h). The
 * log's name follows from the signer's key. size 0: none. */
struct stego_tree_head {
    uint64_t size; /* events in the log */
    uint8_t root[DS_SHA256_BYTES];
};

struct stego_seal_request {
    const char *origin; /* the sending node's AE title, or "" */
    int64_t created_utc_us;
    const struct stego_document *documents;
    size_t document_count; /* 0: an integrity token with restore records only */
    const struct stego_certificate *const *recipients;
    size_t recipient_count;
    const char *password;                /* NULL, or instead of/beside recipients; UTF-8 */
    const struct stego_identity *signer; /* NULL: unsigned, integrity by the AEAD alone */
    uint32_t share_total;                /* n: instances that carry a share, 1..STEGO_SHARES_MAX */
    unsigned redundancy_percent;         /* 0..90: of the n, so many may be lost */
    struct stego_tree_head head;         /* named in every manifest, STEGO_HEAD_BYTES each */
};

struct stego_capsule;

/* Compresses the documents when that helps, draws study key and nonces, seals (CMS
 * AuthEnvelopedData, RFC 5083, AES-256-GCM), codes the shares. Without recipient and password:
 * DS_EINVAL when there are documents; an integrity token (no key block, restore record readable)
 * otherwise. */
DS_CHECKED enum ds_status stego_capsule_seal(struct stego_capsule **out,
                                             const struct stego_seal_request *request,
                                             struct ds_error *err);
void stego_capsule_free(struct stego_capsule *c);
void stego_capsule_auto(struct stego_capsule **c);

/* STEGO_CAPSULE_ID_BYTES, borrowed. */
const uint8_t *stego_capsule_id(const struct stego_capsule *c);
uint32_t stego_capsule_shares_needed(const struct stego_capsule *c); /* k */
uint32_t stego_capsule_shares_total(const struct stego_capsule *c);  /* n */
size_t stego_capsule_share_bytes(const struct stego_capsule *c);     /* one share */
size_t stego_capsule_key_block_bytes(const struct stego_capsule *c);
const char *stego_capsule_origin(const struct stego_capsule *c); /* borrowed */
int64_t stego_capsule_created_utc_us(const struct stego_capsule *c);
/* Appends the sealed documents (CMS, docs/capsule-format.md section 6) in Base64; nothing where
 * there are none. */
DS_CHECKED enum ds_status stego_capsule_sealed_text(const struct stego_capsule *c,
                                                    struct ds_bytes *out, struct ds_error *err);

/* For the database: everything, sealed to `owner` (CMS), so that the study key never rests in the
 * clear. Loading needs the same owner and signer identities. */
DS_CHECKED enum ds_status stego_capsule_save(const struct stego_capsule *c,
                                             const struct stego_certificate *owner,
                                             struct ds_bytes *out, struct ds_error *err);
DS_CHECKED enum ds_status stego_capsule_load(struct stego_capsule **out, const uint8_t *saved,
                                             size_t len, const struct stego_identity *owner,
                                             const struct stego_identity *signer,
                                             struct ds_error *err);

#define STEGO_NO_SHARE UINT32_MAX

struct stego_instance {
    uint8_t pixel_hash[DS_SHA256_BYTES];
    uint8_t dataset_hash[DS_SHA256_BYTES];
    uint8_t cell_rule;    /* how bits above BitsStored come back: the dicom room's business, 0..3 */
    uint32_t share_index; /* 0..n-1, or STEGO_NO_SHARE: this instance only restores itself */
    bool with_key_block; /* false for covers too small: the key block is then in the capsule only */
    bool with_certificate; /* the signer's certificate travels along, for who trusts its CA */
    const uint8_t *record; /* restore record, opaque here; compressed by its maker */
    size_t record_len;
};

/* The bytes to hide in one instance: manifest, signature, sealed record, key block, share. */
DS_CHECKED enum ds_status stego_capsule_instance(const struct stego_capsule *c,
                                                 const struct stego_instance *instance,
                                                 struct ds_bytes *out, struct ds_error *err);

struct stego_part;

/* For the sender's own proof: opens the restore record of a part of this very capsule, by the study
 * key that the capsule holds. DS_EINVAL: a part of another capsule. DS_EAUTH: altered. */
DS_CHECKED enum ds_status stego_part_record_with_capsule(const struct stego_part *part,
                                                         const struct stego_capsule *capsule,
                                                         struct ds_bytes *out,
                                                         struct ds_error *err);

/* ---- opening ---- */

enum stego_origin_state {
    STEGO_ORIGIN_UNSIGNED,  /* nobody signed it */
    STEGO_ORIGIN_UNCHECKED, /* signed, but no trust was given to check it by */
    STEGO_ORIGIN_VERIFIED,  /* the signature holds, by a trusted certificate */
};

struct stego_secret; /* lsb.h */

/* The keys that the reader has. Any pointer may be NULL. */
struct stego_keyring {
    const struct stego_identity *const *identities;
    size_t identity_count;
    const char *password;
    const struct stego_trust *trust; /* when given: what is not signed by it is DS_EAUTH */
    /* For what lies in the order of a key (lsb.h); NULL: the password is tried. */
    const struct stego_secret *secret;
};

/* The manifest, as far as `origin` vouches for it. */
struct stego_manifest {
    uint8_t version;
    uint8_t capsule_id[STEGO_CAPSULE_ID_BYTES];
    char origin[STEGO_ORIGIN_BYTES];
    uint8_t signer_key_id[STEGO_KEY_ID_BYTES]; /* zeros when unsigned */
    int64_t created_utc_us;
    uint32_t share_index, shares_needed, shares_total; /* index STEGO_NO_SHARE: none here */
    uint8_t cell_rule;
    uint8_t pixel_hash[DS_SHA256_BYTES];
    uint8_t dataset_hash[DS_SHA256_BYTES];
    struct stego_tree_head head;
    bool has_key_block;
    bool is_sealed; /* a key is needed for the record and the documents */
    /* What each costs; together they are all that is hidden in the instance. */
    size_t manifest_bytes, record_bytes, key_block_bytes, share_bytes, certificate_bytes;
};

struct stego_part; /* what one instance carried, verified as far as the keyring allows */

/* bytes: what stego_extract gave. Checks the digest over the whole, then the signature when
 * keyring->trust is given. DS_EAUTH: altered, or not from a trusted signer; DS_EFORMAT never: what
 * does not parse was altered. keyring may be NULL. No key is needed here. */
DS_CHECKED enum ds_status stego_part_open(struct stego_part **out, const uint8_t *bytes, size_t len,
                                          const struct stego_keyring *keyring,
                                          struct ds_error *err);
void stego_part_free(struct stego_part *p);
void stego_part_auto(struct stego_part **p);
const struct stego_manifest *stego_part_manifest(const struct stego_part *p);
enum stego_origin_state stego_part_origin(const struct stego_part *p);
/* Subject of the signer's certificate, when known; else NULL. Borrowed. */
const char *stego_part_signer(const struct stego_part *p);
/* The CMS of the study key (DER), or NULL. Borrowed. */
const uint8_t *stego_part_key_block(const struct stego_part *p, size_t *len);

/* A study's parts gathered. Add every part that there is; parts of other capsules are refused
 * (DS_EINVAL), a second part with the same share is ignored. Parts may be freed after adding. */
struct stego_collector;
DS_CHECKED enum ds_status stego_collector_new(struct stego_collector **out, struct ds_error *err);
void stego_collector_free(struct stego_collector *c);
void stego_collector_auto(struct stego_collector **c);
DS_CHECKED enum ds_status stego_collector_add(struct stego_collector *c,
                                              const struct stego_part *part, struct ds_error *err);
/* Shares present and needed, counting equal ones once: beyond 255 instances several carry the same.
 */
void stego_collector_progress(const struct stego_collector *c, uint32_t *have, uint32_t *need);

/* Appends the sealed documents as they were hidden: one DER CMS, for `openssl cms`. DS_ECAPACITY
 * when there are fewer than k shares: the text says how many are missing. DS_ENOTHING: no
 * documents. */
DS_CHECKED enum ds_status stego_collector_sealed(struct stego_collector *c, struct ds_bytes *out,
                                                 struct ds_error *err);

/* Opens a part's restore record with the keyring: from the part's own key block, else from the
 * collector's (may be NULL). DS_ENOKEY: nobody in the keyring; DS_EAUTH: altered; DS_ECAPACITY: the
 * key block is in the capsule only, and too few shares of it are there. */
DS_CHECKED enum ds_status stego_part_record(const struct stego_part *part,
                                            struct stego_collector *collector,
                                            const struct stego_keyring *keyring,
                                            struct ds_bytes *out, struct ds_error *err);

/* The documents; each owns its bytes. */
struct stego_opened_document {
    char name[STEGO_NAME_BYTES];
    char media_type[STEGO_NAME_BYTES];
    struct ds_bytes data;
};
struct stego_documents {
    struct stego_opened_document *items;
    size_t count;
};
/* DS_ECAPACITY: too few shares; DS_ENOKEY, DS_EAUTH as above; DS_EFORMAT: whoever sealed them did
 * not write what this version reads. A capsule without documents gives none. */
DS_CHECKED enum ds_status stego_collector_open(struct stego_collector *c,
                                               const struct stego_keyring *keyring,
                                               struct stego_documents *out, struct ds_error *err);
void stego_documents_free(struct stego_documents *d); /* zeroed is fine */

#endif

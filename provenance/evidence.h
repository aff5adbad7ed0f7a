/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence - what a node says of its log, in a file that can be checked anywhere.
 *
 * A file is lines of ASCII words with one blank between them, each ended by one LF:
 *
 *   dicomstego evidence 1 bundle     or head, or seen
 *   instance UID                     bundle: whose events these are
 *   also UID                         any number: what it is called as a carrier, or restored
 *   made TIME
 *   log ID                           a log, by the SHA-256 of its node's SubjectPublicKeyInfo
 *   key BASE64                       that SubjectPublicKeyInfo (DER)
 *   certificate BASE64               at most one, X.509 (DER)
 *   head SIZE ROOT TIME SIGNATURE    the signed tree head (provenance/head.h)
 *   stamp BASE64                     any number: RFC 3161 tokens of the head
 *   event LEAF JSON                  bundle: any number, the leaf as it is (provenance/event.h),
 * with path HASH...                     its inclusion proof witness ID                       any
 * number: another node that has seen this log, with its key key, certificate seen LOG SIZE ROOT
 * TIME SIGNATURE (provenance/witness.h), with prefix HASH...                   the proof that what
 * was seen begins the head above log ...                          further logs: several nodes may
 * have touched an instance seal SIGNATURE                   of the first log's key, over every byte
 * before this line
 *
 * A "seen" file is what a witness hands out: its log, key and certificate, and one seen line or
 * more.
 *
 * Each value has one spelling and the lines have one order, so no byte can be changed without
 * changing what is said, and the seal covers all that nothing else does. The seal is also the
 * node's word that the bundle has all events of the instance up to its heads: a proof can show what
 * is in a log, not what is missing from a choice of it.
 */
#ifndef DICOMSTEGO_PROVENANCE_EVIDENCE_H
#define DICOMSTEGO_PROVENANCE_EVIDENCE_H

#include "provenance/event.h"
#include "provenance/head.h"
#include "provenance/tree.h"

#define EVIDENCE_MAX_BYTES (64U * 1024U * 1024U)
#define EVIDENCE_ITEMS_MAX 1000000U
#define EVIDENCE_UID_MAX   64U    /* characters */
#define EVIDENCE_VALUE_MAX 65536U /* bytes of one key, certificate, signature or token */

enum evidence_kind { EVIDENCE_BUNDLE, EVIDENCE_HEAD, EVIDENCE_SEEN };

enum evidence_word {
    EVIDENCE_TITLE,
    EVIDENCE_INSTANCE,
    EVIDENCE_ALSO,
    EVIDENCE_MADE,
    EVIDENCE_LOG,
    EVIDENCE_KEY,
    EVIDENCE_CERTIFICATE,
    EVIDENCE_HEAD_LINE,
    EVIDENCE_STAMP,
    EVIDENCE_EVENT,
    EVIDENCE_PATH,
    EVIDENCE_WITNESS,
    EVIDENCE_SEEN_LINE,
    EVIDENCE_PREFIX,
    EVIDENCE_SEAL,
    EVIDENCE_WORDS
};

struct provenance_bytes {
    const uint8_t *data;
    size_t len;
};

/* One line; what its word does not have is zero. Pointers go into the evidence. */
struct evidence_item {
    enum evidence_word word;
    size_t at;                   /* where the line begins in the file */
    uint8_t id[DS_SHA256_BYTES]; /* log, witness; of seen: whose head it is */
    struct provenance_head head; /* head, seen: size, root, time; log is set for seen only */
    int64_t at_us;               /* made */
    uint64_t leaf;               /* event */
    struct provenance_text text; /* instance, also: the UID; event: the JSON */
    struct provenance_bytes
        bytes;         /* key, certificate, stamp, seal; of head and seen the signature */
    size_t hash_count; /* path, prefix: so many DS_SHA256_BYTES in bytes */
};

struct evidence {
    enum evidence_kind kind;
    struct evidence_item *items;
    size_t count;
    const uint8_t *text; /* borrowed: the file */
    size_t len;
    struct ds_bytes decoded; /* what was base64 or hexadecimal */
};

/* ---- reading ---- */

/* Takes the file apart; text must outlive *out. Nothing is verified but the form: DS_EFORMAT with
 * the line that is wrong. evidence_free in any case. */
DS_CHECKED enum ds_status evidence_parse(const uint8_t *text, size_t len, struct evidence *out,
                                         struct ds_error *err);
void evidence_free(struct evidence *e);

/* The hashes of a path or a prefix line as a proof. */
void evidence_proof(const struct evidence_item *item, struct provenance_proof *out);

/* ---- writing: each appends a line; the caller keeps the order ---- */

DS_CHECKED enum ds_status evidence_put_title(struct ds_bytes *out, enum evidence_kind kind,
                                             struct ds_error *err);
/* word: instance or also. DS_EINVAL when it is not a UID. */
DS_CHECKED enum ds_status evidence_put_uid(struct ds_bytes *out, enum evidence_word word,
                                           const char *uid, struct ds_error *err);
DS_CHECKED enum ds_status evidence_put_made(struct ds_bytes *out, int64_t utc_us,
                                            struct ds_error *err);
/* word: log or witness, with the key line and, where certificate.len is not 0, the certificate. */
DS_CHECKED enum ds_status evidence_put_party(struct ds_bytes *out, enum evidence_word word,
                                             struct provenance_bytes key,
                                             struct provenance_bytes certificate,
                                             struct ds_error *err);
DS_CHECKED enum ds_status evidence_put_head(struct ds_bytes *out,
                                            const struct provenance_head *head,
                                            struct provenance_bytes signature,
                                            struct ds_error *err);
DS_CHECKED enum ds_status evidence_put_stamp(struct ds_bytes *out, struct provenance_bytes token,
                                             struct ds_error *err);
DS_CHECKED enum ds_status evidence_put_event(struct ds_bytes *out, uint64_t leaf,
                                             struct provenance_bytes json,
                                             const struct provenance_proof *path,
                                             struct ds_error *err);
/* at_us of the head: when the witness saw it. */
DS_CHECKED enum ds_status evidence_put_seen(struct ds_bytes *out,
                                            const struct provenance_head *head,
                                            struct provenance_bytes signature,
                                            struct ds_error *err);
DS_CHECKED enum ds_status evidence_put_prefix(struct ds_bytes *out,
                                              const struct provenance_proof *proof,
                                              struct ds_error *err);
/* by: the identity of the first log. Last of all. */
DS_CHECKED enum ds_status evidence_put_seal(struct ds_bytes *out, const struct stego_identity *by,
                                            struct ds_error *err);

#endif

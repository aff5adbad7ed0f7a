/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cipher - a whole image as noise: what the image-encryption papers do, over an authenticated
 * cipher.
 *
 *   cells -> duplicate rows and columns out (duplicate.h) -> runs (run_length.h) -> LZMA
 *         -> padded -> AEAD, its key from an ephemeral agreement (agreement.h) by HKDF
 *         -> cells of 16 bits, rows and columns shifted by a Henon map (henon.h)
 *
 * and back. Each stage can be left out but the AEAD. What the recipient needs besides the private
 * key is struct stego_cipher_form: the caller writes it as it likes (the command: JSON), and gives
 * the bytes of that writing as additional data, so that nothing in it can be changed.
 *
 *   stego_cipher_pack -> stego_cipher_begin -> the form is written -> stego_cipher_seal
 *   the form is read -> stego_cipher_open -> stego_cipher_unpack
 *
 * Origin is not proven: whoever has the recipient's public key can make a cipher image. So what
 * comes out is parsed as if from a stranger. Pure but for what stego_cipher_begin draws.
 */
#ifndef DICOMSTEGO_CIPHER_H
#define DICOMSTEGO_CIPHER_H

#include "base/sha256.h"
#include "dicomstego/agreement.h"
#include "dicomstego/duplicate.h"
#include "dicomstego/henon.h"

/* The stages; bits of a set. */
enum stego_cipher_stage {
    STEGO_CIPHER_DUPLICATES = 1,
    STEGO_CIPHER_RUNS = 2,
    STEGO_CIPHER_LZMA = 4,
    STEGO_CIPHER_PADDING = 8, /* to a length that tells little (see stego_cipher_begin) */
    STEGO_CIPHER_HENON = 16,
    STEGO_CIPHER_ALL = 31
};

/* ---- the stages before encryption ---- */

/* What is to be packed; all of it borrowed. head goes along unseen: the bytes of a file around its
 * pixels. */
struct stego_cipher_source {
    uint8_t kind; /* the caller's */
    const uint8_t *head;
    size_t head_len;
    struct stego_grid grid;
    const uint8_t *cells;
    uint8_t hash[DS_SHA256_BYTES]; /* of the original, by the caller's definition */
};

struct stego_cipher_sizes { /* bytes after each stage; a stage that is left out keeps the size */
    size_t cells, duplicates, runs, lzma, padded;
};

DS_CHECKED enum ds_status stego_cipher_pack(const struct stego_cipher_source *source,
                                            unsigned stages, struct ds_bytes *out,
                                            struct stego_cipher_sizes *sizes, struct ds_error *err);

struct stego_cipher_unpacked {
    uint8_t kind;
    struct stego_grid grid;
    uint8_t hash[DS_SHA256_BYTES]; /* the caller compares */
    struct ds_bytes head, cells;   /* born with max_bytes each; needs stego_cipher_unpacked_free */
};

/* DS_EFORMAT: no such packing, or one of more than max_bytes. */
DS_CHECKED enum ds_status stego_cipher_unpack(const uint8_t *packed, size_t len, size_t max_bytes,
                                              struct stego_cipher_unpacked *out,
                                              struct ds_error *err);
void stego_cipher_unpacked_free(struct stego_cipher_unpacked *u);

/* ---- encryption ---- */

#define STEGO_CIPHER_SALT_BYTES 32U
#define STEGO_CIPHER_SIDE_MAX   30000U /* columns, rows: PNG and DICOM take these */

/* Nothing in it is secret. */
struct stego_cipher_form {
    enum stego_curve curve;
    enum stego_aead aead;
    unsigned stages;
    struct stego_henon_form henon;
    uint8_t recipient[STEGO_KEY_ID_BYTES];
    uint8_t ephemeral[STEGO_POINT_BYTES];
    uint8_t salt[STEGO_CIPHER_SALT_BYTES];
    uint32_t columns, rows; /* of the cipher image, cells of 16 bits */
};

/* Zeroed: not begun. Holds the secret: stego_cipher_finish. */
struct stego_cipher {
    struct stego_cipher_form form;
    struct stego_gcm key;
    uint8_t seed[STEGO_HENON_SEED_BYTES];
};

/* form: aead, stages and henon are given, the rest is set; keys are drawn. packed_len: what will be
 * sealed. With padding the image has at least 512 x 512 cells, and beyond that a length of the
 * Padme form (Nikitin et al., PETS 2019): 12 % longer at most, and only log log of the length to
 * learn. DS_ECAPACITY: more than STEGO_CIPHER_SIDE_MAX^2 cells. */
DS_CHECKED enum ds_status stego_cipher_begin(struct stego_cipher *c,
                                             const struct stego_ec_key *recipient,
                                             size_t packed_len, struct ds_error *err);
void stego_cipher_finish(struct stego_cipher *c);

/* Appends columns * rows cells, two bytes each, most significant first. */
DS_CHECKED enum ds_status stego_cipher_seal(const struct stego_cipher *c, const uint8_t *aad,
                                            size_t aad_len, const uint8_t *packed, size_t len,
                                            struct ds_bytes *out, struct ds_error *err);
/* Appends what was packed, with the padding. DS_ENOKEY: another recipient, curve. DS_EAUTH: the
 * cells, the form or aad were altered. */
DS_CHECKED enum ds_status stego_cipher_open(const struct stego_cipher_form *form,
                                            const struct stego_ec_key *key, const uint8_t *aad,
                                            size_t aad_len, const uint8_t *cells, size_t len,
                                            struct ds_bytes *out, struct ds_error *err);

#endif

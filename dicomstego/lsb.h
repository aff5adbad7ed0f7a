/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsb - bytes in the least significant bits of samples, as simple tools and many papers do it.
 *
 * The lowest 1 to 4 bits of samples are replaced, one sample after the other or in an order that
 * only a key gives. The bits that stood there are lost, unless they travel along, coded, where the
 * image has room for that (is_reversible). What is hidden can be seen to be there by statistics
 * (docs/methods.md), and is not kept from anybody by this method: it must be sealed before.
 *
 * Samples in the declared padding range, or that could come into it, are passed over, and so is all
 * that is no sample: bits above BitsStored never come here. A header stands in bits 0 of
 * consecutive samples, behind a mark that the engine's reader takes for one of another version, and
 * says the rest: docs/methods.md has its layout.
 */
#ifndef DICOMSTEGO_LSB_H
#define DICOMSTEGO_LSB_H

#include "base/bytes.h"
#include "dicomstego/image.h"

#define STEGO_LSB_PLANES_MAX      4U
#define STEGO_DELIMITER_MAX_BYTES 64U

struct stego_password_key; /* seal.h */

/* A password or shared key for order and DNA complements. */
struct stego_secret {
    const char *text;                     /* NULL: none */
    const struct stego_password_key *key; /* made from text before, or NULL: spares the time */
};

/* Zeroed: one plane, in sequence, with a length in the header. What it points to is borrowed. */
struct stego_lsb_options {
    unsigned planes;                      /* 1..STEGO_LSB_PLANES_MAX; 0 means 1 */
    bool is_reversible;                   /* the replaced bits travel along, or DS_ECAPACITY */
    bool is_keyed;                        /* places in the order that key gives */
    unsigned dna_rule;                    /* 1..STEGO_DNA_RULES (dna.h): over the code; 0: none */
    bool complements;                     /* with the complements that key gives */
    const char *delimiter;                /* ends what is hidden, instead of a length; NULL: none */
    const struct stego_password_key *key; /* where is_keyed or complements */
};

/* What a header says. */
struct stego_lsb_facts {
    unsigned planes, dna_rule;
    bool is_reversible, is_keyed, complements, has_delimiter;
};

#endif

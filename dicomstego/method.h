/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method - the ways to hide bytes in the samples of an image, in one table.
 *
 * A method sees samples and bytes: what it hides was sealed before (capsule.h), and what comes out
 * is verified before it is parsed. Adding one adds a file with a struct stego_method, and a line in
 * method.c. docs/methods.md says when to take which.
 */
#ifndef DICOMSTEGO_METHOD_H
#define DICOMSTEGO_METHOD_H

#include "base/bytes.h"
#include "dicomstego/engine.h"
#include "dicomstego/lsb.h"

enum stego_reversal {
    STEGO_REVERSES_ALWAYS,
    STEGO_REVERSES_ON_REQUEST, /* by an option, where the image has room for it */
    STEGO_REVERSES_NEVER,
};

/* Of all methods; each looks at its own. */
struct stego_method_options {
    struct stego_embed_options engine;
    struct stego_lsb_options lsb;
};

/* How what was hidden is read. Zeroed: without a key, in the caller's thread. */
struct stego_method_reader {
    struct stego_pool *pool;           /* NULL: the caller's thread does all */
    const struct stego_secret *secret; /* NULL: none */
};

/* What a carrier says of the method, or what reading found. */
struct stego_method_facts {
    const struct stego_method *method;       /* NULL: no mark */
    bool is_restored;                        /* the samples are now the original's */
    struct stego_rect exclude;               /* a key region, which stays covered */
    unsigned planes, damaged, first_damaged; /* of the engine: as struct stego_extract_facts */
    struct stego_lsb_facts lsb;
};

struct stego_method {
    const char *name;    /* as in --method */
    const char *summary; /* one line */
    bool needs_secret;   /* nothing is hidden or found without a password or key */
    bool is_secret;      /* hides from view what it carries, by itself; else sealing alone does */
    enum stego_reversal reversal;
    /* How many bits of payload fit, true to the bit; 0 when nothing does. */
    enum ds_status (*capacity)(const struct stego_image *image,
                               const struct stego_method_options *options, uint64_t *bits,
                               struct ds_error *err);
    /* As stego_embed; others than the engine fill up the last byte with what stands there. */
    enum ds_status (*protect)(struct stego_image *image, const uint8_t *payload,
                              size_t payload_bits, const struct stego_method_options *options,
                              struct stego_embed_facts *facts, struct ds_error *err);
    /* Statuses as stego_extract, and DS_ENOKEY: needs another secret. */
    enum ds_status (*recover)(struct stego_image *image, const struct stego_method_reader *reader,
                              struct ds_bytes *payload, struct stego_method_facts *facts,
                              struct ds_error *err);
};

extern const struct stego_method stego_method_rdh; /* the reversible engine (engine.h) */
extern const struct stego_method stego_method_lsb; /* least significant bits (lsb.h) */

/* The i-th of the table; NULL behind the last. */
const struct stego_method *stego_method_at(size_t i);
/* By name; NULL when there is none such. */
const struct stego_method *stego_method_named(const char *name);
/* Will the original come back from what this method makes with these options? */
bool stego_method_reverses(const struct stego_method *method,
                           const struct stego_method_options *options);

/* Finds by the mark what was hidden and by which method, and appends it to payload. facts may be
 * NULL. DS_ENOTHING: no mark of any method. */
DS_CHECKED enum ds_status stego_method_recover(struct stego_image *image,
                                               const struct stego_method_reader *reader,
                                               struct ds_bytes *payload,
                                               struct stego_method_facts *facts,
                                               struct ds_error *err);

#endif

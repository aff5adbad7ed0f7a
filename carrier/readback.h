/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readback - is what a peer gave back still what it was sent?
 *
 * The hashes of what was sent decide; only where they differ is the sent instance itself asked for,
 * to say in what. Of a carrier it is also said whether it still proves and restores its original.
 * Findings name attributes and numbers, never values.
 */
#ifndef DICOMSTEGO_CARRIER_READBACK_H
#define DICOMSTEGO_CARRIER_READBACK_H

#include "carrier/carrier.h"
#include "dicom/difference.h"

enum carrier_back_verdict {
    CARRIER_BACK_INTACT,     /* the same data set, in whatever encoding */
    CARRIER_BACK_ATTRIBUTES, /* the same pixels in another data set */
    CARRIER_BACK_PIXELS,
    CARRIER_BACK_LOSSY, /* other pixels, and it says itself that information was thrown away */
};

struct carrier_back_expected {
    struct carrier_hashes hashes; /* of what was sent */
    /* Of a carrier or sidecar: the hashes of the original that it speaks for; else NULL. */
    const struct carrier_hashes *original;
    const struct stego_keyring *keyring; /* with original: whom to trust */
    /* The data set that was sent, borrowed; asked at most once, and only when something differs.
     * *out NULL: it can no longer be had. */
    enum ds_status (*sent)(void *context, const struct dicom_dataset **out, struct ds_error *err);
    void *context;
};

#define CARRIER_BACK_CHANGES_MAX 64U
struct carrier_back_change {
    dicom_tag tag;
    enum dicom_difference how;
};

/* Does a carrier still do what it is for? */
enum carrier_back_proof {
    CARRIER_BACK_NOT_ASKED, /* it is none */
    CARRIER_BACK_PROVEN,    /* verified; and, in pixels, the original's pixels were restored */
    CARRIER_BACK_SEALED,    /* verified; a key region keeps us from restoring */
    CARRIER_BACK_LOST,      /* nothing in it verifies any more */
};

struct carrier_back {
    enum carrier_back_verdict verdict;
    struct carrier_hashes hashes; /* of what came */
    bool reencoded;               /* intact, or nearly so, in other bytes than were sent */
    char transfer_syntax[DICOM_UID_BYTES];
    enum carrier_back_proof proof;
    /* What was sent could be had again, and the following is known: */
    bool compared;
    struct carrier_back_change changes[CARRIER_BACK_CHANGES_MAX]; /* the first of them */
    size_t change_count;                                          /* all */
    size_t private_removed;                                       /* of these, private elements */
    bool pixels_compared;
    struct dicom_pixel_difference pixels;
};

/* file: Part 10, as the peer gave it. DS_EFORMAT: no DICOM. DS_EUNSUPPORTED: its pixels are in a
 * form that nobody here decodes, and they were not when it was sent. */
DS_CHECKED enum ds_status carrier_read_back(const struct carrier_back_expected *expected,
                                            const uint8_t *file, size_t len,
                                            struct carrier_back *out, struct ds_error *err);

#endif

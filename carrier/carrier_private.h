/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carrier_private - what the files of this room share and nobody else sees.
 *
 *   original.c   the cover: its bytes, data set, pixels, hashes, envelope
 *   hiding.c     the engine's options from what people ask for
 *   derive.c     the attributes of the derived instance
 *   record.c     the restore record, with change.c (one element), region.c (key region; its
 *                samples in block.c, jpegls.c, residuals.c) and restyle.c (the file's own way of
 *                encoding)
 *   envelopes.c  the document with every instance's bytes around its pixels
 *   plan.c make.c found.c restore.c report.c
 */
#ifndef DICOMSTEGO_CARRIER_PRIVATE_H
#define DICOMSTEGO_CARRIER_PRIVATE_H

#include "carrier/carrier.h"
#include "dicom/envelope.h"

#define CARRIER_REASON_BYTES 160U

/* The private element of a sidecar: (0099,xx01), reserved by this creator (PS3.5 7.8.1). */
#define CARRIER_SIDECAR_CREATOR "DICOMSTEGO 1.0"
#define CARRIER_SIDECAR_GROUP   0x0099U
#define CARRIER_SIDECAR_TAG     DICOM_TAG(CARRIER_SIDECAR_GROUP, 0x0001)

#define CARRIER_ENVELOPES_NAME  "attributes.envelopes"
#define CARRIER_ENVELOPES_MEDIA "application/x-dicomstego-envelopes"

struct carrier_original {
    struct ds_bytes file;
    struct dicom_dataset *dataset;
    struct carrier_hashes hashes;
    struct dicom_pixels pixels;
    struct stego_image image; /* samples NULL when not suitable */
    struct dicom_envelope envelope;
    enum ds_status suitable;
    char reason[CARRIER_REASON_BYTES];
};

/* Allocates image->samples and fills them from the cells. DS_EUNSUPPORTED when the engine cannot
 * take this kind of image. */
DS_CHECKED enum ds_status carrier_image_of(const struct dicom_pixels *pixels,
                                           struct stego_image *image, struct ds_error *err);

/* All three hashes of a data set and its bytes; pixels may be NULL. */
DS_CHECKED enum ds_status carrier_hashes_of(const struct dicom_dataset *d,
                                            const struct dicom_pixels *pixels, const uint8_t *file,
                                            size_t len, struct carrier_hashes *out,
                                            struct ds_error *err);

/* ---- hiding.c ---- */

/* Is there a limit that more effort might keep where less does not? */
bool carrier_hiding_is_limited(const struct carrier_hiding *h);
/* A quick bound from below, for planning. */
DS_CHECKED enum ds_status carrier_hiding_at_least(const struct carrier_hiding *h,
                                                  const struct stego_image *image,
                                                  const struct stego_rect *region, uint64_t *bits,
                                                  struct ds_error *err);
/* carrier_hiding_capacity in at most so many passes. */
DS_CHECKED enum ds_status carrier_hiding_measure(const struct carrier_hiding *h,
                                                 const struct stego_image *image,
                                                 const struct stego_rect *region,
                                                 unsigned max_passes, uint64_t *bits,
                                                 struct ds_error *err);

/* ---- derive.c ---- */

struct carrier_derivation {
    const uint8_t *capsule_id; /* STEGO_CAPSULE_ID_BYTES */
    int64_t created_utc_us;
    const struct carrier_make_options *options;
    enum carrier_placement placement;
};

/* A copy of the original's data set with the attributes of a derived instance. */
DS_CHECKED enum ds_status carrier_derive(const struct carrier_original *o,
                                         const struct carrier_derivation *how,
                                         struct dicom_dataset **out, struct ds_error *err);

/* The tags that carrier_derive may change, ascending; the index is the restore record's code. */
extern const dicom_tag carrier_derived_tags[];
extern const size_t carrier_derived_tag_count;

/* ---- change.c: one element from the carrier's form back to the original's ---- */

/* Appends the shortest description of how `was` comes from `is`; both are whole elements in
 * Explicit VR Little Endian, or empty when absent. */
DS_CHECKED enum ds_status carrier_change_describe(const struct ds_bytes *was,
                                                  const struct ds_bytes *is, struct ds_bytes *out,
                                                  struct ds_error *err);
/* Reads one description and appends the element as it was (nothing when it was absent). */
DS_CHECKED enum ds_status carrier_change_apply(struct ds_cursor *change, const struct ds_bytes *is,
                                               struct ds_bytes *was, struct ds_error *err);

/* ---- numbers and compression in records ---- */

/* Seven bits a byte, least significant first, at most 32 bits. */
DS_CHECKED enum ds_status carrier_put_number(struct ds_bytes *b, uint32_t v, struct ds_error *err);
uint32_t carrier_get_number(struct ds_cursor *c);

/* LZMA without container; the reader must know the unpacked length. */
DS_CHECKED enum ds_status carrier_pack(const uint8_t *data, size_t len, struct ds_bytes *out,
                                       struct ds_error *err);
DS_CHECKED enum ds_status carrier_unpack(const uint8_t *data, size_t len, size_t unpacked_len,
                                         struct ds_bytes *out, struct ds_error *err);

/* ---- region.c ---- */

/* "DICOMSTEGO:", capsule id in hexadecimal, ":", origin, terminator. */
#define CARRIER_QR_TEXT_BYTES (11U + 2U * STEGO_CAPSULE_ID_BYTES + 1U + STEGO_ORIGIN_BYTES)

bool carrier_region_is_empty(const struct stego_rect *r);
DS_CHECKED enum ds_status carrier_region_check(const struct stego_image *image,
                                               const struct stego_rect *r, struct ds_error *err);
/* Appends the region's samples, each component coded without loss (block.h). Chroma that is halved
 * counts from column x / 2 to (x + width - 1) / 2. */
DS_CHECKED enum ds_status carrier_region_save(const struct stego_image *image,
                                              const struct stego_rect *r, struct ds_bytes *out,
                                              struct ds_error *err);
DS_CHECKED enum ds_status carrier_region_restore(struct stego_image *image,
                                                 const struct stego_rect *r, const uint8_t *saved,
                                                 size_t len, struct ds_error *err);
/* Covers the region: with a QR code of text, or plain when text is NULL. photometric: PS3.3
 * C.7.6.3.1.2, which says what is dark. */
DS_CHECKED enum ds_status carrier_region_cover(struct stego_image *image,
                                               const struct stego_rect *r, const char *text,
                                               const char *photometric, struct ds_error *err);

/* ---- restyle.c ---- */

#define CARRIER_STYLE_IMPLICIT             1U
#define CARRIER_STYLE_GROUP_LENGTHS        2U
#define CARRIER_STYLE_NESTED_GROUP_LENGTHS 4U
#define CARRIER_STYLE_UNDEFINED_SEQUENCES  8U
#define CARRIER_STYLE_UNDEFINED_ITEMS      16U
#define CARRIER_STYLE_BIG_ENDIAN           32U
#define CARRIER_STYLE_ODD_PIXELS           64U  /* Pixel Data without its padding byte */
#define CARRIER_STYLE_COUNT                128U /* one past the largest combination */
#define CARRIER_STYLE_NONE                 255U

/* canonical: a data set in Explicit VR Little Endian with explicit lengths and without group
 * lengths. Appends the same data set in another way of writing. */
DS_CHECKED enum ds_status carrier_restyle(const uint8_t *canonical, size_t len, unsigned style,
                                          struct ds_bytes *out, struct ds_error *err);
/* The style in which the data set is exactly these bytes, or CARRIER_STYLE_NONE. */
DS_CHECKED enum ds_status carrier_style_of(const uint8_t *canonical, size_t len,
                                           const uint8_t *dataset, size_t dataset_len,
                                           bool implicit, bool big_endian, unsigned *style,
                                           struct ds_error *err);

/* ---- record.c ---- */

struct carrier_record { /* parsed; region_saved borrows from the bytes that were parsed */
    struct ds_bytes unpacked;
    char transfer_syntax[DICOM_UID_BYTES]; /* of the original */
    unsigned style;                        /* of the original's file, or CARRIER_STYLE_NONE */
    uint8_t file_hash[DS_SHA256_BYTES];
    struct ds_cursor changes;
    uint32_t change_count;
    struct stego_rect region; /* empty when there is none */
    const uint8_t *region_saved;
    size_t region_len;
};

/* derived: the carrier's data set as far as its attributes go. */
DS_CHECKED enum ds_status carrier_record_build(const struct carrier_original *o,
                                               const struct dicom_dataset *derived,
                                               const struct stego_rect *region,
                                               struct ds_bytes *out, struct ds_error *err);
/* bytes must have been authenticated. On failure too *out needs carrier_record_free. */
DS_CHECKED enum ds_status carrier_record_parse(struct carrier_record *out, const uint8_t *bytes,
                                               size_t len, struct ds_error *err);
void carrier_record_free(struct carrier_record *r); /* zeroed is fine */
/* Puts the original's attributes back. */
DS_CHECKED enum ds_status carrier_record_undo(const struct carrier_record *r,
                                              struct dicom_dataset *d, struct ds_error *err);

/* ---- envelopes.c ---- */

/* What stands before and behind the pixel cells of one instance. */
struct carrier_envelope {
    uint8_t key[4]; /* the first bytes of the dataset hash */
    uint8_t flags;
    struct ds_bytes before, behind;
};
#define CARRIER_ENVELOPE_OWN_BYTES  1U /* the file's own bytes; else canonical Explicit VR LE */
#define CARRIER_ENVELOPE_SWAP_WORDS 2U /* the file has its cells as big endian words */

/* DS_ENOTHING when there are no native or decodable pixels: nothing to put the bytes around. */
DS_CHECKED enum ds_status carrier_envelope_of(const struct carrier_original *o,
                                              struct carrier_envelope *out, struct ds_error *err);
void carrier_envelope_free(struct carrier_envelope *e);

DS_CHECKED enum ds_status carrier_envelopes_write(const struct carrier_envelope *items,
                                                  size_t count, struct ds_bytes *out,
                                                  struct ds_error *err);

/* One envelope of a document, borrowed. */
struct carrier_envelope_view {
    uint8_t flags;
    const uint8_t *before, *behind;
    size_t before_len, behind_len;
};
/* The next envelope with this key; *at starts at 0. DS_ENOTFOUND when there is no further one. */
DS_CHECKED enum ds_status carrier_envelopes_find(const uint8_t *document, size_t len,
                                                 const uint8_t key[4], size_t *at,
                                                 struct carrier_envelope_view *out,
                                                 struct ds_error *err);
/* The whole file: envelope around the cells. */
DS_CHECKED enum ds_status carrier_envelope_fill(const struct carrier_envelope_view *e,
                                                const struct ds_bytes *cells, struct ds_bytes *out,
                                                struct ds_error *err);

/* ---- found.c ---- */

struct carrier_found {
    struct dicom_dataset *dataset;
    struct dicom_pixels pixels; /* restored, but for a key region; empty without pixels */
    struct stego_image image;   /* samples NULL for a sidecar */
    struct stego_rect region;   /* left out by the engine: a key region */
    struct stego_part *part;
    struct ds_bytes payload;
    enum carrier_placement placement;
};

/* transfer_syntax as for dicom_dataset_read. */
DS_CHECKED enum ds_status carrier_found_read(struct carrier_found **out, const uint8_t *bytes,
                                             size_t len, const char *transfer_syntax,
                                             const struct stego_keyring *keyring,
                                             struct stego_pool *pool, struct ds_error *err);

/* ---- restore.c ---- */

/* Undoes everything by an authenticated record; DS_EAUTH when pixel or dataset hash differ from the
 * manifest's. *out_dataset is the original's data set; pixels gets the native cells (empty
 * without). */
DS_CHECKED enum ds_status carrier_undo(const struct carrier_found *f,
                                       const struct carrier_record *record,
                                       struct dicom_dataset **out_dataset,
                                       struct dicom_pixels *pixels, struct ds_error *err);

#endif

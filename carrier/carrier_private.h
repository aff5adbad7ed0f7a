/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carrier_private - what the files of this room share and nobody else sees.
 *
 *   original.c   the cover: its bytes, data set, pixels, hashes, envelope
 *   hiding.c     the engine's options from what people ask for
 *   derive.c     the attributes of the derived instance; uid.c its UIDs, extremes.c its smallest
 *                and largest pixel value
 *   record.c     the restore record, with change.c (one element), region.c (key region; its
 *                samples in block.c, residuals.c), restyle.c and patch.c (the file's own
 *                way of encoding)
 *   references.c what other objects say of carriers (references.h)
 *   envelopes.c  the document with every instance's bytes around its pixels
 *   sidecar.c    the instance beside an original that cannot carry; beside.c joins the two again
 *   plan.c       the instances of a study, measured; plan_seal.c who of them carries what
 *   make.c found.c restore.c report.c
 */
#ifndef DICOMSTEGO_CARRIER_PRIVATE_H
#define DICOMSTEGO_CARRIER_PRIVATE_H

#include "base/map.h"
#include "carrier/carrier.h"
#include "dicom/envelope.h"

#define CARRIER_REASON_BYTES 160U

#define CARRIER_ENVELOPES_NAME  "attributes.envelopes"
#define CARRIER_ENVELOPES_MEDIA "application/x-dicomstego-envelopes"

struct carrier_original {
    struct ds_map map; /* when opened by path */
    const uint8_t *file;
    size_t len;
    struct dicom_dataset *dataset;
    struct carrier_hashes hashes;
    struct dicom_pixels pixels; /* the frames that can carry */
    struct stego_image image;   /* samples NULL when not suitable */
    struct dicom_envelope envelope;
    enum ds_status suitable;
    char reason[CARRIER_REASON_BYTES];
};

/* Allocates image->samples and fills them from the cells. DS_EUNSUPPORTED when the engine cannot
 * take this kind of image. */
DS_CHECKED enum ds_status carrier_image_of(const struct dicom_pixels *pixels,
                                           struct stego_image *image, struct ds_error *err);

/* All three hashes of a data set and its bytes; without pixels where this node cannot decode them.
 */
/* file_hash: known before; NULL: computed. */
DS_CHECKED enum ds_status carrier_hashes_of(const struct dicom_dataset *d, const uint8_t *file,
                                            size_t len, const uint8_t *file_hash,
                                            struct carrier_hashes *out, struct ds_error *err);
/* Has the data set a sidecar element? */
bool carrier_has_sidecar(const struct dicom_dataset *d);

/* ---- hiding.c ---- */

/* Is there a limit that more effort might keep where less does not? */
bool carrier_hiding_is_limited(const struct carrier_hiding *h);
/* A quick bound from below, for planning. */
DS_CHECKED enum ds_status carrier_hiding_at_least(const struct carrier_hiding *h,
                                                  const struct stego_image *image,
                                                  const struct stego_rect *region, uint64_t *bits,
                                                  struct ds_error *err);
/* Does the image hold so many bytes? One trial. */
DS_CHECKED enum ds_status carrier_hiding_holds(const struct carrier_hiding *h,
                                               const struct stego_image *image,
                                               const struct stego_rect *region, size_t bytes,
                                               bool *holds, struct ds_error *err);
/* carrier_hiding_capacity in at most so many passes. */
DS_CHECKED enum ds_status carrier_hiding_measure(const struct carrier_hiding *h,
                                                 const struct stego_image *image,
                                                 const struct stego_rect *region,
                                                 unsigned max_passes, uint64_t *bits,
                                                 struct ds_error *err);

/* ---- derive.c ---- */

struct carrier_derivation {
    const char *site;
    const uint8_t *capsule_id; /* for a sidecar, which belongs to one capsule */
    int64_t created_utc_us;
    const struct carrier_make_options *options;
};

#define CARRIER_DATE_TIME_BYTES 32U

/* VR DT in UTC (PS3.5 6.2), to the second: "20260131235959+0000". */
void carrier_format_date_time(int64_t utc_us, char out[CARRIER_DATE_TIME_BYTES]);

/* A copy of the original's data set with the attributes of a derived instance. */
DS_CHECKED enum ds_status carrier_derive(const struct carrier_original *o,
                                         const struct carrier_derivation *how,
                                         struct dicom_dataset **out, struct ds_error *err);

/* A copy with its references rewritten, as a derived instance, and what was there (references.h);
 * *out NULL when it refers to none of the carriers. */
DS_CHECKED enum ds_status carrier_derive_referring(const struct carrier_original *o,
                                                   const struct carrier_derivation *how,
                                                   struct dicom_dataset **out,
                                                   struct ds_bytes *references,
                                                   struct ds_error *err);

/* The tags that either may change, ascending; the index is the restore record's code. */
extern const dicom_tag carrier_derived_tags[];
extern const size_t carrier_derived_tag_count;

/* ---- extremes.c: smallest and largest pixel value ---- */

#define CARRIER_TAG_SMALLEST_IN_IMAGE  DICOM_TAG(0x0028, 0x0106)
#define CARRIER_TAG_LARGEST_IN_IMAGE   DICOM_TAG(0x0028, 0x0107)
#define CARRIER_TAG_SMALLEST_IN_SERIES DICOM_TAG(0x0028, 0x0108)
#define CARRIER_TAG_LARGEST_IN_SERIES  DICOM_TAG(0x0028, 0x0109)

/* Is tag one of them, and right for the original? Only then may the carrier have another. */
bool carrier_extreme_was_right(const struct carrier_original *o, dicom_tag tag);
/* Makes those right for the carrier's samples that were right for the original's. */
DS_CHECKED enum ds_status carrier_extremes_settle(const struct carrier_original *o,
                                                  const struct stego_image *image,
                                                  struct dicom_dataset *d, struct ds_error *err);

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

/* ---- qr.c ---- */

struct carrier_qr_text {
    const char *text;
    bool may_split; /* over several codes (structured append) */
};

/* QR codes for a rectangle, with the quiet zone around each. */
struct carrier_qr;

/* Module size and number of codes are chosen for the rectangle, the largest modules that fit, of at
 * least CARRIER_QR_MODULE_MIN pixels. DS_ECAPACITY: it is too small; *least is the side of a square
 * that would do for one code, 0 where none would. */
#define CARRIER_QR_MODULE_MIN 2U
DS_CHECKED enum ds_status carrier_qr_make(struct carrier_qr **out, uint32_t width, uint32_t height,
                                          const struct carrier_qr_text *text, uint32_t *least,
                                          struct ds_error *err);
void carrier_qr_free(struct carrier_qr *q);
void carrier_qr_auto(struct carrier_qr **q);
/* Of a pixel of the rectangle. */
bool carrier_qr_is_dark(const struct carrier_qr *q, uint32_t x, uint32_t y);

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
/* Covers the region: with QR codes of the first of texts (NULL: left out) that fits, or plain when
 * count is 0. photometric: PS3.3 C.7.6.3.1.2, which says what is dark. DS_EINVAL: none fits; the
 * least size for the last is told. */
DS_CHECKED enum ds_status carrier_region_cover(struct stego_image *image,
                                               const struct stego_rect *r,
                                               const struct carrier_qr_text *texts, size_t count,
                                               const char *photometric, struct ds_error *err);
/* What the engine is asked when there are several key regions: it leaves the first out, the others
 * are preserved as they were covered. room belongs to the caller, and *out points into it. */
DS_CHECKED enum ds_status carrier_regions_preserve(const struct carrier_hiding *how,
                                                   const struct carrier_regions *more,
                                                   struct stego_rect room[STEGO_PRESERVE_MAX],
                                                   struct carrier_hiding *out,
                                                   struct ds_error *err);

/* ---- restyle.c ---- */

#define CARRIER_STYLE_IMPLICIT             1U
#define CARRIER_STYLE_GROUP_LENGTHS        2U
#define CARRIER_STYLE_NESTED_GROUP_LENGTHS 4U
#define CARRIER_STYLE_UNDEFINED_SEQUENCES  8U
#define CARRIER_STYLE_UNDEFINED_ITEMS      16U
#define CARRIER_STYLE_BIG_ENDIAN           32U
#define CARRIER_STYLE_ODD_PIXELS           64U  /* Pixel Data without its padding byte */
#define CARRIER_STYLE_BYTE_PIXELS          128U /* Pixel Data with VR OB, whatever its cells */
#define CARRIER_STYLE_COUNT                256U /* one past the largest combination */
#define CARRIER_STYLE_NONE                 255U /* no style: in Implicit VR Pixel Data has no VR */

/* A data set in Explicit VR Little Endian with explicit lengths and without group lengths. The
 * value of native Pixel Data is left out: dicom_dataset_write_hollow. */
struct carrier_canonical {
    struct ds_bytes bytes;
    size_t pixel_bytes; /* even length of the value left out; 0: none */
};
DS_CHECKED enum ds_status carrier_canonical_of(const struct dicom_dataset *d,
                                               struct carrier_canonical *out, struct ds_error *err);
void carrier_canonical_free(struct carrier_canonical *c); /* zeroed is fine */

/* The same data set in another way of writing, as the bytes before and behind the value left out.
 */
struct carrier_styled {
    struct ds_bytes bytes; /* both, one behind the other */
    size_t pixel_at;       /* where the value belongs; bytes.len without one */
    size_t pixel_bytes;    /* its length there */
};
DS_CHECKED enum ds_status carrier_restyle(const struct carrier_canonical *canonical, unsigned style,
                                          struct carrier_styled *out, struct ds_error *err);
void carrier_styled_free(struct carrier_styled *s);

struct carrier_style {
    unsigned style;        /* or CARRIER_STYLE_NONE */
    struct ds_bytes patch; /* what the bytes around the value have otherwise; mostly empty */
    size_t pixel_at;       /* where the value belongs in the patched bytes */
};
/* The style, and the patch to it, in which the data set is exactly these bytes; that with the
 * shortest patch. The value of native Pixel Data, pixel_bytes at pixel_at (dataset_len and 0
 * without), is taken to be the data set's. known: IMPLICIT, BIG_ENDIAN and BYTE_PIXELS as they are,
 * which the file itself tells. out->patch needs ds_bytes_free, on failure too. */
DS_CHECKED enum ds_status carrier_style_of(const struct carrier_canonical *canonical,
                                           const uint8_t *dataset, size_t dataset_len,
                                           size_t pixel_at, size_t pixel_bytes, unsigned known,
                                           struct carrier_style *out, struct ds_error *err);

/* ---- patch.c: the bytes that no style explains ---- */

/* More is not worth an image's pixels: the envelope in the capsule is for such a file. */
#define CARRIER_PATCH_MAX_BYTES 1024U

/* Appends what makes want of base; DS_ENOTFOUND when that is more than CARRIER_PATCH_MAX_BYTES.
 * Nothing is appended when they are equal. */
DS_CHECKED enum ds_status carrier_patch_describe(const struct ds_bytes *base, const uint8_t *want,
                                                 size_t want_len, struct ds_bytes *out,
                                                 struct ds_error *err);
/* Appends base with the patch applied. */
DS_CHECKED enum ds_status carrier_patch_apply(const uint8_t *patch, size_t patch_len,
                                              const struct ds_bytes *base, struct ds_bytes *out,
                                              struct ds_error *err);

/* ---- record.c ---- */

struct carrier_region_saved {
    struct stego_rect rect;
    const uint8_t *saved; /* borrows from the bytes that were parsed */
    size_t len;
};

struct carrier_record { /* parsed */
    struct ds_bytes unpacked;
    char transfer_syntax[DICOM_UID_BYTES]; /* of the original */
    unsigned style;                        /* of the original's file, or CARRIER_STYLE_NONE */
    const uint8_t *patch;                  /* to the style; borrows from unpacked */
    size_t patch_len;
    size_t pixel_at; /* with a patch: where the value of native Pixel Data belongs */
    uint8_t file_hash[DS_SHA256_BYTES];
    struct ds_cursor changes;
    uint32_t change_count;
    const uint8_t *references; /* for carrier_references_undo; borrows from unpacked */
    size_t references_len;     /* 0: none were rewritten */
    struct carrier_region_saved regions[CARRIER_REGIONS_MAX];
    size_t region_count;
};

/* derived: the carrier's data set as far as its attributes go. references: of
 * carrier_derive_referring; empty, or NULL, when none were rewritten. */
DS_CHECKED enum ds_status
carrier_record_build(const struct carrier_original *o, const struct dicom_dataset *derived,
                     const struct stego_rect *region, const struct carrier_regions *more,
                     const struct ds_bytes *references, struct ds_bytes *out, struct ds_error *err);
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
#define CARRIER_ENVELOPE_WHOLE      4U /* the whole file, compressed pixels included: no cells */

/* The whole file, so that a compressed original comes back to the byte. DS_ECAPACITY: too large. */
DS_CHECKED enum ds_status carrier_envelope_whole(const struct carrier_original *o,
                                                 struct carrier_envelope *out,
                                                 struct ds_error *err);
/* The bytes around the pixels; without pixels that can be read, the whole file. */
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
/* The whole file: envelope around the cells of d with its first frames replaced. */
DS_CHECKED enum ds_status carrier_envelope_fill(const struct carrier_envelope_view *e,
                                                const struct dicom_dataset *d,
                                                const struct dicom_pixels *front,
                                                struct ds_bytes *out, struct ds_error *err);

/* ---- found.c ---- */

struct carrier_found {
    struct dicom_dataset *dataset;
    struct dicom_pixels pixels; /* the frames that can carry: restored, but for a key region */
    bool pixels_are_proven;     /* they and the frames behind have the manifest's hash */
    struct stego_image image;   /* samples NULL for a sidecar */
    struct stego_rect region;   /* left out by the engine: a key region */
    struct stego_method_facts method; /* all zero for a sidecar */
    struct stego_part *part;
    struct ds_bytes payload;
    enum carrier_placement placement;
    /* of a sidecar: the instance that it belongs to, once joined; pixels are then its pixels */
    struct ds_bytes beside_file;
    struct dicom_dataset *beside;
};

/* transfer_syntax as for dicom_dataset_read. */
DS_CHECKED enum ds_status carrier_found_read(struct carrier_found **out, const uint8_t *bytes,
                                             size_t len, const char *transfer_syntax,
                                             const struct stego_keyring *keyring,
                                             struct stego_pool *pool, struct ds_error *err);

/* Whose pixels it has: its own, or those of the instance beside it. Borrowed. */
const struct dicom_dataset *carrier_found_pixels_of(const struct carrier_found *f);

/* DS_EUNSUPPORTED: a carrier whose original does not come back. */
DS_CHECKED enum ds_status carrier_found_restorable(const struct carrier_found *f,
                                                   struct ds_error *err);

/* What anybody can prove: the pixels are those that the manifest speaks of. */
DS_CHECKED enum ds_status carrier_found_prove_pixels(struct carrier_found *f, struct ds_error *err);

/* ---- beside.c ---- */

/* Appends the file of the original that a sidecar was joined with: its very bytes where they came
 * through, else the original's way of writing where the record knows it. DS_EAUTH when its
 * attributes are not the original's. */
DS_CHECKED enum ds_status carrier_beside_write(const struct carrier_found *f,
                                               const struct carrier_record *record,
                                               struct ds_bytes *out, struct ds_error *err);

/* ---- report.c ---- */

/* For type 2 (PS3.5 7.4.3). */
DS_CHECKED enum ds_status carrier_set_empty_sequence(struct dicom_dataset *d, dicom_tag tag,
                                                     struct ds_error *err);

/* ---- restore.c ---- */

/* Part 10: our preamble and group 0002, then d as the original's file had it; the record knows the
 * style. */
DS_CHECKED enum ds_status carrier_write_styled(const struct dicom_dataset *d,
                                               const struct carrier_record *record,
                                               struct ds_bytes *out, struct ds_error *err);

/* Undoes everything by an authenticated record; DS_EAUTH when pixel or dataset hash differ from the
 * manifest's. *out_dataset is the original's data set; pixels gets the native cells of the frames
 * that can carry (empty without). */
DS_CHECKED enum ds_status carrier_undo(const struct carrier_found *f,
                                       const struct carrier_record *record,
                                       struct dicom_dataset **out_dataset,
                                       struct dicom_pixels *pixels, struct ds_error *err);

#endif

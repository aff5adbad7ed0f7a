/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carrier - the DICOM instance around the pixels: from an original and a capsule to a carrier, and
 * from a carrier back to the original with proof.
 *
 * Sending:   carrier_original_load each instance -> carrier_plan_add -> carrier_plan_seal (once a
 * study)
 *            -> carrier_make (each instance; pure; proves what it made before it returns)
 * Receiving: carrier_found_load each instance -> stego_collector_add -> carrier_restore
 *
 * The restore record of an instance holds the attributes that carrier_make changed and, with a key
 * region, its pixels. With attributes `all` (or `auto` where it is cheap) the capsule also has a
 * document "attributes.envelopes" with the bytes of every instance around its pixels, so that even
 * a carrier whose attributes were all replaced on the way gives the very file back.
 */
#ifndef DICOMSTEGO_CARRIER_CARRIER_H
#define DICOMSTEGO_CARRIER_CARRIER_H

#include "dicom/dataset.h"
#include "dicom/pixels.h"
#include "dicomstego/capsule.h"
#include "dicomstego/engine.h"
#include "dicomstego/method.h"

/* Of an image of many frames only the first ones carry: as many as have at most this number of
 * samples together, at least one. They are the image that the engine, a key region and what is to
 * be preserved know; all other frames stay as they are and are passed over in pieces. Part of the
 * format (docs/engine.md). */
#define CARRIER_WINDOW_SAMPLES (8U * 1024U * 1024U)

struct carrier_hashes {
    uint8_t pixel[DS_SHA256_BYTES]; /* zeros when there are no pixels */
    uint8_t dataset[DS_SHA256_BYTES];
    uint8_t file[DS_SHA256_BYTES];
    bool has_pixels; /* false also where this node cannot decode them */
};

/* ---- originals ---- */

struct carrier_original;

/* file: the bytes of a Part 10 file or bare data set; borrowed for as long as the original lives.
 */
DS_CHECKED enum ds_status carrier_original_load(struct carrier_original **out, const uint8_t *file,
                                                size_t len, struct ds_error *err);
/* The same from a file, which is mapped (base/map.h). */
DS_CHECKED enum ds_status carrier_original_open(struct carrier_original **out, const char *path,
                                                struct ds_error *err);
/* The same without the samples, for who asks for hashes, attributes and the mark only. file_hash:
 * of its data set as it came, where that was hashed before; NULL: it is computed. */
DS_CHECKED enum ds_status carrier_original_open_hashed(struct carrier_original **out,
                                                       const char *path, const uint8_t *file_hash,
                                                       struct ds_error *err);
/* The same, samples read, for a file that was described before: known are its hashes, its data set
 * was in transfer_syntax. Only the file hash is computed: the same bytes in the same syntax have
 * the same pixels and data set. Others are hashed anew. */
DS_CHECKED enum ds_status carrier_original_open_known(struct carrier_original **out,
                                                      const char *path,
                                                      const struct carrier_hashes *known,
                                                      const char *transfer_syntax,
                                                      struct ds_error *err);
/* Reads the samples of an original that was opened without them: before it is planned or made a
 * carrier. Does nothing the second time. */
DS_CHECKED enum ds_status carrier_original_read(struct carrier_original *o, struct ds_error *err);
void carrier_original_free(struct carrier_original *o);
void carrier_original_auto(struct carrier_original **o);
/* About how much memory it takes: its file, which is mapped, and samples that were read. */
size_t carrier_original_bytes(const struct carrier_original *o);
/* The bytes that it was loaded from; borrowed. */
const uint8_t *carrier_original_file(const struct carrier_original *o, size_t *len);
const struct carrier_hashes *carrier_original_hashes(const struct carrier_original *o);
const struct dicom_dataset *carrier_original_dataset(const struct carrier_original *o);
/* DS_OK: pixels that the engine takes; else DS_EUNSUPPORTED/DS_ENOTHING and why. */
DS_CHECKED enum ds_status carrier_original_suitable(const struct carrier_original *o,
                                                    struct ds_error *err);
/* Is there a carrier's mark in the pixels, or a sidecar element? */
DS_CHECKED bool carrier_original_is_carrier(struct carrier_original *o);
/* The engine's view, of the frames that can carry; borrowed. NULL when not suitable. */
const struct stego_image *carrier_original_image(const struct carrier_original *o);

#define CARRIER_REGIONS_MAX 16U

/* Key regions beyond the first. Borrowed; at most CARRIER_REGIONS_MAX - 1. */
struct carrier_regions {
    const struct stego_rect *items;
    size_t count;
};

/* DS_EINVAL and why, when a key region lies outside the image, overlaps another, or with qr is too
 * small for the code. more may be NULL. */
DS_CHECKED enum ds_status carrier_regions_fit(const struct carrier_original *o,
                                              const struct stego_rect *region,
                                              const struct carrier_regions *more, bool qr,
                                              struct ds_error *err);

/* Is there room in a key region for codes with sealed documents of so many bytes? */
bool carrier_region_holds(const struct stego_rect *region, size_t sealed_bytes);

/* ---- how to hide ---- */

#define CARRIER_EVERY_FRAME UINT32_MAX

/* How to hide: by which method, how hard to work for the image, how much of it may change, and
 * where. What it points to is borrowed. Zeroed: the reversible engine, effort fast, no limits.
 * Other methods than the engine look at padding alone, and at their own options. */
struct carrier_hiding {
    const struct stego_method *method; /* NULL: stego_method_rdh */
    struct stego_lsb_options lsb;
    enum stego_effort effort;
    uint32_t max_difference; /* no sample changes by more; 0: no limit */
    double min_psnr_db;      /* over each image, peak 2^bits_stored - 1; 0: no limit */
    bool use_padding;        /* declared padding may change too; else it stays exactly as it is */
    const struct stego_rect *preserve; /* stay as they are; frame may be CARRIER_EVERY_FRAME */
    size_t preserve_count;             /* at most STEGO_PRESERVE_MAX */
    const uint8_t *mask;               /* mask_rows * mask_columns, the images' size: non-zero
                                          where the pixel stays in every frame; NULL: none */
    uint32_t mask_columns, mask_rows;
    struct stego_pool *pool; /* threads for the planes of an image; NULL: the caller's alone */
};

/* Hides payload_bits bits of payload in the samples of image, a key region (NULL: none) left out;
 * facts may be NULL. On failure the samples are as they were. DS_ECAPACITY: does not fit within the
 * limits. DS_EINVAL: what is to be preserved lies outside the image, or the mask is of another
 * size. */
DS_CHECKED enum ds_status carrier_hide(const struct carrier_hiding *h, struct stego_image *image,
                                       const struct stego_rect *region, const uint8_t *payload,
                                       size_t payload_bits, struct stego_embed_facts *facts,
                                       struct ds_error *err);
/* How many bits of payload it takes, true to the bit. */
DS_CHECKED enum ds_status carrier_hiding_capacity(const struct carrier_hiding *h,
                                                  const struct stego_image *image,
                                                  const struct stego_rect *region, uint64_t *bits,
                                                  struct ds_error *err);

/* Will the original come back? */
bool carrier_hiding_reverses(const struct carrier_hiding *h);

/* DS_EINVAL and why, when what is to be preserved is not of this image. */
DS_CHECKED enum ds_status carrier_hiding_fits(const struct carrier_hiding *h,
                                              const struct stego_image *image,
                                              struct ds_error *err);

/* ---- what feeds measurement (measurement.c) ---- */

/* Kinds of SOP classes whose pixels are computed with rather than looked at; bits of a set. */
enum carrier_measurement {
    CARRIER_MEASURES_RT_DOSE = 1,
    CARRIER_MEASURES_SEGMENTATION = 2, /* label maps, surfaces and height maps too */
    CARRIER_MEASURES_PARAMETRIC_MAP = 4,
    CARRIER_MEASURES_PET = 8,
};
/* The kind, or 0 for every other SOP class. */
unsigned carrier_measurement_of(const char *sop_class_uid);
/* "rt_dose", "segmentation", "parametric_map", "pet"; 0 for any other word. */
unsigned carrier_measurement_named(const char *word);

/* ---- planning a study ---- */

enum carrier_placement {
    CARRIER_IN_PIXELS,
    CARRIER_SIDECAR, /* the original itself, and the same bytes in an instance beside it */
    CARRIER_PASS,    /* the original itself, untouched */
    CARRIER_HOLD,    /* not sent */
};

enum carrier_attributes {
    CARRIER_ATTRIBUTES_AUTO,
    CARRIER_ATTRIBUTES_ALL,
    CARRIER_ATTRIBUTES_CHANGED
};

/* What one instance was given. Stored with its delivery, so that carrier_make can be repeated. */
struct carrier_slot {
    enum carrier_placement placement;
    uint32_t share_index; /* or STEGO_NO_SHARE */
    bool with_key_block;
    bool with_certificate;
    char reason[160]; /* why not in the pixels, or what had no room there; "" otherwise */
};

struct carrier_uid_map; /* references.h */

struct carrier_plan_options {
    enum carrier_placement unsuitable; /* SIDECAR, PASS or HOLD */
    enum carrier_attributes attributes;
    /* The very bytes of compressed originals travel along where they fit: about a bit a sample, so
     * what was compressed with loss. Headers of native ones then only with attributes `all`. */
    bool keep_bitstream;
    struct stego_rect region; /* key region for every instance; empty: none */
    struct carrier_regions more;
    struct carrier_hiding hiding;
    unsigned measurement; /* set of carrier_measurement that may be changed all the same */
    /* What of the other kinds is an unsuitable image like any other; else it passes untouched. */
    bool measurement_is_unsuitable;
    /* Instances that may go as carriers, by their old UIDs; the new ones are not looked at. What
     * would pass untouched, or has no pixels, and refers to one of them goes beside a sidecar,
     * because its references are rewritten. Borrowed; NULL: none. */
    const struct carrier_uid_map *references;
    /* About how many instances will be added. Many share what there is to hide, so quick bounds of
     * their capacities will do. */
    size_t instances;
    /* What will probably be asked of one image beyond its record and header: one that holds as much
     * in a trial is not measured any further, and is taken to hold no more. When that was too
     * little, carrier_plan_is_short says so after sealing. 0: each image is measured. */
    size_t expected_bytes;
};

struct carrier_plan;
DS_CHECKED enum ds_status carrier_plan_new(struct carrier_plan **out,
                                           const struct carrier_plan_options *options,
                                           struct ds_error *err);
void carrier_plan_free(struct carrier_plan *p);
void carrier_plan_auto(struct carrier_plan **p);
/* Other key regions for the instances that are added from now on. */
DS_CHECKED enum ds_status carrier_plan_regions(struct carrier_plan *p,
                                               const struct stego_rect *region,
                                               const struct carrier_regions *more,
                                               struct ds_error *err);
/* Keeps what it needs (geometry, capacity, envelope), not the pixels: the original may be freed. */
DS_CHECKED enum ds_status carrier_plan_add(struct carrier_plan *p, const struct carrier_original *o,
                                           struct ds_error *err);
/* After carrier_plan_seal, whatever it returned: an image was found too small that had only been
 * tried with expected_bytes. Another plan, without them, may be better. */
bool carrier_plan_is_short(const struct carrier_plan *p);
/* request: documents are the reports; share_total is decided here. On success slots[i] belongs to
 * the i-th added instance; count must be their number. DS_ECAPACITY when the reports cannot travel
 * at all. */
DS_CHECKED enum ds_status carrier_plan_seal(struct carrier_plan *p,
                                            const struct stego_seal_request *request,
                                            struct carrier_slot *slots, size_t count,
                                            struct stego_capsule **out, struct ds_error *err);

/* Does it refer to anything in the map? */
DS_CHECKED enum ds_status carrier_original_refers(const struct carrier_original *o,
                                                  const struct carrier_uid_map *map, bool *refers,
                                                  struct ds_error *err);

/* ---- UIDs ---- */

enum carrier_uid { CARRIER_UID_INSTANCE, CARRIER_UID_SERIES };

/* The UID that a carrier has in the place of old, 2.25 form (PS3.5 B.2), from SHA-256 of purpose,
 * site and old: every node of a site gives the same one, always. content, a dataset hash, goes in
 * as well where it is not NULL: for one of two instances that came with the same UID. */
DS_CHECKED enum ds_status carrier_derived_uid(enum carrier_uid purpose, const char *site,
                                              const char *old, const uint8_t *content,
                                              char out[DICOM_UID_BYTES], struct ds_error *err);

/* ---- making one carrier ---- */

struct carrier_make_options {
    struct stego_rect region;
    struct carrier_regions more;
    /* Put QR codes over each region, with capsule id and origin, and the sealed documents where the
     * region has room for them; else it is blanked. */
    bool qr;
    bool retain_uids;
    const char *site; /* whose UIDs carriers get; NULL: the capsule's origin */
    /* Another instance of the study has the same SOP Instance UID and other bytes, and both are
     * sent: this one's new UID comes from its dataset hash as well. */
    bool uid_from_content;
    /* The original goes as a carrier once more, in another capsule: its new UID comes from that
     * capsule as well, or an archive on the way would take it for the one that it has. */
    bool uid_from_capsule;
    /* Old and new UIDs of what goes to the same peer as carriers; NULL: none. An original beside a
     * sidecar that refers to them goes as carrier_made.beside, rewritten. Not asked with
     * retain_uids. */
    const struct carrier_uid_map *references;
    const char *beside_syntax;    /* of that instance; NULL: the original's own */
    struct carrier_hiding hiding; /* the plan's */
    const char *station;          /* for Contributing Equipment: our AE title; NULL: "DICOMSTEGO" */
    /* Of the data set that is written, lossless; NULL: Explicit VR LE. DS_EUNSUPPORTED where the
     * image has no form in it. */
    const char *transfer_syntax;
};

/* What travels in the place of the original; or, for a sidecar, beside it: the original then goes
 * as it is, with its own UIDs, and is no part of this. */
struct carrier_made {
    struct ds_bytes dataset; /* without group 0002, in transfer_syntax; DS_BYTES_LARGE */
    char transfer_syntax[DICOM_UID_BYTES];
    char sop_class_uid[DICOM_UID_BYTES];
    char sop_instance_uid[DICOM_UID_BYTES]; /* the carrier's */
    struct carrier_hashes hashes;           /* the carrier's own */
    struct stego_distortion distortion;     /* outside the key region; all zero for a sidecar */
    uint64_t hidden_bits;
    unsigned passes;
    /* Beside a sidecar, where the original refers to carriers: the instance that goes in its place,
     * as dataset. Empty: the original goes. Its SOP class is the original's. */
    struct ds_bytes beside;
    char beside_syntax[DICOM_UID_BYTES];
    char beside_sop_instance_uid[DICOM_UID_BYTES];
};

/* Pure: the same original, capsule, slot and options, but for the pool, give the same bytes. Before
 * it returns, the very bytes in made->dataset have been parsed, extracted and restored, and found
 * equal to the original in pixel and dataset hash (a sidecar's: opened, and found to hold the
 * original's hashes): DS_EAUTH when they were not. DS_EINVAL: a transfer syntax that may lose.
 * DS_EUNSUPPORTED: the image has no form in the transfer syntax. DS_ECAPACITY: the
 * limits of options->hiding are narrower than those of the plan. slot->placement is PIXELS or
 * SIDECAR. */
DS_CHECKED enum ds_status carrier_make(const struct stego_capsule *capsule,
                                       const struct carrier_original *o,
                                       const struct carrier_slot *slot,
                                       const struct carrier_make_options *options,
                                       struct carrier_made *made, struct ds_error *err);
/* Appends the carrier as a Part 10 file: our preamble and group 0002 before the very bytes of
 * made->dataset. */
DS_CHECKED enum ds_status carrier_made_part10(const struct carrier_made *m, struct ds_bytes *out,
                                              struct ds_error *err);
/* The same for beside, where it is not empty. */
DS_CHECKED enum ds_status carrier_made_beside_part10(const struct carrier_made *m,
                                                     struct ds_bytes *out, struct ds_error *err);
void carrier_made_free(struct carrier_made *m); /* zeroed is fine */

/* ---- sidecars ---- */

/* Raw Data Storage (PS3.3 A.37), as which a sidecar travels. */
#define CARRIER_SIDECAR_CLASS "1.2.840.10008.5.1.4.1.1.66"

/* The SOP Instance UID of the instance that a sidecar belongs to, as it says and nobody has proven
 * ("" when it names none). DS_ENOTHING: the file is no sidecar. */
DS_CHECKED enum ds_status carrier_sidecar_of(const uint8_t *file, size_t len,
                                             char uid[DICOM_UID_BYTES], struct ds_error *err);

/* Is what is to be protected one itself? */
bool carrier_original_is_sidecar(const struct carrier_original *o);

/* ---- recovering ---- */

struct carrier_found; /* a carrier as it arrived, its part opened and verified as far as the keyring
                         allows */

/* file is borrowed for as long as what was found lives. DS_ENOTHING: carries nothing. DS_EAUTH:
 * altered (the text says how many frames and where, when
 * it was not the whole image), or not from a trusted signer. pool: threads for the planes of the
 * image, or NULL. */
DS_CHECKED enum ds_status carrier_found_load(struct carrier_found **out, const uint8_t *file,
                                             size_t len, const struct stego_keyring *keyring,
                                             struct stego_pool *pool, struct ds_error *err);
void carrier_found_free(struct carrier_found *f);
void carrier_found_auto(struct carrier_found **f);
const struct stego_part *carrier_found_part(const struct carrier_found *f);
enum carrier_placement carrier_found_placement(const struct carrier_found *f);

/* As it arrived; borrowed. */
const struct dicom_dataset *carrier_found_dataset(const struct carrier_found *f);
/* The first key region that was covered; empty (width 0) without. */
const struct stego_rect *carrier_found_region(const struct carrier_found *f);
size_t carrier_found_payload_bytes(const struct carrier_found *f);
/* How it was hidden; method NULL for a sidecar. Without is_restored the original's pixels are gone:
 * what was hidden can be read, and carrier_restore answers DS_EUNSUPPORTED. */
const struct stego_method_facts *carrier_found_method(const struct carrier_found *f);
/* The reader of a keyring's owner. *secret: room for what it refers to. */
struct stego_method_reader carrier_reader_of(const struct stego_keyring *keyring,
                                             struct stego_pool *pool, struct stego_secret *secret);

/* Gives a sidecar the instance that it belongs to, without which it cannot be restored: the bytes
 * of its file, taken from *file. DS_EAUTH: its pixels are not those that the manifest speaks of.
 * DS_EINVAL: not a sidecar, or joined already. */
DS_CHECKED enum ds_status carrier_found_join(struct carrier_found *f, struct ds_bytes *file,
                                             struct ds_error *err);
/* Without a key: are the joined instance's attributes, too, as the manifest says? DS_EAUTH: no. */
DS_CHECKED enum ds_status carrier_found_prove_beside(const struct carrier_found *f,
                                                     struct ds_error *err);

/* Only looks: is there a carrier's mark in the pixels, or is it a sidecar? */
DS_CHECKED bool carrier_is_carrier(const uint8_t *file, size_t len);

struct carrier_restored {
    /* A Part 10 file: the original's own bytes where they could be had, else its transfer syntax
     * where that has a lossless encoder, else Explicit VR LE. */
    struct ds_bytes file;
    char sop_class_uid[DICOM_UID_BYTES];
    char sop_instance_uid[DICOM_UID_BYTES];
    char transfer_syntax[DICOM_UID_BYTES];
    struct carrier_hashes hashes; /* recomputed from file; pixel and dataset equal the manifest's */
    bool file_proven;             /* file hash equals the original's too */
    bool attributes_from_capsule; /* the carrier's attributes had been altered on the way */
};

/* collector: the study's shares so far (may be NULL). A sidecar must have been joined with its
 * instance, else DS_EINVAL. DS_ENOKEY: needs a key. DS_EAUTH: pixels or
 * attributes are not the original's; the text says which, and whether more shares would help. */
DS_CHECKED enum ds_status carrier_restore(const struct carrier_found *f,
                                          struct stego_collector *collector,
                                          const struct stego_keyring *keyring,
                                          struct carrier_restored *out, struct ds_error *err);
/* Without a key: the original's pixels, proven by the manifest, in the carrier's attributes as they
 * are. Nothing else is claimed: the dataset hash is not the original's. DS_ENOKEY: a key region's
 * pixels are sealed. */
DS_CHECKED enum ds_status carrier_restore_pixels(const struct carrier_found *f,
                                                 struct carrier_restored *out,
                                                 struct ds_error *err);
void carrier_restored_free(struct carrier_restored *r);

/* The study's reports without the documents that the carrier room added. */
DS_CHECKED enum ds_status carrier_reports(struct stego_collector *collector,
                                          const struct stego_keyring *keyring,
                                          struct stego_documents *out, struct ds_error *err);

/* ---- reports as DICOM objects (report.c) ---- */

/* A PDF becomes an Encapsulated PDF, text a Basic Text SR, application/dicom stays what it was;
 * patient and study attributes are taken from reference. Deterministic UIDs from the report's bytes
 * and the study. Appends a Part 10 file. */
DS_CHECKED enum ds_status carrier_report_to_dicom(const struct stego_opened_document *report,
                                                  const struct dicom_dataset *reference,
                                                  struct ds_bytes *out, struct ds_error *err);
/* Is this SOP class one that brings a report (Encapsulated PDF/CDA, the text SRs)? */
bool carrier_is_report_class(const char *sop_class_uid);

#endif

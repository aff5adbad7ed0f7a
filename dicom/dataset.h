/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset - DICOM data sets behind a C border (DCMTK inside; PS3.5, PS3.10).
 *
 * An object is used by one thread at a time. Values are never "corrected": dicom_init switches off
 * every DCMTK convenience that changes bytes. No exception and no DCMTK type crosses this border.
 */
#ifndef DICOMSTEGO_DICOM_DATASET_H
#define DICOMSTEGO_DICOM_DATASET_H

#include "base/bytes.h"
#include "base/sha256.h"
#include "dicom/transfer_syntax.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_UID_BYTES      65U /* 64 characters and a terminator */
#define DICOM_AE_BYTES       17U
#define DICOM_FILE_MAX_BYTES (4ULL * 1024 * 1024 * 1024 - 2)

/* Sets each DCMTK global that we depend on, registers the codecs, routes DCMTK's log into ours.
 * Once, before any other call of this folder and before threads start; later calls do nothing.
 * Fails when the data dictionary is missing (package libdcmtk17 carries it). */
DS_CHECKED enum ds_status dicom_init(struct ds_error *err);

/* group << 16 | element. */
typedef uint32_t dicom_tag;
#define DICOM_TAG(group, element) ((dicom_tag)((uint32_t)(group) << 16 | (uint32_t)(element)))

#define DICOM_TAG_SOP_CLASS_UID          DICOM_TAG(0x0008, 0x0016)
#define DICOM_TAG_SOP_INSTANCE_UID       DICOM_TAG(0x0008, 0x0018)
#define DICOM_TAG_STUDY_INSTANCE_UID     DICOM_TAG(0x0020, 0x000d)
#define DICOM_TAG_SERIES_INSTANCE_UID    DICOM_TAG(0x0020, 0x000e)
#define DICOM_TAG_ACCESSION_NUMBER       DICOM_TAG(0x0008, 0x0050)
#define DICOM_TAG_MODALITY               DICOM_TAG(0x0008, 0x0060)
#define DICOM_TAG_IMAGE_TYPE             DICOM_TAG(0x0008, 0x0008)
#define DICOM_TAG_STUDY_DATE             DICOM_TAG(0x0008, 0x0020)
#define DICOM_TAG_STUDY_TIME             DICOM_TAG(0x0008, 0x0030)
#define DICOM_TAG_STUDY_DESCRIPTION      DICOM_TAG(0x0008, 0x1030)
#define DICOM_TAG_SERIES_DESCRIPTION     DICOM_TAG(0x0008, 0x103e)
#define DICOM_TAG_PATIENT_NAME           DICOM_TAG(0x0010, 0x0010)
#define DICOM_TAG_PATIENT_ID             DICOM_TAG(0x0010, 0x0020)
#define DICOM_TAG_INSTANCE_NUMBER        DICOM_TAG(0x0020, 0x0013)
#define DICOM_TAG_SERIES_NUMBER          DICOM_TAG(0x0020, 0x0011)
#define DICOM_TAG_SPECIFIC_CHARACTER_SET DICOM_TAG(0x0008, 0x0005)
#define DICOM_TAG_PIXEL_DATA             DICOM_TAG(0x7fe0, 0x0010)

struct dicom_dataset;

/* A Part 10 file, or a bare data set as some archives store it. DS_ENOTFOUND, DS_EIO, or DS_EFORMAT
 * when it is not DICOM, is truncated, has an element twice or nests too deep. Every transfer syntax
 * of the standard is read, also where its pixels cannot be decoded. */
DS_CHECKED enum ds_status dicom_dataset_read_file(struct dicom_dataset **out, const char *path,
                                                  struct ds_error *err);
/* The same from memory; bytes are copied. transfer_syntax NULL: a Part 10 file, or guessed. */
DS_CHECKED enum ds_status dicom_dataset_read(struct dicom_dataset **out, const uint8_t *data,
                                             size_t len, const char *transfer_syntax,
                                             struct ds_error *err);
/* The same, but native Pixel Data stay where they are: data must outlive the data set, its copies
 * and all that was read from it, and is passed over in pieces (base/map.h). */
DS_CHECKED enum ds_status dicom_dataset_view(struct dicom_dataset **out, const uint8_t *data,
                                             size_t len, const char *transfer_syntax,
                                             struct ds_error *err);
DS_CHECKED enum ds_status dicom_dataset_new(struct dicom_dataset **out, struct ds_error *err);
DS_CHECKED enum ds_status dicom_dataset_copy(struct dicom_dataset **out,
                                             const struct dicom_dataset *from,
                                             struct ds_error *err);
void dicom_dataset_free(struct dicom_dataset *d);
void dicom_dataset_auto(struct dicom_dataset **d);

/* The transfer syntax as read (or last set by writing); "" for a new one. Borrowed. */
const char *dicom_dataset_transfer_syntax(const struct dicom_dataset *d);

/* Appends the data set (no group 0002) in transfer_syntax: the one it was read in, any native one
 * (Pixel Data is then decoded), or one with an encoder (dicom_dataset_encodes), lossless. Written
 * with explicit sequence lengths, no group lengths. DS_EUNSUPPORTED: no decoder or encoder, or an
 * image that the syntax cannot hold as it is; the text says which. */
DS_CHECKED enum ds_status dicom_dataset_write(const struct dicom_dataset *d,
                                              const char *transfer_syntax, struct ds_bytes *out,
                                              struct ds_error *err);
/* Is there a lossless encoder for the syntax? True for native ones. */
bool dicom_dataset_encodes(const char *transfer_syntax);
/* Are pixels in the syntax decoded? True for native ones. */
bool dicom_dataset_decodes(const char *transfer_syntax);
/* Appends the data set in Explicit VR Little Endian with the value of native Pixel Data left out:
 * its element has the length 0, *left_out is the even length that belongs there. */
DS_CHECKED enum ds_status dicom_dataset_write_hollow(const struct dicom_dataset *d,
                                                     struct ds_bytes *out, size_t *left_out,
                                                     struct ds_error *err);
/* Only its head: preamble and group 0002 for a data set that follows in transfer_syntax. */
DS_CHECKED enum ds_status dicom_dataset_header(const struct dicom_dataset *d,
                                               const char *transfer_syntax, struct ds_bytes *out,
                                               struct ds_error *err);
/* A Part 10 file image with a meta header of ours (PS3.10 7.1). */
DS_CHECKED enum ds_status dicom_dataset_write_part10(const struct dicom_dataset *d,
                                                     const char *transfer_syntax,
                                                     struct ds_bytes *out, struct ds_error *err);

/* ---- values (top level) ---- */

bool dicom_dataset_has(const struct dicom_dataset *d, dicom_tag tag);
/* The raw value as text, all values with backslashes, trailing padding (space, NUL) removed; ""
 * when absent. DS_EFORMAT when longer than size. */
DS_CHECKED enum ds_status dicom_dataset_get(const struct dicom_dataset *d, dicom_tag tag, char *out,
                                            size_t size, struct ds_error *err);
/* The same converted to UTF-8 from the data set's character set, for names and descriptions. */
DS_CHECKED enum ds_status dicom_dataset_get_utf8(const struct dicom_dataset *d, dicom_tag tag,
                                                 char *out, size_t size, struct ds_error *err);
/* Replaces or inserts; the VR comes from the dictionary. */
DS_CHECKED enum ds_status dicom_dataset_set(struct dicom_dataset *d, dicom_tag tag,
                                            const char *value, struct ds_error *err);
/* OB/OW/UN bytes, borrowed until the element changes; NULL with *len 0 when absent. Pixel Data are
 * read by dicom/pixels.h. */
DS_CHECKED enum ds_status dicom_dataset_bytes(const struct dicom_dataset *d, dicom_tag tag,
                                              const uint8_t **data, size_t *len,
                                              struct ds_error *err);
/* Inserts an OB element; in a private group the creator is reserved first (PS3.5 7.8.1), the
 * element number is then relative to its block. creator NULL for standard tags. */
DS_CHECKED enum ds_status dicom_dataset_set_bytes(struct dicom_dataset *d, dicom_tag tag,
                                                  const char *creator, const uint8_t *data,
                                                  size_t len, struct ds_error *err);
/* Finds a private element by creator; as dicom_dataset_bytes. */
DS_CHECKED enum ds_status dicom_dataset_private_bytes(const struct dicom_dataset *d, dicom_tag tag,
                                                      const char *creator, const uint8_t **data,
                                                      size_t *len, struct ds_error *err);
void dicom_dataset_remove(struct dicom_dataset *d, dicom_tag tag); /* missing is fine */

/* Adds an item to a sequence (made if missing) and sets one value per pair in the item; nested code
 * sequences through a path are not needed: code_tag, when not 0, gets one item with value, scheme
 * and meaning (PS3.3 8.8). */
struct dicom_value {
    dicom_tag tag;
    const char *value;
};
struct dicom_code {
    dicom_tag tag; /* 0: none */
    const char *value, *scheme, *meaning;
};
DS_CHECKED enum ds_status dicom_dataset_append_item(struct dicom_dataset *d, dicom_tag sequence,
                                                    const struct dicom_value *values, size_t count,
                                                    const struct dicom_code *code,
                                                    struct ds_error *err);

/* ---- whole elements, for the restore record ---- */

/* Appends the top-level element in Explicit VR Little Endian; nothing when absent. */
DS_CHECKED enum ds_status dicom_dataset_export(const struct dicom_dataset *d, dicom_tag tag,
                                               struct ds_bytes *out, struct ds_error *err);
/* Reads a run of such elements and puts each in the place of what is there. */
DS_CHECKED enum ds_status dicom_dataset_import(struct dicom_dataset *d, const uint8_t *data,
                                               size_t len, struct ds_error *err);
/* Calls visit for every top-level tag in ascending order until it returns false. */
void dicom_dataset_each(const struct dicom_dataset *d, bool (*visit)(dicom_tag tag, void *context),
                        void *context);

/* ---- UIDs, at any depth ---- */

/* Longer values than this, all their UIDs together, cannot be replaced. */
#define DICOM_UID_VALUE_MAX_BYTES 65534U

/* value: all of the element's UIDs with backslashes and padding, as they stand there. depth 0 is
 * the data set itself. What is appended to replacement takes the value's place; an odd one is
 * padded. */
typedef enum ds_status (*dicom_uid_visit)(void *context, dicom_tag tag, unsigned depth,
                                          const uint8_t *value, size_t len,
                                          struct ds_bytes *replacement, struct ds_error *err);
/* Calls visit for each standard element of VR UI that is in no private sequence, in the order of
 * the encoded data set, which every encoding keeps; ends with the first status that is not DS_OK.
 */
DS_CHECKED enum ds_status dicom_dataset_visit_uids(struct dicom_dataset *d, dicom_uid_visit visit,
                                                   void *context, struct ds_error *err);

/* ---- hashes (see docs/architecture.md: the three hashes) ---- */

/* Dataset hash: Explicit VR Little Endian, no group 0002, no group lengths, explicit sequence
 * lengths, Pixel Data native (decoded if need be; where this node cannot decode, as it is). The VRs
 * are those of the dictionary, UN for private elements and for what it does not know, so that the
 * hash survives Implicit VR and every archive: dicom/encode.h has the rules. */
DS_CHECKED enum ds_status dicom_dataset_hash(const struct dicom_dataset *d,
                                             uint8_t out[DS_SHA256_BYTES], struct ds_error *err);

/* 2.25 UID from the first 128 bits of a digest (PS3.5 B.2), version bits of RFC 9562 UUIDv8 set. */
void dicom_uid_from_digest(const uint8_t digest[DS_SHA256_BYTES], char out[DICOM_UID_BYTES]);

#ifdef __cplusplus
}
#endif
#endif

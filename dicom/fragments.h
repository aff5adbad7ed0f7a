/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragments - which fragments of encapsulated Pixel Data are which frame (PS3.5 A.4); private to
 * dicom/.
 *
 * By the Extended Offset Table (7FE0,0001/0002) where there is one, else by the Basic Offset Table,
 * else by count: one fragment a frame, one frame of all fragments, or frames that begin where a
 * codestream begins (SOI, SOC, a JP2 signature). An offset table that does not add up is not
 * followed.
 */
#ifndef DICOMSTEGO_DICOM_FRAGMENTS_H
#define DICOMSTEGO_DICOM_FRAGMENTS_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_fragments;

/* The Extended Offset Table and its lengths: raw values, 64 bits little endian each. Zeroed: there
 * is none. */
struct dicom_extended_table {
    const uint8_t *offsets, *lengths;
    size_t bytes; /* of each */
};

/* value: the value of Pixel Data as it lies in the file: items, from the Basic Offset Table to the
 * sequence delimiter, which may be missing; borrowed, and only read where asked (it may be a mapped
 * file of gigabytes). DS_EFORMAT: items do not add up, or fewer fragments than frames. Memory grows
 * with what is there, not with what frames claims. */
DS_CHECKED enum ds_status dicom_fragments_open(struct dicom_fragments **out, const uint8_t *value,
                                               size_t len, const struct dicom_extended_table *table,
                                               uint32_t frames, struct ds_error *err);
void dicom_fragments_free(struct dicom_fragments *f);

/* The same in steps, for who has the items already: an empty list, each item after the Basic Offset
 * Table with add (borrowed; as long as its length field says), then assign once. */
DS_CHECKED enum ds_status dicom_fragments_new(struct dicom_fragments **out, struct ds_error *err);
DS_CHECKED enum ds_status dicom_fragments_add(struct dicom_fragments *f, const uint8_t *data,
                                              size_t len, struct ds_error *err);
DS_CHECKED enum ds_status dicom_fragments_assign(struct dicom_fragments *f, const uint8_t *basic,
                                                 size_t basic_len,
                                                 const struct dicom_extended_table *table,
                                                 uint32_t frames, struct ds_error *err);

/* The codestream of a frame: borrowed from value when it is one fragment, else joined in *joined,
 * which is emptied first. */
DS_CHECKED enum ds_status dicom_fragments_frame(const struct dicom_fragments *f, uint32_t frame,
                                                struct ds_bytes *joined, const uint8_t **stream,
                                                size_t *len, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif

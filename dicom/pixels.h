/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pixels - Pixel Data as native frames with all that is needed to read them (PS3.3 C.7.6.3, PS3.5
 * 8).
 */
#ifndef DICOMSTEGO_DICOM_PIXELS_H
#define DICOMSTEGO_DICOM_PIXELS_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_pixels {
    uint32_t columns, rows, frames;
    uint16_t samples_per_pixel;
    uint16_t bits_allocated, bits_stored, high_bit;
    bool is_signed;
    bool is_planar;      /* Planar Configuration 1: a frame's components one after the other */
    bool was_compressed; /* decoded from an encapsulated syntax */
    bool was_lossy;      /* the syntax or (0028,2110) says that information was lost before */
    bool has_padding;    /* Pixel Padding Value, with its Range Limit (PS3.3 C.7.5.1.1.2) */
    int32_t padding_min, padding_max; /* as numbers of the pixels' sign */
    char photometric[17];             /* of the cells: what was decoded is no longer subsampled */
    /* Little endian cells, frame by frame, as stored: bits above bits_stored included; no trailing
     * padding byte. Owned, unless they are borrowed. */
    struct ds_bytes cells;
    bool is_borrowed; /* the cells lie in the data set, and are not to be changed */
    /* Of the whole image, where cells holds only its first frames. */
    uint32_t all_frames;
    size_t all_bytes;
};

/* DS_ENOTHING: no Pixel Data. DS_EUNSUPPORTED: no decoder here, or float pixels (7FE0,0008/0009),
 * the text says which. DS_EFORMAT: attributes and length contradict each other, or a damaged
 * bitstream. All sizes are checked before memory is taken. */
DS_CHECKED enum ds_status dicom_pixels_read(struct dicom_pixels *out, const struct dicom_dataset *d,
                                            struct ds_error *err);
void dicom_pixels_free(struct dicom_pixels *p); /* zeroed is fine */
/* The same for the first frames alone, as many as have at most max_samples samples, at least one:
 * frames is their number. */
DS_CHECKED enum ds_status dicom_pixels_read_front(struct dicom_pixels *out,
                                                  const struct dicom_dataset *d, size_t max_samples,
                                                  struct ds_error *err);

/* The same without a copy, where the cells lie in d as they should: they are borrowed then, for as
 * long as d lives and its Pixel Data are not replaced. */
DS_CHECKED enum ds_status dicom_pixels_view_front(struct dicom_pixels *out,
                                                  const struct dicom_dataset *d, size_t max_samples,
                                                  struct ds_error *err);

/* Replaces Pixel Data, or its first frames where p was read as such, by the cells, native: VR OW
 * when bits_allocated > 8 or as it was, OB else (PS3.5 8.2, A.2); adjusts nothing else. The
 * dataset's transfer syntax becomes Explicit VR Little Endian unless it was native. */
DS_CHECKED enum ds_status dicom_pixels_write(struct dicom_dataset *d, const struct dicom_pixels *p,
                                             struct ds_error *err);

/* The samples of an image plane after plane: frame by frame, in a frame component by component, in
 * a plane in raster order. Planar Configuration is only a stride then. */
struct dicom_planes {
    uint8_t components; /* 1: greyscale; 3: RGB, YBR_FULL, YBR_FULL_422 */
    bool chroma_halved; /* YBR_FULL_422 as stored natively, Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2): the
                           second and third component have half the columns */
    bool is_signed;     /* of the samples: true also for 32 unsigned bits, which do not fit */
    size_t count;       /* samples of all planes */
};
/* DS_EUNSUPPORTED and why, when these pixels have no samples to calculate with: palette colour,
 * fewer than 8 bits allocated, kinds of colour other than these. */
DS_CHECKED enum ds_status dicom_pixels_planes(const struct dicom_pixels *p,
                                              struct dicom_planes *out, struct ds_error *err);

/* A stored value as a sample: unsigned ones of 32 bits have their top bit flipped, which keeps
 * their order; all others are what they are. */
int32_t dicom_pixels_sample_of(const struct dicom_pixels *p, int64_t value);

/* Logical values, sign-extended from bits_stored, cells shifted down by high_bit + 1 - bits_stored.
 * samples has room for planes.count. */
DS_CHECKED enum ds_status dicom_pixels_samples(const struct dicom_pixels *p, int32_t *samples,
                                               size_t count, struct ds_error *err);

/* Samples first .. first + count - 1 of one plane. DS_EINVAL: the plane has not so many. */
DS_CHECKED enum ds_status dicom_pixels_plane_samples(const struct dicom_pixels *p, uint32_t frame,
                                                     unsigned component, size_t first, size_t count,
                                                     int32_t *samples, struct ds_error *err);

/* How the bits of a cell outside the stored ones are made again from the sample. */
enum dicom_cell_rule {
    DICOM_CELL_ZERO = 0, /* all are 0 */
    DICOM_CELL_SIGN = 1, /* all are copies of the sign bit */
    DICOM_CELL_KEEP = 2, /* neither: kept as the carrier's cells have them (overlays, garbage) */
};
enum dicom_cell_rule dicom_pixels_cell_rule(const struct dicom_pixels *p);

/* Writes samples back into the cells by the rule. DS_EINVAL: borrowed ones. */
DS_CHECKED enum ds_status dicom_pixels_set_samples(struct dicom_pixels *p, const int32_t *samples,
                                                   size_t count, enum dicom_cell_rule rule,
                                                   struct ds_error *err);

/* Pixel hash: SHA-256 of the cells of all frames. For 1-bit pixels: packed, first pixel in the
 * lowest bit. front: cells of the first frames, in place of those of d; NULL: d's own. Fails as
 * dicom_pixels_read. */
DS_CHECKED enum ds_status dicom_pixels_hash(const struct dicom_dataset *d,
                                            const struct dicom_pixels *front,
                                            uint8_t out[DS_SHA256_BYTES], struct ds_error *err);
/* Appends the cells of all frames, likewise; swapped: with the bytes of each 16-bit word swapped.
 */
DS_CHECKED enum ds_status dicom_pixels_cells(const struct dicom_dataset *d,
                                             const struct dicom_pixels *front, bool swapped,
                                             struct ds_bytes *out, struct ds_error *err);
/* Appends the first len bytes of the value of native Pixel Data, as they stand in a little or big
 * endian file: the cells and what stands behind them. len may be odd, and one more than there are
 * for a padding zero. */
DS_CHECKED enum ds_status dicom_pixels_value(const struct dicom_dataset *d, size_t len,
                                             bool big_endian, struct ds_bytes *out,
                                             struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif

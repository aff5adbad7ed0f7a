/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark - how a plane that carries is found: the run of pixels whose lowest bits hold the mark, the
 * lead, the map of still pixels and the codec's blob. Private to the engine.
 *
 * Mark and the lead's head (padding and excluded region) lie in consecutive samples of the raster,
 * none of which is padding, could become padding by a change of bit 0, or is still: so they can be
 * read before anything is known. The lead's rest, map and blob follow in the next such samples,
 * others being skipped; among those that rest and map pass none is still by the map. The displaced
 * bits travel in the hidden stream. The mark's last byte names
 * the format's version, so that a carrier of another engine is told from an altered one.
 */
#ifndef DICOMSTEGO_MARK_H
#define DICOMSTEGO_MARK_H

#include "dicomstego/bits.h"
#include "dicomstego/image.h"
#include "dicomstego/plane.h"

#define STEGO_MARK_BITS 64U
/* All but the last byte, which names the version: 15 is no version of the engine, but the header of
 * another method (lsb_header.h), so that one look through the samples finds either. */
#define STEGO_MARK_HEAD  UINT64_C(0xC5A719E23DB46F)
#define STEGO_STAGES_MAX 8U

enum stego_codec { STEGO_BOARD, STEGO_CHAIN };

/* What the reader has to know. */
struct stego_lead {
    enum stego_codec codec;
    unsigned stages; /* of the board: 2, 4 .. STEGO_STAGES_MAX */
    unsigned seed;   /* 0..255, for stego_whiten */
    bool has_padding;
    int32_t padding_min, padding_max;
    struct stego_rect exclude; /* empty when width is 0; maybe of another frame */
    bool is_part;              /* of the payload; else it is the whole */
    size_t first, total;       /* of a part: its first bit, and the payload's bits */
    bool is_filled;            /* there are more bits in the message than count */
    size_t count;              /* payload bits in this plane; told only when is_filled */
    size_t map_bytes;          /* 0: no map */
    size_t bits;               /* board: hidden in the last stage; chain: in all */
    size_t blob_bytes;         /* of the board: room for the last stage's blob, zeros at its end */
};

/* Mark and lead. image and index (of the plane) say how wide the fields are. */
void stego_lead_write(const struct stego_image *image, size_t index, const struct stego_lead *lead,
                      struct stego_bits *out);
/* Lengths in bits; they do not depend on lead->bits for the board. */
struct stego_lead_length {
    size_t head, all; /* both with the mark */
};
struct stego_lead_length stego_lead_measure(const struct stego_image *image, size_t index,
                                            const struct stego_lead *lead);
/* Reads the head, whose mark is at sample `begin`, and the sample behind it. False when it cannot
 * be what a writer wrote. */
DS_CHECKED bool stego_lead_read_head(const struct stego_image *image, size_t index, size_t begin,
                                     struct stego_lead *lead, size_t *end);
/* Reads the rest from sample `from` on: plane knows of padding and of what is excluded. */
DS_CHECKED bool stego_lead_read_rest(const struct stego_image *image,
                                     const struct stego_plane *plane, size_t from,
                                     struct stego_lead *lead, size_t *end);

enum stego_finding {
    STEGO_FOUND_NOTHING,
    STEGO_FOUND_ALTERED, /* nearly a mark */
    STEGO_FOUND_FOREIGN, /* the mark of another version */
    STEGO_FOUND_MARK
};

/* The first mark in `count` samples; else, of what is not one, what says most. */
enum stego_finding stego_mark_find(const int32_t *samples, size_t count, size_t *begin);

/* Samples begin..map-1 hold mark, lead and map, map..end-1 the blob. */
struct stego_run {
    size_t begin, map, end;
};

/* How many bits a run holds: without a gap; without a pixel that is still by the map; and others.
 * It begins at `latest` at the latest. */
struct stego_run_need {
    size_t head, rest_and_map, blob, latest;
};

/* Looks for the most restless place. plane->still is STEGO_STILL_* for each sample. */
DS_CHECKED bool stego_run_choose(const struct stego_plane *plane, const struct stego_run_need *need,
                                 struct stego_run *run);
/* Goes on from sample `from` until `bits` samples have been met that hold a bit; the sample behind
 * the last of them, or SIZE_MAX when there are not so many. */
size_t stego_run_go(const struct stego_plane *plane, size_t from, size_t bits);
/* Appends the lowest bits of samples from..to-1, skipping those that hold none. */
void stego_run_read(const struct stego_plane *plane, size_t from, size_t to,
                    struct stego_bits *out);
/* Sets them in `samples`, which are the plane's but for bits 0. */
void stego_run_write(const struct stego_plane *plane, int32_t *samples, size_t from, size_t to,
                     const uint8_t *bits);

#endif

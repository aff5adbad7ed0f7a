/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - one accepted instance as the journal writes it down: a block that says where its bytes
 * are; private to scp/.
 *
 * All numbers are little endian. A block is BLOCK_BYTES long:
 *
 *     0   8  "DSRECRD1" or "DSRECRD3"      72   8  bytes of the Part 10 file
 *     8   8  life of the segment it is in  80  32  hash of the data set
 *    16   8  time of arrival, us           112  24  for each extent: life of its segment,
 *    24  40  ID of the entry                        offset in it, bytes
 *    64   4  bytes before the data set   4064  32  seal: SHA-256 of all before it and of the
 *    68   4  number of extents                      file's bytes before the data set
 *
 * The hash is SHA-256 in a record 1, BLAKE3 in a record 3. The extents put together are the file.
 * Each begins on a block, and each but the last fills its blocks.
 */
#ifndef DICOMSTEGO_SCP_RECORD_H
#define DICOMSTEGO_SCP_RECORD_H

#include "base/digest.h"
#include "base/sha256.h"
#include "scp/entry_id.h"

/* What O_DIRECT asks for on any disk in use. */
#define RECORD_BLOCK_BYTES    4096U
#define RECORD_FILE_MAX_BYTES (4U * 1024U * 1024U)
#define RECORD_HEAD_MAX_BYTES 4096U
#define RECORD_EXTENTS_MAX    18U

struct record_extent {
    uint64_t life; /* of the segment: it names it */
    uint64_t offset, bytes;
};

struct record {
    char id[ENTRY_ID_BYTES];
    int64_t arrival_us;
    uint32_t head_bytes; /* before the data set */
    uint64_t file_bytes; /* head and data set */
    enum ds_digest_kind kind;
    uint8_t hash[DS_DIGEST_BYTES]; /* of the data set */
    uint32_t extent_count;
    struct record_extent extents[RECORD_EXTENTS_MAX];
};

static inline uint64_t record_round_up(uint64_t bytes)
{
    return (bytes + RECORD_BLOCK_BYTES - 1) / RECORD_BLOCK_BYTES * RECORD_BLOCK_BYTES;
}

/* Fills and seals the block. head: the file's first head_bytes. */
DS_CHECKED enum ds_status record_put(uint8_t block[RECORD_BLOCK_BYTES], uint64_t life,
                                     const struct record *r, const uint8_t *head,
                                     struct ds_error *err);

/* Is this block a record of the segment's present life, with numbers that fit together? The seal
 * is not looked at: it needs the bytes. Whether an extent lies inside of its segment is for who
 * knows the segments. */
bool record_get(const uint8_t block[RECORD_BLOCK_BYTES], uint64_t life, struct record *out);

/* Is it sealed, and is this the file? file: r->file_bytes long. */
DS_CHECKED bool record_is_whole(const uint8_t block[RECORD_BLOCK_BYTES], const struct record *r,
                                const uint8_t *file);

#endif

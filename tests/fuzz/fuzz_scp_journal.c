/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/journal_set.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The life that the seeds were written in. */
#define LIFE UINT64_C(0x0807060504030201)

/* Digests stop whoever mutates bytes blindly; what they guard must hold without them. With an odd
 * first byte every record is sealed for whatever file it claims. */
static void seal_all(struct segment *s, uint8_t *bytes)
{
    static _Alignas(4096) uint8_t file[RECORD_FILE_MAX_BYTES + 2 * RECORD_BLOCK_BYTES];
    for (uint64_t at = SEGMENT_FIRST_BYTE; at + RECORD_BLOCK_BYTES <= s->bytes;
         at += RECORD_BLOCK_BYTES) {
        struct journal_entry e = {0};
        bool inside = record_get(bytes + at, LIFE, &e.record);
        for (uint32_t i = 0; i < e.record.extent_count && inside; i++) {
            const struct record_extent *x = &e.record.extents[i];
            inside = x->life == LIFE && x->offset <= s->bytes &&
                     record_round_up(x->bytes) <= s->bytes - x->offset;
            e.segments[i] = s;
        }
        if (inside && journal_read(&e, file, NULL) == DS_OK &&
            ds_sha256_of(file + e.record.head_bytes, e.record.file_bytes - e.record.head_bytes,
                         e.record.hash, NULL) == DS_OK) {
            (void)!record_put(bytes + at, LIFE, &e.record, file, NULL);
            (void)!pwrite(s->fd, bytes + at, RECORD_BLOCK_BYTES, (off_t)at);
        }
    }
}

/* Whatever a disk gives back: what is found lies inside, can be read, and has the digest that the
 * record says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 * RECORD_BLOCK_BYTES || size > (1U << 20)) {
        return 0;
    }
    uint8_t *bytes = malloc(size);
    memcpy(bytes, data, size);
    char path[] = "/nowhere";
    struct segment s = {
        .path = path, .fd = memfd_create("segment", 0), .bytes = size, .life = LIFE};
    (void)!pwrite(s.fd, bytes, size, 0);
    struct segment *segments[] = {&s};
    struct journal j = {.segments = segments, .count = 1};
    if (bytes[0] & 1) {
        seal_all(&s, bytes);
    }
    struct journal_found found;
    if (journal_replay(&j, &found, NULL) == DS_OK) {
        uint8_t *file = aligned_alloc(RECORD_BLOCK_BYTES, RECORD_FILE_MAX_BYTES * 2);
        for (size_t i = 0; i < found.count; i++) {
            const struct record *r = &found.entries[i].record;
            uint8_t digest[DS_SHA256_BYTES];
            if (!entry_id_is_sound(r->id) || journal_read(&found.entries[i], file, NULL) != DS_OK ||
                ds_sha256_of(file + r->head_bytes, r->file_bytes - r->head_bytes, digest, NULL) !=
                    DS_OK ||
                memcmp(digest, r->hash, sizeof(digest)) != 0) {
                abort();
            }
        }
        free(file);
        journal_found_free(&found);
    }
    (void)close(s.fd);
    free(bytes);
    return 0;
}

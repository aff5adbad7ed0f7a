/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the two kinds of digest are on one thread, in pieces of the size of a CT slice and of a
 * mammogram, and how they compare: bench_base_digest.
 */
#include "base/clock.h"
#include "base/digest.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNS     7U
#define AT_LEAST (256U * 1024U * 1024U) /* bytes in a run */

/* Bytes a second, of the best run; 0: not there. */
static double speed_of(enum ds_digest_kind kind, const uint8_t *data, size_t len)
{
    double best = 0;
    for (unsigned run = 0; run < RUNS && ds_digest_has(kind); run++) {
        const int64_t start_us = ds_clock_monotonic_us();
        uint64_t done = 0;
        for (; done < AT_LEAST; done += len) {
            uint8_t hash[DS_DIGEST_BYTES];
            if (ds_digest_of(kind, data, len, hash, NULL) != DS_OK) {
                return 0;
            }
        }
        const double took_s = (double)(ds_clock_monotonic_us() - start_us) / 1e6;
        best = (double)done / took_s > best ? (double)done / took_s : best;
    }
    return best;
}

int main(void)
{
    static const size_t lengths[] = {4096, 524288, 27262976};
    uint8_t *data = calloc(1, lengths[2]);
    if (data == NULL) {
        return 1;
    }
    for (size_t i = 0; i < lengths[2]; i++) {
        data[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(lengths); i++) {
        const double sha256 = speed_of(DS_DIGEST_SHA256, data, lengths[i]);
        const double blake3 = speed_of(DS_DIGEST_BLAKE3, data, lengths[i]);
        (void)printf("%9zu bytes: SHA-256 %5.0f MB/s, BLAKE3 %5.0f MB/s, %.2f times\n", lengths[i],
                     sha256 / 1e6, blake3 / 1e6, blake3 / sha256);
    }
    free(data);
    return 0;
}

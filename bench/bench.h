/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench - what the hiding engine costs, in image and in time: the program bench/engine.
 *
 *   engine.c       command line, lines for people and for programs
 *   measure.c      one image: hides pseudo-random bits, measures, takes them out again
 *   memory.c       the most memory that a step has taken
 *   study.c        many images at once, on one thread and on several
 *   image_file.c   DICOM and PNG in, a carrier of the same kind out
 *   second.c       the other process that gets nothing but the carrier's file
 *   hiding.c       another program, bench/hiding: any method on one image
 *   known.c        figures of others and goals for the same image and payload
 *
 * A measurement is only printed when payload and samples came back bit for bit, in this process and
 * in another one from the file. Throughput counts the samples as they are stored: 1, 2 or 4 bytes.
 */
#ifndef DICOMSTEGO_BENCH_BENCH_H
#define DICOMSTEGO_BENCH_BENCH_H

#include "base/sha256.h"
#include "carrier/carrier.h"
#include "dicomstego/engine.h"
#include "dicomstego/similarity.h"

#include <stdio.h>

#define BENCH_RUNS_MAX    1000U
#define BENCH_THREADS_MAX 256U

struct bench_options {
    uint64_t bits; /* of payload, unless ... */
    bool full;     /* ... as many as fit are asked for */
    struct carrier_hiding hiding;
    unsigned threads;
    unsigned repeat; /* 0: until the median is told */
};

/* ---- image_file.c ---- */

struct bench_file {
    struct carrier_original *original; /* NULL for a PNG */
    struct stego_image image;          /* owned; padding as declared */
};

/* DS_EUNSUPPORTED: not an image that the engine takes. *out needs bench_file_free. */
DS_CHECKED enum ds_status bench_file_load(struct bench_file *out, const char *path,
                                          struct ds_error *err);
/* Writes carrier's samples in the place of the file's own: a DICOM file with the same data set and
 * native pixels, or a PNG of the same depth. Replaces what is there. */
DS_CHECKED enum ds_status bench_file_store(const struct bench_file *file,
                                           const struct stego_image *carrier, const char *path,
                                           struct ds_error *err);
void bench_file_free(struct bench_file *f); /* zeroed is fine */

/* ---- known.c ---- */

struct bench_known {
    const char *method;            /* of the prototype's figures; NULL: there are none */
    double psnr_db, range_psnr_db; /* 0: not told */
    uint32_t max_difference;       /* 0: not told */
    double first_engine_db;        /* effort fast of this project's first engine; 0: not measured */
    double goal_db;                /* for effort best; 0: none */
};

/* What is known of this image with so many bits; the path's last folder and the name tell which
 * image it is. For effort fast the prototype's fast mode, else its best one. */
struct bench_known bench_known_of(const char *path, const struct stego_image *image, uint64_t bits,
                                  const struct bench_options *options);

/* ---- second.c ---- */

struct bench_extracted {
    uint64_t bits;
    uint8_t payload[DS_SHA256_BYTES]; /* of the bytes, the last one filled up with zeros */
    uint8_t samples[DS_SHA256_BYTES]; /* of all planes, as this machine keeps 32-bit numbers */
};

/* The hashes that the other process has to find. */
DS_CHECKED enum ds_status bench_expected(const struct stego_image *cover, const uint8_t *payload,
                                         uint64_t bits, struct bench_extracted *out,
                                         struct ds_error *err);
/* In the other process: extracts and prints. Returns the exit status. */
int bench_extract_here(const char *path);
/* Starts that process on a carrier and reads what it prints. DS_EAUTH when it finds something else.
 */
DS_CHECKED enum ds_status bench_extract_elsewhere(const char *path,
                                                  const struct bench_extracted *expected,
                                                  struct ds_error *err);

/* ---- measure.c ---- */

struct bench_result {
    enum ds_status status; /* DS_ECAPACITY: the bits do not fit; err says more */
    struct ds_error err;
    uint64_t bits;
    struct stego_embed_facts facts;
    struct stego_distortion distortion;
    double ssim; /* NAN: smaller than the window */
    unsigned runs;
    double embed_s, extract_s; /* medians; of processor time on one thread, else of time */
    double embed_frames;       /* memory, in samples of 16 bits for each of the image; NAN */
};

/* Pseudo-random bits, the same in every run, the unused bits of the last byte 0. */
DS_CHECKED enum ds_status bench_payload(uint64_t bits, struct ds_bytes *out, struct ds_error *err);

/* Bytes as the samples are stored. */
double bench_megabytes(const struct stego_image *image);
double bench_now_s(void);
double bench_median(double *values, size_t count); /* sorts; count > 0 */

/* carrier_path: where the carrier is written and taken apart by another process. */
void bench_measure(const struct bench_file *file, const char *carrier_path,
                   const struct bench_options *options, struct bench_result *out);

/* ---- memory.c ---- */

/* The most bytes resident between the two above those at `begin`, which the first returns; NAN
 * where the system does not tell. For one at a time. */
double bench_memory_begin(void);
double bench_memory_end(double begin);

/* ---- study.c ---- */

struct bench_study {
    size_t images;
    double megabytes;
    double embed_s[2], extract_s[2]; /* on one thread; on options->threads */
};

/* Every image hides options->bits by itself; the images are the tasks of the pool. */
DS_CHECKED enum ds_status bench_study_measure(char *const *paths, size_t count,
                                              const struct bench_options *options,
                                              struct bench_study *out, struct ds_error *err);

#endif

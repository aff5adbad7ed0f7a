/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of others, typed off their sources: published ones (Lena and Barbara of the literature,
 * and what Ou, Zhang and others reach there), those of a research prototype in floating point that
 * was measured on the same images, and those of this project's first engine. */
#include "bench/bench.h"

#include <ctype.h>

struct figure {
    double psnr_db, range_psnr_db;
    uint32_t max_difference;
};

struct prototype {
    const char *image; /* end of the path without extension; with '*' a beginning of the name */
    uint32_t bits;
    bool padding_used;
    struct figure rhombus; /* its fast mode; 0: not measured */
    struct figure best;
    const char *method; /* of best */
};

static const struct prototype prototypes[] = {
    {"lena*", 10000, false, {60.88, 0, 1}, {61.48, 0, 1}, "RD-coded"},
    {"lena*", 20000, false, {57.34, 0, 0}, {58.61, 0, 0}, "RD-coded"},
    {"lena*", 40000, false, {0, 0, 0}, {54.69, 0, 0}, "RD-coded"},
    {"lena*", 131072, false, {43.32, 0, 0}, {43.96, 0, 0}, "least squares"},
    {"barbara*", 10000, false, {61.45, 0, 1}, {62.37, 0, 1}, "RD-coded"},
    {"barbara*", 20000, false, {57.60, 0, 0}, {58.24, 0, 0}, "least squares"},
    {"barbara*", 40000, false, {0, 0, 0}, {54.0, 0, 0}, "least squares"},
    {"barbara*", 131072, false, {42.42, 0, 0}, {44.64, 0, 0}, "least squares"},
    {"camera-512-grey", 10000, false, {64.69, 64.69, 1}, {67.06, 67.06, 1}, "RD-coded"},
    {"camera-512-grey", 20000, false, {61.61, 61.61, 1}, {63.67, 63.67, 1}, "RD-coded"},
    {"camera-512-grey", 40000, false, {58.33, 58.33, 1}, {60.11, 60.11, 1}, "RD-coded"},
    {"astronaut-512-grey", 10000, false, {64.99, 64.99, 1}, {65.95, 65.95, 1}, "RD-coded"},
    {"astronaut-512-grey", 20000, false, {60.19, 60.19, 1}, {60.86, 60.86, 1}, "RD-coded"},
    {"astronaut-512-grey", 40000, false, {55.74, 55.74, 2}, {56.81, 56.81, 1}, "RD-coded"},
    {"moon-512-grey", 10000, false, {65.06, 65.06, 1}, {70.30, 70.30, 1}, "RD-coded"},
    {"moon-512-grey", 20000, false, {62.11, 62.11, 1}, {64.58, 64.58, 1}, "RD-coded"},
    {"moon-512-grey", 40000, false, {59.03, 59.03, 1}, {62.81, 62.81, 1}, "RD-coded"},
    {"brick-512-grey", 10000, false, {64.77, 59.81, 1}, {66.54, 61.58, 1}, "RD-coded"},
    {"brick-512-grey", 20000, false, {61.49, 56.53, 1}, {62.93, 57.97, 1}, "RD-coded"},
    {"brick-512-grey", 40000, false, {58.51, 53.55, 1}, {60.55, 55.58, 1}, "RD-coded"},
    {"coffee-512-grey", 10000, false, {64.63, 64.63, 1}, {66.84, 66.84, 1}, "RD-coded"},
    {"coffee-512-grey", 20000, false, {61.44, 61.44, 1}, {63.33, 63.33, 1}, "RD-coded"},
    {"coffee-512-grey", 40000, false, {58.15, 58.15, 1}, {59.86, 59.86, 1}, "RD-coded"},
    {"ge-hispeed/0014", 8192, false, {113.32, 86.02, 1}, {113.75, 86.44, 1}, "RD-coded"},
    {"ge-hispeed/0014", 8192, true, {0, 0, 0}, {114.66, 88.71, 1}, "RD-coded, rhombus"},
    {"ge-hispeed/0014", 65536, false, {101.70, 74.39, 2}, {103.13, 75.82, 1}, "RD-coded"},
    {"philips-ingenuity/0027", 8192, false, {89.63, 82.48, 1}, {91.94, 84.79, 1}, "RD-coded"},
    {"philips-ingenuity/0027", 65536, false, {80.02, 72.86, 1}, {81.86, 74.71, 1}, "RD-coded"},
    {"siemens-prisma-t1/0018", 8192, false, {78.49, 71.53, 3}, {78.49, 71.53, 3}, "rhombus"},
    {"siemens-prisma-t1/0018", 8192, true, {0, 0, 0}, {78.67, 71.70, 1}, "RD-coded, rhombus"},
    {"ge-signa-wrist/0008", 8192, false, {75.42, 44.03, 64}, {75.42, 44.03, 64}, "rhombus"},
    {"nema-ct1/uncompressed", 8192, false, {102.09, 72.91, 1}, {102.99, 73.81, 1}, "least squares"},
    {"nema-ct1/uncompressed", 8192, true, {0, 0, 0}, {117.31, 93.61, 1}, "RD-coded, rhombus"},
    {"nema-ct1/uncompressed", 65536, false, {85.16, 55.98, 8}, {86.56, 57.38, 10}, "least squares"},
    {"nema-mr1/uncompressed", 8192, false, {103.53, 79.24, 3}, {104.17, 79.88, 4}, "least squares"},
    {"nema-mr1/uncompressed",
     65536,
     false,
     {84.06, 59.77, 22},
     {84.46, 60.17, 24},
     "least squares"},
    {"rg3-cr-jpegls-lossless", 8192, false, {88.9, 88.9, 1}, {88.9, 88.9, 1}, "rhombus"},
    {"rg3-cr-jpegls-lossless", 65536, false, {0, 0, 0}, {80.0, 80.0, 2}, "least squares"},
    {"xa1-uncompressed", 8192, false, {84.2, 78.1, 1}, {84.2, 78.1, 1}, "rhombus"},
    {"xa1-uncompressed", 65536, false, {0, 0, 0}, {78.6, 0, 0}, "RD-coded"},
};

/* Effort fast of the first engine, 4096 bits, files 0001 and on. */
#define FIRST_ENGINE_BITS 4096U
static const double wrist_db[] = {84.95, 86.07, 85.10, 85.16, 84.71, 84.78, 82.92, 82.41,
                                  80.54, 80.78, 80.79, 81.93, 82.57, 83.36, 84.28, 73.40};
static const double prisma_db[] = {85.03, 84.80, 84.64, 84.57, 83.92, 84.75, 83.93, 84.27, 83.90,
                                   83.80, 83.95, 84.15, 83.87, 83.84, 83.65, 84.08, 84.01, 84.21,
                                   84.15, 83.70, 83.97, 84.05, 84.07, 84.04, 83.98, 84.01, 83.89,
                                   84.17, 83.96, 84.50, 83.90, 84.62, 84.47, 84.96, 84.65};

static const struct first_series {
    const char *folder;
    const double *psnr_db;
    size_t count;
} first_engine[] = {
    {"ge-signa-wrist", wrist_db, DS_ARRAY_SIZE(wrist_db)},
    {"siemens-prisma-t1", prisma_db, DS_ARRAY_SIZE(prisma_db)},
};

/* What effort best has to reach on a kind of image. A photograph's goal is the prototype's best and
 * so much more, an image of a series that the first engine was measured on that figure and more. */
#define PHOTOGRAPH_GAIN_DB   0.3
#define FIRST_ENGINE_GAIN_DB 10.0

static const struct goal {
    const char *image;
    uint32_t bits;
    double psnr_db;
} goals[] = {
    {"ge-hispeed/*", 65536, 103.0},
    {"philips-ingenuity/*", 65536, 82.0},
    {"rg3-cr-jpegls-lossless", 65536, 85.0},
};

#define PHOTOGRAPH_SIDE 512U

static bool is_photograph(const struct stego_image *image)
{
    return image->columns == PHOTOGRAPH_SIDE && image->rows == PHOTOGRAPH_SIDE &&
           image->frames == 1 && image->components == 1 && image->bits_stored == 8;
}

static size_t stem_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    return dot != NULL ? (size_t)(dot - path) : strlen(path);
}

static bool equal_letters(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i])) {
            return false;
        }
    }
    return true;
}

/* Where in the path the last `count` components begin; NULL when it has not so many. */
static const char *last_components(const char *path, size_t count)
{
    const char *at = path + strlen(path);
    while (at > path) {
        at--;
        if (*at == '/' && --count == 0) {
            return at + 1;
        }
    }
    return count == 1 ? path : NULL;
}

static size_t components_of(const char *key)
{
    size_t n = 1;
    for (; *key != '\0'; key++) {
        n += *key == '/';
    }
    return n;
}

static bool is_called(const char *path, const char *key)
{
    const char *tail = last_components(path, components_of(key));
    const size_t len = strlen(key);
    if (tail == NULL) {
        return false;
    }
    const size_t stem = stem_bytes(tail);
    return key[len - 1] == '*' ? stem >= len - 1 && equal_letters(tail, key, len - 1)
                               : stem == len && equal_letters(tail, key, len);
}

static const struct prototype *prototype_of(const char *path, const struct stego_image *image,
                                            uint64_t bits, bool padding_used)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(prototypes); i++) {
        const struct prototype *p = &prototypes[i];
        const bool literature = p->image[strlen(p->image) - 1] == '*';
        if (p->bits == bits && p->padding_used == padding_used && is_called(path, p->image) &&
            (!literature || is_photograph(image))) {
            return p;
        }
    }
    return NULL;
}

static double first_engine_of(const char *path, uint64_t bits)
{
    const char *tail = last_components(path, 2);
    if (tail == NULL || bits != FIRST_ENGINE_BITS) {
        return 0.0;
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(first_engine); i++) {
        const struct first_series *s = &first_engine[i];
        const size_t len = strlen(s->folder);
        if (strncmp(tail, s->folder, len) == 0 && tail[len] == '/') {
            const unsigned long number = strtoul(tail + len + 1, NULL, 10);
            return number >= 1 && number <= s->count ? s->psnr_db[number - 1] : 0.0;
        }
    }
    return 0.0;
}

static double goal_of(const char *path, const struct stego_image *image, uint64_t bits,
                      const struct prototype *p, double first_db)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(goals); i++) {
        if (goals[i].bits == bits && is_called(path, goals[i].image)) {
            return goals[i].psnr_db;
        }
    }
    if (p != NULL && is_photograph(image)) {
        return p->best.psnr_db + PHOTOGRAPH_GAIN_DB;
    }
    return first_db > 0.0 ? first_db + FIRST_ENGINE_GAIN_DB : 0.0;
}

struct bench_known bench_known_of(const char *path, const struct stego_image *image, uint64_t bits,
                                  const struct bench_options *options)
{
    const bool padding_used = options->hiding.use_padding && image->has_padding;
    const struct prototype *p = prototype_of(path, image, bits, padding_used);
    struct bench_known known = {.first_engine_db = first_engine_of(path, bits)};
    known.goal_db = goal_of(path, image, bits, p, known.first_engine_db);
    if (p == NULL) {
        return known;
    }
    const bool rhombus = options->hiding.effort == STEGO_FAST && p->rhombus.psnr_db > 0.0;
    const struct figure *figure = rhombus ? &p->rhombus : &p->best;
    known.method = rhombus ? "rhombus" : p->method;
    known.psnr_db = figure->psnr_db;
    known.range_psnr_db = figure->range_psnr_db;
    known.max_difference = figure->max_difference;
    return known;
}

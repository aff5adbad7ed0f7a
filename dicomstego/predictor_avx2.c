/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/predictor_kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline int32_t sum_of(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

AVX2 static inline __m256i load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* Rounds count up to a multiple of 8; the border takes what lies beyond. */
#define VECTORS (STEGO_FIELD_COLUMNS / 8U)

/* A line of the field; whole: no pixel is missing. */
AVX2 static inline __attribute__((always_inline)) void
sum_line(const int32_t *pixel, ptrdiff_t stride, const struct stego_weights *weights, bool whole,
         uint32_t *sum_to, uint32_t *weight_to)
{
    const int32_t radius = weights->radius;
    __m256i sum[VECTORS] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    __m256i all[VECTORS] = {sum[0], sum[0], sum[0]};
    for (int32_t dy = -radius; dy <= radius; dy++) {
        for (int32_t dx = -radius; dx <= radius; dx++) {
            const int32_t w = weights->row[dy + radius][dx + radius];
            const int32_t *from = pixel + dy * stride + dx;
            const __m256i times = _mm256_set1_epi32(w);
            for (unsigned k = 0; w != 0 && k < VECTORS; k++) {
                __m256i v = load(from + 8 * k);
                __m256i one = times;
                if (!whole) {
                    const __m256i missing = _mm256_srai_epi32(v, 31);
                    v = _mm256_andnot_si256(missing, v);
                    one = _mm256_andnot_si256(missing, one);
                }
                sum[k] = _mm256_add_epi32(sum[k], _mm256_mullo_epi32(v, times));
                all[k] = _mm256_add_epi32(all[k], one);
            }
        }
    }
    for (unsigned k = 0; k < VECTORS; k++) {
        _mm256_storeu_si256((__m256i *)(void *)(sum_to + 8 * k), sum[k]);
        _mm256_storeu_si256((__m256i *)(void *)(weight_to + 8 * k), all[k]);
    }
}

AVX2 static inline uint32_t least_of(__m256i v)
{
    __m128i s = _mm_min_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_min_epu32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_min_epu32(s, _mm_shuffle_epi32(s, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(s);
}

/* The ends of all pixels; true when none is missing. */
AVX2 static inline bool find_ends(const int32_t *pixel, ptrdiff_t stride, int32_t radius,
                                  struct stego_field *to)
{
    const __m256i ones = _mm256_set1_epi32(-1);
    __m256i least = ones;
    __m256i lacking = ones; /* all bits but those of the greatest: the least of the complements */
    __m256i any = _mm256_setzero_si256();
    for (int32_t y = -1 - radius; y <= 1 + radius; y++) {
        for (int32_t c = -STEGO_RADIUS_MAX; c < (int32_t)STEGO_STRIP + 2 + radius; c += 8) {
            const __m256i v = load(pixel + y * stride + c);
            const __m256i missing = _mm256_srai_epi32(v, 31);
            least = _mm256_min_epu32(least, v);
            lacking =
                _mm256_min_epu32(lacking, _mm256_or_si256(_mm256_xor_si256(v, ones), missing));
            any = _mm256_or_si256(any, missing);
        }
    }
    to->least = least_of(least);
    to->most = ~least_of(lacking);
    return _mm256_testz_si256(any, any) != 0;
}

AVX2 static void sum_up(const int32_t *pixel, ptrdiff_t stride, const struct stego_weights *weights,
                        struct stego_field *to)
{
    const bool whole = find_ends(pixel, stride, weights->radius, to);
    to->is_whole = whole;
    for (int32_t line = 0; line < 3; line++) {
        const int32_t *from = pixel + (line - 1) * stride;
        if (whole) {
            sum_line(from, stride, weights, true, to->sum[line], to->weight[line]);
        } else {
            sum_line(from, stride, weights, false, to->sum[line], to->weight[line]);
        }
    }
}

/* What the four nearest neighbours miss by when they see `seen` in place of the pixel; none of the
 * pixels around is missing. */
AVX2 static inline uint32_t misses_of_four(const struct stego_sight *s, int32_t seen, int32_t top)
{
    const struct stego_field *f = s->field;
    const struct stego_weights *w = s->weights;
    const int32_t *p = s->at.pixel;
    const int32_t *up = p - s->at.stride;
    const int32_t *down = p + s->at.stride;
    const size_t c = s->column;
    const int32_t r = w->radius;
    const __m128i v = _mm_setr_epi32(p[-1], up[0], down[0], p[1]);
    __m128i mean = _mm_add_epi32(
        _mm_setr_epi32(up[-1], up[-1], down[-1], up[1]),
        _mm_add_epi32(_mm_setr_epi32(down[-1], up[1], down[1], down[1]),
                      _mm_setr_epi32(p[-2], up[-s->at.stride], down[s->at.stride], p[2])));
    mean = _mm_srai_epi32(_mm_add_epi32(mean, _mm_set1_epi32(seen)), 2);
    const __m128i weight =
        _mm_setr_epi32(w->row[r][r + 1], w->row[r + 1][r], w->row[r - 1][r], w->row[r][r - 1]);
    const __m128i before = _mm_setr_epi32((int32_t)f->sum[1][c - 1], (int32_t)f->sum[0][c],
                                          (int32_t)f->sum[2][c], (int32_t)f->sum[1][c + 1]);
    __m128i sum =
        _mm_sub_epi32(before, _mm_mullo_epi32(mean, _mm_set1_epi32((int32_t)f->weight[1][c])));
    sum = _mm_add_epi32(sum, _mm_mullo_epi32(weight, _mm_set1_epi32(seen - *p)));
    __m128i expected = _mm_add_epi32(_mm_slli_epi32(mean, 4), _mm_srai_epi32(sum, 8));
    expected = _mm_min_epi32(_mm_max_epi32(expected, _mm_setzero_si128()), _mm_set1_epi32(top));
    __m128i d = _mm_abs_epi32(_mm_sub_epi32(_mm_slli_epi32(v, 4), expected));
    d = _mm_add_epi32(d, _mm_shuffle_epi32(d, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(d, _mm_shuffle_epi32(d, 0xb1)));
}

/* The eight pixels around, each from the next. */
AVX2 static inline uint32_t unrest_of(struct stego_spot at)
{
    const int32_t *p = at.pixel;
    const int32_t *up = p - at.stride;
    const int32_t *down = p + at.stride;
    const __m256i a =
        _mm256_setr_epi32(up[-1], up[0], up[1], p[1], down[1], down[0], down[-1], p[-1]);
    const __m256i next = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
    const __m256i b = _mm256_permutevar8x32_epi32(a, next);
    return (uint32_t)sum_of(_mm256_abs_epi32(_mm256_sub_epi32(a, b)));
}

AVX2 static bool look(const struct stego_sight *s, int32_t mean, int32_t top,
                      struct stego_look *out)
{
    if (!s->field->is_whole) {
        return stego_look_with(stego_weigh_field, s, mean, top, 4, out);
    }
    out->prediction = stego_predicted(mean, (int32_t)stego_weigh_field(s, 0, 0, mean), top);
    const int32_t seen = (out->prediction + 8) >> 4;
    out->near[0] = (struct stego_misses){misses_of_four(s, seen, top), 4};
    out->near[1] = (struct stego_misses){0, 0};
    out->circle = (struct stego_misses){unrest_of(s->at), 8};
    return stego_field_covers(s->field, (uint32_t)seen);
}

AVX2 static void average(const int32_t *pixel, ptrdiff_t stride, size_t count, int32_t *mean)
{
    const __m256i share = _mm256_setr_epi32(0, 16384, 8192, 5462, 4096, 0, 0, 0);
    const __m256i missing = _mm256_set1_epi32(STEGO_MISSING_PIXEL);
    const __m256i zero = _mm256_setzero_si256();
    for (size_t c = 0; c < count; c += 8) {
        const int32_t *p = pixel + c;
        const __m256i v[4] = {load(p - 1), load(p - stride), load(p + stride), load(p + 1)};
        __m256i sum = zero;
        __m256i present = _mm256_set1_epi32(4);
        for (unsigned k = 0; k < 4; k++) {
            sum = _mm256_add_epi32(sum, _mm256_max_epi32(v[k], zero));
            present = _mm256_add_epi32(present, _mm256_srai_epi32(v[k], 31));
        }
        const __m256i times = _mm256_permutevar8x32_epi32(share, present);
        __m256i m = _mm256_srai_epi32(_mm256_mullo_epi32(sum, times), 14);
        m = _mm256_blendv_epi8(m, missing, _mm256_cmpeq_epi32(present, zero));
        m = _mm256_blendv_epi8(m, missing, _mm256_srai_epi32(load(p), 31));
        _mm256_storeu_si256((__m256i *)(void *)(mean + c), m);
    }
}

AVX2 static inline __m256i difference(__m256i v, __m256i mean)
{
    const __m256i most = _mm256_set1_epi32(STEGO_DIFFERENCE_MAX);
    const __m256i least = _mm256_set1_epi32(-STEGO_DIFFERENCE_MAX);
    const __m256i d = _mm256_max_epi32(_mm256_min_epi32(_mm256_sub_epi32(v, mean), most), least);
    return _mm256_andnot_si256(_mm256_srai_epi32(_mm256_or_si256(v, mean), 31), d);
}

AVX2 static void compare(const int32_t *pixel, const int32_t *mean, size_t count, int16_t *to)
{
    for (size_t c = 0; c < count; c += 8) {
        const __m256i d = difference(load(pixel + c), load(mean + c));
        const __m128i packed =
            _mm_packs_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
        _mm_storeu_si128((__m128i *)(void *)(to + c), packed);
    }
}

AVX2 static inline __m256i product(__m256i a, const int16_t *line)
{
    return _mm256_madd_epi16(a, _mm256_loadu_si256((const __m256i *)(const void *)line));
}

AVX2 static void multiply(const int16_t *line, size_t stride, unsigned lines, int32_t *to)
{
    for (unsigned i = 0; i < lines; i++) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(line + i * stride));
        unsigned j = 0;
        for (; j + 3 <= i; j += 4, to += 4) {
            const int16_t *b = line + j * stride;
            const __m256i p0 = product(a, b);
            const __m256i p1 = product(a, b + stride);
            const __m256i p2 = product(a, b + 2 * stride);
            const __m256i p3 = product(a, b + 3 * stride);
            const __m256i h =
                _mm256_hadd_epi32(_mm256_hadd_epi32(p0, p1), _mm256_hadd_epi32(p2, p3));
            _mm_storeu_si128((__m128i *)(void *)to, _mm_add_epi32(_mm256_castsi256_si128(h),
                                                                  _mm256_extracti128_si256(h, 1)));
        }
        for (; j <= i; j++) {
            *to++ = sum_of(product(a, line + j * stride));
        }
    }
}

static const struct stego_predictor_kernels kernels = {sum_up, look, average, compare, multiply};

const struct stego_predictor_kernels *stego_predictor_kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") ? &kernels : NULL;
}

#else

const struct stego_predictor_kernels *stego_predictor_kernels_avx2(void)
{
    return NULL;
}

#endif

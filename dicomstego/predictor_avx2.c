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

/* Eight pixels of a row less the mean; those behind the window have weight 0. */
AVX2 static inline __m256i differences(const int32_t *from, __m256i mean, bool whole)
{
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)from);
    const __m256i d = _mm256_sub_epi32(v, mean);
    return whole ? d : _mm256_andnot_si256(_mm256_srai_epi32(v, 31), d);
}

AVX2 static inline __m256i weights_of(const int16_t row[8], const int16_t next[8])
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)row);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)next);
    /* As packs_epi32 interleaves. */
    return _mm256_set_m128i(_mm_unpackhi_epi64(a, b), _mm_unpacklo_epi64(a, b));
}

/* Two rows at once. */
AVX2 static inline __attribute__((always_inline)) int32_t
weigh(struct stego_spot at, const struct stego_weights *weights, int32_t mean, bool whole)
{
    const __m256i middle = _mm256_set1_epi32(mean);
    const int32_t *from = at.pixel - weights->radius * at.stride - weights->radius;
    const int32_t side = 2 * weights->radius + 1;
    __m256i sum = _mm256_setzero_si256();
    for (int32_t y = 0; y < side; y += 2) {
        const __m256i a = differences(from, middle, whole);
        const __m256i b = y + 1 < side ? differences(from + at.stride, middle, whole) : a;
        const __m256i d = _mm256_packs_epi32(a, b);
        sum = _mm256_add_epi32(
            sum, _mm256_madd_epi16(d, weights_of(weights->row[y], weights->row[y + 1])));
        from += 2 * at.stride;
    }
    return sum_of(sum);
}

AVX2 static void look(struct stego_spot at, const struct stego_weights *weights, int32_t mean,
                      int32_t top, unsigned witnesses, bool whole, struct stego_look *out)
{
    if (whole && witnesses == 4) {
        stego_look_with(weigh, at, weights, mean, top, 4, true, out);
    } else {
        stego_look_with(weigh, at, weights, mean, top, witnesses, whole, out);
    }
}

AVX2 static inline __m256i load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* Rounds count up to a multiple of 8; the border takes what lies beyond. */
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

static const struct stego_predictor_kernels kernels = {look, average, compare, multiply};

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

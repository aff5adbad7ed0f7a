/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/kernel_avx2.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2          __attribute__((target("avx2")))
#define AVX2_AND_MORE __attribute__((target("avx2,popcnt,bmi,bmi2")))

typedef __m256i v16; /* 16 entries of 16 bits */

AVX2 static inline v16 load(const void *p)
{
    return _mm256_loadu_si256(p);
}

AVX2 static inline void store(void *p, v16 v)
{
    _mm256_storeu_si256(p, v);
}

AVX2 static inline v16 all(uint32_t v)
{
    return _mm256_set1_epi16((int16_t)(uint16_t)v);
}

/* Unsigned a >= b, as a mask. */
AVX2 static inline v16 not_below(v16 a, v16 b)
{
    return _mm256_cmpeq_epi16(_mm256_max_epu16(a, b), a);
}

AVX2 static inline v16 within(v16 v, v16 first, v16 last)
{
    return _mm256_and_si256(not_below(v, first), not_below(last, v));
}

AVX2 static inline v16 choose(v16 mask, v16 yes, v16 no)
{
    return _mm256_blendv_epi8(no, yes, mask);
}

/* 16 masks of 16 bits to as many bytes. */
AVX2 static inline __m128i narrow(v16 v)
{
    const v16 bytes = _mm256_packs_epi16(v, v);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(bytes, 0x08));
}

AVX2 static inline v16 evens(const int32_t *from, v16 low)
{
    const __m256 a = _mm256_castsi256_ps(load(from));
    const __m256 b = _mm256_castsi256_ps(load(from + 8));
    return _mm256_sub_epi32(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), low);
}

AVX2 static void halve(const int32_t *from, size_t count, int32_t low, uint16_t *to)
{
    const v16 lowest = _mm256_set1_epi32(low);
    const v16 word = _mm256_set1_epi32(0xffff);
    const v16 order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t j = 0;
    for (; j + 16 < count; j += 16) {
        const v16 a = _mm256_and_si256(evens(from + 2 * j, lowest), word);
        const v16 b = _mm256_and_si256(evens(from + 2 * j + 16, lowest), word);
        store(to + j, _mm256_permutevar8x32_epi32(_mm256_packus_epi32(a, b), order));
    }
    stego_kernels_portable.halve(from + 2 * j, count - j, low, to + j);
}

AVX2 static void merge(uint16_t *row, size_t count, uint16_t first, uint16_t last)
{
    for (size_t j = 0; j < count; j += 16) {
        const v16 v = load(row + j);
        store(row + j, choose(within(v, all(first), all(last)), all(first), v));
    }
}

AVX2 static inline v16 apart(v16 a, v16 b)
{
    return _mm256_or_si256(_mm256_subs_epu16(a, b), _mm256_subs_epu16(b, a));
}

AVX2 static inline v16 add(v16 a, v16 b)
{
    return _mm256_adds_epu16(a, b);
}

/* A v of more than `limit` bits loses `shift` of them, and the class gains 4 for each. */
AVX2 static inline void shorten(v16 *v, v16 *class, int limit, int shift)
{
    const v16 is_short = _mm256_cmpeq_epi16(_mm256_srli_epi16(*v, limit), _mm256_setzero_si256());
    *v = choose(is_short, *v, _mm256_srli_epi16(*v, shift));
    *class = _mm256_add_epi16(*class, _mm256_andnot_si256(is_short, all(4U * (uint32_t)shift)));
}

/* stego_class_of for a sum to which 6 has been added. */
AVX2 static inline v16 class_of(v16 v)
{
    v16 class = all((uint32_t)-6);
    shorten(&v, &class, 10, 8);
    shorten(&v, &class, 6, 4);
    shorten(&v, &class, 4, 2);
    shorten(&v, &class, 3, 1);
    return _mm256_add_epi16(class, v);
}

/* ceil((a + b + c + d) / 4). Rounding up twice is one too much when both halves were rounded and
 * their sum is odd. */
AVX2 static inline v16 mean_of(v16 a, v16 b, v16 c, v16 d)
{
    const v16 ab = _mm256_avg_epu16(a, b);
    const v16 cd = _mm256_avg_epu16(c, d);
    const v16 odd = _mm256_and_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    const v16 excess = _mm256_and_si256(_mm256_and_si256(odd, _mm256_xor_si256(ab, cd)), all(1));
    return _mm256_sub_epi16(_mm256_avg_epu16(ab, cd), excess);
}

/* near: above, below, left, right; far: two for each of them. See struct stego_neighbours. */
struct block {
    v16 near[4], far[4][2];
};

AVX2 static inline void load_block(const struct stego_context *k, size_t j, struct block *b)
{
    b->near[0] = load(k->above + j);
    b->near[1] = load(k->below + j);
    b->near[2] = load(k->same + j);
    b->near[3] = load(k->same + j + 1);
    b->far[0][0] = load(k->above2 + j);
    b->far[0][1] = load(k->above2 + j + 1);
    b->far[1][0] = load(k->below2 + j);
    b->far[1][1] = load(k->below2 + j + 1);
    b->far[2][0] = load(k->above + j - 1);
    b->far[2][1] = load(k->below + j - 1);
    b->far[3][0] = load(k->above + j + 1);
    b->far[3][1] = load(k->below + j + 1);
}

AVX2 static inline v16 unrest_of(const struct block *b)
{
    const v16 *n = b->near;
    v16 c = add(apart(n[0], n[2]), apart(n[0], n[3]));
    v16 d = add(apart(n[1], n[2]), apart(n[1], n[3]));
    c = add(c, add(apart(n[0], b->far[0][0]), apart(n[0], b->far[0][1])));
    d = add(d, add(apart(n[1], b->far[1][0]), apart(n[1], b->far[1][1])));
    c = add(c, add(apart(n[2], b->far[2][0]), apart(n[2], b->far[2][1])));
    d = add(d, add(apart(n[3], b->far[3][0]), apart(n[3], b->far[3][1])));
    return add(add(c, d), all(6));
}

AVX2 static inline bool is_ragged(const struct block *b, v16 missing)
{
    v16 any = _mm256_setzero_si256();
    for (size_t i = 0; i < 4; i++) {
        const v16 f0 = _mm256_cmpeq_epi16(b->far[i][0], missing);
        const v16 f1 = _mm256_cmpeq_epi16(b->far[i][1], missing);
        const v16 n = _mm256_cmpeq_epi16(b->near[i], missing);
        any = _mm256_or_si256(any, _mm256_or_si256(n, _mm256_or_si256(f0, f1)));
    }
    return _mm256_testz_si256(any, any) == 0;
}

AVX2 static inline v16 or_else(v16 v, v16 missing, v16 other)
{
    return choose(_mm256_cmpeq_epi16(v, missing), other, v);
}

/* What stego_predict puts in place of missing neighbours. Returns the mask of those sites that have
 * none at all. */
AVX2 static v16 fill_in(struct block *b, v16 missing)
{
    const v16 up = or_else(b->near[0], missing, b->near[1]);
    const v16 down = or_else(b->near[1], missing, b->near[0]);
    const v16 left = or_else(b->near[2], missing, b->near[3]);
    const v16 right = or_else(b->near[3], missing, b->near[2]);
    b->near[0] = or_else(up, missing, left);
    b->near[1] = or_else(down, missing, right);
    b->near[2] = or_else(left, missing, up);
    b->near[3] = or_else(right, missing, down);
    for (size_t i = 0; i < 4; i++) {
        const size_t other = i < 2 ? 2 : 0;
        b->far[i][0] = or_else(b->far[i][0], missing, b->near[other]);
        b->far[i][1] = or_else(b->far[i][1], missing, b->near[other + 1]);
    }
    return _mm256_cmpeq_epi16(b->near[0], missing);
}

AVX2 static inline void put_prediction(const struct block *b, v16 none, uint16_t *mean,
                                       uint8_t *class)
{
    const v16 *n = b->near;
    store(mean, _mm256_andnot_si256(none, mean_of(n[0], n[1], n[2], n[3])));
    const v16 no_site = _mm256_srli_epi16(none, 8);
    const v16 class_or_none = _mm256_or_si256(class_of(unrest_of(b)), no_site);
    const v16 bytes = _mm256_packus_epi16(class_or_none, class_or_none);
    const v16 in_order = _mm256_permute4x64_epi64(bytes, 0x08);
    _mm_storeu_si128((void *)class, _mm256_castsi256_si128(in_order));
}

/* Kept apart so that the block of the common case stays in registers. */
AVX2 static __attribute__((noinline)) void predict_ragged(const struct stego_context *k, size_t j,
                                                          uint16_t *mean, uint8_t *class)
{
    struct block b;
    load_block(k, j, &b);
    const v16 none = fill_in(&b, all(k->missing));
    put_prediction(&b, none, mean, class);
}

AVX2 static void predict(const struct stego_context *k, size_t count, uint16_t *mean,
                         uint8_t *class)
{
    const v16 missing = all(k->missing);
    for (size_t j = 0; j < count; j += 16) {
        struct block b;
        load_block(k, j, &b);
        if (k->has_missing && is_ragged(&b, missing)) {
            predict_ragged(k, j, mean + j, class + j);
        } else {
            put_prediction(&b, _mm256_setzero_si256(), mean + j, class + j);
        }
    }
}

AVX2 static void strike(const uint16_t *own, size_t count, uint16_t first, uint16_t last,
                        uint8_t *class)
{
    for (size_t j = 0; j < count; j += 16) {
        const __m128i none = narrow(within(load(own + j), all(first), all(last)));
        const __m128i old = _mm_loadu_si128((const void *)(class + j));
        _mm_storeu_si128((void *)(class + j), _mm_or_si128(old, none)); /* STEGO_NO_SITE */
    }
}

/* The limits as 16 copies. Padding borders of none are beyond every offset either way. */
struct wide_limits {
    v16 high, pad_first, below_padding, pad_last, above_padding;
};

AVX2 static inline struct wide_limits widen(const struct stego_limits *l)
{
    const bool none = !l->has_padding;
    return (struct wide_limits){all(l->high), all(none ? 0 : l->pad_first),
                                all(none ? 0 : l->pad_first - 1), all(none ? 0xffff : l->pad_last),
                                all(none ? 0 : l->pad_last + 1)};
}

AVX2 static inline v16 room_of(v16 own, v16 above, const struct wide_limits *l)
{
    const v16 top = choose(not_below(own, l->pad_first), l->high, l->below_padding);
    const v16 is_over = not_below(l->pad_last, own); /* not */
    const v16 bottom = _mm256_andnot_si256(is_over, l->above_padding);
    return choose(above, _mm256_sub_epi16(top, own), _mm256_sub_epi16(own, bottom));
}

/* The side of each site; *rank is its rank. */
AVX2 static inline v16 place_of(v16 own, v16 mean, v16 highest, v16 *rank)
{
    const v16 at_end = _mm256_cmpeq_epi16(mean, highest);
    const v16 above = _mm256_andnot_si256(at_end, not_below(own, mean));
    const v16 less_one = _mm256_xor_si256(at_end, all(0xffff)); /* 0 or -1 */
    const v16 under = _mm256_add_epi16(_mm256_sub_epi16(mean, own), less_one);
    *rank = choose(above, _mm256_sub_epi16(own, mean), under);
    return above;
}

AVX2 static inline v16 cell_of_rank(v16 rank)
{
    const v16 exact = all(STEGO_RANK_EXACT);
    v16 cell = _mm256_min_epu16(rank, exact);
    const v16 is_high = _mm256_cmpeq_epi16(cell, exact);
    if (_mm256_testz_si256(is_high, is_high) != 0) {
        return cell;
    }
    for (size_t i = 1; i < STEGO_RANK_FLOORS; i++) {
        cell = _mm256_sub_epi16(cell, not_below(rank, all(stego_rank_floor[i])));
    }
    return cell;
}

AVX2 static void tally(const uint16_t *own, const uint16_t *mean, const uint8_t *class,
                       size_t count, const struct stego_limits *limits, uint16_t *cell)
{
    const struct wide_limits l = widen(limits);
    const v16 enough = all(STEGO_ROOM_ENOUGH - 1);
    for (size_t j = 0; j < count; j += 16) {
        v16 rank;
        const v16 x = load(own + j);
        const v16 above = place_of(x, load(mean + j), l.high, &rank);
        const v16 room = room_of(x, above, &l);
        const v16 tight = _mm256_and_si256(not_below(rank, room), not_below(enough, room));
        const v16 c = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(class + j)));
        const v16 out = _mm256_or_si256(tight, _mm256_cmpeq_epi16(c, all(STEGO_NO_SITE)));
        const v16 at = _mm256_add_epi16(_mm256_slli_epi16(c, 6), cell_of_rank(rank));
        store(cell + j, choose(out, all(STEGO_CELLS - 1U), at));
    }
}
_Static_assert(STEGO_RANK_CELLS == 64, "tally shifts by 6");

/* Whether each of 32 classes is in the set: byte class / 8 of it, bit class % 8. */
AVX2 static inline uint32_t pick_32(const uint8_t *class, v16 set, v16 bits)
{
    const v16 c = load(class);
    const v16 which = _mm256_and_si256(_mm256_srli_epi16(c, 3), _mm256_set1_epi8(15));
    const v16 bit = _mm256_shuffle_epi8(bits, _mm256_and_si256(c, _mm256_set1_epi8(7)));
    const v16 in = _mm256_and_si256(_mm256_shuffle_epi8(set, which), bit);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(in, bit));
}

/* Bytes from 8 on of the set are zero, and STEGO_NO_SITE / 8 modulo 16 is 15. */
AVX2 static uint64_t pick(const uint8_t *class, size_t count, uint64_t classes)
{
    const v16 set = _mm256_setr_epi64x((long long)classes, 0, (long long)classes, 0);
    const v16 bits = _mm256_set1_epi64x((long long)0x8040201008040201);
    const uint64_t low = pick_32(class, set, bits);
    const uint64_t high = count > 32 ? pick_32(class + 32, set, bits) : 0;
    const uint64_t keep = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
    return (low | high << 32) & keep;
}

/* What a table of 64 bytes says for each of 32 classes; 0 for STEGO_NO_SITE. */
AVX2 static inline v16 look_up(const uint8_t table[64], v16 classes)
{
    v16 found = _mm256_setzero_si256();
    for (size_t i = 0; i < 4; i++) {
        const v16 part = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)&table[16 * i]));
        const v16 index = _mm256_sub_epi8(classes, _mm256_set1_epi8((char)(16 * i)));
        const v16 guarded = _mm256_adds_epu8(index, _mm256_set1_epi8(0x70)); /* others: bit 7 */
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(part, guarded));
    }
    return found;
}

/* What is to be done with 16 sites. */
struct movement {
    v16 own, d, above, counts; /* counts: a bit is hidden in the site */
};

/* Two sets of 16 masks to 32 bits. */
AVX2 static inline uint32_t bits_of(v16 a, v16 b)
{
    const v16 bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8);
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

AVX2 static inline uint64_t counting(const struct movement m[4])
{
    return bits_of(m[0].counts, m[1].counts) | (uint64_t)bits_of(m[2].counts, m[3].counts) << 32;
}

/* 16 bits to as many numbers 0 or 1. */
AVX2 static inline v16 spread(uint64_t bits)
{
    const v16 which = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                        8192, 16384, INT16_MIN);
    const v16 in = _mm256_and_si256(all((uint32_t)bits & 0xffffU), which);
    return _mm256_srli_epi16(_mm256_cmpeq_epi16(in, which), 15);
}

/* Writes four values, of 16 or fewer bits and `low` more, to to[0], to[2], to[4] and to[6]. */
AVX2 static inline void put_evens(int32_t *to, __m128i values)
{
    const v16 wide = _mm256_cvtepu32_epi64(values);
    store(to, _mm256_blend_epi32(load(to), wide, 0x55));
}

AVX2 static inline void put_sites(int32_t *to, v16 offsets, int32_t low)
{
    const v16 lowest = _mm256_set1_epi32(low);
    const v16 a = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(offsets));
    const v16 b = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(offsets, 1));
    const v16 x = _mm256_add_epi32(a, lowest);
    const v16 y = _mm256_add_epi32(b, lowest);
    put_evens(to, _mm256_castsi256_si128(x));
    put_evens(to + 8, _mm256_extracti128_si256(x, 1));
    put_evens(to + 16, _mm256_castsi256_si128(y));
    put_evens(to + 24, _mm256_extracti128_si256(y, 1));
}

/* The b and t of 16 sites each, and the others their ranks and sides follow from. */
struct sites {
    v16 own, above, rank, b, t;
    v16 takes_part;
};

AVX2 static inline void load_sites(const struct stego_word *w, const struct wide_limits *l,
                                   size_t j, struct sites s[2])
{
    const v16 classes = load(w->class + j);
    const v16 b = look_up(w->moves->b, classes);
    const v16 t = look_up(w->moves->t, classes);
    s[0].b = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(b));
    s[1].b = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(b, 1));
    s[0].t = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(t));
    s[1].t = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(t, 1));
    for (size_t i = 0; i < 2; i++) {
        s[i].own = load(w->own + j + 16 * i);
        s[i].above = place_of(s[i].own, load(w->mean + j + 16 * i), l->high, &s[i].rank);
        const v16 idle = _mm256_cmpeq_epi16(s[i].t, _mm256_setzero_si256());
        s[i].takes_part = _mm256_andnot_si256(idle, not_below(s[i].rank, s[i].b));
    }
}

/* A site takes min(k, t), and its bit when k < t. Returns the mask of those with little room. */
AVX2 static inline v16 plan_hiding(const struct sites *s, const struct wide_limits *l,
                                   struct movement *m)
{
    const v16 k = _mm256_sub_epi16(s->rank, s->b);
    const v16 is_beyond = not_below(k, s->t);
    const v16 room = room_of(s->own, s->above, l);
    m->own = s->own;
    m->above = s->above;
    m->counts = _mm256_andnot_si256(is_beyond, s->takes_part);
    m->d = _mm256_and_si256(_mm256_min_epu16(k, s->t), s->takes_part);
    const v16 has_room = not_below(room, _mm256_slli_epi16(s->t, 1));
    return _mm256_andnot_si256(has_room, s->takes_part);
}

AVX2_AND_MORE static int hide(const struct stego_word *w, uint64_t bits, size_t left)
{
    const struct wide_limits l = widen(w->limits);
    struct movement m[4];
    struct sites s[2];
    v16 near_end = _mm256_setzero_si256();
    for (size_t i = 0; i < 4; i += 2) {
        load_sites(w, &l, 16 * i, s);
        near_end = _mm256_or_si256(near_end, plan_hiding(&s[0], &l, &m[i]));
        near_end = _mm256_or_si256(near_end, plan_hiding(&s[1], &l, &m[i + 1]));
    }
    const uint64_t counts = counting(m);
    const int taken = __builtin_popcountll(counts);
    if (_mm256_testz_si256(near_end, near_end) == 0 || (size_t)taken >= left) {
        return -1;
    }
    const uint64_t hidden = _pdep_u64(bits, counts);
    for (size_t i = 0; w->samples != NULL && i < 4; i++) {
        const v16 d = _mm256_add_epi16(m[i].d, spread(hidden >> (16 * i)));
        const v16 up = _mm256_add_epi16(m[i].own, d);
        const v16 down = _mm256_sub_epi16(m[i].own, d);
        put_sites(w->samples + 32 * i, choose(m[i].above, up, down), w->low);
    }
    return taken;
}

/* A site found at k >= 2 t was moved by t, at less by k / 2 rounded up, and then k is odd when its
 * bit is 1. *odd gets a mask of those. */
AVX2 static inline v16 plan_revealing(const struct sites *s, const struct wide_limits *l,
                                      bool has_padding, struct movement *m, v16 *odd)
{
    const v16 k = _mm256_sub_epi16(s->rank, s->b);
    const v16 is_beyond = not_below(k, _mm256_slli_epi16(s->t, 1));
    const v16 half = _mm256_avg_epu16(k, _mm256_setzero_si256());
    v16 has_room = not_below(room_of(s->own, s->above, l), s->t);
    if (has_padding) {
        const v16 below = _mm256_xor_si256(s->above, all(0xffff));
        has_room = _mm256_and_si256(has_room, not_below(room_of(s->own, below, l), s->t));
    }
    m->own = s->own;
    m->above = s->above;
    m->counts = _mm256_andnot_si256(is_beyond, s->takes_part);
    m->d = _mm256_and_si256(choose(is_beyond, s->t, half), s->takes_part);
    *odd = _mm256_cmpeq_epi16(_mm256_and_si256(k, all(1)), all(1));
    return _mm256_andnot_si256(has_room, s->takes_part);
}

AVX2_AND_MORE static int reveal(const struct stego_word *w, uint64_t *bits, size_t left)
{
    const struct wide_limits l = widen(w->limits);
    const bool has_padding = w->limits->has_padding;
    struct movement m[4];
    struct sites s[2];
    v16 odd[4];
    v16 near_end = _mm256_setzero_si256();
    for (size_t i = 0; i < 4; i += 2) {
        load_sites(w, &l, 16 * i, s);
        const v16 a = plan_revealing(&s[0], &l, has_padding, &m[i], &odd[i]);
        const v16 b = plan_revealing(&s[1], &l, has_padding, &m[i + 1], &odd[i + 1]);
        near_end = _mm256_or_si256(near_end, _mm256_or_si256(a, b));
    }
    const uint64_t counts = counting(m);
    const int taken = __builtin_popcountll(counts);
    if (_mm256_testz_si256(near_end, near_end) == 0 || (size_t)taken >= left) {
        return -1;
    }
    *bits = _pext_u64(bits_of(odd[0], odd[1]) | (uint64_t)bits_of(odd[2], odd[3]) << 32, counts);
    for (size_t i = 0; i < 4; i++) {
        const v16 up = _mm256_add_epi16(m[i].own, m[i].d);
        const v16 down = _mm256_sub_epi16(m[i].own, m[i].d);
        put_sites(w->samples + 32 * i, choose(m[i].above, down, up), w->low);
    }
    return taken;
}

/* The lowest bits of 64 samples, the first one's in bit 0. */
AVX2 static inline uint64_t lowest_bits(const int32_t *samples)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 64; i += 8) {
        const __m256 top = _mm256_castsi256_ps(_mm256_slli_epi32(load(samples + i), 31));
        bits |= (uint64_t)(uint32_t)_mm256_movemask_ps(top) << i;
    }
    return bits;
}

/* Does the mark begin at one of the 64 bits of `low`? */
AVX2_AND_MORE static inline unsigned find_in(uint64_t low, uint64_t high, uint64_t mark,
                                             unsigned wrong)
{
    for (unsigned i = 0; i < 64; i++) {
        const uint64_t window = low >> i | high << 1 << (63U - i);
        if ((unsigned)__builtin_popcountll(window ^ mark) <= wrong) {
            return i;
        }
    }
    return 64;
}

AVX2_AND_MORE static size_t find(const int32_t *samples, size_t count, size_t from, uint64_t mark,
                                 unsigned wrong)
{
    size_t i = from;
    if (count - i >= 128) {
        uint64_t low = lowest_bits(samples + i);
        for (; count - i >= 128; i += 64) {
            const uint64_t high = lowest_bits(samples + i + 64);
            const unsigned at = find_in(low, high, mark, wrong);
            if (at < 64) {
                return i + at;
            }
            low = high;
        }
    }
    return stego_kernels_portable.find(samples, count, i, mark, wrong);
}

AVX2 static bool inside(const int32_t *samples, size_t count, int32_t low, int32_t high)
{
    const v16 least = _mm256_set1_epi32(low);
    const v16 most = _mm256_set1_epi32(high);
    v16 out = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const v16 x = load(samples + i);
        out = _mm256_or_si256(out, _mm256_cmpgt_epi32(least, x));
        out = _mm256_or_si256(out, _mm256_cmpgt_epi32(x, most));
    }
    return _mm256_testz_si256(out, out) != 0 &&
           stego_kernels_portable.inside(samples + i, count - i, low, high);
}

/* A mask of those of 8 samples that may hold no bit. */
AVX2 static inline v16 holds_none(const struct stego_holders *h, v16 x)
{
    const v16 even = _mm256_andnot_si256(_mm256_set1_epi32(1), x);
    const v16 odd = _mm256_or_si256(_mm256_set1_epi32(1), x);
    const v16 out = _mm256_or_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(h->low), even),
                                    _mm256_cmpgt_epi32(odd, _mm256_set1_epi32(h->high)));
    if (!h->has_padding) {
        return out;
    }
    const v16 under = _mm256_cmpgt_epi32(_mm256_set1_epi32(h->padding_min), odd);
    const v16 over = _mm256_cmpgt_epi32(even, _mm256_set1_epi32(h->padding_max));
    const v16 beside = _mm256_or_si256(under, over);
    return _mm256_or_si256(out, _mm256_xor_si256(beside, _mm256_set1_epi32(-1)));
}

/* |a - b| in each pair, 255 at most, in both places of the pair. */
AVX2 static inline v16 pair_unrest(v16 x)
{
    const v16 y = _mm256_shuffle_epi32(x, 0xb1);
    const v16 d = _mm256_sub_epi32(_mm256_max_epi32(x, y), _mm256_min_epi32(x, y));
    return _mm256_min_epu32(d, _mm256_set1_epi32(255));
}

AVX2 static inline uint32_t sum_of(v16 v)
{
    const __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i t = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(t); /* lanes 0 and 1 are a pair: they are equal */
}

AVX2 static inline bool is_still(const struct stego_holders *h, size_t first)
{
    if (h->still == NULL) {
        return false;
    }
    const __m128i s = _mm_loadu_si128((const void *)(h->still + first));
    return _mm_testz_si128(s, s) == 0;
}

AVX2 static void unrest(const struct stego_holders *holders, const int32_t *samples, size_t first,
                        size_t blocks, uint32_t *out)
{
    for (size_t i = 0; i < blocks; i++) {
        const size_t at = first + i * STEGO_UNREST_BLOCK;
        const v16 a = load(samples + at);
        const v16 b = load(samples + at + 8);
        const v16 none = _mm256_or_si256(holds_none(holders, a), holds_none(holders, b));
        const bool all_hold = _mm256_testz_si256(none, none) != 0 && !is_still(holders, at);
        const uint32_t sum = sum_of(_mm256_add_epi32(pair_unrest(a), pair_unrest(b)));
        out[i] = all_hold ? sum : STEGO_HOLDS_NONE;
    }
}
_Static_assert(STEGO_UNREST_BLOCK == 16, "unrest takes two vectors of 8");

static const struct stego_kernels kernels = {.halve = halve,
                                             .merge = merge,
                                             .predict = predict,
                                             .strike = strike,
                                             .tally = tally,
                                             .pick = pick,
                                             .hide = hide,
                                             .reveal = reveal,
                                             .find = find,
                                             .inside = inside,
                                             .unrest = unrest};

const struct stego_kernels *stego_kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
                   __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
               ? &kernels
               : NULL;
}

#else

const struct stego_kernels *stego_kernels_avx2(void)
{
    return NULL;
}

#endif

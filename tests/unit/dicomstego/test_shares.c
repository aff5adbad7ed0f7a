/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A small generator with a fixed start, so that a failure can be repeated (Marsaglia's xorshift).
 */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

struct study {
    struct stego_shares shares;
    struct ds_bytes data;
    struct ds_bytes share[STEGO_SHARES_DISTINCT];
    size_t share_len;
};

static void study_init(struct study *s, uint32_t needed, uint32_t total, size_t len)
{
    memset(s, 0, sizeof(*s));
    s->shares = stego_shares_of(needed, total);
    s->data = DS_BYTES_INIT(len + 1);
    assert_int_equal(ds_bytes_resize(&s->data, len, NULL), DS_OK);
    uint32_t seed = 2463534242U;
    for (size_t i = 0; i < len; i++) {
        s->data.data[i] = (uint8_t)next_random(&seed);
    }
    s->share_len = stego_shares_bytes(&s->shares, len);
    for (uint32_t i = 0; i < s->shares.distinct; i++) {
        s->share[i] = DS_BYTES_INIT(s->share_len);
        assert_int_equal(stego_shares_encode(&s->shares, s->data.data, len, i, &s->share[i], NULL),
                         DS_OK);
        assert_int_equal(s->share[i].len, s->share_len);
    }
}

static void study_finish(struct study *s)
{
    ds_bytes_free(&s->data);
    for (size_t i = 0; i < STEGO_SHARES_DISTINCT; i++) {
        ds_bytes_free(&s->share[i]);
    }
}

/* Decodes from the shares that are marked. */
static enum ds_status decode_from(const struct study *s, const bool present[STEGO_SHARES_DISTINCT],
                                  bool *equal)
{
    const uint8_t *pointers[STEGO_SHARES_DISTINCT] = {0};
    for (uint32_t i = 0; i < s->shares.distinct; i++) {
        pointers[i] = present[i] ? s->share[i].data : NULL;
    }
    struct ds_bytes out = DS_BYTES_INIT(1U << 24);
    const enum ds_status status =
        stego_shares_decode(&s->shares, pointers, s->share_len, &out, NULL);
    *equal = status == DS_OK && out.len >= s->data.len &&
             memcmp(out.data, s->data.data, s->data.len) == 0;
    ds_bytes_free(&out);
    return status;
}

static void every_subset_of_a_small_study_is_enough_exactly_when_it_has_k_shares(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 8; n++) {
        for (uint32_t k = 1; k <= n; k++) {
            struct study s;
            study_init(&s, k, n, 101);
            for (uint32_t subset = 0; subset < (1U << n); subset++) {
                bool present[STEGO_SHARES_DISTINCT] = {false};
                for (uint32_t i = 0; i < n; i++) {
                    present[i] = (subset >> i & 1U) != 0;
                }
                bool equal = false;
                const bool enough = (uint32_t)__builtin_popcount(subset) >= k;
                assert_int_equal(decode_from(&s, present, &equal), enough ? DS_OK : DS_ECAPACITY);
                assert_int_equal(equal, enough);
            }
            study_finish(&s);
        }
    }
}

/* Draws k of n instances at random; of the shares they carry, the study must come back. */
static void check_random_draws(uint32_t k, uint32_t n, unsigned draws)
{
    struct study s;
    study_init(&s, k, n, 5003);
    uint32_t seed = n;
    uint32_t *order = calloc(n, sizeof(*order));
    assert_non_null(order);
    for (unsigned d = 0; d < draws; d++) {
        bool present[STEGO_SHARES_DISTINCT] = {false};
        for (uint32_t i = 0; i < n; i++) {
            order[i] = i;
        }
        for (uint32_t i = 0; i < k; i++) {
            const uint32_t j = i + next_random(&seed) % (n - i);
            const uint32_t drawn = order[j];
            order[j] = order[i];
            present[drawn % STEGO_SHARES_DISTINCT] = true;
        }
        bool equal = false;
        assert_int_equal(decode_from(&s, present, &equal), DS_OK);
        assert_true(equal);
    }
    free(order);
    study_finish(&s);
}

static void any_k_of_28_150_255_256_and_600_instances_are_enough(void **state)
{
    (void)state;
    check_random_draws(21, 28, 40);
    check_random_draws(113, 150, 10);
    check_random_draws(192, 255, 5);
    check_random_draws(192, 256, 5);
    check_random_draws(450, 600, 10);
    check_random_draws(60, 600, 10);
    check_random_draws(600, 600, 2);
}

/* The fewest different shares among k instances, by taking the most frequent shares first. */
static uint32_t fewest_by_greed(uint32_t k, uint32_t n)
{
    uint32_t different = 0;
    for (uint32_t i = 0; i < STEGO_SHARES_DISTINCT && k > 0; i++) {
        /* Share i is carried by the instances i, i + 255, ...: never less than share i + 1. */
        const uint32_t copies = i < n ? (n - 1 - i) / STEGO_SHARES_DISTINCT + 1 : 0;
        k -= copies < k ? copies : k;
        different++;
    }
    return different;
}

static void the_code_needs_no_more_than_the_worst_k_instances_have(void **state)
{
    (void)state;
    const uint32_t totals[] = {1, 2, 100, 254, 255, 256, 257, 509, 510, 511, 600, 1000, 65535};
    for (size_t t = 0; t < DS_ARRAY_SIZE(totals); t++) {
        const uint32_t n = totals[t];
        for (uint32_t k = 1; k <= n; k += n > 2000 ? 97 : 1) {
            const struct stego_shares s = stego_shares_of(k, n);
            assert_int_equal(s.code_needed, fewest_by_greed(k, n));
            assert_true(s.code_needed >= 1 && s.code_needed <= s.distinct);
        }
    }
}

static void redundancy_rounds_towards_more_shares_needed(void **state)
{
    (void)state;
    assert_int_equal(stego_shares_needed_for(4, 25), 3);
    assert_int_equal(stego_shares_needed_for(28, 25), 21);
    assert_int_equal(stego_shares_needed_for(150, 25), 113);
    assert_int_equal(stego_shares_needed_for(1, 90), 1);
    assert_int_equal(stego_shares_needed_for(7, 0), 7);
    assert_int_equal(stego_shares_needed_for(65535, 90), 6554);
}

static void the_first_shares_are_plain_pieces(void **state)
{
    (void)state;
    struct study s;
    study_init(&s, 5, 9, 48);
    assert_int_equal(s.share_len, 10);
    assert_memory_equal(s.share[0].data, s.data.data, 10);
    assert_memory_equal(s.share[4].data, s.data.data + 40, 8);
    assert_int_equal(s.share[4].data[8] | s.share[4].data[9], 0);
    study_finish(&s);
}

static void nothing_and_wrong_indices_are_no_trouble(void **state)
{
    (void)state;
    const struct stego_shares s = stego_shares_of(3, 4);
    struct ds_bytes out = DS_BYTES_INIT(64);
    assert_int_equal(stego_shares_bytes(&s, 0), 0);
    assert_int_equal(stego_shares_encode(&s, NULL, 0, 3, &out, NULL), DS_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(stego_shares_encode(&s, (const uint8_t *)"abc", 3, 4, &out, NULL), DS_EINVAL);
    assert_int_equal(out.len, 0);
    ds_bytes_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subset_of_a_small_study_is_enough_exactly_when_it_has_k_shares),
        cmocka_unit_test(any_k_of_28_150_255_256_and_600_instances_are_enough),
        cmocka_unit_test(the_code_needs_no_more_than_the_worst_k_instances_have),
        cmocka_unit_test(redundancy_rounds_towards_more_shares_needed),
        cmocka_unit_test(the_first_shares_are_plain_pieces),
        cmocka_unit_test(nothing_and_wrong_indices_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

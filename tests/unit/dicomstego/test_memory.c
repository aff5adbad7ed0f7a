/* SPDX-License-Identifier: Apache-2.0 */
/* The most memory that hiding and finding take beside the image, counted where it is asked for. */
#include "dicomstego/engine.h"
#include "tests/unit/dicomstego/draw.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The linker leads all calls of this program's own code here (--wrap). */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void __wrap_free(void *p);

static size_t live_bytes;
static size_t most_bytes;

static void *count_in(void *p)
{
    live_bytes += malloc_usable_size(p);
    most_bytes = live_bytes > most_bytes ? live_bytes : most_bytes;
    return p;
}

void *__wrap_malloc(size_t bytes)
{
    return count_in(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return count_in(__real_calloc(count, bytes));
}

/* Both are there while one is copied to the other. */
void *__wrap_realloc(void *p, size_t bytes)
{
    const size_t before = malloc_usable_size(p);
    void *grown = count_in(__real_realloc(p, bytes));
    live_bytes -= grown != NULL ? before : 0;
    return grown;
}

void __wrap_free(void *p)
{
    live_bytes -= malloc_usable_size(p);
    __real_free(p);
}

static size_t begin_counting(void)
{
    most_bytes = live_bytes;
    return live_bytes;
}

/* A bright body with texture and edges in the noise of the air, as a slice of MR. */
static struct stego_image slice_of(uint32_t side, unsigned bits)
{
    struct stego_image image = {
        .columns = side, .rows = side, .frames = 1, .components = 1, .bits_stored = bits};
    struct draw d = {side + bits};
    image.samples = draw_memory((size_t)side * side * sizeof *image.samples);
    const int64_t half = side / 2;
    const int32_t top = (1 << bits) - 1;
    for (uint32_t y = 0; y < side; y++) {
        for (uint32_t x = 0; x < side; x++) {
            const int64_t dx = (int64_t)x - half;
            const int64_t dy = (int64_t)y - half;
            const bool is_body = dx * dx + 2 * dy * dy < half * half * 3 / 4;
            const int32_t body = (int32_t)((x * 5 + y * 3) % 97) * (top / 160) +
                                 ((x / 24 + y / 40) % 3 == 0 ? top / 4 : top / 40);
            const int32_t noise = (int32_t)(draw_below(&d, 12) + draw_below(&d, 12));
            const int32_t v = is_body ? body + noise : noise / 4;
            image.samples[(size_t)y * side + x] = v < top ? v : top;
        }
    }
    return image;
}

struct need {
    double embed, extract; /* in frames of 16 bits */
};

static struct need measure(uint32_t side, unsigned bits, size_t payload_bits,
                           enum stego_effort effort)
{
    struct stego_image image = slice_of(side, bits);
    struct draw d = {payload_bits};
    uint8_t *payload = draw_memory(payload_bits / 8);
    struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    const struct stego_embed_options options = {.effort = effort};
    const double frame = 2.0 * (double)draw_count(&image);
    struct need n;
    for (size_t i = 0; i < payload_bits / 8; i++) {
        payload[i] = (uint8_t)draw_u64(&d);
    }
    size_t before = begin_counting();
    assert_int_equal(stego_embed(&image, payload, payload_bits, &options, NULL, NULL), DS_OK);
    n.embed = (double)(most_bytes - before) / frame;
    assert_int_equal(live_bytes, before);
    before = begin_counting();
    assert_int_equal(stego_extract(&image, NULL, &found, NULL, NULL), DS_OK);
    n.extract = (double)(most_bytes - before) / frame;
    assert_memory_equal(found.data, payload, payload_bits / 8);
    print_message("%ux%u, %u bits, %zu hidden, effort %d: %.2f frames to embed, %.2f to extract\n",
                  side, side, bits, payload_bits, (int)effort, n.embed, n.extract);
    ds_bytes_free(&found);
    free(payload);
    stego_image_free(&image);
    return n;
}

static void keeps_within(double frames, uint32_t side, enum stego_effort effort)
{
    static const unsigned depths[] = {8, 12, 16};
    for (size_t i = 0; i < DS_ARRAY_SIZE(depths); i++) {
        const struct need n = measure(side, depths[i], (size_t)side * side / 16, effort);
        assert_true(n.embed > 1.0 && n.embed <= frames);
        assert_true(n.extract > 0.0 && n.extract <= frames);
    }
}

static void a_slice_takes_six_frames_at_most(void **state)
{
    (void)state;
    static const uint32_t sides[] = {256, 512};
    for (size_t i = 0; i < DS_ARRAY_SIZE(sides); i++) {
        keeps_within(5.1, sides[i], STEGO_FAST);
        keeps_within(5.7, sides[i], STEGO_BALANCED);
        keeps_within(6.0, sides[i], STEGO_BEST);
    }
}

/* Tables of fixed size weigh more here: half a megabyte. */
static void a_small_slice_takes_some_more(void **state)
{
    (void)state;
    keeps_within(7.5, 128, STEGO_FAST);
    keeps_within(26.0, 128, STEGO_BALANCED);
    keeps_within(33.0, 128, STEGO_BEST);
}

/* As much as fits is measured on the way. */
static void a_full_slice_takes_no_more(void **state)
{
    (void)state;
    struct stego_image image = slice_of(512, 12);
    uint64_t bits = 0;
    assert_int_equal(stego_capacity_of(&image, NULL, &bits, NULL), DS_OK);
    stego_image_free(&image);
    const struct need n = measure(512, 12, (size_t)bits / 8 * 8, STEGO_BALANCED);
    assert_true(n.embed <= 6.0 && n.extract <= 6.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_takes_six_frames_at_most),
        cmocka_unit_test(a_small_slice_takes_some_more),
        cmocka_unit_test(a_full_slice_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

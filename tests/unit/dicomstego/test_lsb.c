/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/bits.h"
#include "dicomstego/lsb_header.h"
#include "dicomstego/method.h"
#include "dicomstego/seal.h"

#include "draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct stego_password_key key = {.id = "scrypt", .key = {5, 4, 3}};
static const struct stego_method_reader reader = {.secret =
                                                      &(const struct stego_secret){.key = &key}};

/* A picture with a flat part and a noisy one, of the geometry and format in *image. */
static void paint(struct stego_image *image, struct draw *d)
{
    size_t n = 0;
    assert_int_equal(stego_image_new(image, NULL), DS_OK);
    assert_true(stego_image_count(image, &n));
    const int64_t low = stego_image_min(image);
    const uint64_t range = (uint64_t)((int64_t)stego_image_max(image) - low) + 1;
    for (size_t i = 0; i < n; i++) {
        image->samples[i] =
            i < n / 2 ? (int32_t)low : (int32_t)(low + (int64_t)draw_below(d, range));
    }
}

static void draw_bytes(struct draw *d, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)draw_u64(d);
    }
}

/* Hides as many bytes as fit, and one more, and finds them again. */
static void check_round(struct stego_image *image, const struct stego_lsb_options *lsb,
                        struct draw *d)
{
    const struct stego_method_options options = {.lsb = *lsb};
    struct stego_image carrier = {0};
    struct stego_method_facts facts = {0};
    uint64_t bits = 0;
    size_t n = 0;
    assert_true(stego_image_count(image, &n));
    assert_int_equal(stego_method_lsb.capacity(image, &options, &bits, NULL), DS_OK);
    assert_true(bits > 0);
    assert_int_equal(bits % 8, 0);
    const size_t len = (size_t)bits / 8;
    uint8_t *payload = malloc(len + 1);
    assert_non_null(payload);
    draw_bytes(d, payload, len + 1);
    assert_int_equal(stego_image_copy(&carrier, image, NULL), DS_OK);
    if (lsb->delimiter == NULL) { /* with one, capacity is what fits at the worst */
        assert_int_equal(
            stego_method_lsb.protect(&carrier, payload, 8 * (len + 1), &options, NULL, NULL),
            DS_ECAPACITY);
        assert_memory_equal(carrier.samples, image->samples, n * sizeof(int32_t));
    }
    assert_int_equal(stego_method_lsb.protect(&carrier, payload, 8 * len, &options, NULL, NULL),
                     DS_OK);
    assert_true(stego_is_carrier(&carrier));
    const uint32_t changed = (1U << (lsb->planes == 0 ? 1 : lsb->planes)) - 1U;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal((uint32_t)(carrier.samples[i] ^ image->samples[i]) & ~changed, 0);
        if (image->has_padding && image->samples[i] >= image->padding_min &&
            image->samples[i] <= image->padding_max) {
            assert_int_equal(carrier.samples[i], image->samples[i]);
        }
    }
    carrier.has_padding = false; /* attributes may be lost on the way */
    DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    assert_int_equal(stego_method_recover(&carrier, &reader, &found, &facts, NULL), DS_OK);
    assert_int_equal(found.len, len);
    assert_memory_equal(found.data, payload, len);
    assert_ptr_equal(facts.method, &stego_method_lsb);
    assert_int_equal(facts.is_restored, lsb->is_reversible);
    assert_int_equal(facts.lsb.is_keyed, lsb->is_keyed);
    if (lsb->is_reversible) {
        assert_memory_equal(carrier.samples, image->samples, n * sizeof(int32_t));
    }
    free(payload);
    stego_image_free(&carrier);
}

static void every_way_gives_back_what_was_hidden(void **unused)
{
    (void)unused;
    static const struct stego_image shapes[] = {
        {.columns = 64, .rows = 48, .frames = 1, .components = 1, .bits_stored = 8},
        {.columns = 50, .rows = 40, .frames = 2, .components = 3, .bits_stored = 8},
        {.columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 12},
        {.columns = 61,
         .rows = 63,
         .frames = 1,
         .components = 1,
         .bits_stored = 12,
         .is_signed = true},
        {.columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 16},
        {.columns = 64,
         .rows = 64,
         .frames = 1,
         .components = 1,
         .bits_stored = 16,
         .is_signed = true},
        {.columns = 64,
         .rows = 64,
         .frames = 1,
         .components = 1,
         .bits_stored = 32,
         .is_signed = true},
        {.columns = 64,
         .rows = 50,
         .frames = 1,
         .components = 3,
         .bits_stored = 8,
         .chroma_halved = true},
        {.columns = 64,
         .rows = 64,
         .frames = 1,
         .components = 1,
         .bits_stored = 16,
         .has_padding = true,
         .padding_min = 2000,
         .padding_max = 40000},
    };
    struct draw d = {42};
    for (size_t i = 0; i < DS_ARRAY_SIZE(shapes); i++) {
        for (unsigned way = 0; way < 24; way++) {
            struct stego_image image = shapes[i];
            const struct stego_lsb_options lsb = {
                .planes = way % 4 + 1,
                .is_keyed = (way & 4U) != 0,
                .is_reversible = way >= 16,
                .dna_rule = way % 3 == 0 ? way % STEGO_LSB_PLANES_MAX + 1 : 0,
                .complements = way % 6 == 0,
                .delimiter = way % 5 == 0 ? "#####" : NULL,
                .key = &key,
            };
            paint(&image, &d);
            check_round(&image, &lsb, &d);
            stego_image_free(&image);
        }
    }
}

static void a_small_payload_changes_few_samples(void **unused)
{
    (void)unused;
    struct draw d = {1};
    struct stego_image image = {
        .columns = 256, .rows = 256, .frames = 1, .components = 1, .bits_stored = 12};
    struct stego_distortion distortion;
    const struct stego_method_options options = {.lsb = {.is_reversible = true}};
    struct stego_image carrier = {0};
    uint8_t payload[100];
    paint(&image, &d);
    draw_bytes(&d, payload, sizeof(payload));
    assert_int_equal(stego_image_copy(&carrier, &image, NULL), DS_OK);
    assert_int_equal(
        stego_method_lsb.protect(&carrier, payload, 8 * sizeof(payload), &options, NULL, NULL),
        DS_OK);
    assert_int_equal(stego_image_compare(&image, &carrier, &distortion, NULL), DS_OK);
    assert_in_range(distortion.changed_samples, 400, 2000);
    assert_int_equal(distortion.max_difference, 1);
    stego_image_free(&image);
    stego_image_free(&carrier);
}

static enum ds_status hide_and_find(struct stego_image *carrier, const struct stego_lsb_options *o,
                                    const struct stego_secret *secret)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    const struct stego_method_options options = {.lsb = *o};
    const struct stego_method_reader by = {.secret = secret};
    const uint8_t payload[] = "sealed";
    assert_int_equal(
        stego_method_lsb.protect(carrier, payload, 8 * sizeof(payload), &options, NULL, NULL),
        DS_OK);
    const enum ds_status s = stego_method_recover(carrier, &by, &found, NULL, NULL);
    assert_true(s == DS_OK || found.len == 0);
    return s;
}

static void another_secret_opens_nothing(void **unused)
{
    (void)unused;
    struct draw d = {2};
    struct stego_image image = {
        .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 8};
    const struct stego_lsb_options keyed = {.is_keyed = true, .key = &key};
    const struct stego_lsb_options complemented = {.dna_rule = 3, .complements = true, .key = &key};
    struct stego_password_key same_salt = key;
    same_salt.key[0] ^= 1;
    const struct stego_secret other = {.key = &same_salt};
    paint(&image, &d);
    assert_int_equal(hide_and_find(&image, &keyed, NULL), DS_ENOKEY);
    assert_int_equal(hide_and_find(&image, &keyed, &other), DS_ENOKEY);
    assert_int_equal(hide_and_find(&image, &complemented, NULL), DS_ENOKEY);
    assert_int_equal(hide_and_find(&image, &complemented, &other), DS_ENOKEY);
    stego_image_free(&image);
}

/* Each bit of mark and header, one after the other. */
static void an_altered_header_is_seen(void **unused)
{
    (void)unused;
    struct draw d = {8};
    struct stego_image image = {
        .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 8};
    const struct stego_method_options options = {.lsb = {.planes = 2}};
    const struct stego_method_reader none = {0};
    const uint8_t payload[] = "sealed";
    paint(&image, &d);
    assert_int_equal(
        stego_method_lsb.protect(&image, payload, 8 * sizeof(payload), &options, NULL, NULL),
        DS_OK);
    const size_t header_bits = 8 * (8 + 3 + 4 + 4);
    for (size_t i = 0; i < header_bits; i++) {
        DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
        image.samples[i] ^= 1;
        assert_int_equal(stego_method_recover(&image, &none, &found, NULL, NULL), DS_EAUTH);
        assert_int_equal(found.len, 0);
        image.samples[i] ^= 1;
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    assert_int_equal(stego_method_recover(&image, &none, &found, NULL, NULL), DS_OK);
    stego_image_free(&image);
}

/* Anybody can make a header whose check holds: what it says is tried against the image. */
static void a_header_that_lies_is_refused(void **unused)
{
    (void)unused;
    static const struct stego_lsb_header lies[] = {
        {.facts = {.planes = 1}, .body_bytes = UINT32_MAX},
        {.facts = {.planes = 1}, .body_bytes = 494},
        {.facts = {.planes = 4, .is_reversible = true},
         .body_bytes = 100,
         .saved_bytes = 101,
         .saved_slots = 8},
        {.facts = {.planes = 4, .is_reversible = true},
         .body_bytes = 100,
         .saved_bytes = UINT32_MAX,
         .saved_slots = 8},
        {.facts = {.planes = 4, .is_reversible = true},
         .body_bytes = 200,
         .saved_bytes = 190,
         .saved_slots = (UINT64_C(1) << 40) - 1},
        {.facts = {.planes = 4, .is_reversible = true}, .body_bytes = 10, .saved_bytes = 1},
        {.facts = {.planes = 0}, .body_bytes = 1},
        {.facts = {.planes = 5}, .body_bytes = 1},
        {.facts = {.planes = 15}, .body_bytes = 1},
        {.facts = {.planes = 1, .dna_rule = 9}, .body_bytes = 1},
        {.facts = {.planes = 1, .complements = true}, .body_bytes = 1},
        {.facts = {.planes = 1, .has_delimiter = true}},
        {.facts = {.planes = 1, .has_delimiter = true}, .delimiter = "\x80 is nowhere"},
        {.facts = {.planes = 1}, .body_bytes = 9, .has_padding = true, .padding_max = 255},
    };
    const struct stego_method_reader with_key = {.secret =
                                                     &(const struct stego_secret){.key = &key}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(lies); i++) {
        struct stego_image image = {
            .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 8};
        DS_AUTO(ds_bytes_free) struct ds_bytes header = DS_BYTES_INIT(STEGO_LSB_HEADER_MAX_BYTES);
        DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
        assert_int_equal(stego_image_new(&image, NULL), DS_OK);
        assert_int_equal(stego_lsb_header_put(&lies[i], &header, NULL), DS_OK);
        for (size_t bit = 0; bit < 8 * header.len; bit++) {
            image.samples[bit] = (int32_t)stego_bit_at(header.data, bit);
        }
        const enum ds_status s = stego_method_recover(&image, &with_key, &found, NULL, NULL);
        if (s != DS_EAUTH && s != DS_EUNSUPPORTED) {
            fail_msg("lie %zu: %s", i, ds_status_name(s));
        }
        assert_int_equal(found.len, 0);
        stego_image_free(&image);
    }
}

static void too_small_an_image_holds_nothing(void **unused)
{
    (void)unused;
    struct draw d = {9};
    struct stego_image image = {
        .columns = 1, .rows = 1, .frames = 1, .components = 1, .bits_stored = 16};
    const struct stego_method_options options = {.lsb = {.planes = 4}};
    const uint8_t payload[] = "x";
    uint64_t bits = 1;
    paint(&image, &d);
    assert_int_equal(stego_method_lsb.capacity(&image, &options, &bits, NULL), DS_OK);
    assert_int_equal(bits, 0);
    assert_int_equal(stego_method_lsb.protect(&image, payload, 8, &options, NULL, NULL),
                     DS_ECAPACITY);
    stego_image_free(&image);
}

static void wrong_options_are_refused(void **unused)
{
    (void)unused;
    struct draw d = {9};
    struct stego_image image = {
        .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 16};
    static const struct stego_lsb_options wrong[] = {
        {.planes = 5},   {.is_keyed = true}, {.dna_rule = 1, .complements = true},
        {.dna_rule = 9}, {.delimiter = ""},  {.complements = true, .key = &key},
    };
    const uint8_t payload[] = "x";
    paint(&image, &d);
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        const struct stego_method_options options = {.lsb = wrong[i]};
        assert_int_equal(stego_method_lsb.protect(&image, payload, 8, &options, NULL, NULL),
                         DS_EINVAL);
    }
    stego_image_free(&image);
}

static void methods_are_found_by_name_and_by_mark(void **unused)
{
    (void)unused;
    struct draw d = {4};
    struct stego_image image = {
        .columns = 128, .rows = 128, .frames = 1, .components = 1, .bits_stored = 12};
    const struct stego_method_reader none = {0};
    const uint8_t payload[] = "sealed";
    for (size_t i = 0; stego_method_at(i) != NULL; i++) {
        const struct stego_method *m = stego_method_at(i);
        const struct stego_method_options options = {0};
        struct stego_method_facts facts = {0};
        DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
        assert_ptr_equal(stego_method_named(m->name), m);
        paint(&image, &d);
        assert_int_equal(stego_method_recover(&image, &none, &found, &facts, NULL), DS_ENOTHING);
        assert_null(facts.method);
        assert_int_equal(m->protect(&image, payload, 8 * sizeof(payload), &options, NULL, NULL),
                         DS_OK);
        assert_int_equal(stego_method_recover(&image, &none, &found, &facts, NULL), DS_OK);
        assert_ptr_equal(facts.method, m);
        assert_int_equal(found.len, sizeof(payload));
        assert_int_equal(facts.is_restored, stego_method_reverses(m, &options));
        stego_image_free(&image);
    }
    assert_null(stego_method_named("magic"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_gives_back_what_was_hidden),
        cmocka_unit_test(a_small_payload_changes_few_samples),
        cmocka_unit_test(another_secret_opens_nothing),
        cmocka_unit_test(an_altered_header_is_seen),
        cmocka_unit_test(a_header_that_lies_is_refused),
        cmocka_unit_test(too_small_an_image_holds_nothing),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(methods_are_found_by_name_and_by_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/dna.h"

#include "draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[STEGO_KEY_BYTES] = {1, 2, 3};

static char complement_of(char base)
{
    static const char bases[] = "ACGT";
    static const char others[] = "TGCA";
    return others[strchr(bases, base) - bases];
}

static void rule_1_is_the_one_that_papers_use(void **unused)
{
    (void)unused;
    DS_AUTO(ds_bytes_free) struct ds_bytes letters = DS_BYTES_INIT(100);
    const uint8_t data[] = {0x1b, 0xe4};
    assert_int_equal(stego_dna_encode(1, data, sizeof(data), &letters, NULL), DS_OK);
    assert_int_equal(letters.len, 8);
    assert_memory_equal(letters.data, "ACGTTGCA", 8);
}

static void the_rules_are_the_eight_that_keep_complements(void **unused)
{
    (void)unused;
    for (unsigned rule = 1; rule <= STEGO_DNA_RULES; rule++) {
        const char *letters = stego_dna_rule(rule);
        for (unsigned v = 0; v < 4; v++) {
            assert_int_equal(complement_of(letters[v]), letters[v ^ 3U]);
        }
        for (unsigned other = 1; other < rule; other++) {
            assert_string_not_equal(letters, stego_dna_rule(other));
        }
    }
    assert_null(stego_dna_rule(0));
    assert_null(stego_dna_rule(STEGO_DNA_RULES + 1));
}

static void every_rule_gives_back_what_it_coded(void **unused)
{
    (void)unused;
    struct draw d = {7};
    for (unsigned rule = 1; rule <= STEGO_DNA_RULES; rule++) {
        for (unsigned round = 0; round < 50; round++) {
            DS_AUTO(ds_bytes_free) struct ds_bytes letters = DS_BYTES_INIT(4096);
            DS_AUTO(ds_bytes_free) struct ds_bytes back = DS_BYTES_INIT(4096);
            uint8_t data[300];
            const size_t len = draw_from(&d, 0, sizeof(data));
            for (size_t i = 0; i < len; i++) {
                data[i] = (uint8_t)draw_u64(&d);
            }
            assert_int_equal(stego_dna_encode(rule, data, len, &letters, NULL), DS_OK);
            assert_int_equal(letters.len, 4 * len);
            for (size_t i = 0; i < letters.len; i++) {
                assert_non_null(strchr("ACGT", letters.data[i]));
                letters.data[i] |=
                    (uint8_t)(draw_below(&d, 2) * 0x20); /* lower case is read, too */
            }
            assert_int_equal(stego_dna_decode(rule, letters.data, letters.len, 1, &back, NULL),
                             DS_OK);
            assert_int_equal(back.len, len);
            assert_true(len == 0 || memcmp(back.data, data, len) == 0);
        }
    }
}

/* Coded by a rule, then read by rule 1: what --code dna hides. */
static void bits_and_letters_agree(void **unused)
{
    (void)unused;
    for (unsigned rule = 1; rule <= STEGO_DNA_RULES; rule++) {
        DS_AUTO(ds_bytes_free) struct ds_bytes letters = DS_BYTES_INIT(2048);
        DS_AUTO(ds_bytes_free) struct ds_bytes bits = DS_BYTES_INIT(2048);
        uint8_t data[256];
        uint8_t coded[256];
        for (unsigned i = 0; i < 256; i++) {
            data[i] = coded[i] = (uint8_t)i;
        }
        stego_dna_to_bits(rule, coded, sizeof(coded));
        assert_int_equal(stego_dna_encode(rule, data, sizeof(data), &letters, NULL), DS_OK);
        assert_int_equal(stego_dna_decode(1, letters.data, letters.len, 1, &bits, NULL), DS_OK);
        assert_memory_equal(bits.data, coded, sizeof(coded));
        stego_dna_from_bits(rule, coded, sizeof(coded));
        assert_memory_equal(coded, data, sizeof(data));
    }
}

static void complements_are_whole_bases_and_undo_themselves(void **unused)
{
    (void)unused;
    static uint8_t data[20000];
    static uint8_t was[sizeof(data)];
    unsigned flipped = 0;
    struct draw d = {3};
    for (size_t i = 0; i < sizeof(data); i++) {
        was[i] = data[i] = (uint8_t)draw_u64(&d);
    }
    assert_int_equal(stego_dna_complement(key, data, sizeof(data), NULL), DS_OK);
    for (size_t i = 0; i < sizeof(data); i++) {
        for (unsigned shift = 0; shift < 8; shift += 2) {
            const unsigned change = ((unsigned)(data[i] ^ was[i]) >> shift) & 3U;
            assert_true(change == 0 || change == 3);
            flipped += change == 3;
        }
    }
    assert_in_range(flipped, 39000, 41000); /* of 80000 bases half, six sigma */
    assert_int_equal(stego_dna_complement(key, data, sizeof(data), NULL), DS_OK);
    assert_memory_equal(data, was, sizeof(data));
}

static void a_wrong_letter_is_named_with_its_place(void **unused)
{
    (void)unused;
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(100);
    static const char text[] = "ACGT\nacgt\r\nACGXACGT";
    struct ds_error err = {0};
    assert_int_equal(stego_dna_decode(1, (const uint8_t *)text, sizeof(text) - 1, 2, &out, &err),
                     DS_EFORMAT);
    assert_string_equal(err.text, "'X' is no base: base 12, line 4, column 4");
    assert_int_equal(out.len, 0);
    static const char uracil[] = "ACGU";
    assert_int_equal(stego_dna_decode(1, (const uint8_t *)uracil, 4, 1, &out, &err), DS_EFORMAT);
    assert_string_equal(err.text, "'U' is no base: base 4, line 1, column 4");
    static const uint8_t nul[] = {'A', 0};
    assert_int_equal(stego_dna_decode(1, nul, 2, 1, &out, &err), DS_EFORMAT);
    assert_string_equal(err.text, "byte 00 is no base: base 2, line 1, column 2");
}

static void a_part_of_a_byte_is_refused(void **unused)
{
    (void)unused;
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(100);
    assert_int_equal(stego_dna_decode(1, (const uint8_t *)"ACGTAC", 6, 1, &out, NULL), DS_EFORMAT);
    assert_int_equal(out.len, 0);
    assert_int_equal(stego_dna_decode(9, (const uint8_t *)"ACGT", 4, 1, &out, NULL), DS_EINVAL);
}

static void fasta_is_written_and_read(void **unused)
{
    (void)unused;
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(100);
    struct ds_cursor title;
    struct ds_cursor letters;
    assert_int_equal(stego_fasta_write("a b", (const uint8_t *)"ACGTACGTAC", 10, 4, &text, NULL),
                     DS_OK);
    assert_int_equal(text.len, 18);
    assert_memory_equal(text.data, ">a b\nACGT\nACGT\nAC\n", 18);
    assert_true(stego_fasta_read(&text, &title, &letters));
    assert_int_equal(title.len, 3);
    assert_memory_equal(title.data, "a b", 3);
    assert_int_equal(letters.len, 13);
    text.data[0] = 'A';
    assert_false(stego_fasta_read(&text, &title, &letters));
    text.len = 0;
    assert_false(stego_fasta_read(&text, &title, &letters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_1_is_the_one_that_papers_use),
        cmocka_unit_test(the_rules_are_the_eight_that_keep_complements),
        cmocka_unit_test(every_rule_gives_back_what_it_coded),
        cmocka_unit_test(bits_and_letters_agree),
        cmocka_unit_test(complements_are_whole_bases_and_undo_themselves),
        cmocka_unit_test(a_wrong_letter_is_named_with_its_place),
        cmocka_unit_test(a_part_of_a_byte_is_refused),
        cmocka_unit_test(fasta_is_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/cipher.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define AAD     "the form, written"
#define COLUMNS 61U
#define ROWS    47U

static void bytes_auto(struct ds_bytes *b)
{
    ds_bytes_free(b);
}

struct fixture {
    char folder[64];
    struct stego_ec_key *open[2], *secret[2];
};

static int make_keys(void **state)
{
    static const char *const types[] = {"ec", "secp256k1"};
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/test-cipher-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    for (unsigned i = 0; i < 2; i++) {
        char key[128];
        char certificate[128];
        (void)snprintf(key, sizeof(key), "%s/%u.key", f->folder, i);
        (void)snprintf(certificate, sizeof(certificate), "%s/%u.pem", f->folder, i);
        assert_int_equal(stego_key_new(types[i], "x", NULL, 1, key, certificate, false, NULL),
                         DS_OK);
        assert_int_equal(stego_ec_public_load(&f->open[i], certificate, NULL), DS_OK);
        assert_int_equal(stego_ec_private_load(&f->secret[i], key, NULL), DS_OK);
    }
    *state = f;
    return 0;
}

static int drop_keys(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 2; i++) {
        stego_ec_key_free(f->open[i]);
        stego_ec_key_free(f->secret[i]);
    }
    assert_int_equal(ds_file_remove_tree(f->folder, NULL), DS_OK);
    free(f);
    return 0;
}

static const uint8_t *cells_of_an_image(void)
{
    static uint8_t cells[2 * COLUMNS * ROWS];
    for (size_t i = 0; i < COLUMNS * ROWS; i++) {
        const size_t x = i % COLUMNS;
        const size_t v = x < 20 ? 0 : x * x + i / COLUMNS / 5 * 13;
        cells[2 * i] = (uint8_t)v;
        cells[2 * i + 1] = (uint8_t)(v >> 8);
    }
    return cells;
}

static void pack(unsigned stages, struct ds_bytes *out)
{
    struct stego_cipher_sizes sizes;
    struct stego_cipher_source source = {.kind = 'T',
                                         .head = (const uint8_t *)"around",
                                         .head_len = 6,
                                         .grid = {COLUMNS, ROWS, 2},
                                         .cells = cells_of_an_image()};
    memset(source.hash, 0x5a, sizeof(source.hash));
    assert_int_equal(stego_cipher_pack(&source, stages, out, &sizes, NULL), DS_OK);
    assert_int_equal(sizes.cells, 2 * COLUMNS * ROWS);
    if ((stages & STEGO_CIPHER_DUPLICATES) == 0) {
        assert_int_equal(sizes.duplicates, sizes.cells);
    } else {
        assert_true(sizes.duplicates < sizes.cells / 3);
    }
}

static void check_unpacks(const struct ds_bytes *packed)
{
    struct stego_cipher_unpacked u;
    assert_int_equal(stego_cipher_unpack(packed->data, packed->len, 1U << 20, &u, NULL), DS_OK);
    assert_int_equal(u.kind, 'T');
    assert_int_equal(u.grid.columns, COLUMNS);
    assert_int_equal(u.head.len, 6);
    assert_memory_equal(u.head.data, "around", 6);
    assert_int_equal(u.cells.len, 2 * COLUMNS * ROWS);
    assert_memory_equal(u.cells.data, cells_of_an_image(), u.cells.len);
    assert_int_equal(u.hash[31], 0x5a);
    stego_cipher_unpacked_free(&u);
}

struct sealed {
    struct stego_cipher_form form;
    struct ds_bytes cells;
};

static struct sealed seal(const struct ds_bytes *packed, const struct stego_ec_key *to,
                          unsigned stages, enum stego_aead aead)
{
    struct sealed out = {.cells = DS_BYTES_INIT(1U << 24)};
    struct stego_cipher c = {
        .form = {.aead = aead, .stages = stages, .henon = STEGO_HENON_DEFAULT}};
    assert_int_equal(stego_cipher_begin(&c, to, packed->len, NULL), DS_OK);
    assert_int_equal(stego_cipher_seal(&c, (const uint8_t *)AAD, sizeof(AAD), packed->data,
                                       packed->len, &out.cells, NULL),
                     DS_OK);
    out.form = c.form;
    stego_cipher_finish(&c);
    assert_int_equal(out.cells.len, 2 * (size_t)out.form.columns * out.form.rows);
    return out;
}

static enum ds_status open_with(const struct sealed *s, const struct stego_ec_key *key,
                                const char *aad, struct ds_bytes *out)
{
    return stego_cipher_open(&s->form, key, (const uint8_t *)aad, sizeof(AAD), s->cells.data,
                             s->cells.len, out, NULL);
}

static void every_choice_of_stages_comes_back(void **state)
{
    const struct fixture *f = *state;
    for (unsigned stages = 0; stages <= STEGO_CIPHER_ALL; stages++) {
        const unsigned curve = stages % 2;
        DS_AUTO(bytes_auto) struct ds_bytes packed = DS_BYTES_INIT(1U << 20);
        DS_AUTO(bytes_auto) struct ds_bytes back = DS_BYTES_INIT(1U << 24);
        pack(stages, &packed);
        check_unpacks(&packed);
        struct sealed s = seal(&packed, f->open[curve], stages, (enum stego_aead)(stages / 2 % 2));
        assert_int_equal(open_with(&s, f->secret[curve], AAD, &back), DS_OK);
        check_unpacks(&back);
        assert_true((stages & STEGO_CIPHER_PADDING) == 0 || s.form.columns == 512);
        ds_bytes_free(&s.cells);
    }
}

static void whoever_has_another_key_learns_nothing(void **state)
{
    const struct fixture *f = *state;
    DS_AUTO(bytes_auto) struct ds_bytes packed = DS_BYTES_INIT(1U << 20);
    DS_AUTO(bytes_auto) struct ds_bytes back = DS_BYTES_INIT(1U << 24);
    pack(STEGO_CIPHER_ALL, &packed);
    struct sealed s = seal(&packed, f->open[0], STEGO_CIPHER_ALL, STEGO_CHACHA20_POLY1305);
    assert_int_equal(open_with(&s, f->secret[1], AAD, &back), DS_ENOKEY);
    /* Told that it is for the other: a point of one curve is none of the other. */
    s.form.curve = STEGO_CURVE_SECP256K1;
    memcpy(s.form.recipient, stego_ec_key_id(f->open[1]), sizeof(s.form.recipient));
    assert_int_equal(open_with(&s, f->secret[1], AAD, &back), DS_EAUTH);
    assert_int_equal(back.len, 0);
    ds_bytes_free(&s.cells);
}

static void whatever_is_changed_is_seen(void **state)
{
    const struct fixture *f = *state;
    DS_AUTO(bytes_auto) struct ds_bytes packed = DS_BYTES_INIT(1U << 20);
    DS_AUTO(bytes_auto) struct ds_bytes back = DS_BYTES_INIT(1U << 24);
    pack(0, &packed);
    struct sealed s = seal(&packed, f->open[0], STEGO_CIPHER_HENON, STEGO_AES_256_GCM);
    for (size_t i = 0; i < s.cells.len; i += 97) {
        s.cells.data[i] ^= 4;
        assert_int_equal(open_with(&s, f->secret[0], AAD, &back), DS_EAUTH);
        s.cells.data[i] ^= 4;
    }
    assert_int_equal(open_with(&s, f->secret[0], "the form, writteN", &back), DS_EAUTH);
    struct sealed other = s;
    other.form.salt[3] ^= 1;
    assert_int_equal(open_with(&other, f->secret[0], AAD, &back), DS_EAUTH);
    other = s;
    other.form.ephemeral[9] ^= 1;
    assert_int_equal(open_with(&other, f->secret[0], AAD, &back), DS_EAUTH);
    other = s;
    other.form.aead = STEGO_CHACHA20_POLY1305;
    assert_int_equal(open_with(&other, f->secret[0], AAD, &back), DS_EAUTH);
    other = s;
    other.form.henon.a++;
    assert_int_equal(open_with(&other, f->secret[0], AAD, &back), DS_EAUTH);
    other = s;
    other.form.rows++;
    assert_int_equal(open_with(&other, f->secret[0], AAD, &back), DS_EAUTH);
    assert_int_equal(back.len, 0);
    assert_int_equal(open_with(&s, f->secret[0], AAD, &back), DS_OK);
    ds_bytes_free(&s.cells);
}

/* A stranger may have sealed anything. */
static void a_damaged_packing_never_crashes(void **state)
{
    (void)state;
    static const unsigned choices[] = {0, STEGO_CIPHER_DUPLICATES | STEGO_CIPHER_RUNS,
                                       STEGO_CIPHER_ALL};
    for (size_t k = 0; k < DS_ARRAY_SIZE(choices); k++) {
        DS_AUTO(bytes_auto) struct ds_bytes packed = DS_BYTES_INIT(1U << 20);
        pack(choices[k], &packed);
        for (size_t i = 0; i < packed.len && i < 400; i++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                struct stego_cipher_unpacked u;
                packed.data[i] ^= (uint8_t)(1U << bit);
                if (stego_cipher_unpack(packed.data, packed.len, 1U << 20, &u, NULL) == DS_OK) {
                    stego_cipher_unpacked_free(&u);
                }
                packed.data[i] ^= (uint8_t)(1U << bit);
            }
        }
        struct stego_cipher_unpacked u;
        for (size_t len = 0; len < packed.len; len += 11) {
            assert_int_equal(stego_cipher_unpack(packed.data, len, 1U << 20, &u, NULL), DS_EFORMAT);
        }
        assert_int_equal(stego_cipher_unpack(packed.data, packed.len, 1000, &u, NULL), DS_EFORMAT);
    }
}

static void only_the_two_curves_are_taken(void **state)
{
    const struct fixture *f = *state;
    char key[128];
    char certificate[128];
    struct stego_ec_key *k = NULL;
    (void)snprintf(key, sizeof(key), "%s/rsa.key", f->folder);
    (void)snprintf(certificate, sizeof(certificate), "%s/rsa.pem", f->folder);
    assert_int_equal(stego_key_new("rsa", "x", NULL, 1, key, certificate, false, NULL), DS_OK);
    assert_int_equal(stego_ec_public_load(&k, certificate, NULL), DS_ECONFIG);
    assert_int_equal(stego_ec_private_load(&k, key, NULL), DS_ECONFIG);
    assert_null(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_choice_of_stages_comes_back),
        cmocka_unit_test(whoever_has_another_key_learns_nothing),
        cmocka_unit_test(whatever_is_changed_is_seen),
        cmocka_unit_test(a_damaged_packing_never_crashes),
        cmocka_unit_test(only_the_two_curves_are_taken),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}

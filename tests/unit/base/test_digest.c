/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/bytes.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From the official test vectors of BLAKE3 (test_vectors.json): the first 32 bytes of `hash` for an
 * input of so many bytes, byte i being i modulo 251. */
static const struct {
    size_t len;
    const char *hash;
} vectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
    {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
};
#define LONGEST 102400U

static uint8_t *input(void)
{
    uint8_t *data = malloc(LONGEST);
    assert_non_null(data);
    for (size_t i = 0; i < LONGEST; i++) {
        data[i] = (uint8_t)(i % 251);
    }
    return data;
}

static void blake3_gives_the_official_vectors(void **unused)
{
    (void)unused;
    if (!ds_digest_has(DS_DIGEST_BLAKE3)) {
        skip();
    }
    uint8_t *data = input();
    for (size_t i = 0; i < DS_ARRAY_SIZE(vectors); i++) {
        uint8_t hash[DS_DIGEST_BYTES];
        char hex[2 * DS_DIGEST_BYTES + 1];
        assert_int_equal(ds_digest_of(DS_DIGEST_BLAKE3, data, vectors[i].len, hash, NULL), DS_OK);
        ds_hex(hash, sizeof(hash), hex);
        assert_string_equal(hex, vectors[i].hash);
    }
    free(data);
}

static void pieces_make_the_same_digest(void **unused)
{
    (void)unused;
    uint8_t *data = input();
    for (int kind = DS_DIGEST_SHA256; kind <= DS_DIGEST_BLAKE3; kind++) {
        struct ds_digest *d = NULL;
        uint8_t whole[DS_DIGEST_BYTES];
        uint8_t pieces[DS_DIGEST_BYTES];
        if (!ds_digest_has((enum ds_digest_kind)kind)) {
            assert_int_equal(ds_digest_new(&d, (enum ds_digest_kind)kind, NULL), DS_EUNSUPPORTED);
            continue;
        }
        assert_int_equal(ds_digest_of((enum ds_digest_kind)kind, data, LONGEST, whole, NULL),
                         DS_OK);
        assert_int_equal(ds_digest_new(&d, (enum ds_digest_kind)kind, NULL), DS_OK);
        for (size_t at = 0, n = 1; at < LONGEST; at += n, n = 3 * n + 1) {
            n = LONGEST - at < n ? LONGEST - at : n;
            assert_int_equal(ds_digest_update(d, data + at, n, NULL), DS_OK);
        }
        assert_int_equal(ds_digest_final(d, pieces, NULL), DS_OK);
        assert_memory_equal(pieces, whole, sizeof(whole));
        ds_digest_free(d);
    }
    free(data);
}

static void sha256_is_what_it_is_elsewhere(void **unused)
{
    (void)unused;
    uint8_t here[DS_DIGEST_BYTES];
    uint8_t there[DS_SHA256_BYTES];
    assert_int_equal(ds_digest_of(DS_DIGEST_SHA256, "abc", 3, here, NULL), DS_OK);
    assert_int_equal(ds_sha256_of("abc", 3, there, NULL), DS_OK);
    assert_memory_equal(here, there, sizeof(here));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blake3_gives_the_official_vectors),
        cmocka_unit_test(pieces_make_the_same_digest),
        cmocka_unit_test(sha256_is_what_it_is_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/signature.h"

#include "support.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

/* RFC 6979, appendix A.2.5 to A.2.7, each curve with the digest that we use it with. */
static const struct {
    const char *group;
    size_t bytes;
    const char *x, *message, *r, *s;
} vectors[] = {
    {"P-256", 32, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "sample",
     "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
     "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
    {"P-256", 32, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "test",
     "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
     "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
    {"P-384", 48,
     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2E"
     "DF5",
     "sample",
     "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FAB"
     "E46",
     "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628"
     "AC8"},
    {"P-384", 48,
     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2E"
     "DF5",
     "test",
     "8203B63D3C853E8D77227FB377BCF7B7B772E97892A80F36AB775D509D7A5FEB0542A7F0812998DA8F1DD3CA3CF02"
     "3DB",
     "DDD0760448D42D8A43AF45AF836FCE4DE8BE06B485E9B61B827C2F13173923E06A739F040649A667BF3B828246BAA"
     "5A5"},
    {"P-521", 66,
     "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16"
     "FCC1466F6D8FBEC67DB89EC0C08B0E996B83538",
     "sample",
     "00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152"
     "B534931D7D4E8455CC91F9B15BF05EC36E377FA",
     "00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF"
     "0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A"},
};

static EVP_PKEY *key_of(const char *group_name, const uint8_t *scalar, size_t len)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(group_name));
    BIGNUM *x = BN_bin2bn(scalar, (int)len, NULL);
    EC_POINT *point = EC_POINT_new(group);
    assert_int_equal(EC_POINT_mul(group, point, x, NULL, NULL, NULL), 1);
    uint8_t public_key[133];
    const size_t public_len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED,
                                                 public_key, sizeof(public_key), NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group_name, 0), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, x), 1);
    assert_int_equal(
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, public_key, public_len),
        1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EC_POINT_free(point);
    BN_free(x);
    EC_GROUP_free(group);
    return key;
}

static const uint8_t *bytes_of(const char *text)
{
    return (const uint8_t *)text;
}

static void ecdsa_signatures_are_those_of_rfc_6979(void **state)
{
    (void)state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(vectors); i++) {
        const size_t n = vectors[i].bytes;
        uint8_t scalar[66];
        uint8_t expected[132];
        assert_true(ds_unhex(vectors[i].x, scalar, n));
        assert_true(ds_unhex(vectors[i].r, expected, n));
        assert_true(ds_unhex(vectors[i].s, expected + n, n));
        EVP_PKEY *key = key_of(vectors[i].group, scalar, n);
        const char *message = vectors[i].message;
        struct ds_bytes signature = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
        assert_int_equal(stego_sign(key, bytes_of(message), strlen(message), &signature, NULL),
                         DS_OK);
        assert_int_equal(signature.len, 2 * n);
        assert_int_equal(stego_signature_bytes(key), 2 * n);
        assert_memory_equal(signature.data, expected, 2 * n);
        ds_bytes_free(&signature);
        EVP_PKEY_free(key);
    }
}

/* Every bit of signature and message counts; so do the lengths. */
static void check_tampering(EVP_PKEY *key)
{
    uint8_t message[] = "a message of some bytes";
    struct ds_bytes s = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    struct ds_bytes again = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    assert_int_equal(stego_sign(key, message, sizeof(message), &s, NULL), DS_OK);
    assert_int_equal(stego_sign(key, message, sizeof(message), &again, NULL), DS_OK);
    assert_int_equal(s.len, stego_signature_bytes(key));
    assert_memory_equal(s.data, again.data, s.len);
    assert_int_equal(stego_verify(key, message, sizeof(message), s.data, s.len, NULL), DS_OK);
    for (size_t i = 0; i < s.len; i += 7) {
        s.data[i] ^= 1U;
        assert_int_equal(stego_verify(key, message, sizeof(message), s.data, s.len, NULL),
                         DS_EAUTH);
        s.data[i] ^= 1U;
    }
    message[3] ^= 1U;
    assert_int_equal(stego_verify(key, message, sizeof(message), s.data, s.len, NULL), DS_EAUTH);
    message[3] ^= 1U;
    assert_int_equal(stego_verify(key, message, sizeof(message), s.data, s.len - 2, NULL),
                     DS_EAUTH);
    assert_int_equal(stego_verify(key, message, sizeof(message), s.data, 0, NULL), DS_EAUTH);
    ds_bytes_free(&s);
    ds_bytes_free(&again);
}

static void an_altered_signature_or_message_does_not_verify(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521"),
                        EVP_RSA_gen(2048)};
    for (size_t i = 0; i < DS_ARRAY_SIZE(keys); i++) {
        assert_non_null(keys[i]);
        check_tampering(keys[i]);
        EVP_PKEY_free(keys[i]);
    }
}

/* The same numbers in more bytes would be a second signature for the same message. */
static void a_signature_with_leading_zeros_does_not_verify(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct ds_bytes s = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    uint8_t longer[66] = {0};
    assert_int_equal(stego_sign(key, bytes_of("abc"), 3, &s, NULL), DS_OK);
    memcpy(longer + 1, s.data, 32);
    memcpy(longer + 34, s.data + 32, 32);
    assert_int_equal(stego_verify(key, bytes_of("abc"), 3, longer, sizeof(longer), NULL), DS_EAUTH);
    ds_bytes_free(&s);
    EVP_PKEY_free(key);
}

static void the_signature_of_another_key_does_not_verify(void **state)
{
    (void)state;
    EVP_PKEY *a = EVP_EC_gen("P-256");
    EVP_PKEY *b = EVP_EC_gen("P-256");
    struct ds_bytes s = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    assert_int_equal(stego_sign(a, bytes_of("abc"), 3, &s, NULL), DS_OK);
    assert_int_equal(stego_verify(b, bytes_of("abc"), 3, s.data, s.len, NULL), DS_EAUTH);
    ds_bytes_free(&s);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
}

static void a_key_of_another_kind_neither_signs_nor_verifies(void **state)
{
    (void)state;
    EVP_PKEY *foreign[] = {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(1024),
                           EVP_EC_gen("secp256k1")};
    for (size_t i = 0; i < DS_ARRAY_SIZE(foreign); i++) {
        struct ds_bytes s = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
        assert_non_null(foreign[i]);
        assert_int_equal(stego_signature_bytes(foreign[i]), 0);
        assert_int_equal(stego_sign(foreign[i], bytes_of("abc"), 3, &s, NULL), DS_EINVAL);
        assert_int_equal(stego_verify(foreign[i], bytes_of("abc"), 3, bytes_of("abc"), 3, NULL),
                         DS_EAUTH);
        ds_bytes_free(&s);
        EVP_PKEY_free(foreign[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecdsa_signatures_are_those_of_rfc_6979),
        cmocka_unit_test(an_altered_signature_or_message_does_not_verify),
        cmocka_unit_test(a_signature_with_leading_zeros_does_not_verify),
        cmocka_unit_test(the_signature_of_another_key_does_not_verify),
        cmocka_unit_test(a_key_of_another_kind_neither_signs_nor_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/seal.h"

#include "support.h"

#define PLAIN "what nobody else may read"

static struct stego_identity *ec, *p384, *p521, *rsa, *stranger;

static int setup(void **state)
{
    if (support_setup(state) != 0) {
        return -1;
    }
    ec = support_identity("ec", "ec");
    p384 = support_identity_curve("p384", "P-384");
    p521 = support_identity_curve("p521", "P-521");
    rsa = support_identity("rsa", "rsa");
    stranger = support_identity("stranger", "ec");
    return 0;
}

static int teardown(void **state)
{
    stego_identity_free(ec);
    stego_identity_free(p384);
    stego_identity_free(p521);
    stego_identity_free(rsa);
    stego_identity_free(stranger);
    return support_teardown(state);
}

static const uint8_t *plain(void)
{
    return (const uint8_t *)PLAIN;
}

static struct ds_bytes seal_for(const struct stego_identity *const *identities, size_t count,
                                const struct stego_password_key *password)
{
    const struct stego_certificate *certificates[8];
    for (size_t i = 0; i < count; i++) {
        certificates[i] = stego_identity_certificate(identities[i]);
    }
    const struct stego_audience audience = {certificates, count, password};
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_seal(&audience, plain(), strlen(PLAIN), &out, NULL), DS_OK);
    return out;
}

static enum ds_status unseal_with(const struct ds_bytes *der, const struct stego_identity *id,
                                  const char *password, bool *equal)
{
    const struct stego_keyring keyring = {
        .identities = &id, .identity_count = id == NULL ? 0 : 1, .password = password};
    struct ds_bytes out = DS_BYTES_INIT(4096);
    const enum ds_status s = stego_unseal(der->data, der->len, &keyring, &out, NULL);
    *equal = out.len == strlen(PLAIN) && memcmp(out.data, PLAIN, out.len) == 0;
    if (s != DS_OK) {
        assert_int_equal(out.len, 0);
    }
    ds_bytes_free(&out);
    return s;
}

static void every_recipient_opens_and_a_stranger_does_not(void **state)
{
    (void)state;
    const struct stego_identity *const all[] = {ec, p384, p521, rsa};
    struct ds_bytes der = seal_for(all, 4, NULL);
    bool equal = false;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(unseal_with(&der, all[i], NULL, &equal), DS_OK);
        assert_true(equal);
    }
    assert_int_equal(unseal_with(&der, stranger, NULL, &equal), DS_ENOKEY);
    assert_int_equal(unseal_with(&der, stranger, "password", &equal), DS_ENOKEY);
    assert_int_equal(unseal_with(&der, NULL, NULL, &equal), DS_ENOKEY);
    ds_bytes_free(&der);
}

static void a_password_opens_beside_recipients_and_a_wrong_one_does_not(void **state)
{
    (void)state;
    struct stego_password_key key;
    const struct stego_identity *const one[] = {rsa};
    assert_int_equal(stego_password_key_new(&key, "p\u00e4ssword", NULL), DS_OK);
    struct ds_bytes der = seal_for(one, 1, &key);
    bool equal = false;
    assert_int_equal(unseal_with(&der, NULL, "p\u00e4ssword", &equal), DS_OK);
    assert_true(equal);
    assert_int_equal(unseal_with(&der, stranger, "p\u00e4ssword", &equal), DS_OK);
    assert_int_equal(unseal_with(&der, rsa, "wrong", &equal), DS_OK);
    assert_int_equal(unseal_with(&der, NULL, "password", &equal), DS_ENOKEY);
    assert_int_equal(unseal_with(&der, NULL, "", &equal), DS_ENOKEY);
    assert_int_equal(stego_password_key_new(&key, "", NULL), DS_EINVAL);
    ds_bytes_free(&der);
}

static void a_cost_beyond_the_bounds_is_refused_without_paying_it(void **state)
{
    (void)state;
    struct stego_password_key key;
    struct stego_password_key again;
    assert_int_equal(stego_password_key_new(&key, "p", NULL), DS_OK);
    assert_int_equal(stego_password_key_derive(&again, key.id, sizeof(key.id), "p", NULL), DS_OK);
    assert_memory_equal(again.key, key.key, sizeof(key.key));
    const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 'S'}, {6, 13}, {6, 18}, {6, 63}, {7, 1}, {7, 255}, {8, 0}, {8, 5}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        uint8_t id[STEGO_PASSWORD_ID_BYTES];
        memcpy(id, key.id, sizeof(id));
        id[bad[i].at] = bad[i].value;
        assert_int_equal(stego_password_key_derive(&again, id, sizeof(id), "p", NULL),
                         DS_EUNSUPPORTED);
    }
    assert_int_equal(stego_password_key_derive(&again, key.id, sizeof(key.id) - 1, "p", NULL),
                     DS_EUNSUPPORTED);
}

static void no_altered_byte_gives_other_content(void **state)
{
    (void)state;
    const struct stego_identity *const one[] = {ec};
    struct ds_bytes der = seal_for(one, 1, NULL);
    for (size_t i = 0; i < der.len; i++) {
        der.data[i] ^= 0x01;
        bool equal = false;
        const enum ds_status s = unseal_with(&der, ec, NULL, &equal);
        /* A few bytes are not bound: version numbers and the like. They change nothing. */
        assert_true(s == DS_EAUTH || s == DS_ENOKEY || (s == DS_OK && equal));
        der.data[i] ^= 0x01;
    }
    for (size_t len = 0; len < der.len; len += 5) {
        const struct ds_bytes cut = {.data = der.data, .len = len, .capacity = len, .max = len};
        bool equal = false;
        assert_int_equal(unseal_with(&cut, ec, NULL, &equal), DS_EAUTH);
    }
    ds_bytes_free(&der);
}

/* The last bytes of the DER are the tag: an OCTET STRING of 16. */
static void a_tag_that_was_shortened_is_refused(void **state)
{
    (void)state;
    const struct stego_identity *const one[] = {ec};
    struct ds_bytes der = seal_for(one, 1, NULL);
    const size_t cut = 12;
    assert_int_equal(der.data[der.len - 18], 0x04);
    assert_int_equal(der.data[der.len - 17], 16);
    der.data[der.len - 17] = (uint8_t)(16 - cut);
    der.len -= cut;
    /* SEQUENCE (4 bytes of header), OID (13), [0] (4), SEQUENCE (4): each with a 16-bit length. */
    const size_t headers[] = {0, 17, 21};
    for (size_t i = 0; i < DS_ARRAY_SIZE(headers); i++) {
        uint8_t *at = der.data + headers[i];
        assert_int_equal(at[1], 0x82);
        const unsigned len = (unsigned)(at[2] << 8 | at[3]) - (unsigned)cut;
        at[2] = (uint8_t)(len >> 8);
        at[3] = (uint8_t)len;
    }
    bool equal = false;
    assert_int_equal(unseal_with(&der, ec, NULL, &equal), DS_EAUTH);
    ds_bytes_free(&der);
}

static void a_message_without_authentication_is_refused(void **state)
{
    (void)state;
    support_write("plain", PLAIN, strlen(PLAIN));
    assert_int_equal(SUPPORT_RUN("openssl", "cms", "-encrypt", "-binary", "-aes-256-cbc", "-in",
                                 "plain", "-outform", "DER", "-out", "cbc.cms", "ec.cert.pem"),
                     0);
    assert_int_equal(SUPPORT_RUN("openssl", "cms", "-encrypt", "-binary", "-aes-128-gcm", "-in",
                                 "plain", "-outform", "DER", "-out", "gcm128.cms", "ec.cert.pem"),
                     0);
    assert_int_equal(SUPPORT_RUN("openssl", "cms", "-sign", "-binary", "-nodetach", "-in", "plain",
                                 "-signer", "ec.cert.pem", "-inkey", "ec.key.pem", "-outform",
                                 "DER", "-out", "signed.cms"),
                     0);
    const char *const names[] = {"cbc.cms", "gcm128.cms", "signed.cms"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct ds_bytes der = support_read(names[i]);
        bool equal = false;
        assert_int_equal(unseal_with(&der, ec, NULL, &equal), DS_EAUTH);
        ds_bytes_free(&der);
    }
}

static void content_beyond_the_callers_maximum_is_refused(void **state)
{
    (void)state;
    const struct stego_identity *const one[] = {ec};
    struct ds_bytes der = seal_for(one, 1, NULL);
    const struct stego_identity *id = ec;
    const struct stego_keyring keyring = {.identities = &id, .identity_count = 1};
    struct ds_bytes out = DS_BYTES_INIT(strlen(PLAIN) - 1);
    assert_int_equal(stego_unseal(der.data, der.len, &keyring, &out, NULL), DS_EFORMAT);
    assert_int_equal(out.len, 0);
    ds_bytes_free(&out);
    ds_bytes_free(&der);
}

static void check_content(const char *name)
{
    struct ds_bytes b = support_read(name);
    assert_int_equal(b.len, strlen(PLAIN));
    assert_memory_equal(b.data, PLAIN, b.len);
    ds_bytes_free(&b);
}

static void the_openssl_program_opens_for_each_kind_of_recipient(void **state)
{
    (void)state;
    const struct stego_identity *const all[] = {ec, p384, p521, rsa};
    const char *const names[] = {"ec", "p384", "p521", "rsa"};
    struct ds_bytes der = seal_for(all, 4, NULL);
    support_write("all.cms", der.data, der.len);
    for (size_t i = 0; i < 4; i++) {
        char key[32];
        char certificate[32];
        (void)snprintf(key, sizeof(key), "%s.key.pem", names[i]);
        (void)snprintf(certificate, sizeof(certificate), "%s.cert.pem", names[i]);
        assert_int_equal(SUPPORT_RUN("openssl", "cms", "-decrypt", "-inform", "DER", "-in",
                                     "all.cms", "-inkey", key, "-recip", certificate, "-out",
                                     "opened"),
                         0);
        check_content("opened");
    }
    ds_bytes_free(&der);
}

static void the_openssl_program_opens_with_the_password(void **state)
{
    (void)state;
    struct stego_password_key key;
    assert_int_equal(stego_password_key_new(&key, "open sesame", NULL), DS_OK);
    struct ds_bytes der = seal_for(NULL, 0, &key);
    support_write("password.cms", der.data, der.len);
    char id[2 * STEGO_PASSWORD_ID_BYTES + 1];
    char salt[sizeof("hexsalt:") + 2 * STEGO_SCRYPT_SALT_BYTES] = "hexsalt:";
    ds_hex(key.id, sizeof(key.id), id);
    ds_hex(key.id + 9, STEGO_SCRYPT_SALT_BYTES, salt + 8);
    assert_int_equal(SUPPORT_RUN("openssl", "kdf", "-keylen", "32", "-kdfopt", "pass:open sesame",
                                 "-kdfopt", salt, "-kdfopt", "n:32768", "-kdfopt", "r:8", "-kdfopt",
                                 "p:1", "-kdfopt", "maxmem_bytes:67108864", "-binary", "-out",
                                 "kek", "SCRYPT"),
                     0);
    struct ds_bytes kek = support_read("kek");
    assert_int_equal(kek.len, sizeof(key.key));
    assert_memory_equal(kek.data, key.key, sizeof(key.key));
    char hex[2 * STEGO_KEY_BYTES + 1];
    ds_hex(kek.data, kek.len, hex);
    assert_int_equal(SUPPORT_RUN("openssl", "cms", "-decrypt", "-inform", "DER", "-in",
                                 "password.cms", "-secretkey", hex, "-secretkeyid", id, "-out",
                                 "opened"),
                     0);
    check_content("opened");
    ds_bytes_free(&kek);
    ds_bytes_free(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recipient_opens_and_a_stranger_does_not),
        cmocka_unit_test(a_password_opens_beside_recipients_and_a_wrong_one_does_not),
        cmocka_unit_test(a_cost_beyond_the_bounds_is_refused_without_paying_it),
        cmocka_unit_test(no_altered_byte_gives_other_content),
        cmocka_unit_test(a_tag_that_was_shortened_is_refused),
        cmocka_unit_test(a_message_without_authentication_is_refused),
        cmocka_unit_test(content_beyond_the_callers_maximum_is_refused),
        cmocka_unit_test(the_openssl_program_opens_for_each_kind_of_recipient),
        cmocka_unit_test(the_openssl_program_opens_with_the_password),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

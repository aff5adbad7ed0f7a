/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/key.h"

#include "base/sha256.h"
#include "dicomstego/key_internal.h"
#include "support.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static enum ds_status make(const char *type, const char *name, const char *dns, unsigned days,
                           bool replace)
{
    return stego_key_new(type, name, dns, days, support_path("n.key.pem"),
                         support_path("n.cert.pem"), replace, NULL);
}

static void a_new_pair_loads_and_its_key_is_readable_by_its_owner_only(void **state)
{
    (void)state;
    struct stego_identity *i = support_identity("clinic-a", "ec");
    const struct stego_certificate *c = stego_identity_certificate(i);
    assert_string_equal(stego_certificate_subject(c), "CN=clinic-a");
    struct stat s;
    assert_int_equal(stat(support_path("clinic-a.key.pem"), &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_true(X509_check_host(c->x509, "localhost", 0, 0, NULL) == 1);
    assert_true((X509_get_extension_flags(c->x509) & EXFLAG_BCONS) != 0);
    assert_true((X509_get_extension_flags(c->x509) & EXFLAG_CA) == 0);
    assert_int_equal(X509_check_ca(c->x509), 0);
    assert_non_null(X509_get0_subject_key_id(c->x509));
    stego_identity_free(i);
}

static void the_key_id_begins_the_hash_of_the_public_key(void **state)
{
    (void)state;
    struct stego_identity *i = support_identity("id", "ec");
    const struct stego_certificate *c = stego_identity_certificate(i);
    uint8_t *spki = NULL;
    const int len = i2d_PUBKEY(c->public_key, &spki);
    uint8_t hash[DS_SHA256_BYTES];
    uint8_t id[STEGO_KEY_ID_BYTES];
    assert_int_equal(ds_sha256_of(spki, (size_t)len, hash, NULL), DS_OK);
    stego_certificate_key_id(c, id);
    assert_memory_equal(id, hash, sizeof(id));
    OPENSSL_free(spki);
    stego_identity_free(i);
}

static void a_new_certificate_is_its_own_anchor_for_openssl(void **state)
{
    (void)state;
    const char *const types[] = {"ec", "rsa"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(types); i++) {
        stego_identity_free(support_identity("anchor", types[i]));
        assert_int_equal(SUPPORT_RUN("openssl", "verify", "-x509_strict", "-purpose", "sslserver",
                                     "-CAfile", "anchor.cert.pem", "anchor.cert.pem"),
                         0);
    }
}

/* One step of a handshake between two ends that share memory. */
static bool handshake(SSL *client, SSL *server)
{
    int c = 0;
    int s = 0;
    for (unsigned i = 0; i < 10 && (c != 1 || s != 1); i++) {
        c = SSL_do_handshake(client);
        s = SSL_do_handshake(server);
    }
    return c == 1 && s == 1;
}

static SSL *tls_end(SSL_CTX **out, const char *mine, const char *peer, bool client)
{
    char name[64];
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    (void)snprintf(name, sizeof(name), "%s.cert.pem", mine);
    assert_int_equal(SSL_CTX_use_certificate_file(ctx, support_path(name), SSL_FILETYPE_PEM), 1);
    (void)snprintf(name, sizeof(name), "%s.key.pem", mine);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, support_path(name), SSL_FILETYPE_PEM), 1);
    (void)snprintf(name, sizeof(name), "%s.cert.pem", peer);
    assert_int_equal(SSL_CTX_load_verify_file(ctx, support_path(name)), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL *ssl = SSL_new(ctx);
    if (client) {
        SSL_set_connect_state(ssl);
        assert_int_equal(SSL_set1_host(ssl, "localhost"), 1);
    } else {
        SSL_set_accept_state(ssl);
    }
    *out = ctx;
    return ssl;
}

static bool connects(const char *client_name, const char *client_trusts, const char *server_name,
                     const char *server_trusts)
{
    SSL_CTX *contexts[2];
    SSL *client = tls_end(&contexts[0], client_name, client_trusts, true);
    SSL *server = tls_end(&contexts[1], server_name, server_trusts, false);
    BIO *a = NULL;
    BIO *b = NULL;
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    const bool ok = handshake(client, server);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(contexts[0]);
    SSL_CTX_free(contexts[1]);
    return ok;
}

static void two_nodes_that_trust_each_others_certificate_speak_mutual_tls(void **state)
{
    (void)state;
    stego_identity_free(support_identity("a", "ec"));
    stego_identity_free(support_identity("b", "rsa"));
    stego_identity_free(support_identity("stranger", "ec"));
    assert_true(connects("a", "b", "b", "a"));
    assert_true(connects("b", "a", "a", "b"));
    assert_false(connects("stranger", "b", "b", "a"));
    assert_false(connects("a", "stranger", "b", "a"));
}

static void an_existing_file_is_not_overwritten_unless_asked_for(void **state)
{
    (void)state;
    assert_int_equal(make("ec", "n", NULL, 1, false), DS_OK);
    struct ds_bytes before = support_read("n.key.pem");
    assert_int_equal(make("ec", "n", NULL, 1, false), DS_EEXIST);
    assert_int_equal(unlink(support_path("n.cert.pem")), 0);
    assert_int_equal(make("ec", "n", NULL, 1, false), DS_EEXIST);
    struct ds_bytes after = support_read("n.key.pem");
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    assert_int_equal(make("ec", "n", NULL, 1, true), DS_OK);
    ds_bytes_free(&after);
    after = support_read("n.key.pem");
    assert_true(before.len != after.len || memcmp(before.data, after.data, after.len) != 0);
    ds_bytes_free(&before);
    ds_bytes_free(&after);
}

static void wrong_wishes_for_a_new_key_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    char long_name[80];
    memset(long_name, 'x', sizeof(long_name));
    long_name[79] = '\0';
    (void)unlink(support_path("n.key.pem"));
    (void)unlink(support_path("n.cert.pem"));
    assert_int_equal(make("dsa", "n", NULL, 1, false), DS_EINVAL);
    assert_int_equal(make("ec", "", NULL, 1, false), DS_EINVAL);
    assert_int_equal(make("ec", long_name, NULL, 1, false), DS_EINVAL);
    assert_int_equal(make("ec", "n", NULL, 0, false), DS_EINVAL);
    assert_int_equal(make("ec", "n", "a,DNS:b", 1, false), DS_EINVAL);
    assert_int_equal(make("ec", "n", "", 1, false), DS_EINVAL);
    assert_false(ds_file_exists(support_path("n.key.pem")));
    assert_false(ds_file_exists(support_path("n.cert.pem")));
    assert_int_equal(make("ec", "n", "192.168.1.2", 1, false), DS_OK);
    struct stego_certificate *c = NULL;
    assert_int_equal(stego_certificate_load(&c, support_path("n.cert.pem"), NULL), DS_OK);
    assert_int_equal(X509_check_ip_asc(c->x509, "192.168.1.2", 0), 1);
    stego_certificate_free(c);
}

static void a_key_that_does_not_belong_to_the_certificate_is_refused(void **state)
{
    (void)state;
    stego_identity_free(support_identity("x", "ec"));
    stego_identity_free(support_identity("y", "ec"));
    struct stego_identity *i = NULL;
    struct ds_error err;
    assert_int_equal(
        stego_identity_load(&i, support_path("x.key.pem"), support_path("y.cert.pem"), &err),
        DS_ECONFIG);
    assert_null(i);
    assert_non_null(strstr(err.text, "is not the key of"));
}

static void what_is_no_certificate_or_key_is_refused_with_its_path(void **state)
{
    (void)state;
    stego_identity_free(support_identity("x", "ec"));
    support_write("text", "hello", 5);
    support_write("empty", "", 0);
    support_write("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 58);
    const char *const names[] = {"text", "empty", "broken", "missing"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        struct stego_certificate *c = NULL;
        struct stego_identity *id = NULL;
        struct stego_trust *t = NULL;
        struct ds_error err;
        const char *path = support_path(names[i]);
        assert_int_equal(stego_certificate_load(&c, path, &err), DS_ECONFIG);
        assert_non_null(strstr(err.text, names[i]));
        assert_int_equal(stego_identity_load(&id, path, support_path("x.cert.pem"), &err),
                         DS_ECONFIG);
        assert_int_equal(stego_trust_new(&t, NULL), DS_OK);
        assert_int_equal(stego_trust_add(t, path, &err), DS_ECONFIG);
        stego_trust_free(t);
        assert_null(c);
        assert_null(id);
    }
}

static void a_key_behind_a_passphrase_is_refused_without_asking(void **state)
{
    (void)state;
    stego_identity_free(support_identity("x", "ec"));
    assert_int_equal(SUPPORT_RUN("openssl", "pkcs8", "-topk8", "-in", "x.key.pem", "-passout",
                                 "pass:secret", "-out", "locked.pem"),
                     0);
    struct stego_identity *i = NULL;
    assert_int_equal(
        stego_identity_load(&i, support_path("locked.pem"), support_path("x.cert.pem"), NULL),
        DS_ECONFIG);
}

static void keys_that_are_too_weak_or_of_another_kind_are_refused(void **state)
{
    (void)state;
    const char *const kinds[] = {"rsa:1024", "ed25519"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(kinds); i++) {
        assert_int_equal(SUPPORT_RUN("openssl", "req", "-x509", "-newkey", kinds[i], "-nodes",
                                     "-subj", "/CN=z", "-keyout", "z.key.pem", "-out", "z.pem"),
                         0);
        struct stego_certificate *c = NULL;
        assert_int_equal(stego_certificate_load(&c, support_path("z.pem"), NULL), DS_ECONFIG);
        assert_null(c);
    }
}

static void a_trust_file_may_hold_several_certificates(void **state)
{
    (void)state;
    struct stego_identity *x = support_identity("x", "ec");
    struct stego_identity *y = support_identity_curve("y", "P-384");
    struct ds_bytes both = support_read("x.cert.pem");
    struct ds_bytes second = support_read("y.cert.pem");
    assert_int_equal(ds_bytes_append(&both, second.data, second.len, NULL), DS_OK);
    support_write("both.pem", both.data, both.len);
    struct stego_trust *t = NULL;
    assert_int_equal(stego_trust_new(&t, NULL), DS_OK);
    assert_int_equal(stego_trust_add(t, support_path("both.pem"), NULL), DS_OK);
    assert_non_null(stego_trust_find(t, stego_identity_certificate(x)->key_id));
    assert_non_null(stego_trust_find(t, stego_identity_certificate(y)->key_id));
    const uint8_t nobody[STEGO_KEY_ID_BYTES] = {0};
    assert_null(stego_trust_find(t, nobody));
    stego_trust_free(t);
    ds_bytes_free(&both);
    ds_bytes_free(&second);
    stego_identity_free(x);
    stego_identity_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_pair_loads_and_its_key_is_readable_by_its_owner_only),
        cmocka_unit_test(the_key_id_begins_the_hash_of_the_public_key),
        cmocka_unit_test(a_new_certificate_is_its_own_anchor_for_openssl),
        cmocka_unit_test(two_nodes_that_trust_each_others_certificate_speak_mutual_tls),
        cmocka_unit_test(an_existing_file_is_not_overwritten_unless_asked_for),
        cmocka_unit_test(wrong_wishes_for_a_new_key_are_refused_and_leave_nothing),
        cmocka_unit_test(a_key_that_does_not_belong_to_the_certificate_is_refused),
        cmocka_unit_test(what_is_no_certificate_or_key_is_refused_with_its_path),
        cmocka_unit_test(a_key_behind_a_passphrase_is_refused_without_asking),
        cmocka_unit_test(keys_that_are_too_weak_or_of_another_kind_are_refused),
        cmocka_unit_test(a_trust_file_may_hold_several_certificates),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}

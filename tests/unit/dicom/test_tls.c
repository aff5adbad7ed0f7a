/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "tests/unit/dicom/counting_node.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define UID       "1.2.3.4.5"
#define BIG_BYTES (3U * 1024U * 1024U + 2U)

struct identity {
    char folder[64], key[96], certificate[96];
    const char *trust[1];
};

static void identity_make(struct identity *id, const char *name)
{
    (void)snprintf(id->folder, sizeof(id->folder), "/tmp/dicomstego-test-XXXXXX");
    assert_non_null(mkdtemp(id->folder));
    (void)snprintf(id->key, sizeof(id->key), "%s/key.pem", id->folder);
    (void)snprintf(id->certificate, sizeof(id->certificate), "%s/cert.pem", id->folder);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_set_version(cert, 2);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0);
    (void)X509_set_issuer_name(cert, subject);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *f = fopen(id->key, "w");
    assert_true(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    (void)fclose(f);
    f = fopen(id->certificate, "w");
    assert_true(PEM_write_X509(f, cert) == 1);
    (void)fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
    id->trust[0] = id->certificate;
}

static void identity_remove(struct identity *id)
{
    assert_int_equal(ds_file_remove_tree(id->folder, NULL), DS_OK);
}

static struct dicom_tls tls_of(const struct identity *mine, const struct identity *theirs)
{
    return (struct dicom_tls){mine->key, mine->certificate, theirs->trust, 1, true};
}

static struct dicom_requestor_options requestor_options(uint16_t port)
{
    return (struct dicom_requestor_options){.host = "127.0.0.1",
                                            .port = port,
                                            .calling_ae = "TESTER",
                                            .called_ae = "NODE",
                                            .timeout_s = 10};
}

static enum ds_status try_open(uint16_t port, const struct dicom_tls *tls,
                               struct dicom_requestor **out, struct ds_error *err)
{
    struct dicom_requestor_options o = requestor_options(port);
    const struct dicom_context context = {RAW_CT, RAW_EXPLICIT};
    o.tls = tls;
    return dicom_requestor_open(out, &o, &context, 1, err);
}

static struct dicom_requestor *must_open(uint16_t port, const struct dicom_tls *tls)
{
    struct ds_error err = {DS_OK, ""};
    struct dicom_requestor *r = NULL;
    if (try_open(port, tls, &r, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return r;
}

static void mutual_tls_carries_instances(void **state)
{
    (void)state;
    struct identity a;
    struct identity b;
    identity_make(&a, "a");
    identity_make(&b, "b");
    const struct dicom_tls server = tls_of(&a, &b);
    const struct dicom_tls client = tls_of(&b, &a);
    struct node n;
    node_start(&n, 20, &server);
    struct dicom_requestor *r = must_open(n.port, &client);
    uint8_t *data = malloc(BIG_BYTES);
    assert_non_null(data);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        data[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    assert_int_equal(dicom_requestor_echo(r, NULL), DS_OK);
    /* Around the size of a TLS record, and of what a PDU leaves of it. */
    const size_t lengths[] = {2, 16372, 16374, 16384, 16386, 131056, BIG_BYTES};
    for (size_t i = 0; i < DS_ARRAY_SIZE(lengths); i++) {
        uint16_t status = 0xffff;
        assert_int_equal(
            dicom_requestor_store(r, RAW_CT, UID, RAW_EXPLICIT, data, lengths[i], &status, NULL),
            DS_OK);
        assert_int_equal(status, 0);
        assert_int_equal(n.seen.last.len, lengths[i]);
        assert_memory_equal(n.seen.last.data, data, lengths[i]);
    }
    assert_true(dicom_requestor_usable(r));
    dicom_requestor_close(r);
    free(data);
    if (program_exists("echoscu")) {
        char port[8];
        (void)snprintf(port, sizeof(port), "%u", n.port);
        const char *const with[] = {"echoscu",   "+tls",        b.key,  b.certificate,
                                    "+cf",       a.certificate, "-aec", "NODE",
                                    "127.0.0.1", port,          NULL};
        assert_int_equal(run_program(with), 0);
        const char *const without[] = {"echoscu", "+tla",      "-ic", "-aec",
                                       "NODE",    "127.0.0.1", port,  NULL};
        assert_int_not_equal(run_program(without), 0);
        const char *const plain[] = {"echoscu", "-aec", "NODE", "127.0.0.1", port, NULL};
        assert_int_not_equal(run_program(plain), 0);
    }
    node_stop(&n);
    identity_remove(&a);
    identity_remove(&b);
}

static void a_stranger_does_not_get_through_tls(void **state)
{
    (void)state;
    struct identity a;
    struct identity b;
    struct identity stranger;
    identity_make(&a, "a");
    identity_make(&b, "b");
    identity_make(&stranger, "b"); /* the right name, the wrong key */
    const struct dicom_tls server = tls_of(&a, &b);
    struct node n;
    node_start(&n, 20, &server);
    struct dicom_requestor_options o = requestor_options(n.port);
    struct dicom_requestor *r = NULL;
    const struct dicom_tls as_stranger = tls_of(&stranger, &a);
    o.tls = &as_stranger;
    assert_int_not_equal(dicom_requestor_open(&r, &o, NULL, 0, NULL), DS_OK);
    const struct dicom_tls to_stranger = tls_of(&b, &stranger);
    o.tls = &to_stranger;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(dicom_requestor_open(&r, &o, NULL, 0, &err), DS_EAUTH);
    o.tls = NULL;
    assert_int_equal(dicom_requestor_open(&r, &o, NULL, 0, NULL), DS_EIO);
    struct dicom_tls nobody = tls_of(&b, &a);
    nobody.trusted_count = 0;
    o.tls = &nobody;
    assert_int_equal(dicom_requestor_open(&r, &o, NULL, 0, NULL), DS_ECONFIG);
    assert_int_equal(n.seen.closed, 0);
    node_stop(&n);
    identity_remove(&a);
    identity_remove(&b);
    identity_remove(&stranger);
}

static void whom_the_port_trusts_can_change(void **state)
{
    (void)state;
    struct identity a;
    struct identity b;
    struct identity c;
    identity_make(&a, "a");
    identity_make(&b, "b");
    identity_make(&c, "c");
    const struct dicom_tls server = tls_of(&a, &b);
    const struct dicom_tls as_b = tls_of(&b, &a);
    const struct dicom_tls as_c = tls_of(&c, &a);
    struct node n;
    node_start(&n, 20, &server);
    struct dicom_requestor *before = must_open(n.port, &as_b);
    struct dicom_requestor *r = NULL;
    assert_int_not_equal(try_open(n.port, &as_c, &r, NULL), DS_OK);
    struct dicom_tls next = tls_of(&a, &c);
    assert_int_equal(dicom_listener_reload_tls(n.listener, &next, NULL), DS_OK);
    r = must_open(n.port, &as_c);
    dicom_requestor_close(r);
    assert_int_not_equal(try_open(n.port, &as_b, &r, NULL), DS_OK);
    assert_int_equal(dicom_requestor_echo(before, NULL), DS_OK);
    /* What cannot be used changes nothing. */
    next.certificate_path = b.certificate;
    assert_int_equal(dicom_listener_reload_tls(n.listener, &next, NULL), DS_ECONFIG);
    r = must_open(n.port, &as_c);
    dicom_requestor_close(r);
    dicom_requestor_close(before);
    node_stop(&n);
    node_start(&n, 20, NULL);
    assert_int_equal(dicom_listener_reload_tls(n.listener, &server, NULL), DS_EINVAL);
    node_stop(&n);
    identity_remove(&a);
    identity_remove(&b);
    identity_remove(&c);
}

/* Silent from the first byte, and in the middle of a ClientHello. */
static void a_handshake_that_stalls_is_given_up(void **state)
{
    (void)state;
    struct identity a;
    struct identity b;
    identity_make(&a, "a");
    identity_make(&b, "b");
    const struct dicom_tls server = tls_of(&a, &b);
    struct node n;
    node_start(&n, 1, &server);
    const int silent = connect_to(n.port);
    const int half = connect_to(n.port);
    assert_true(raw_send(half, "\x16\x03\x01\x02\x00\x01\x00", 7));
    char byte = 0;
    assert_true(recv(silent, &byte, 1, 0) <= 0);
    assert_true(recv(half, &byte, 1, 0) <= 0);
    (void)close(silent);
    (void)close(half);
    node_stop(&n);
    identity_remove(&a);
    identity_remove(&b);
}

/* A plain acceptor that says nothing; its kernel takes the connection. */
static void a_handshake_that_is_not_answered_is_given_up(void **state)
{
    (void)state;
    struct identity a;
    identity_make(&a, "a");
    const struct dicom_tls client = tls_of(&a, &a);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    struct dicom_requestor_options o = requestor_options(ntohs(at.sin_port));
    o.tls = &client;
    o.timeout_s = 1;
    struct dicom_requestor *r = NULL;
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(dicom_requestor_open(&r, &o, NULL, 0, &err), DS_EIO);
    assert_non_null(strstr(err.text, "took too long"));
    (void)close(fd);
    identity_remove(&a);
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutual_tls_carries_instances),
        cmocka_unit_test(a_stranger_does_not_get_through_tls),
        cmocka_unit_test(whom_the_port_trusts_can_change),
        cmocka_unit_test(a_handshake_that_stalls_is_given_up),
        cmocka_unit_test(a_handshake_that_is_not_answered_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/transport.h"

#include <cerrno>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

namespace dicom
{

namespace
{

/* OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE when the peer is gone. */
int bio_fd(BIO *bio)
{
    return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
}

int bio_result(BIO *bio, ssize_t n, size_t *done, int retry_flags)
{
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_flags(bio, retry_flags | BIO_FLAGS_SHOULD_RETRY);
    }
    *done = n > 0 ? static_cast<size_t>(n) : 0;
    return n > 0 ? 1 : 0;
}

int bio_write(BIO *bio, const char *data, size_t len, size_t *done)
{
    const ssize_t n = send(bio_fd(bio), data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return bio_result(bio, n, done, BIO_FLAGS_WRITE);
}

int bio_read(BIO *bio, char *data, size_t len, size_t *done)
{
    const ssize_t n = recv(bio_fd(bio), data, len, MSG_DONTWAIT);
    if (n == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return bio_result(bio, n, done, BIO_FLAGS_READ);
}

long bio_ctrl(BIO *bio, int command, long, void *)
{
    if (command == BIO_CTRL_EOF) {
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    }
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* Lives as long as the process: made once, by whichever connection comes first. nullptr: no
 * memory. */
const BIO_METHOD *bio_method()
{
    static const BIO_METHOD *const method = [] {
        BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "dicomstego");
        if (m != nullptr) {
            BIO_meth_set_write_ex(m, bio_write);
            BIO_meth_set_read_ex(m, bio_read);
            BIO_meth_set_ctrl(m, bio_ctrl);
        }
        return m;
    }();
    return method;
}

/* A daemon has nobody to ask: a key under a passphrase is refused instead of waiting on a terminal.
 */
int no_passphrase(char *, int, int, void *)
{
    return -1;
}

ds_status tls_fail(ds_error *err, const char *what, const char *path)
{
    const unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    const ds_status status = ds_fail(err, DS_ECONFIG, "%s %s: %s", what, path,
                                     reason != nullptr ? reason : "not usable");
    ERR_clear_error();
    return status;
}

ds_status load_identity(SSL_CTX *ctx, const dicom_tls &options, bool server, ds_error *err)
{
    if (options.certificate_path == nullptr || options.key_path == nullptr) {
        if (server) {
            return ds_fail(err, DS_ECONFIG, "a TLS port needs a key and a certificate");
        }
        return DS_OK;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, options.certificate_path) != 1) {
        return tls_fail(err, "certificate", options.certificate_path);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, options.key_path, SSL_FILETYPE_PEM) != 1) {
        return tls_fail(err, "private key", options.key_path);
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return tls_fail(err, "private key does not belong to certificate",
                        options.certificate_path);
    }
    return DS_OK;
}

ds_status load_trust(SSL_CTX *ctx, const dicom_tls &options, ds_error *err)
{
    for (size_t i = 0; i < options.trusted_count; i++) {
        if (SSL_CTX_load_verify_file(ctx, options.trusted_paths[i]) != 1) {
            return tls_fail(err, "trusted certificate", options.trusted_paths[i]);
        }
    }
    /* A peer's own certificate may be the anchor: sites exchange certificates, not CAs. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    int mode = options.trusted_count > 0 ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    if (options.require_peer_certificate) {
        if (options.trusted_count == 0) {
            return ds_fail(err, DS_ECONFIG, "a peer certificate is required, but none is trusted");
        }
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(ctx, mode, nullptr);
    return DS_OK;
}

ds_status configure(SSL_CTX *ctx, const dicom_tls &options, bool server, ds_error *err)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Resumption would outlive a certificate that has been taken back; associations are long. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK") != 1) {
        return tls_fail(err, "TLS", "parameters");
    }
    ds_status status = load_identity(ctx, options, server, err);
    if (status == DS_OK) {
        status = load_trust(ctx, options, err);
    }
    return status;
}

} // namespace

TlsContext::~TlsContext()
{
    SSL_CTX_free(ctx_);
}

ds_status TlsContext::make(std::unique_ptr<TlsContext> &out, const dicom_tls &options, bool server,
                           ds_error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (ctx == nullptr) {
        return ds_fail(err, DS_ENOMEM, "out of memory for TLS");
    }
    out.reset(new TlsContext(ctx));
    const ds_status status = configure(ctx, options, server, err);
    if (status != DS_OK) {
        out.reset();
    }
    return status;
}

SSL *TlsContext::session(int socket) const
{
    SSL *ssl = SSL_new(ctx_);
    BIO *bio = bio_method() != nullptr ? BIO_new(bio_method()) : nullptr;
    if (ssl == nullptr || bio == nullptr) {
        SSL_free(ssl);
        BIO_free(bio);
        return nullptr;
    }
    BIO_set_data(bio, reinterpret_cast<void *>(static_cast<intptr_t>(socket)));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

} // namespace dicom

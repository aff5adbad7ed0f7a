/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/syslog.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIELD_BYTES     256U
#define FRAME_MAX_BYTES (2U * 1024U * 1024U)

struct syslog_link {
    SSL_CTX *context;
    SSL *tls;
    int fd;
};

/* ---- form ---- */

/* PRINTUSASCII of at most max characters. */
static void field(char out[FIELD_BYTES], const char *text, size_t max)
{
    size_t n = 0;
    for (; text != NULL && text[n] != '\0' && n < max; n++) {
        out[n] = text[n] > 0x20 && text[n] < 0x7f ? text[n] : '_';
    }
    if (n == 0) {
        out[n++] = '-';
    }
    out[n] = '\0';
}

enum ds_status syslog_format(const struct syslog_header *h, const uint8_t *text, size_t len,
                             struct ds_bytes *out, struct ds_error *err)
{
    char when[DS_CLOCK_TEXT_BYTES];
    char host[FIELD_BYTES];
    char application[FIELD_BYTES];
    char process[FIELD_BYTES];
    char id[FIELD_BYTES];
    char line[4 * FIELD_BYTES + 64];
    ds_clock_format_utc(h->at_us, when);
    field(host, h->host, 255);
    field(application, h->application, 48);
    field(process, h->process, 128);
    field(id, h->message_id, 32);
    /* Without structured data; the mark says that the text is UTF-8 (6.4). */
    const int n = snprintf(line, sizeof(line), "<%u>1 %s %s %s %s %s - \xef\xbb\xbf",
                           h->facility * 8 + h->severity, when, host, application, process, id);
    if (n < 0 || (size_t)n >= sizeof(line)) {
        return ds_fail(err, DS_EINVAL, "a syslog header that is too long");
    }
    const enum ds_status s = ds_bytes_append(out, line, (size_t)n, err);
    return s == DS_OK ? ds_bytes_append(out, text, len, err) : s;
}

/* ---- connection ---- */

/* The reason of the first error in OpenSSL's queue, which is emptied. */
static const char *reason(void)
{
    const unsigned long code = ERR_peek_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return text != NULL ? text : "no reason was given";
}

static enum ds_status try_address(const struct addrinfo *a, unsigned timeout_ms, int *out)
{
    DS_AUTO(ds_file_close)
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) {
        return DS_EIO;
    }
    /* Linux keeps to them in connect(2) as well. */
    const struct timeval patience = {.tv_sec = timeout_ms / 1000,
                                     .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        return DS_EIO;
    }
    *out = fd;
    fd = -1;
    return DS_OK;
}

static enum ds_status dial(const struct syslog_target *t, int *fd, struct ds_error *err)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    (void)snprintf(port, sizeof(port), "%u", t->port);
    const int failed = getaddrinfo(t->host, port, &wanted, &list);
    if (failed != 0) {
        return ds_fail(err, DS_EIO, "no address of the audit repository: %s", gai_strerror(failed));
    }
    enum ds_status s = DS_EIO;
    int cause = 0;
    for (const struct addrinfo *a = list; a != NULL && s != DS_OK; a = a->ai_next) {
        s = try_address(a, t->timeout_ms, fd);
        cause = errno;
    }
    freeaddrinfo(list);
    return s == DS_OK ? DS_OK
                      : ds_fail(err, DS_EIO, "the audit repository cannot be reached: %s",
                                strerror(cause));
}

static enum ds_status make_context(struct syslog_link *l, const struct syslog_target *t,
                                   struct ds_error *err)
{
    l->context = SSL_CTX_new(TLS_client_method());
    if (l->context == NULL) {
        return ds_fail(err, DS_ENOMEM, "no TLS: %s", reason());
    }
    SSL_CTX_set_verify(l->context, SSL_VERIFY_PEER, NULL);
    /* A certificate that is configured itself is trusted, whoever issued it. */
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(l->context), X509_V_FLAG_PARTIAL_CHAIN);
    if (SSL_CTX_set_min_proto_version(l->context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_load_verify_file(l->context, t->trusted) != 1) {
        return ds_fail(err, DS_ECONFIG, "the audit repository's certificate cannot be used: %s",
                       reason());
    }
    if (SSL_CTX_use_certificate_chain_file(l->context, t->certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(l->context, t->key, SSL_FILETYPE_PEM) != 1) {
        return ds_fail(err, DS_ECONFIG, "the node's key or certificate cannot be used: %s",
                       reason());
    }
    return DS_OK;
}

static bool is_configured(X509 *shown, const char *path)
{
    FILE *file = fopen(path, "re");
    bool found = false;
    X509 *one = NULL;
    while (file != NULL && !found && (one = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
        found = X509_cmp(one, shown) == 0;
        X509_free(one);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    ERR_clear_error(); /* the end of the file is one */
    return found;
}

/* Verified is that somebody trusted issued it; here: for whom. */
static enum ds_status check_name(const struct syslog_link *l, const struct syslog_target *t,
                                 struct ds_error *err)
{
    X509 *shown = SSL_get1_peer_certificate(l->tls);
    const bool ok = shown != NULL && (is_configured(shown, t->trusted) ||
                                      X509_check_host(shown, t->host, 0, 0, NULL) == 1 ||
                                      X509_check_ip_asc(shown, t->host, 0) == 1);
    X509_free(shown);
    return ok ? DS_OK
              : ds_fail(err, DS_EAUTH, "the audit repository shows a certificate of another name");
}

static enum ds_status shake_hands(struct syslog_link *l, const struct syslog_target *t,
                                  struct ds_error *err)
{
    l->tls = SSL_new(l->context);
    if (l->tls == NULL || SSL_set_fd(l->tls, l->fd) != 1) {
        return ds_fail(err, DS_ENOMEM, "no TLS: %s", reason());
    }
    (void)SSL_set_tlsext_host_name(l->tls, t->host);
    const int n = SSL_connect(l->tls);
    if (n != 1) {
        const bool refused = SSL_get_error(l->tls, n) == SSL_ERROR_SSL;
        return ds_fail(err, refused ? DS_EAUTH : DS_EIO, "TLS with the audit repository failed: %s",
                       reason());
    }
    return check_name(l, t, err);
}

enum ds_status syslog_open(struct syslog_link **out, const struct syslog_target *t,
                           struct ds_error *err)
{
    *out = NULL;
    struct syslog_link *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    l->fd = -1;
    enum ds_status s = make_context(l, t, err);
    if (s == DS_OK) {
        s = dial(t, &l->fd, err);
    }
    if (s == DS_OK) {
        s = shake_hands(l, t, err);
    }
    if (s != DS_OK) {
        syslog_free(l);
        return s;
    }
    *out = l;
    return DS_OK;
}

/* One record for length and text: two would wait for each other's acknowledgement. */
enum ds_status syslog_write(struct syslog_link *l, const uint8_t *message, size_t len,
                            struct ds_error *err)
{
    char count[24];
    size_t written = 0;
    DS_AUTO(ds_bytes_free) struct ds_bytes frame = DS_BYTES_INIT(FRAME_MAX_BYTES);
    const int n = snprintf(count, sizeof(count), "%zu ", len);
    enum ds_status s = ds_bytes_append(&frame, count, (size_t)n, err);
    if (s == DS_OK) {
        s = ds_bytes_append(&frame, message, len, err);
    }
    if (s == DS_OK && SSL_write_ex(l->tls, frame.data, frame.len, &written) != 1) {
        s = ds_fail(err, DS_EIO, "the audit repository takes nothing more: %s", reason());
    }
    return s;
}

/* Some collectors close without a close_notify of their own: without a reset, that says the same.
 */
static bool is_end(int error)
{
    return error == SSL_ERROR_ZERO_RETURN ||
           (error == SSL_ERROR_SSL &&
            ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

enum ds_status syslog_end(struct syslog_link *l, struct ds_error *err)
{
    uint8_t nothing[256];
    size_t len = 0;
    if (SSL_shutdown(l->tls) < 0) {
        return ds_fail(err, DS_EIO, "the connection to the audit repository broke: %s", reason());
    }
    (void)shutdown(l->fd, SHUT_WR);
    ERR_clear_error();
    /* Session tickets may come first. */
    while (SSL_read_ex(l->tls, nothing, sizeof(nothing), &len) == 1) {
    }
    return is_end(SSL_get_error(l->tls, 0))
               ? DS_OK
               : ds_fail(err, DS_EIO, "the audit repository did not take all that was sent: %s",
                         reason());
}

void syslog_free(struct syslog_link *l)
{
    if (l == NULL) {
        return;
    }
    SSL_free(l->tls);
    SSL_CTX_free(l->context);
    ds_file_close(&l->fd);
    ERR_clear_error();
    free(l);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/settings.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    atomic_uint holders;
    struct config *config;
    struct stego_identity *identity;
    struct stego_trust *trust;
    struct stego_certificate **certificates; /* beside config->peers */
};

static void settings_free(struct settings *s)
{
    for (size_t i = 0; s->certificates != NULL && i < s->config->peer_count; i++) {
        stego_certificate_free(s->certificates[i]);
    }
    free(s->certificates);
    stego_trust_free(s->trust);
    stego_identity_free(s->identity);
    config_free(s->config);
    free(s);
}

struct settings *settings_hold(struct settings *s)
{
    atomic_fetch_add(&s->holders, 1);
    return s;
}

void settings_release(struct settings *s)
{
    if (s != NULL && atomic_fetch_sub(&s->holders, 1) == 1) {
        settings_free(s);
    }
}

void settings_auto(struct settings **s)
{
    settings_release(*s);
}

static enum ds_status load_peers(struct settings *s, struct ds_error *err)
{
    const size_t count = s->config->peer_count;
    s->certificates = calloc(count + 1, sizeof(struct stego_certificate *));
    if (s->certificates == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_peer *peer = &s->config->peers[i];
        if (peer->certificate == NULL) {
            continue;
        }
        enum ds_status status = stego_certificate_load(&s->certificates[i], peer->certificate, err);
        if (status == DS_OK) {
            status = stego_trust_add(s->trust, peer->certificate, err);
        }
        if (status != DS_OK) {
            return ds_fail_context(err, status, "peer %s", peer->name);
        }
    }
    return DS_OK;
}

/* What a listener or a requestor with mutual TLS cannot do without. */
static enum ds_status check_tls(const struct settings *s, struct ds_error *err)
{
    const struct config *c = s->config;
    if (c->tls_port != 0 && s->identity == NULL) {
        return ds_fail(err, DS_ECONFIG, "node.dicom.tls_port needs node.key and node.certificate");
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].tls == CONFIG_TLS_MUTUAL && s->identity == NULL) {
            return ds_fail(err, DS_ECONFIG,
                           "peer %s: tls: mutual needs node.key and node.certificate",
                           c->peers[i].name);
        }
        if (c->peers[i].tls != CONFIG_TLS_NONE && c->peers[i].certificate == NULL) {
            return ds_fail(err, DS_ECONFIG, "peer %s: tls needs the peer's certificate",
                           c->peers[i].name);
        }
    }
    return DS_OK;
}

static enum ds_status load(struct settings *s, const char *path, struct ds_error *err)
{
    enum ds_status status = config_load(&s->config, path, err);
    if (status != DS_OK) {
        return status;
    }
    if (s->config->key != NULL && s->config->certificate != NULL) {
        status = stego_identity_load(&s->identity, s->config->key, s->config->certificate, err);
        if (status != DS_OK) {
            return ds_fail_context(err, status, "node");
        }
    }
    status = stego_trust_new(&s->trust, err);
    if (status == DS_OK) {
        status = load_peers(s, err);
    }
    return status == DS_OK ? check_tls(s, err) : status;
}

enum ds_status settings_load(struct settings **out, const char *path, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(settings_auto) struct settings *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    atomic_init(&s->holders, 1);
    const enum ds_status status = load(s, path, err);
    if (status != DS_OK) {
        return status;
    }
    *out = s;
    s = NULL;
    return DS_OK;
}

const struct config *settings_config(const struct settings *s)
{
    return s->config;
}

const struct stego_identity *settings_identity(const struct settings *s)
{
    return s->identity;
}

const struct stego_trust *settings_trust(const struct settings *s)
{
    return s->trust;
}

const struct stego_certificate *settings_certificate(const struct settings *s, const char *peer)
{
    for (size_t i = 0; i < s->config->peer_count; i++) {
        if (strcmp(s->config->peers[i].name, peer) == 0) {
            return s->certificates[i];
        }
    }
    return NULL;
}

enum ds_status settings_listener_tls(const struct settings *s, struct dicom_tls *out,
                                     const char ***paths, struct ds_error *err)
{
    const struct config *c = s->config;
    *out = (struct dicom_tls){.key_path = c->key, .certificate_path = c->certificate};
    *paths = calloc(c->peer_count + 1, sizeof(const char *));
    if (*paths == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].tls == CONFIG_TLS_MUTUAL) {
            (*paths)[out->trusted_count++] = c->peers[i].certificate;
        }
    }
    out->trusted_paths = *paths;
    /* With only mutual peers nobody gets past the handshake without a certificate. Where others may
     * call too, it is asked for, and who is mutual is held to it when the AE title is known. */
    out->require_peer_certificate = c->peer_count > 0 && out->trusted_count == c->peer_count;
    return DS_OK;
}

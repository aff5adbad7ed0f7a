/* SPDX-License-Identifier: Apache-2.0 */
#include "node/intake.h"

#include "base/clock.h"
#include "base/log.h"
#include "scp/scp.h"

#include <stdlib.h>

struct intake {
    struct services *services;
    struct indexer *indexer;
    struct scp *plain, *tls;
};

/* A peer with mutual TLS may not come without it, and only with the key of its own certificate:
 * anybody can claim an AE title, another peer of ours too. */
static const struct config_peer *caller(const struct settings *settings,
                                        const struct dicom_peer *peer)
{
    const struct config_peer *known =
        config_peer_calling(settings_config(settings), peer->calling_ae, peer->address);
    if (known == NULL || known->tls != CONFIG_TLS_MUTUAL) {
        return known;
    }
    const struct stego_certificate *certificate = settings_certificate(settings, known->name);
    uint8_t expected[STEGO_KEY_ID_BYTES];
    _Static_assert(STEGO_KEY_ID_BYTES == DICOM_KEY_ID_BYTES, "one kind of key id");
    if (!peer->has_key_id || certificate == NULL) {
        return NULL;
    }
    stego_certificate_key_id(certificate, expected);
    return memcmp(peer->key_id, expected, sizeof(expected)) == 0 ? known : NULL;
}

static bool knows(void *context, const struct dicom_peer *peer)
{
    const struct intake *i = context;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(i->services);
    return caller(settings, peer) != NULL;
}

static bool may(void *context, const struct dicom_peer *peer, enum scp_right right)
{
    const struct intake *i = context;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(i->services);
    const struct config_peer *known = caller(settings, peer);
    const unsigned bit = right == SCP_RIGHT_STORE ? CONFIG_MAY_STORE : CONFIG_MAY_ECHO;
    return known != NULL && (known->may & bit) != 0;
}

static void stored(void *context, const struct spool_entry *entry, const struct dicom_peer *peer)
{
    (void)peer;
    const struct intake *i = context;
    indexer_add(i->indexer, entry->id);
}

static void closed(void *context, const struct dicom_peer *peer, unsigned count)
{
    (void)context;
    ds_log(DS_LOG_INFO, "node", "assoc=%llu peer=%s stored %u instances",
           (unsigned long long)peer->association, peer->calling_ae, count);
}

static enum ds_status start_one(struct intake *i, const struct config *c, uint16_t port,
                                const struct dicom_tls *tls, struct scp **out, struct ds_error *err)
{
    const struct scp_policy policy = {
        .context = i, .knows = knows, .may = may, .stored = stored, .closed = closed};
    const struct dicom_listener_options options = {
        .address = c->address,
        .port = port,
        .ae_title = c->ae_title,
        .max_associations = c->max_associations,
        .transfer_syntaxes = (const char *const *)c->transfer_syntaxes.items,
        .transfer_syntax_count = c->transfer_syntaxes.count,
        .only_known_classes = c->only_known_sop_classes,
        .tls = tls};
    return port == 0 ? DS_OK : scp_start(out, &options, i->services->spool, &policy, err);
}

enum ds_status intake_start(struct intake **out, struct services *services, struct indexer *indexer,
                            struct ds_error *err)
{
    *out = NULL;
    struct intake *i = calloc(1, sizeof(*i));
    if (i == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    i->services = services;
    i->indexer = indexer;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    const struct config *c = settings_config(settings);
    struct dicom_tls tls;
    const char **trusted = NULL;
    enum ds_status s = settings_listener_tls(settings, &tls, &trusted, err);
    if (s == DS_OK) {
        s = start_one(i, c, c->dicom_port, NULL, &i->plain, err);
    }
    if (s == DS_OK) {
        s = start_one(i, c, c->tls_port, &tls, &i->tls, err);
    }
    free(trusted);
    if (s != DS_OK) {
        intake_stop(i, 0);
        return s;
    }
    *out = i;
    return DS_OK;
}

uint16_t intake_port(const struct intake *i)
{
    return i->plain == NULL ? 0 : scp_port(i->plain);
}

uint16_t intake_tls_port(const struct intake *i)
{
    return i->tls == NULL ? 0 : scp_port(i->tls);
}

void intake_stop(struct intake *i, unsigned drain_ms)
{
    if (i == NULL) {
        return;
    }
    const int64_t until = ds_clock_monotonic_ms() + drain_ms;
    scp_stop(i->plain, drain_ms);
    const int64_t left = until - ds_clock_monotonic_ms();
    scp_stop(i->tls, left > 0 ? (unsigned)left : 0);
    free(i);
}

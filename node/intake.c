/* SPDX-License-Identifier: Apache-2.0 */
#include "node/intake.h"

#include "base/clock.h"
#include "base/log.h"
#include "node/answering.h"
#include "node/asking.h"
#include "node/finding.h"
#include "node/retrieving.h"
#include "scp/scp.h"

#include <stdlib.h>

struct intake {
    struct services *services;
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
    const bool known = caller(settings, peer) != NULL;
    if (!known) {
        refusals_add(&i->services->refusals, peer->calling_ae, peer->address);
    }
    return known;
}

static void untrusted(void *context, const struct dicom_peer *peer)
{
    const struct intake *i = context;
    refusals_add(&i->services->refusals, "", peer->address);
}

static bool may(void *context, const struct dicom_peer *peer, enum scp_right right)
{
    const struct intake *i = context;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(i->services);
    const struct config_peer *known = caller(settings, peer);
    static const unsigned bits[] = {
        [SCP_RIGHT_ECHO] = CONFIG_MAY_ECHO,     [SCP_RIGHT_STORE] = CONFIG_MAY_STORE,
        [SCP_RIGHT_COMMIT] = CONFIG_MAY_COMMIT, [SCP_RIGHT_FIND] = CONFIG_MAY_FIND,
        [SCP_RIGHT_MOVE] = CONFIG_MAY_MOVE,     [SCP_RIGHT_GET] = CONFIG_MAY_GET};
    /* A view is for looking: whoever stores names us by our own title. */
    if (right == SCP_RIGHT_STORE &&
        config_view_of(settings_config(settings), peer->called_ae) != CONFIG_VIEW_ORIGINALS) {
        return false;
    }
    return known != NULL && (known->may & bits[right]) != 0;
}

static void closed(void *context, const struct dicom_peer *peer, unsigned count)
{
    (void)context;
    ds_log(DS_LOG_INFO, "node", "assoc=%llu peer=%s stored %u instances",
           (unsigned long long)peer->association, peer->calling_ae, count);
}

/* ---- storage commitment ---- */

static bool may_ask(void *context, const struct dicom_peer *peer)
{
    return may(context, peer, SCP_RIGHT_COMMIT);
}

static enum ds_status asked(void *context, const struct dicom_peer *peer,
                            const struct dicom_commitment *request, struct ds_error *err)
{
    const struct intake *i = context;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(i->services);
    const struct config_peer *known = caller(settings, peer);
    return known == NULL ? ds_fail(err, DS_EREFUSED, "the peer is not known any more")
                         : answering_take_request(i->services, known->name, peer, request, err);
}

static enum ds_status reported(void *context, const struct dicom_peer *peer,
                               const struct dicom_commitment *report, bool *known,
                               struct ds_error *err)
{
    const struct intake *i = context;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(i->services);
    const struct config_peer *from = caller(settings, peer);
    return from == NULL ? ds_fail(err, DS_EREFUSED, "the peer is not known any more")
                        : asking_take_report(i->services, from, report, known, err);
}

static bool due(void *context, const struct dicom_peer *peer, struct dicom_commitment *out,
                uint64_t *token)
{
    const struct intake *i = context;
    return offers_take(i->services->offers, peer->calling_ae, out, token);
}

static void done(void *context, uint64_t token, bool taken)
{
    const struct intake *i = context;
    offers_done(i->services->offers, token, taken);
}

/* ---- query and retrieval ---- */

static void move(void *context, const struct dicom_operation_request *request,
                 struct dicom_operation *operation)
{
    retrieving_move(((const struct intake *)context)->services, request, operation);
}

static void get(void *context, const struct dicom_operation_request *request,
                struct dicom_operation *operation)
{
    retrieving_get(((const struct intake *)context)->services, request, operation);
}

/* ---- what we have moved to us ---- */

static uint16_t divert(void *context, const struct dicom_store_request *request, void **sink)
{
    const struct intake *i = context;
    return awaited_divert(&i->services->awaited, request, sink);
}

static void find(void *context, const struct dicom_operation_request *request,
                 struct dicom_operation *operation)
{
    const struct intake *i = context;
    finding_answer(i->services, request, operation);
}

/* Those of the views; borrowed from the configuration. */
static enum ds_status more_titles(const struct config *c, const char ***out, size_t *count,
                                  struct ds_error *err)
{
    const struct config_list *const lists[] = {&c->query.carriers, &c->query.restored};
    *count = 0;
    *out = calloc(c->query.carriers.count + c->query.restored.count + 1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(lists); i++) {
        for (size_t j = 0; j < lists[i]->count; j++) {
            (*out)[(*count)++] = lists[i]->items[j];
        }
    }
    return DS_OK;
}

static enum ds_status start_one(struct intake *i, const struct config *c, uint16_t port,
                                const struct dicom_tls *tls, struct scp **out, struct ds_error *err)
{
    const struct scp_commitment commitment = {.context = i,
                                              .may_ask = may_ask,
                                              .asked = asked,
                                              .reported = reported,
                                              .due = due,
                                              .done = done};
    const struct scp_policy policy = {.context = i,
                                      .knows = knows,
                                      .untrusted = untrusted,
                                      .may = may,
                                      .divert = divert,
                                      .divert_data = awaited_data,
                                      .divert_end = awaited_complete,
                                      .closed = closed,
                                      .commitment = &commitment,
                                      .find = find,
                                      .move = move,
                                      .get = get};
    if (port == 0) {
        return DS_OK;
    }
    const char **titles = NULL;
    size_t title_count = 0;
    enum ds_status s = more_titles(c, &titles, &title_count, err);
    if (s != DS_OK) {
        return s;
    }
    const struct dicom_listener_options options = {
        .address = c->address,
        .port = port,
        .ae_title = c->ae_title,
        .more_ae_titles = titles,
        .more_ae_title_count = title_count,
        .max_associations = c->max_associations,
        .timeout_s = (unsigned)(c->dicom_timeout_ms / 1000),
        .transfer_syntaxes = (const char *const *)c->transfer_syntaxes.items,
        .transfer_syntax_count = c->transfer_syntaxes.count,
        .only_known_classes = c->only_known_sop_classes,
        .tls = tls};
    s = scp_start(out, &options, i->services->spool, &policy, err);
    free(titles);
    return s;
}

enum ds_status intake_start(struct intake **out, struct services *services, struct ds_error *err)
{
    *out = NULL;
    struct intake *i = calloc(1, sizeof(*i));
    if (i == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    i->services = services;
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

enum ds_status intake_reload(struct intake *i, const struct settings *settings,
                             struct ds_error *err)
{
    if (i->tls == NULL || settings_config(settings)->tls_port == 0) {
        return DS_OK;
    }
    struct dicom_tls tls;
    const char **trusted = NULL;
    enum ds_status s = settings_listener_tls(settings, &tls, &trusted, err);
    s = s == DS_OK ? scp_reload_tls(i->tls, &tls, err) : s;
    free(trusted);
    return s;
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "base/clock.h"
#include "db/operate.h"
#include "db/readback.h"
#include "node/calling.h"
#include "scu/scu.h"

#include <stdlib.h>
#include <string.h>

/* ---- list ---- */

static const struct db_peer_state *state_named(const struct db_peer_state *states, size_t count,
                                               const char *peer)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(states[i].peer, peer) == 0) {
            return &states[i];
        }
    }
    return NULL;
}

/* What read-backs say of it. */
struct profiles {
    struct db_peer_profile *items;
    size_t count;
};

static enum db_back_profile profile_of(const struct profiles *p, const char *peer)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->items[i].peer, peer) == 0) {
            return p->items[i].profile;
        }
    }
    return DB_PROFILE_UNKNOWN;
}

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? control_text(text) : json_null();
}

/* peer: NULL, when something is owed to who is no longer in the configuration. */
static json_t *row_of(const char *name, const struct config_peer *peer,
                      const struct db_peer_state *state, enum db_back_profile profile)
{
    static const char *const tls[] = {
        [CONFIG_TLS_NONE] = "none", [CONFIG_TLS_SERVER] = "server", [CONFIG_TLS_MUTUAL] = "mutual"};
    static const struct db_peer_state nothing = {.circuit = DB_CIRCUIT_CLOSED};
    const struct db_peer_state *s = state != NULL ? state : &nothing;
    json_t *row = json_pack(
        "{s:s, s:b, s:o, s:o, s:i, s:s, s:b, s:o, s:o, s:o, s:s, s:o, s:o, s:i, s:o, s:f}", "peer",
        name, "configured", peer != NULL, "ae_title",
        text_or_null(peer != NULL ? peer->ae_title : NULL), "host",
        text_or_null(peer != NULL ? peer->host : NULL), "port", peer != NULL ? (int)peer->port : 0,
        "tls", tls[peer != NULL ? peer->tls : CONFIG_TLS_NONE], "paused", s->paused, "paused_by",
        text_or_null(s->pause_actor), "reason", text_or_null(s->pause_reason), "paused_since",
        operator_time(s->paused_us), "circuit", db_circuit_state_name(s->circuit), "circuit_node",
        text_or_null(s->circuit_node), "cause", text_or_null(s->circuit_cause), "failures",
        (int)s->circuit_failures, "next_try", operator_time(s->next_try_us), "oldest_seconds",
        (double)s->oldest_undelivered_us / 1e6);
    json_t *counts = json_object();
    for (unsigned i = 0; i < DB_DELIVERY_STATES; i++) {
        (void)json_object_set_new(counts, db_delivery_state_name((enum db_delivery_state)i),
                                  json_integer((json_int_t)s->counts[i]));
    }
    (void)json_object_set_new(row, "deliveries", counts);
    (void)json_object_set_new(row, "profile", json_string(db_back_profile_name(profile)));
    return row;
}

enum ds_status operator_peer_list(void *services, const struct control_request *request,
                                  struct control_answer *answer, struct ds_error *err)
{
    struct db *db = NULL;
    struct db_peer_state *states = NULL;
    size_t count = 0;
    struct profiles profiles = {NULL, 0};
    enum ds_status s = operator_arguments(request, err, "{}");
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    if (s == DS_OK) {
        s = db_peer_states(db, true, &states, &count, err);
    }
    if (s == DS_OK) {
        s = db_peer_profiles(db, NULL, &profiles.items, &profiles.count, err);
    }
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    const struct config *c = settings_config(settings);
    for (size_t i = 0; i < c->peer_count && s == DS_OK; i++) {
        const char *name = c->peers[i].name;
        s = control_row(answer,
                        row_of(name, &c->peers[i], state_named(states, count, name),
                               profile_of(&profiles, name)),
                        err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        if (config_peer_named(c, states[i].peer) == NULL) {
            s = control_row(
                answer,
                row_of(states[i].peer, NULL, &states[i], profile_of(&profiles, states[i].peer)),
                err);
        }
    }
    free(states);
    free(profiles.items);
    return s;
}

/* ---- echo ---- */

static enum ds_status find_peer(const struct settings *settings, const char *name,
                                const struct config_peer **out, struct ds_error *err)
{
    *out = config_peer_named(settings_config(settings), name);
    return *out != NULL ? DS_OK : ds_fail(err, DS_ENOTFOUND, "the configuration has no such peer");
}

/* On an association of its own: what is open says nothing of what can be opened. */
enum ds_status operator_peer_echo(void *services, const struct control_request *request,
                                  struct control_answer *answer, struct ds_error *err)
{
    const char *name = NULL;
    const struct config_peer *peer = NULL;
    struct calling calling;
    struct scu_link *link = NULL;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    enum ds_status s = operator_arguments(request, err, "{s:s}", "peer", &name);
    if (s == DS_OK) {
        s = find_peer(settings, name, &peer, err);
    }
    if (s == DS_OK && peer->host == NULL) {
        s = ds_fail(err, DS_EINVAL, "peer %s has no host: it calls us, we never call it", name);
    }
    if (s == DS_OK) {
        calling_init(&calling, settings, peer);
        s = scu_link_new(&link, &calling.options, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const int64_t begun_us = ds_clock_monotonic_us();
    const struct scu_outcome outcome = scu_link_echo(link);
    const double ms = (double)(ds_clock_monotonic_us() - begun_us) / 1e3;
    scu_link_free(link);
    if (outcome.verdict == SCU_DELIVERED) {
        services_hurry(services);
    }
    return control_row(answer,
                       json_pack("{s:s, s:b, s:f, s:o}", "peer", name, "answered",
                                 outcome.verdict == SCU_DELIVERED, "ms", ms, "cause",
                                 text_or_null(outcome.cause)),
                       err);
}

/* ---- pause and resume ---- */

static enum ds_status set_pause(struct services *services, const struct control_request *request,
                                struct control_answer *answer, const char *name, bool paused,
                                const char *reason, struct ds_error *err)
{
    struct db *db = NULL;
    const struct config_peer *peer = NULL;
    bool changed = false;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    enum ds_status s = operator_db(services, &db, err);
    if (s == DS_OK && paused) {
        s = find_peer(settings, name, &peer, err);
    }
    if (s == DS_OK) {
        s = db_peer_pause(db, name, paused, reason, request->actor, &changed, err);
    }
    if (s != DS_OK) {
        return s;
    }
    services_hurry(services);
    return control_row(
        answer, json_pack("{s:s, s:b, s:b}", "peer", name, "paused", paused, "changed", changed),
        err);
}

enum ds_status operator_peer_pause(void *services, const struct control_request *request,
                                   struct control_answer *answer, struct ds_error *err)
{
    const char *name = NULL;
    const char *reason = "";
    const enum ds_status s =
        operator_arguments(request, err, "{s:s, s?s}", "peer", &name, "reason", &reason);
    return s == DS_OK ? set_pause(services, request, answer, name, true, reason, err) : s;
}

enum ds_status operator_peer_resume(void *services, const struct control_request *request,
                                    struct control_answer *answer, struct ds_error *err)
{
    const char *name = NULL;
    const enum ds_status s = operator_arguments(request, err, "{s:s}", "peer", &name);
    return s == DS_OK ? set_pause(services, request, answer, name, false, "", err) : s;
}

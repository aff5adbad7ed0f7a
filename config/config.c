/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/secret.h"
#include "config/read.h"

void config_list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct config_list){0};
}

static void peer_free(struct config_peer *p)
{
    free(p->name);
    free(p->ae_title);
    free(p->read_back.ae_title);
    config_list_free(&p->hosts);
    free(p->host);
    free(p->certificate);
}

static void rule_free(struct config_rule *r)
{
    free(r->name);
    free(r->count_from);
    config_list_free(&r->calling_ae);
    config_list_free(&r->called_ae);
    config_list_free(&r->modality);
    config_list_free(&r->study_description);
    config_list_free(&r->protect.recipients);
    config_list_free(&r->protect.carrier_syntax);
    config_list_free(&r->send_to);
}

/* The URL may hold a password; it is wiped. */
static void url_free(char *url)
{
    if (url != NULL) {
        ds_wipe(url, strlen(url));
        free(url);
    }
}

void config_free(struct config *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        peer_free(&c->peers[i]);
    }
    for (size_t i = 0; i < c->rule_count; i++) {
        rule_free(&c->rules[i]);
    }
    free(c->peers);
    free(c->rules);
    free(c->path);
    free(c->ae_title);
    free(c->site);
    free(c->address);
    config_list_free(&c->transfer_syntaxes);
    free(c->web_address);
    free(c->state_dir);
    free(c->shared_archive);
    free(c->key);
    free(c->certificate);
    free(c->reports_folder);
    free(c->control_group);
    config_list_free(&c->query.carriers);
    config_list_free(&c->query.restored);
    url_free(c->database_url);
    free(c->audit.host);
    free(c->audit.certificate);
    url_free(c->database_migrate_url);
    free(c->provenance.stamp_url);
    free(c->provenance.stamp_certificate);
    free(c);
}

void config_auto(struct config **c)
{
    config_free(*c);
    *c = NULL;
}

const struct config_peer *config_peer_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->peer_count; i++) {
        if (strcmp(c->peers[i].name, name) == 0) {
            return &c->peers[i];
        }
    }
    return NULL;
}

static bool may_call_from(const struct config_peer *p, const char *address)
{
    for (size_t i = 0; i < p->hosts.count; i++) {
        if (config_network_holds(p->hosts.items[i], address)) {
            return true;
        }
    }
    return p->hosts.count == 0;
}

const struct config_peer *config_peer_calling(const struct config *c, const char *ae_title,
                                              const char *address)
{
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct config_peer *p = &c->peers[i];
        if (strcmp(p->ae_title, ae_title) == 0 && may_call_from(p, address)) {
            return p;
        }
    }
    return NULL;
}

static bool list_holds(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return list->count == 0;
}

static bool list_names(const struct config_list *list, const char *text)
{
    return list->count > 0 && list_holds(list, text);
}

enum config_view config_view_of(const struct config *c, const char *called_ae)
{
    return list_names(&c->query.carriers, called_ae)   ? CONFIG_VIEW_CARRIERS
           : list_names(&c->query.restored, called_ae) ? CONFIG_VIEW_RESTORED
                                                       : CONFIG_VIEW_ORIGINALS;
}

static bool modality_matches(const struct config_rule *r, const struct config_list *modalities)
{
    for (size_t i = 0; modalities != NULL && i < modalities->count; i++) {
        if (list_holds(&r->modality, modalities->items[i])) {
            return true;
        }
    }
    return r->modality.count == 0;
}

static bool description_matches(const struct config_rule *r, const char *description)
{
    for (size_t i = 0; i < r->study_description.count; i++) {
        if (config_wildcard_matches(r->study_description.items[i], description)) {
            return true;
        }
    }
    return r->study_description.count == 0;
}

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static bool rule_matches(const struct config_rule *r, const struct config_subject *s)
{
    return list_holds(&r->calling_ae, text_or_empty(s->calling_ae)) &&
           list_holds(&r->called_ae, text_or_empty(s->called_ae)) &&
           modality_matches(r, s->modalities) &&
           description_matches(r, text_or_empty(s->study_description)) &&
           (r->carrier < 0 || (r->carrier != 0) == s->is_carrier);
}

const struct config_rule *config_rule_for(const struct config *c,
                                          const struct config_subject *subject)
{
    for (size_t i = 0; i < c->rule_count; i++) {
        if (rule_matches(&c->rules[i], subject)) {
            return &c->rules[i];
        }
    }
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Peers and rules, and what must hold between keys. */
#include "base/digest.h"
#include "config/read.h"

static enum ds_status check_peer(struct config_reader *r, yaml_node_t *node, const char *where,
                                 const struct config_peer *p)
{
    if (p->host != NULL && p->port == 0) {
        return config_fail_at(r, node, "'port' is missing in %s, which has 'host'", where);
    }
    if (p->host == NULL && p->port != 0) {
        return config_fail_at(r, node, "'host' is missing in %s, which has 'port'", where);
    }
    if (p->host == NULL && p->commitment != CONFIG_COMMITMENT_NONE) {
        return config_fail_at(r, config_child(r, node, "commitment"),
                              "%s.commitment asks a peer that has no 'host'", where);
    }
    if (p->host == NULL && p->read_back.every_ms != 0) {
        return config_fail_at(r, config_child(r, node, "read_back"),
                              "%s.read_back asks a peer that has no 'host'", where);
    }
    if (p->retry.cap_ms < p->retry.first_ms) {
        return config_fail_at(r, config_child(r, node, "retry"),
                              "%s.retry: 'cap' is shorter than 'first'", where);
    }
    if (p->tls != CONFIG_TLS_NONE && p->certificate == NULL) {
        return config_fail_at(r, config_child(r, node, "tls"),
                              "%s.tls needs 'certificate', by which the peer is recognised", where);
    }
    if (p->tls == CONFIG_TLS_MUTUAL && (r->config->key == NULL || r->config->certificate == NULL)) {
        return config_fail_at(r, config_child(r, node, "tls"),
                              "%s.tls is mutual; expected 'key' and 'certificate' in node", where);
    }
    return DS_OK;
}

static bool is_name(const char *text)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return strlen(text) <= 64 && text[strspn(text, letters)] == '\0';
}

static enum ds_status read_peer(struct config_reader *r, const yaml_node_pair_t *pair)
{
    yaml_node_t *key = yaml_document_get_node(r->document, pair->key);
    yaml_node_t *node = yaml_document_get_node(r->document, pair->value);
    const struct config_value v = {key, NULL, "the name of a peer"};
    const char *name;
    const enum ds_status s = config_scalar(r, &v, &name);
    if (s != DS_OK) {
        return s;
    }
    if (!is_name(name)) {
        return config_fail_at(r, key,
                              "'%.70s' is not a name; expected 1 to 64 letters, digits and "
                              "_ . -",
                              name);
    }
    if (config_peer_named(r->config, name) != NULL) {
        return config_fail_at(r, key, "'%s' stands twice in peers", name);
    }
    struct config_peer *peer = &r->config->peers[r->config->peer_count];
    peer->name = strdup(name);
    if (peer->name == NULL) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
    }
    r->config->peer_count++; /* from here on config_free knows it */
    char where[CONFIG_WHERE_BYTES];
    (void)snprintf(where, sizeof(where), "peers.%s", name);
    const enum ds_status read = config_read_keys(r, node, config_peer_keys, where, peer);
    return read == DS_OK ? check_peer(r, node, where, peer) : read;
}

enum ds_status config_read_peers(struct config_reader *r, const struct config_key *key,
                                 const struct config_value *v, void *target)
{
    (void)key;
    (void)target;
    if (v->node->type != YAML_MAPPING_NODE) {
        return config_fail_at(r, v->node, "peers is not a mapping; expected 'NAME: {...}' lines");
    }
    const yaml_node_pair_t *start = v->node->data.mapping.pairs.start;
    const size_t count = (size_t)(v->node->data.mapping.pairs.top - start);
    if (count > CONFIG_LIST_MAX) {
        return config_fail_at(r, v->node, "%zu peers; expected at most %u", count, CONFIG_LIST_MAX);
    }
    r->config->peers = calloc(count + 1, sizeof(*r->config->peers));
    if (r->config->peers == NULL) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
    }
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = read_peer(r, start + i);
    }
    return s;
}

/* The original does not come back from what replaces its bits: only who says so gets that. */
static enum ds_status check_method(struct config_reader *r, yaml_node_t *protect, const char *where,
                                   const struct config_protect *p)
{
    if (p->method == CONFIG_METHOD_LSB && !p->reversible && !p->allow_irreversible) {
        return config_fail_at(r, config_child(r, protect, "method"),
                              "%s.protect.method is lsb, from which originals do not come back; "
                              "expected 'reversible: true', or 'allow_irreversible: true'",
                              where);
    }
    if (p->method == CONFIG_METHOD_LSB && (p->max_difference > 0 || p->min_psnr_db > 0)) {
        return config_fail_at(r, protect,
                              "%s.protect.method is lsb; expected 'max_difference' and 'min_psnr' "
                              "with rdh alone",
                              where);
    }
    return DS_OK;
}

static enum ds_status check_protect(struct config_reader *r, yaml_node_t *node, const char *where,
                                    const struct config_rule *rule)
{
    yaml_node_t *protect = config_child(r, node, "protect");
    if (rule->has_recover) {
        return config_fail_at(r, config_child(r, node, "recover"),
                              "%s has both 'protect' and 'recover'; expected one of them", where);
    }
    if (r->config->key == NULL || r->config->certificate == NULL) {
        return config_fail_at(r, protect,
                              "%s.protect signs what it hides; expected 'key' and "
                              "'certificate' in node",
                              where);
    }
    if (rule->protect.payload == CONFIG_PAYLOAD_REPORT && rule->protect.recipients.count == 0) {
        return config_fail_at(r, protect,
                              "%s.protect hides a report for nobody; expected "
                              "'recipients', or 'payload: integrity'",
                              where);
    }
    return check_method(r, protect, where, &rule->protect);
}

/* What is sealed needs a payload that seals, and what a carrier brought is `recover`'s to say. */
static enum ds_status check_reports(struct config_reader *r, yaml_node_t *node, const char *where,
                                    const struct config_rule *rule)
{
    yaml_node_t *reports = config_child(r, node, "reports");
    const bool seals = rule->has_protect && rule->protect.payload == CONFIG_PAYLOAD_REPORT;
    if (rule->has_recover && rule->reports != CONFIG_REPORTS_LEFT_OUT) {
        return config_fail_at(
            r, reports, "%s has both 'reports' and 'recover'; expected 'report_as' in recover",
            where);
    }
    if (rule->reports == CONFIG_REPORTS_SEAL && !seals) {
        return config_fail_at(r, reports,
                              "%s.reports is seal; expected 'protect' with 'payload: report' to "
                              "seal them in, or one of: send, hold, drop",
                              where);
    }
    if (rule->reports == CONFIG_REPORTS_DROP && rule->waits_for_report && !seals) {
        return config_fail_at(r, config_child(r, node, "report"),
                              "%s.report waits for what 'reports: drop' throws away", where);
    }
    return DS_OK;
}

/* A peer that is never asked never commits itself: what waits for that would be kept forever. */
static enum ds_status check_retention(struct config_reader *r, yaml_node_t *node, const char *where,
                                      const struct config_rule *rule)
{
    if (!rule->retention.given || rule->retention.after_sent) {
        return DS_OK;
    }
    for (size_t i = 0; i < rule->send_to.count; i++) {
        const struct config_peer *peer = config_peer_named(r->config, rule->send_to.items[i]);
        if (peer != NULL && peer->commitment == CONFIG_COMMITMENT_NONE) {
            yaml_node_t *own = config_child(r, node, "retention");
            return config_fail_at(r, own != NULL ? own : node,
                                  "%s keeps until %s has committed itself, which is not asked to; "
                                  "expected 'commitment' at the peer, or 'after: sent'",
                                  where, peer->name);
        }
    }
    return DS_OK;
}

/* A limit that the silence alone would pass is no limit. */
static enum ds_status check_completion(struct config_reader *r, yaml_node_t *node,
                                       const char *where, struct config_rule *rule)
{
    yaml_node_t *at_most = config_child(r, node, "study_complete_at_most");
    if (rule->count_from != NULL && (rule->complete_on & CONFIG_ON_COUNT) == 0) {
        return config_fail_at(r, config_child(r, node, "count_from"),
                              "%s.count_from is not asked; expected 'count' in complete_on", where);
    }
    if (rule->complete_at_most_ms >= rule->complete_after_ms) {
        return DS_OK;
    }
    if (at_most != NULL) {
        return config_fail_at(r, at_most,
                              "%s.study_complete_at_most is less than study_complete_after", where);
    }
    rule->complete_at_most_ms = rule->complete_after_ms;
    return DS_OK;
}

static enum config_reports reports_of(const struct config_rule *rule)
{
    if (rule->reports != CONFIG_REPORTS_LEFT_OUT) {
        return rule->reports;
    }
    if (!rule->has_protect) {
        return CONFIG_REPORTS_SEND;
    }
    /* An integrity token is for links that may see no report: nothing goes in clear unasked. */
    return rule->protect.payload == CONFIG_PAYLOAD_REPORT ? CONFIG_REPORTS_SEAL
                                                          : CONFIG_REPORTS_HOLD;
}

static enum ds_status check_rule(struct config_reader *r, yaml_node_t *node, const char *where,
                                 const struct config_rule *rule)
{
    for (const struct config_rule *other = r->config->rules; other < rule; other++) {
        if (strcmp(other->name, rule->name) == 0) {
            return config_fail_at(r, config_child(r, node, "name"),
                                  "%s: a rule with the name '%.60s' stands in line %u", where,
                                  rule->name, other->line);
        }
    }
    if (rule->has_recover && r->config->key == NULL) {
        return config_fail_at(r, config_child(r, node, "recover"),
                              "%s.recover opens what was sealed; expected 'key' and 'certificate' "
                              "in node",
                              where);
    }
    const enum ds_status s = rule->has_protect ? check_protect(r, node, where, rule) : DS_OK;
    return s == DS_OK ? check_reports(r, node, where, rule) : s;
}

enum ds_status config_read_rules(struct config_reader *r, const struct config_key *key,
                                 const struct config_value *v, void *target)
{
    (void)key;
    (void)target;
    if (v->node->type != YAML_SEQUENCE_NODE) {
        return config_fail_at(r, v->node, "rules is not a list; expected '- name: ...' items");
    }
    const yaml_node_item_t *items = v->node->data.sequence.items.start;
    const size_t count = (size_t)(v->node->data.sequence.items.top - items);
    if (count > CONFIG_LIST_MAX) {
        return config_fail_at(r, v->node, "%zu rules; expected at most %u", count, CONFIG_LIST_MAX);
    }
    r->config->rules = calloc(count + 1, sizeof(*r->config->rules));
    if (r->config->rules == NULL) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
    }
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        yaml_node_t *node = yaml_document_get_node(r->document, items[i]);
        struct config_rule *rule = &r->config->rules[i];
        rule->line = (unsigned)node->start_mark.line + 1;
        rule->carrier = -1;
        r->config->rule_count++; /* from here on config_free knows it */
        char where[CONFIG_WHERE_BYTES];
        (void)snprintf(where, sizeof(where), "rules[%zu]", i);
        s = config_read_keys(r, node, config_rule_keys, where, rule);
        if (!rule->retention.given) {
            rule->retention = r->config->retention;
        }
        s = s == DS_OK ? check_completion(r, node, where, rule) : s;
        s = s == DS_OK ? check_rule(r, node, where, rule) : s;
        s = s == DS_OK ? check_retention(r, node, where, rule) : s;
        rule->reports = reports_of(rule);
    }
    return s;
}

/* What is kept forever is never deleted, however full the disk. */
static bool keeps_all_forever(const struct config *c)
{
    for (size_t i = 0; i < c->rule_count; i++) {
        if (c->rules[i].retention.given) {
            return false;
        }
    }
    return true;
}

/* An AE title stands for one view, and our own for the originals. */
static enum ds_status check_views(struct config_reader *r, yaml_node_t *top)
{
    const struct config *c = r->config;
    const struct config_list *const lists[] = {&c->query.carriers, &c->query.restored};
    for (size_t i = 0; i < DS_ARRAY_SIZE(lists); i++) {
        for (size_t j = 0; j < lists[i]->count; j++) {
            const char *title = lists[i]->items[j];
            const enum config_view view = i == 0 ? CONFIG_VIEW_CARRIERS : CONFIG_VIEW_RESTORED;
            if (strcmp(title, c->ae_title) == 0 || config_view_of(c, title) != view) {
                yaml_node_t *query = config_child(r, top, "query");
                return config_fail_at(r, config_child(r, query, "views"),
                                      "query.views has '%s' for two views; expected AE titles "
                                      "other than node.ae_title, each for one",
                                      title);
            }
        }
    }
    return DS_OK;
}

enum ds_status config_check_node(struct config_reader *r, yaml_node_t *top)
{
    const struct config *c = r->config;
    yaml_node_t *node = config_child(r, top, "node");
    const enum ds_status views = check_views(r, top);
    if (views != DS_OK) {
        return views;
    }
    if (c->delete_when_full && keeps_all_forever(c)) {
        return config_fail_at(r, config_child(r, node, "disk_full"),
                              "node.disk_full deletes what has a retention, and no rule has one; "
                              "expected 'retention' in node or in a rule");
    }
    if (c->hash == CONFIG_HASH_BLAKE3 && !ds_digest_has(DS_DIGEST_BLAKE3)) {
        return config_fail_at(r, config_child(r, node, "hash"),
                              "node.hash is blake3, which this program was built without; expected "
                              "sha256");
    }
    yaml_node_t *dicom = config_child(r, node, "dicom");
    if ((c->key == NULL) != (c->certificate == NULL)) {
        return config_fail_at(r, node, "'%s' is missing in node: key and certificate go together",
                              c->key == NULL ? "key" : "certificate");
    }
    if (c->dicom_port == 0 && c->tls_port == 0) {
        return config_fail_at(r, dicom,
                              "node.dicom listens nowhere; expected 'port' or 'tls_port' "
                              "above 0");
    }
    if (c->dicom_port == c->tls_port) {
        return config_fail_at(r, config_child(r, dicom, "tls_port"),
                              "node.dicom.tls_port is the same as node.dicom.port");
    }
    if (c->audit.given && c->key == NULL) {
        return config_fail_at(r, config_child(r, top, "audit_repository"),
                              "audit_repository is sent to over mutual TLS; expected 'key' and "
                              "'certificate' in node");
    }
    if (c->tls_port != 0 && c->key == NULL) {
        return config_fail_at(r, config_child(r, dicom, "tls_port"),
                              "node.dicom.tls_port needs 'key' and 'certificate' in node");
    }
    return DS_OK;
}

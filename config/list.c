/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of lists. A single value may stand where a list is expected; no item may stand twice. */
#include "config/read.h"

static enum ds_status add_item(struct config_reader *r, const struct config_value *v,
                               struct config_list *list, config_check_fn *check)
{
    const char *text;
    enum ds_status s = config_scalar(r, v, &text);
    if (s == DS_OK && check != NULL) {
        s = check(r, v, text);
    }
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return config_fail_at(r, v->node, "%s: '%.60s' stands twice in the list", v->where,
                                  text);
        }
    }
    list->items[list->count] = strdup(text);
    if (list->items[list->count] == NULL) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
    }
    list->count++;
    return DS_OK;
}

enum ds_status config_read_list(struct config_reader *r, const struct config_value *v,
                                struct config_list *list, config_check_fn *check)
{
    const bool many = v->node->type == YAML_SEQUENCE_NODE;
    const yaml_node_item_t *items = many ? v->node->data.sequence.items.start : NULL;
    const size_t count = many ? (size_t)(v->node->data.sequence.items.top - items) : 1;
    if (count == 0 || count > CONFIG_LIST_MAX) {
        return config_fail_at(r, v->node, "%s has %zu items; expected 1 to %u", v->where, count,
                              CONFIG_LIST_MAX);
    }
    list->items = calloc(count, sizeof(*list->items));
    if (list->items == NULL) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
    }
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        const struct config_value item = {
            many ? yaml_document_get_node(r->document, items[i]) : v->node, NULL, v->where};
        s = add_item(r, &item, list, check);
    }
    return s;
}

enum ds_status config_read_patterns(struct config_reader *r, const struct config_key *key,
                                    const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, NULL);
}

/* A caller that is no peer is turned away before any rule is asked. */
static enum ds_status check_caller(struct config_reader *r, const struct config_value *v,
                                   const char *text)
{
    for (size_t i = 0; i < r->config->peer_count; i++) {
        if (strcmp(r->config->peers[i].ae_title, text) == 0) {
            return DS_OK;
        }
    }
    return config_fail_at(r, v->node,
                          "%s: no peer has the AE title '%.40s'; expected the ae_title "
                          "of one of the peers",
                          v->where, text);
}

enum ds_status config_read_callers(struct config_reader *r, const struct config_key *key,
                                   const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_caller);
}

static enum ds_status check_ae(struct config_reader *r, const struct config_value *v,
                               const char *text)
{
    (void)text;
    char *copy = NULL;
    const enum ds_status s = config_read_ae(r, NULL, v, &copy);
    free(copy);
    return s;
}

enum ds_status config_read_aes(struct config_reader *r, const struct config_key *key,
                               const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_ae);
}

/* PS3.5 6.2, CS: at most 16 capital letters, digits, spaces and underscores. */
static enum ds_status check_modality(struct config_reader *r, const struct config_value *v,
                                     const char *text)
{
    const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (strlen(text) <= 16 && text[strspn(text, letters)] == '\0') {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.40s' is not a modality; expected capital letters, "
                          "such as CT",
                          v->where, text);
}

enum ds_status config_read_modalities(struct config_reader *r, const struct config_key *key,
                                      const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_modality);
}

/* PS3.5 9.1: at most 64 digits and dots, no empty component. */
static enum ds_status check_uid(struct config_reader *r, const struct config_value *v,
                                const char *text)
{
    const size_t len = strlen(text);
    if (len <= 64 && text[strspn(text, "0123456789.")] == '\0' && text[0] != '.' &&
        text[len - 1] != '.' && strstr(text, "..") == NULL && strchr(text, '.') != NULL) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.70s' is not a UID; expected one such as "
                          "1.2.840.10008.1.2.1",
                          v->where, text);
}

enum ds_status config_read_uids(struct config_reader *r, const struct config_key *key,
                                const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_uid);
}

static enum ds_status check_network(struct config_reader *r, const struct config_value *v,
                                    const char *text)
{
    if (config_network_is_valid(text)) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.60s' is not an address or a CIDR block; expected one "
                          "such as 10.1.0.0/16 or fd00::/8",
                          v->where, text);
}

enum ds_status config_read_hosts(struct config_reader *r, const struct config_key *key,
                                 const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_network);
}

/* A word that stands for a bit of a set. */
struct flag {
    const char *name; /* NULL: the end */
    unsigned bit;
};

static unsigned flag_bit(const struct flag *flags, const char *name)
{
    for (; flags->name != NULL; flags++) {
        if (strcmp(flags->name, name) == 0) {
            return flags->bit;
        }
    }
    return 0;
}

static unsigned bits_of(const struct flag *flags, const struct config_list *list)
{
    unsigned bits = 0;
    for (size_t i = 0; i < list->count; i++) {
        bits |= flag_bit(flags, list->items[i]);
    }
    return bits;
}

static const struct flag rights[] = {{"echo", CONFIG_MAY_ECHO},
                                     {"store", CONFIG_MAY_STORE},
                                     {"find", CONFIG_MAY_FIND},
                                     {"move", CONFIG_MAY_MOVE},
                                     {"get", CONFIG_MAY_GET},
                                     {"commit", CONFIG_MAY_COMMIT},
                                     {0}};

static enum ds_status check_right(struct config_reader *r, const struct config_value *v,
                                  const char *text)
{
    if (flag_bit(rights, text) != 0) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.40s' is no right; expected one of: echo, store, "
                          "find, move, get, commit",
                          v->where, text);
}

enum ds_status config_read_rights(struct config_reader *r, const struct config_key *key,
                                  const struct config_value *v, void *target)
{
    (void)key;
    unsigned *may = target;
    *may = CONFIG_MAY_ECHO | CONFIG_MAY_STORE; /* the default, as the table says it */
    if (v->node == NULL) {
        return DS_OK;
    }
    DS_AUTO(config_list_free) struct config_list list = {0};
    const enum ds_status s = config_read_list(r, v, &list, check_right);
    *may = bits_of(rights, &list);
    return s;
}

static const struct flag measurements[] = {{"rt_dose", CONFIG_MEASURES_RT_DOSE},
                                           {"segmentation", CONFIG_MEASURES_SEGMENTATION},
                                           {"parametric_map", CONFIG_MEASURES_PARAMETRIC_MAP},
                                           {"pet", CONFIG_MEASURES_PET},
                                           {0}};

static enum ds_status check_measurement(struct config_reader *r, const struct config_value *v,
                                        const char *text)
{
    if (flag_bit(measurements, text) != 0) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.40s' is nothing that feeds measurement; expected one of: "
                          "rt_dose, segmentation, parametric_map, pet",
                          v->where, text);
}

enum ds_status config_read_measurement(struct config_reader *r, const struct config_key *key,
                                       const struct config_value *v, void *target)
{
    (void)key;
    DS_AUTO(config_list_free) struct config_list list = {0};
    const enum ds_status s = config_read_list(r, v, &list, check_measurement);
    *(unsigned *)target = bits_of(measurements, &list);
    return s;
}

static const struct flag completions[] = {{"commitment", CONFIG_ON_COMMITMENT},
                                          {"report", CONFIG_ON_REPORT},
                                          {"count", CONFIG_ON_COUNT},
                                          {0}};

static enum ds_status check_completion(struct config_reader *r, const struct config_value *v,
                                       const char *text)
{
    if (flag_bit(completions, text) != 0) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.40s' does not complete a study; expected one of: "
                          "commitment, report, count",
                          v->where, text);
}

enum ds_status config_read_completion(struct config_reader *r, const struct config_key *key,
                                      const struct config_value *v, void *target)
{
    (void)key;
    DS_AUTO(config_list_free) struct config_list list = {0};
    const enum ds_status s = config_read_list(r, v, &list, check_completion);
    *(unsigned *)target = bits_of(completions, &list);
    return s;
}

static enum ds_status find_peer(struct config_reader *r, const struct config_value *v,
                                const char *name, const struct config_peer **out)
{
    *out = config_peer_named(r->config, name);
    if (*out != NULL) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: there is no peer '%.40s'; expected a name that stands "
                          "under 'peers'",
                          v->where, name);
}

static enum ds_status check_recipient(struct config_reader *r, const struct config_value *v,
                                      const char *text)
{
    const struct config_peer *peer;
    const enum ds_status s = find_peer(r, v, text, &peer);
    if (s == DS_OK && peer->certificate == NULL) {
        return config_fail_at(r, v->node,
                              "%s: nothing can be sealed for '%.40s'; expected "
                              "'certificate' in peers.%.40s",
                              v->where, text, text);
    }
    return s;
}

enum ds_status config_read_recipients(struct config_reader *r, const struct config_key *key,
                                      const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_recipient);
}

static enum ds_status check_destination(struct config_reader *r, const struct config_value *v,
                                        const char *text)
{
    const struct config_peer *peer;
    const enum ds_status s = find_peer(r, v, text, &peer);
    if (s == DS_OK && peer->host == NULL) {
        return config_fail_at(r, v->node,
                              "%s: '%.40s' cannot be called; expected 'host' and "
                              "'port' in peers.%.40s",
                              v->where, text, text);
    }
    return s;
}

enum ds_status config_read_destinations(struct config_reader *r, const struct config_key *key,
                                        const struct config_value *v, void *target)
{
    (void)key;
    return config_read_list(r, v, target, check_destination);
}

enum ds_status config_read_source(struct config_reader *r, const struct config_key *key,
                                  const struct config_value *v, void *target)
{
    (void)key;
    const char *text;
    char **name = target;
    const enum ds_status s = config_scalar(r, v, &text);
    const enum ds_status checked = s == DS_OK ? check_destination(r, v, text) : s;
    if (checked != DS_OK) {
        return checked;
    }
    *name = strdup(text);
    return *name != NULL ? DS_OK : ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
}

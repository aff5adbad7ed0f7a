/* SPDX-License-Identifier: Apache-2.0 */
/* The transfer syntaxes that a rule may name for carriers: those that lose nothing and that
 * carriers can be written in. Named by keyword or UID, kept as UID. */
#include "config/read.h"

static const struct config_syntax syntaxes[] = {
    {"explicit-le", "1.2.840.10008.1.2.1"},
    {"implicit-le", "1.2.840.10008.1.2"},
    {"explicit-be", "1.2.840.10008.1.2.2"},
    {"deflated", "1.2.840.10008.1.2.1.99"},
    {"jpeg-ls-lossless", "1.2.840.10008.1.2.4.80"},
    {"jpeg-2000-lossless", "1.2.840.10008.1.2.4.90"},
    {"jpeg-lossless-sv1", "1.2.840.10008.1.2.4.70"},
    {"rle", "1.2.840.10008.1.2.5"},
    {"htj2k-lossless", "1.2.840.10008.1.2.4.201"},
    {"deflated-frame", "1.2.840.10008.1.2.8.1"},
    {"encapsulated", "1.2.840.10008.1.2.1.98"},
};

const struct config_syntax *config_carrier_syntaxes(size_t *count)
{
    *count = DS_ARRAY_SIZE(syntaxes);
    return syntaxes;
}

static const char *uid_named(const char *text)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(syntaxes); i++) {
        if (strcmp(text, syntaxes[i].keyword) == 0 || strcmp(text, syntaxes[i].uid) == 0) {
            return syntaxes[i].uid;
        }
    }
    return NULL;
}

static enum ds_status check_lossless(struct config_reader *r, const struct config_value *v,
                                     const char *text)
{
    if (uid_named(text) != NULL) {
        return DS_OK;
    }
    return config_fail_at(r, v->node,
                          "%s: '%.70s' is no lossless transfer syntax that carriers are written "
                          "in; expected smallest, same, or a list such as [jpeg-ls-lossless, "
                          "explicit-le]",
                          v->where, text);
}

static bool is_policy(const struct config_value *v)
{
    const char *text =
        v->node->type == YAML_SCALAR_NODE ? (const char *)v->node->data.scalar.value : "";
    return strcmp(text, "smallest") == 0 || strcmp(text, "same") == 0;
}

/* A keyword and its UID are the same syntax: only after this can doubles be seen. */
static enum ds_status to_uids(struct config_reader *r, const struct config_value *v,
                              struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *uid = uid_named(list->items[i]);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(list->items[k], uid) == 0) {
                return config_fail_at(r, v->node, "%s: '%.70s' stands twice in the list", v->where,
                                      list->items[i]);
            }
        }
        char *copy = strdup(uid);
        if (copy == NULL) {
            return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
        }
        free(list->items[i]);
        list->items[i] = copy;
    }
    return DS_OK;
}

enum ds_status config_read_carrier_syntax(struct config_reader *r, const struct config_key *key,
                                          const struct config_value *v, void *target)
{
    (void)key;
    if (is_policy(v)) {
        return config_read_list(r, v, target, NULL);
    }
    const enum ds_status s = config_read_list(r, v, target, check_lossless);
    return s == DS_OK ? to_uids(r, v, target) : s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "config/read.h"

#include <libgen.h>
#include <stdarg.h>

static void document_delete(yaml_document_t **document)
{
    if (*document != NULL) {
        yaml_document_delete(*document);
    }
}

static void parser_delete(yaml_parser_t **parser)
{
    if (*parser != NULL) {
        yaml_parser_delete(*parser);
    }
}

/* A long path loses its beginning, so that the fault itself still fits in the text. */
static enum ds_status fail_at_mark(struct config_reader *r, const yaml_mark_t *mark,
                                   const char *text)
{
    const size_t len = strlen(r->file);
    const size_t shown = 80;
    return ds_fail(r->err, DS_ECONFIG, "%s%s:%zu:%zu: %s", len > shown ? "..." : "",
                   len > shown ? r->file + len - shown : r->file, mark->line + 1, mark->column + 1,
                   text);
}

enum ds_status config_fail_at(struct config_reader *r, const yaml_node_t *node, const char *fmt,
                              ...)
{
    char text[DS_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    const yaml_mark_t start = {0, 0, 0};
    return fail_at_mark(r, node == NULL ? &start : &node->start_mark, text);
}

/* "a, b, c" of the keys of a table. */
static void list_keys(const struct config_key *keys, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (const struct config_key *k = keys; k->name != NULL && at < size; k++) {
        const int n = snprintf(out + at, size - at, "%s%s", k == keys ? "" : ", ", k->name);
        at += n > 0 ? (size_t)n : 0;
    }
}

static const char *place(const char *where)
{
    return where[0] == '\0' ? "the file" : where;
}

enum ds_status config_scalar(struct config_reader *r, const struct config_value *v,
                             const char **text)
{
    *text = v->text;
    if (v->node == NULL) {
        return DS_OK;
    }
    if (v->node->type != YAML_SCALAR_NODE) {
        return config_fail_at(r, v->node, "%s is a %s; expected a single value", v->where,
                              v->node->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
    }
    const char *value = (const char *)v->node->data.scalar.value;
    const size_t len = v->node->data.scalar.length;
    const bool plain = v->node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (len == 0 || (plain && (strcmp(value, "~") == 0 || strcmp(value, "null") == 0))) {
        return config_fail_at(r, v->node, "%s has no value; leave the key out for its default",
                              v->where);
    }
    if (len > CONFIG_TEXT_MAX) {
        return config_fail_at(r, v->node, "%s is longer than %u bytes", v->where, CONFIG_TEXT_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)value[i];
        if (c < 0x20 || c == 0x7f) {
            return config_fail_at(r, v->node, "%s holds a control character", v->where);
        }
    }
    *text = value;
    return DS_OK;
}

yaml_node_t *config_child(struct config_reader *r, yaml_node_t *mapping, const char *key)
{
    if (mapping == NULL || mapping->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    const yaml_node_pair_t *end = mapping->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < end; p++) {
        const yaml_node_t *k = yaml_document_get_node(r->document, p->key);
        if (k != NULL && k->type == YAML_SCALAR_NODE &&
            strcmp((const char *)k->data.scalar.value, key) == 0) {
            return yaml_document_get_node(r->document, p->value);
        }
    }
    return NULL;
}

/* Each key must stand in the table and, as a mapping has no order, only once. The scan backwards
 * is as long as the table at most: an unknown key ends it, and so does a second one of a kind. */
static enum ds_status check_keys(struct config_reader *r, const yaml_node_t *node,
                                 const struct config_key *keys, const char *where)
{
    const yaml_node_pair_t *start = node->data.mapping.pairs.start;
    for (const yaml_node_pair_t *p = start; p < node->data.mapping.pairs.top; p++) {
        yaml_node_t *key = yaml_document_get_node(r->document, p->key);
        const struct config_value v = {key, NULL, "a key"};
        const char *name;
        const enum ds_status s = config_scalar(r, &v, &name);
        if (s != DS_OK) {
            return s;
        }
        const struct config_key *k = keys;
        while (k->name != NULL && strcmp(k->name, name) != 0) {
            k++;
        }
        if (k->name == NULL) {
            char expected[160];
            list_keys(keys, expected, sizeof(expected));
            return config_fail_at(r, key, "unknown key '%.40s' in %s; expected one of: %s", name,
                                  place(where), expected);
        }
        for (const yaml_node_pair_t *q = start; q < p; q++) {
            const yaml_node_t *other = yaml_document_get_node(r->document, q->key);
            if (strcmp((const char *)other->data.scalar.value, name) == 0) {
                return config_fail_at(r, key, "'%s' stands twice in %s; first in line %zu", name,
                                      place(where), other->start_mark.line + 1);
            }
        }
    }
    return DS_OK;
}

static enum ds_status read_key(struct config_reader *r, yaml_node_t *node,
                               const struct config_key *k, const char *where, void *target)
{
    char path[CONFIG_WHERE_BYTES + 64];
    (void)snprintf(path, sizeof(path), "%s%s%s", where, where[0] == '\0' ? "" : ".", k->name);
    const struct config_value v = {config_child(r, node, k->name), k->fallback, path};
    if (v.node == NULL && k->required && node != NULL) {
        return config_fail_at(r, node, "'%s' is missing in %s", k->name, place(where));
    }
    if (v.node == NULL && k->fallback == NULL && k->keys == NULL) {
        return DS_OK;
    }
    if (v.node != NULL && k->given_offset != 0) {
        *(bool *)((char *)target + k->given_offset) = true;
    }
    return k->read(r, k, &v, k->offset == SIZE_MAX ? NULL : (char *)target + k->offset);
}

enum ds_status config_read_keys(struct config_reader *r, yaml_node_t *node,
                                const struct config_key *keys, const char *where, void *target)
{
    if (node != NULL && node->type != YAML_MAPPING_NODE) {
        return config_fail_at(r, node, "%s is not a mapping; expected 'key: value' lines",
                              place(where));
    }
    enum ds_status s = node == NULL ? DS_OK : check_keys(r, node, keys, where);
    for (const struct config_key *k = keys; s == DS_OK && k->name != NULL; k++) {
        s = read_key(r, node, k, where, target);
    }
    return s;
}

enum ds_status config_read_map(struct config_reader *r, const struct config_key *key,
                               const struct config_value *v, void *target)
{
    return config_read_keys(r, v->node, key->keys, v->where, target);
}

static enum ds_status count_reference(struct config_reader *r, unsigned char *seen, int id)
{
    const yaml_node_t *node = yaml_document_get_node(r->document, id);
    if (seen[id]++ != 0) {
        return config_fail_at(r, node,
                              "a value with an anchor is used again by an alias; aliases "
                              "are not read here, write the value out");
    }
    return DS_OK;
}

/* Aliases could make a small file mean a huge or an endless one: each node may have one parent. */
static enum ds_status refuse_aliases(struct config_reader *r, unsigned char *seen)
{
    enum ds_status s = DS_OK;
    yaml_node_t *end = r->document->nodes.top;
    for (yaml_node_t *n = r->document->nodes.start; s == DS_OK && n < end; n++) {
        if (n->type == YAML_SEQUENCE_NODE) {
            const yaml_node_item_t *items_end = n->data.sequence.items.top;
            for (const yaml_node_item_t *i = n->data.sequence.items.start;
                 s == DS_OK && i < items_end; i++) {
                s = count_reference(r, seen, *i);
            }
        } else if (n->type == YAML_MAPPING_NODE) {
            const yaml_node_pair_t *pairs_end = n->data.mapping.pairs.top;
            for (const yaml_node_pair_t *p = n->data.mapping.pairs.start;
                 s == DS_OK && p < pairs_end; p++) {
                s = count_reference(r, seen, p->key);
                s = s == DS_OK ? count_reference(r, seen, p->value) : s;
            }
        }
    }
    return s;
}

static enum ds_status default_site(struct config_reader *r)
{
    if (r->config->site == NULL) {
        r->config->site = strdup(r->config->ae_title);
    }
    return r->config->site != NULL ? DS_OK
                                   : ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
}

static enum ds_status read_document(struct config_reader *r)
{
    yaml_node_t *top = yaml_document_get_root_node(r->document);
    if (top == NULL) {
        return config_fail_at(r, NULL, "the file is empty; expected at least 'node'");
    }
    const size_t nodes = (size_t)(r->document->nodes.top - r->document->nodes.start);
    DS_AUTO(ds_string_free) char *seen = calloc(nodes + 1, 1);
    if (seen == NULL) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for %zu YAML nodes", nodes);
    }
    enum ds_status s = refuse_aliases(r, (unsigned char *)seen);
    if (s == DS_OK) {
        s = config_read_keys(r, top, config_top_keys, "", r->config);
    }
    if (s == DS_OK) {
        s = default_site(r);
    }
    return s == DS_OK ? config_check_node(r, top) : s;
}

static enum ds_status parse_failed(struct config_reader *r, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return ds_fail(r->err, DS_ENOMEM, "no memory for the configuration");
    }
    char text[160];
    (void)snprintf(text, sizeof(text), "not YAML: %s%s%s",
                   parser->context == NULL ? "" : parser->context,
                   parser->context == NULL ? "" : ", ",
                   parser->problem == NULL ? "unreadable" : parser->problem);
    return fail_at_mark(r, &parser->problem_mark, text);
}

static enum ds_status load_documents(struct config_reader *r, yaml_parser_t *parser)
{
    yaml_document_t document;
    if (yaml_parser_load(parser, &document) == 0) {
        return parse_failed(r, parser);
    }
    DS_AUTO(document_delete) yaml_document_t *owned = &document;
    r->document = owned;
    const enum ds_status s = read_document(r);
    if (s != DS_OK) {
        return s;
    }
    yaml_document_t second;
    if (yaml_parser_load(parser, &second) == 0) {
        return parse_failed(r, parser);
    }
    DS_AUTO(document_delete) yaml_document_t *second_owned = &second;
    r->document = second_owned;
    const yaml_node_t *more = yaml_document_get_root_node(second_owned);
    return more == NULL ? DS_OK
                        : config_fail_at(r, more,
                                         "a second YAML document begins here; expected "
                                         "one");
}

enum ds_status config_load_text(struct config **out, const char *path, const uint8_t *text,
                                size_t len, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(config_auto) struct config *c = calloc(1, sizeof(*c));
    if (c == NULL || (c->path = strdup(path)) == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the configuration");
    }
    DS_AUTO(ds_string_free) char *copy = strdup(path);
    DS_AUTO(ds_string_free) char *folder = copy == NULL ? NULL : realpath(dirname(copy), NULL);
    if (folder == NULL) {
        return ds_fail(err, DS_ECONFIG, "the folder of '%s' cannot be found", path);
    }
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        return ds_fail(err, DS_ENOMEM, "no memory for the configuration");
    }
    DS_AUTO(parser_delete) yaml_parser_t *owned = &parser;
    yaml_parser_set_input_string(owned, text, len);
    struct config_reader r = {NULL, c, path, folder, err};
    const enum ds_status s = load_documents(&r, owned);
    if (s == DS_OK) {
        *out = c;
        c = NULL;
    }
    return s;
}

enum ds_status config_load(struct config **out, const char *path, struct ds_error *err)
{
    *out = NULL;
    /* One byte more than is accepted, because a file that fills the buffer is refused. */
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(CONFIG_FILE_MAX_BYTES + 1);
    const enum ds_status s = ds_file_read(path, &text, err);
    if (s != DS_OK) {
        return s == DS_EFORMAT ? ds_fail(err, DS_ECONFIG, "'%s' is larger than %u bytes", path,
                                         CONFIG_FILE_MAX_BYTES)
                               : s;
    }
    return config_load_text(out, path, text.data, text.len, err);
}

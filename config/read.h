/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read - the inside of the loader: a walk over a YAML document that a table of keys drives.
 *
 * A section (the top, node, a peer, a rule ...) is a mapping whose keys stand in a table: what each
 * is called, which function reads its value, where the value goes in the section's struct, and the
 * default, written as it would stand in the file and read by the same function. Reading a mapping
 * takes two steps: first every key is checked against the table, then the values are read in the
 * order of the table, so that peers are known before the rules that name them.
 */
#ifndef DICOMSTEGO_CONFIG_READ_H
#define DICOMSTEGO_CONFIG_READ_H

#include "config/config.h"

#include <yaml.h>

#define CONFIG_FILE_MAX_BYTES (1U << 20)
#define CONFIG_LIST_MAX       4096U /* items of a list, peers, rules: names are compared pairwise */
#define CONFIG_TEXT_MAX       1024U
#define CONFIG_WHERE_BYTES    96U

struct config_reader {
    yaml_document_t *document;
    struct config *config;
    const char *file;   /* for messages */
    const char *folder; /* of the file: relative paths start here */
    struct ds_error *err;
};

/* A value in the file, or the default text of a key (node is NULL then). */
struct config_value {
    yaml_node_t *node;
    const char *text;
    const char *where; /* "rules[0].when.modality" */
};

struct config_key;
typedef enum ds_status config_read_fn(struct config_reader *r, const struct config_key *key,
                                      const struct config_value *v, void *target);

struct config_choice {
    const char *name;
    int value;
};

struct config_key {
    const char *name;
    config_read_fn *read;
    size_t offset;        /* of the target in the section's struct */
    const char *fallback; /* the default; NULL: the target stays zero */
    bool required;
    int64_t low, high;                   /* of numbers; for durations milliseconds, sizes bytes */
    const struct config_choice *choices; /* of words; ends with a NULL name */
    const struct config_key *keys;       /* of a mapping; ends with a NULL name */
    size_t given_offset;                 /* of a bool that says the mapping is there; 0: none */
};

/* "FILE:LINE:COLUMN: text" at a node of the document (NULL: no position). */
DS_CHECKED enum ds_status config_fail_at(struct config_reader *r, const yaml_node_t *node,
                                         const char *fmt, ...) DS_PRINTF(3, 4);

/* Reads a mapping into target; where is "" at the top. */
DS_CHECKED enum ds_status config_read_keys(struct config_reader *r, yaml_node_t *node,
                                           const struct config_key *keys, const char *where,
                                           void *target);
/* The value of a key in a mapping, or NULL. */
yaml_node_t *config_child(struct config_reader *r, yaml_node_t *mapping, const char *key);
/* A scalar's text without a terminator inside, control characters refused; borrowed. */
DS_CHECKED enum ds_status config_scalar(struct config_reader *r, const struct config_value *v,
                                        const char **text);

/* value.c: readers of single values */
config_read_fn config_read_map, config_read_text, config_read_word, config_read_bool,
    config_read_port, config_read_count, config_read_duration, config_read_size, config_read_rate,
    config_read_percent, config_read_decibel, config_read_path, config_read_url,
    config_read_http_url, config_read_ae, config_read_host, config_read_log_level;
/* Refuses an item of a list (its text in v) or passes it. */
typedef enum ds_status config_check_fn(struct config_reader *r, const struct config_value *v,
                                       const char *text);
/* A list into list; check may be NULL. */
DS_CHECKED enum ds_status config_read_list(struct config_reader *r, const struct config_value *v,
                                           struct config_list *list, config_check_fn *check);
/* list.c: readers of lists; one value may stand alone for a list of one */
config_read_fn config_read_patterns, config_read_callers, config_read_aes, config_read_modalities,
    config_read_uids, config_read_carrier_syntax, config_read_hosts, config_read_rights,
    config_read_recipients, config_read_destinations, config_read_measurement,
    config_read_completion, config_read_source;
/* window.c: hours of the day */
config_read_fn config_read_windows;
/* section.c: the sections that come many times, and what holds between their keys */
config_read_fn config_read_peers, config_read_rules;
DS_CHECKED enum ds_status config_check_node(struct config_reader *r, yaml_node_t *top);

/* keys.c */
extern const struct config_key config_top_keys[];
extern const struct config_key config_peer_keys[];
extern const struct config_key config_rule_keys[];

/* config.c */
void config_list_free(struct config_list *list);

/* match.c */
DS_CHECKED bool config_network_is_valid(const char *text);
DS_CHECKED bool config_network_holds(const char *network, const char *address);
DS_CHECKED bool config_wildcard_matches(const char *pattern, const char *text);

#endif

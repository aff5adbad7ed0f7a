/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operate - the verbs that talk to a running node: delivery, study, peer, quarantine and audit.
 *
 * Each is a table of commands; what they share is here: options, the request over the node's
 * control socket (config/control.h), tables that fit 80 columns, and JSON as the node gave it.
 */
#ifndef DICOMSTEGO_CLI_OPERATE_H
#define DICOMSTEGO_CLI_OPERATE_H

#include "cli/cli.h"

#include <jansson.h>

enum cli_takes { /* bits: the options of a command besides --socket, --config and --json */
                 CLI_TAKES_PEER = 1,
                 CLI_TAKES_STATE = 2,
                 CLI_TAKES_STUDY = 4,
                 CLI_TAKES_LIMIT = 8,
                 CLI_TAKES_ALL = 16,
                 CLI_TAKES_REASON = 32,
                 CLI_TAKES_CLASS = 64,
                 CLI_TAKES_RETRY = 128,
                 CLI_TAKES_OUTPUT = 256, /* of CLI_ONE_ID: a file for what "VERB read" sends */
};

enum cli_operands { CLI_NONE, CLI_IDS_OR_NONE, CLI_IDS, CLI_ONE_ID, CLI_ONE_STUDY, CLI_ONE_PEER };

struct cli_command {
    const char *name; /* "list"; the node's verb is "VERB list" */
    unsigned takes;
    enum cli_operands operands;
    bool is_list; /* --json prints an array of rows; else the only row */
    /* Prints what came for people; returns the exit code, also with --json (print false). */
    int (*show)(const json_t *rows, bool print);
};

/* The whole run of a verb; commands end with a NULL name. */
int cli_operate(const char *verb, const struct cli_command *commands, int argc, char **argv);

/* Asks the node at socket. *rows is new: json_decref. arguments is taken. */
DS_CHECKED enum ds_status cli_node_ask(const char *socket, const char *verb, json_t *arguments,
                                       json_t **rows, struct ds_error *err);

/* The same, each row as it comes: borrowed, and not kept. An answer may be longer than memory. */
typedef enum ds_status cli_row_fn(void *context, json_t *row, struct ds_error *err);
DS_CHECKED enum ds_status cli_node_stream(const char *socket, const char *verb, json_t *arguments,
                                          cli_row_fn *take, void *context, struct ds_error *err);

/* Where the node listens: socket when given, else what the configuration says, else the usual
 * place. free() */
DS_CHECKED enum ds_status cli_node_socket(const char *socket, const char *config, char **out,
                                          struct ds_error *err);
/* Asks for the bytes of an object, piece by piece, into a file that does not exist yet: the node's
 * verb answers {id, offset} with {total, bytes, base64}. */
DS_CHECKED enum ds_status cli_fetch(const char *socket, const char *verb, json_int_t id,
                                    const char *path, struct ds_error *err);

/* ---- tables ---- */

struct cli_column {
    const char *title;
    const char *path; /* of the member: "state", "deliveries.failed" */
    bool right;
    unsigned max; /* characters, beyond which a value is cut; 0: none */
};

/* The columns end with a NULL title. The last one is cut so that lines fit 80 columns. */
void cli_table(const json_t *rows, const struct cli_column *columns);
/* "name: value" a line; arrays are left to the caller. */
void cli_facts(const json_t *row);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operate.h"

#include "base/file.h"
#include "config/config.h"
#include "config/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_DIR "/var/lib/dicomstego" /* the default of node.state_dir */

struct request {
    const char *socket, *config, *output;
    bool json;
    json_t *arguments;
};

enum { OPTION_SOCKET = 256, OPTION_CONFIG, OPTION_JSON, OPTION_TAKEN };

static const struct taken {
    const char *name; /* of the option and of the argument */
    unsigned bit;
    enum { TEXT, NUMBER, FLAG, HERE } kind; /* HERE: a text that the node is not told */
} taken[] = {
    {"peer", CLI_TAKES_PEER, TEXT},     {"state", CLI_TAKES_STATE, TEXT},
    {"study", CLI_TAKES_STUDY, TEXT},   {"limit", CLI_TAKES_LIMIT, NUMBER},
    {"all", CLI_TAKES_ALL, FLAG},       {"reason", CLI_TAKES_REASON, TEXT},
    {"class", CLI_TAKES_CLASS, TEXT},   {"retry", CLI_TAKES_RETRY, FLAG},
    {"output", CLI_TAKES_OUTPUT, HERE},
};

static bool parse_number(const char *text, json_int_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out > 0;
}

static int take_option(const char *verb, const struct cli_command *command, struct request *r,
                       const struct taken *t, const char *value)
{
    json_int_t number = 0;
    if ((command->takes & t->bit) == 0) {
        return cli_usage(verb, "'%s' takes no --%s", command->name, t->name);
    }
    if (t->kind == HERE) {
        r->output = value;
        return CLI_DONE;
    }
    if (t->kind == NUMBER && !parse_number(value, &number)) {
        return cli_usage(verb, "--%s takes a number above 0", t->name);
    }
    json_t *v = t->kind == TEXT     ? json_string(value)
                : t->kind == NUMBER ? json_integer(number)
                                    : json_true();
    if (json_object_set_new(r->arguments, t->name, v) != 0) {
        return cli_usage(verb, "--%s is not UTF-8 text", t->name);
    }
    return CLI_DONE;
}

static int parse_options(const char *verb, const struct cli_command *command, int argc, char **argv,
                         struct request *r)
{
    struct option options[DS_ARRAY_SIZE(taken) + 4] = {
        {"socket", required_argument, NULL, OPTION_SOCKET},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"json", no_argument, NULL, OPTION_JSON},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(taken); i++) {
        options[i + 3] =
            (struct option){taken[i].name, taken[i].kind == FLAG ? no_argument : required_argument,
                            NULL, OPTION_TAKEN + (int)i};
    }
    int c = 0;
    int code = CLI_DONE;
    while (code == CLI_DONE && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == OPTION_SOCKET) {
            r->socket = optarg;
        } else if (c == OPTION_CONFIG) {
            r->config = optarg;
        } else if (c == OPTION_JSON) {
            r->json = true;
        } else if (c >= OPTION_TAKEN) {
            code = take_option(verb, command, r, &taken[c - OPTION_TAKEN], optarg);
        } else {
            code = cli_usage(verb, "see the options of '%s %s'", verb, command->name);
        }
    }
    return code;
}

static int take_ids(const char *verb, struct request *r, char **ids, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_int_t id = 0;
        if (!parse_number(ids[i], &id)) {
            json_decref(list);
            return cli_usage(verb, "'%s' is not the number of one", ids[i]);
        }
        (void)json_array_append_new(list, json_integer(id));
    }
    (void)json_object_set_new(r->arguments, "ids", list);
    return CLI_DONE;
}

static int take_operands(const char *verb, const struct cli_command *command, struct request *r,
                         char **operands, int count)
{
    static const char *const wanted[] = {[CLI_ONE_ID] = "the number of one",
                                         [CLI_ONE_STUDY] = "one study",
                                         [CLI_ONE_PEER] = "one peer"};
    if (command->operands == CLI_IDS_OR_NONE) {
        return count == 0 ? CLI_DONE : take_ids(verb, r, operands, count);
    }
    if (command->operands == CLI_IDS) {
        return count == 0 ? cli_usage(verb, "'%s' wants the numbers of some", command->name)
                          : take_ids(verb, r, operands, count);
    }
    if (command->operands == CLI_NONE) {
        return count == 0 ? CLI_DONE
                          : cli_usage(verb, "'%s' wants no '%s'", command->name, operands[0]);
    }
    json_int_t id = 0;
    if (count != 1 || (command->operands == CLI_ONE_ID && !parse_number(operands[0], &id))) {
        return cli_usage(verb, "'%s' wants %s", command->name, wanted[command->operands]);
    }
    const int failed =
        command->operands == CLI_ONE_ID
            ? json_object_set_new(r->arguments, "id", json_integer(id))
            : json_object_set_new(r->arguments,
                                  command->operands == CLI_ONE_STUDY ? "study" : "peer",
                                  json_string(operands[0]));
    return failed == 0 ? CLI_DONE : cli_usage(verb, "'%s' is not UTF-8 text", operands[0]);
}

/* ---- where the node is ---- */

static enum ds_status socket_of_config(const char *config, char **out, struct ds_error *err)
{
    DS_AUTO(config_auto) struct config *c = NULL;
    const enum ds_status s = config_load(&c, config, err);
    if (s != DS_OK) {
        return ds_fail_context(err, DS_ECONFIG, "configuration");
    }
    *out = ds_file_join(c->state_dir, CONTROL_SOCKET);
    return *out != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

/* The usual configuration may be absent, or not for us to read: it may hold a password. */
enum ds_status cli_node_socket(const char *socket, const char *config, char **out,
                               struct ds_error *err)
{
    *out = NULL;
    if (socket != NULL) {
        *out = strdup(socket);
    } else if (config != NULL || access(CONTROL_CONFIG, R_OK) == 0) {
        return socket_of_config(config != NULL ? config : CONTROL_CONFIG, out, err);
    } else {
        *out = ds_file_join(STATE_DIR, CONTROL_SOCKET);
    }
    return *out != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

/* ---- all of it ---- */

static int print_json(const struct cli_command *command, const json_t *rows)
{
    const json_t *shown = command->is_list ? rows : json_array_get(rows, 0);
    char *text = json_dumps(shown, JSON_INDENT(2) | JSON_ENCODE_ANY);
    if (text == NULL) {
        return CLI_FAILED;
    }
    (void)puts(text);
    free(text);
    return command->show(rows, false);
}

static int ask_and_show(const char *verb, const struct cli_command *command, struct request *r)
{
    char name[64];
    struct ds_error err = {0};
    json_t *rows = NULL;
    DS_AUTO(ds_string_free) char *socket = NULL;
    (void)snprintf(name, sizeof(name), "%s %s", verb, command->name);
    enum ds_status s = cli_node_socket(r->socket, r->config, &socket, &err);
    if (s == DS_OK) {
        s = cli_node_ask(socket, name, json_incref(r->arguments), &rows, &err);
    }
    if (s == DS_OK && r->output != NULL) {
        (void)snprintf(name, sizeof(name), "%s read", verb);
        s = cli_fetch(socket, name, json_integer_value(json_object_get(r->arguments, "id")),
                      r->output, &err);
    }
    if (s != DS_OK) {
        json_decref(rows);
        return cli_complain(name, &err);
    }
    const int code = r->json ? print_json(command, rows) : command->show(rows, true);
    json_decref(rows);
    return code;
}

static const struct cli_command *command_named(const struct cli_command *commands, const char *name)
{
    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

int cli_operate(const char *verb, const struct cli_command *commands, int argc, char **argv)
{
    const struct cli_command *command = argc < 2 ? NULL : command_named(commands, argv[1]);
    if (command == NULL) {
        return cli_usage(verb, argc < 2 ? "what to do?%s" : "no command '%s'",
                         argc < 2 ? "" : argv[1]);
    }
    struct request r = {.arguments = json_object()};
    int code = parse_options(verb, command, argc - 1, argv + 1, &r);
    if (code == CLI_DONE) {
        code = take_operands(verb, command, &r, argv + 1 + optind, argc - 1 - optind);
    }
    if (code == CLI_DONE) {
        code = ask_and_show(verb, command, &r);
    }
    json_decref(r.arguments);
    return code;
}

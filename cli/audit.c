/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum takes { /* bits: what a command takes besides --socket and --config */
             TAKES_FILTER = 1,
             TAKES_LIMIT = 2,
             TAKES_JSON = 4,
             TAKES_FORMAT = 8,
             TAKES_OUTPUT = 16,
             TAKES_TRUST = 32,
             TAKES_RANGE = 64,
};

static const struct command {
    const char *name;
    audit_run *run;
    unsigned takes;
    size_t operands;
    const char *wanted; /* the operands, for who gave others */
} commands[] = {
    {"log", audit_log, TAKES_FILTER | TAKES_LIMIT | TAKES_JSON, 0, "no operand"},
    {"export", audit_export, TAKES_FILTER | TAKES_FORMAT | TAKES_OUTPUT, 0, "no operand"},
    {"prove", audit_prove, TAKES_OUTPUT, 1, "the SOP Instance UID of one instance"},
    {"head", audit_head, TAKES_OUTPUT, 0, "no operand"},
    {"seen", audit_seen, TAKES_OUTPUT, 1, "one peer"},
    {"check", audit_check, TAKES_TRUST | TAKES_JSON, 1, "one file"},
    {"consistency", audit_consistency, TAKES_TRUST | TAKES_JSON, 2, "an older and a newer file"},
    {"witness", audit_witness, TAKES_TRUST, 1, "one file"},
    {"verify", audit_verify, TAKES_JSON, 0, "no operand"},
    {"read-back", audit_read_back, TAKES_RANGE | TAKES_JSON, 1, "one peer"},
};

enum { OPTION_SOCKET = 256, OPTION_CONFIG, OPTION_TAKEN };

enum option_kind {
    TEXT,
    NUMBER,
    TIME,
    FLAG_JSON,
    FLAG_FORCE,
    FLAG_SHOW,
    FORMAT,
    OUTPUT,
    TRUST,
    TSA
};
static const struct taken {
    const char *name; /* of the option, and of the argument where the node gets it */
    unsigned bit;
    enum option_kind kind;
} taken[] = {
    {"study", TAKES_FILTER | TAKES_RANGE, TEXT},
    {"patient", TAKES_FILTER, TEXT},
    {"peer", TAKES_FILTER, TEXT},
    {"kind", TAKES_FILTER, TEXT},
    {"instance", TAKES_FILTER, TEXT},
    {"since", TAKES_FILTER | TAKES_RANGE, TIME},
    {"until", TAKES_FILTER, TIME},
    {"limit", TAKES_LIMIT, NUMBER},
    {"json", TAKES_JSON, FLAG_JSON},
    {"format", TAKES_FORMAT, FORMAT},
    {"output", TAKES_OUTPUT, OUTPUT},
    {"force", TAKES_OUTPUT, FLAG_FORCE},
    {"trust", TAKES_TRUST, TRUST},
    {"tsa", TAKES_TRUST, TSA},
    {"sample", TAKES_RANGE, NUMBER},
    {"run", TAKES_RANGE, NUMBER},
    {"show", TAKES_RANGE, FLAG_SHOW},
};

/* "2026-01-31", "2026-01-31T23:59", "2026-01-31T23:59:59", with or without a Z: UTC. */
static bool parse_time(const char *text, json_int_t *us)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(formats); i++) {
        struct tm utc = {0};
        const char *rest = strptime(text, formats[i], &utc);
        if (rest != NULL && (*rest == '\0' || strcmp(rest, "Z") == 0)) {
            *us = (json_int_t)timegm(&utc) * 1000000;
            return *us > 0;
        }
    }
    return false;
}

static bool parse_number(const char *text, json_int_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out > 0;
}

/* NULL, or what is wrong with the value. */
static const char *take_argument(struct audit_request *r, const struct taken *t, const char *value)
{
    json_int_t number = 0;
    if (t->kind == TIME && !parse_time(value, &number)) {
        return "takes a time of UTC, as 2026-01-31 or 2026-01-31T23:59:59Z";
    }
    if (t->kind == NUMBER && !parse_number(value, &number)) {
        return "takes a number above 0";
    }
    json_t *v = number != 0 ? json_integer(number) : json_string(value);
    return json_object_set_new(r->arguments, t->name, v) == 0 ? NULL : "is not UTF-8 text";
}

static const char *take_value(struct audit_request *r, const struct taken *t, const char *value)
{
    switch (t->kind) {
    case FLAG_JSON:
        r->json = true;
        return NULL;
    case FLAG_FORCE:
        r->force = true;
        return NULL;
    case FLAG_SHOW:
        r->show = true;
        return NULL;
    case OUTPUT:
        r->output = value;
        return NULL;
    case TRUST:
        r->trust_paths[r->trust_count++] = value;
        return NULL;
    case TSA:
        r->stamp_paths[r->stamp_count++] = value;
        return NULL;
    case FORMAT:
        r->csv = strcmp(value, "csv") == 0;
        return r->csv || strcmp(value, "jsonl") == 0 ? NULL : "is jsonl or csv";
    case TEXT:
    case NUMBER:
    case TIME:
        break;
    }
    return take_argument(r, t, value);
}

static int take_option(const struct command *command, struct audit_request *r,
                       const struct taken *t, const char *value)
{
    if ((command->takes & t->bit) == 0) {
        return cli_usage("audit", "'%s' takes no --%s", command->name, t->name);
    }
    const char *wrong = take_value(r, t, value);
    return wrong == NULL ? CLI_DONE : cli_usage("audit", "--%s %s", t->name, wrong);
}

static void list_options(struct option *options)
{
    options[0] = (struct option){"socket", required_argument, NULL, OPTION_SOCKET};
    options[1] = (struct option){"config", required_argument, NULL, OPTION_CONFIG};
    for (size_t i = 0; i < DS_ARRAY_SIZE(taken); i++) {
        const bool flag =
            taken[i].kind == FLAG_JSON || taken[i].kind == FLAG_FORCE || taken[i].kind == FLAG_SHOW;
        options[i + 2] = (struct option){taken[i].name, flag ? no_argument : required_argument,
                                         NULL, OPTION_TAKEN + (int)i};
    }
}

static int parse(const struct command *command, int argc, char **argv, struct audit_request *r)
{
    struct option options[DS_ARRAY_SIZE(taken) + 3] = {0};
    static const struct taken output = {"output", TAKES_OUTPUT, OUTPUT};
    list_options(options);
    int c = 0;
    int code = CLI_DONE;
    while (code == CLI_DONE && (c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (c == OPTION_SOCKET) {
            r->socket = optarg;
        } else if (c == OPTION_CONFIG) {
            r->config = optarg;
        } else if (c == 'o') {
            code = take_option(command, r, &output, optarg);
        } else if (c >= OPTION_TAKEN) {
            code = take_option(command, r, &taken[c - OPTION_TAKEN], optarg);
        } else {
            code = cli_usage("audit", "see the options of 'audit %s'", command->name);
        }
    }
    r->operands = argv + optind;
    r->operand_count = (size_t)(argc - optind);
    return code != CLI_DONE || r->operand_count == command->operands
               ? code
               : cli_usage("audit", "'%s' wants %s", command->name, command->wanted);
}

static enum ds_status load_trust(struct audit_request *r, struct ds_error *err)
{
    enum ds_status s = r->trust_count > 0 ? stego_trust_new(&r->trust, err) : DS_OK;
    for (size_t i = 0; i < r->trust_count && s == DS_OK; i++) {
        s = stego_trust_add(r->trust, r->trust_paths[i], err);
    }
    return s;
}

static void request_finish(struct audit_request *r)
{
    json_decref(r->arguments);
    free(r->trust_paths);
    free(r->stamp_paths);
    stego_trust_free(r->trust);
}

enum ds_status audit_ask(const struct audit_request *r, cli_row_fn *take, void *context,
                         struct ds_error *err)
{
    char name[64];
    DS_AUTO(ds_string_free) char *socket = NULL;
    (void)snprintf(name, sizeof(name), "audit %s", r->command);
    const enum ds_status s = cli_node_socket(r->socket, r->config, &socket, err);
    return s == DS_OK ? cli_node_stream(socket, name, json_incref(r->arguments), take, context, err)
                      : s;
}

static int run(int argc, char **argv)
{
    const struct command *command = NULL;
    for (size_t i = 0; argc > 1 && i < DS_ARRAY_SIZE(commands); i++) {
        command = strcmp(commands[i].name, argv[1]) == 0 ? &commands[i] : command;
    }
    if (command == NULL) {
        return cli_usage("audit", argc < 2 ? "what to do?%s" : "no command '%s'",
                         argc < 2 ? "" : argv[1]);
    }
    struct ds_error err = {0};
    DS_AUTO(request_finish)
    struct audit_request r = {
        .command = command->name,
        .arguments = json_object(),
        .trust_paths = calloc((size_t)argc, sizeof(char *)),
        .stamp_paths = calloc((size_t)argc, sizeof(char *)),
    };
    if (r.arguments == NULL || r.trust_paths == NULL || r.stamp_paths == NULL) {
        return CLI_FAILED;
    }
    const int code = parse(command, argc - 1, argv + 1, &r);
    if (code != CLI_DONE) {
        return code;
    }
    return load_trust(&r, &err) == DS_OK ? command->run(&r) : cli_complain("", &err);
}

const struct cli_verb cli_audit = {
    .name = "audit",
    .summary = "what the provenance log says, proofs of it, and their verification",
    .help =
        "Usage: dicomstego audit log    [FILTER]... [--limit N] [--json]\n"
        "       dicomstego audit export [FILTER]... [--format jsonl|csv] [-o FILE]\n"
        "       dicomstego audit prove  INSTANCE -o BUNDLE\n"
        "       dicomstego audit head   -o FILE\n"
        "       dicomstego audit seen   PEER -o FILE\n"
        "       dicomstego audit witness FILE\n"
        "       dicomstego audit check  FILE [--trust FILE]... [--tsa FILE]... [--json]\n"
        "       dicomstego audit consistency OLD NEW [--trust FILE]... [--json]\n"
        "       dicomstego audit verify [--json]\n"
        "       dicomstego audit read-back PEER [--sample N] [--study UID] [--since TIME]\n"
        "       dicomstego audit read-back PEER --show [--run N]\n"
        "log      the newest 1000 or N events, in the order in which they happened.\n"
        "export   all events, as JSON lines (each with its very bytes that were hashed) or CSV.\n"
        "prove    a file with every event of one instance, by its SOP Instance UID, under\n"
        "         whichever UID it was known, and all that is needed to check them.\n"
        "head     the newest signed tree head, to keep or to hand out.\n"
        "seen     the tree heads of PEER that came in its carriers, countersigned by this node.\n"
        "witness  has the node keep what a peer has seen of its log, for its bundles.\n"
        "check    verifies such a file step by step; needs no node, database or configuration.\n"
        "consistency  is what OLD says still a part of what NEW says? Each is a bundle, a\n"
        "         head, or what a peer has seen. Asks the node for the proof where the files\n"
        "         have none.\n"
        "verify   the node reads its whole log again and names what does not fit.\n"
        "read-back  the node fetches from PEER what it has sent to it (all, N of them drawn by\n"
        "         chance, of one study, or sent since then) and says of each instance whether\n"
        "         it is intact, and what differs. --show: what the newest run, or run N, found.\n"
        "Filters must all hold: --study UID, --patient ID, --peer NAME, --kind KIND,\n"
        "--instance UID, --since TIME, --until TIME (UTC: 2026-01-31 or 2026-01-31T23:59:59Z).\n"
        "  --trust FILE   whose logs are believed: their certificates, or of CAs (PEM)\n"
        "  --tsa FILE     CA of the time stamping authority (PEM)\n"
        "  -o, --output FILE, --force   where to, and also where a file is\n"
        "  --config FILE  the node's configuration, /etc/dicomstego/config.yaml by default\n"
        "  --socket PATH  its control socket, STATE_DIR/control.sock by default\n"
        "Exit code 3 when something does not verify.\n",
    .run = run,
};

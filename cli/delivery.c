/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operate.h"

static int show_list(const json_t *rows, bool print)
{
    static const struct cli_column columns[] = {
        {"ID", "id", true, 0},          {"PEER", "peer", false, 16},
        {"STATE", "state", false, 0},   {"TRIES", "attempts", true, 0},
        {"STATUS", "status", false, 0}, {"CAUSE", "cause", false, 0},
        {NULL, NULL, false, 0}};
    if (print) {
        cli_table(rows, columns);
    }
    return CLI_DONE;
}

static int show_one(const json_t *rows, bool print)
{
    static const struct cli_column columns[] = {{"FINISHED (UTC)", "finished", false, 0},
                                                {"SECONDS", "seconds", true, 0},
                                                {"NODE", "node", false, 16},
                                                {"OUTCOME", "outcome", false, 0},
                                                {"STATUS", "status", false, 0},
                                                {"CAUSE", "cause", false, 0},
                                                {NULL, NULL, false, 0}};
    const json_t *row = json_array_get(rows, 0);
    const json_t *history = json_object_get(row, "history");
    if (print) {
        cli_facts(row);
    }
    if (print && json_array_size(history) > 0) {
        (void)puts("");
        cli_table(history, columns);
    }
    return CLI_DONE;
}

static json_int_t count_of(const json_t *rows)
{
    return json_integer_value(json_object_get(json_array_get(rows, 0), "count"));
}

static int show_retried(const json_t *rows, bool print)
{
    const json_int_t count = count_of(rows);
    if (print) {
        (void)printf("%lld deliver%s made due; peers that paused after failures are asked again\n",
                     (long long)count, count == 1 ? "y" : "ies");
    }
    return CLI_DONE;
}

static int show_cancelled(const json_t *rows, bool print)
{
    const json_int_t count = count_of(rows);
    if (print) {
        (void)printf("%lld deliver%s cancelled\n", (long long)count, count == 1 ? "y" : "ies");
    }
    return CLI_DONE;
}

#define CONDITIONS (CLI_TAKES_PEER | CLI_TAKES_STATE | CLI_TAKES_STUDY)

static const struct cli_command commands[] = {
    {"list", CONDITIONS | CLI_TAKES_LIMIT, CLI_IDS_OR_NONE, true, show_list},
    {"show", 0, CLI_ONE_ID, false, show_one},
    {"retry", CONDITIONS | CLI_TAKES_ALL, CLI_IDS_OR_NONE, false, show_retried},
    {"cancel", CONDITIONS | CLI_TAKES_ALL | CLI_TAKES_REASON, CLI_IDS_OR_NONE, false,
     show_cancelled},
    {0}};

static int run(int argc, char **argv)
{
    return cli_operate("delivery", commands, argc, argv);
}

const struct cli_verb cli_delivery = {
    .name = "delivery",
    .summary = "what a running node owes to its peers: list, show, retry, cancel",
    .help = "Usage: dicomstego delivery list   [CONDITION]... [--limit N] [ID]...\n"
            "       dicomstego delivery show   ID\n"
            "       dicomstego delivery retry  CONDITION... | --all | ID...\n"
            "       dicomstego delivery cancel CONDITION... | --all | ID... [--reason TEXT]\n"
            "A delivery is one instance owed to one peer; its states are waiting (held until\n"
            "somebody asks for it), ready, leased (being sent), sent, committed, failed and\n"
            "cancelled.\n"
            "list    deliveries in the order of their numbers, at most 1000 or N.\n"
            "show    one of them with every attempt.\n"
            "retry   what failed, waits, or pauses between attempts is due at once, and a peer\n"
            "        that was left alone after failures is asked again. What was cancelled\n"
            "        comes back only by its number.\n"
            "cancel  what is not sent yet is not sent.\n"
            "Conditions must all hold: --peer NAME, --state STATE, --study UID.\n"
            "  --json         the facts as JSON\n"
            "  --config FILE  the node's configuration, /etc/dicomstego/config.yaml by default\n"
            "  --socket PATH  its control socket, STATE_DIR/control.sock by default\n"
            "Exit code 1 when of the IDs given none can be retried or cancelled.\n",
    .run = run,
};

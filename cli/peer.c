/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operate.h"

static const char *text_in(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text != NULL ? text : "";
}

static int show_list(const json_t *rows, bool print)
{
    static const struct cli_column columns[] = {{"PEER", "peer", false, 16},
                                                {"HOST", "host", false, 20},
                                                {"PORT", "port", true, 0},
                                                {"PAUSED", "paused", false, 0},
                                                {"CIRCUIT", "circuit", false, 0},
                                                {"READY", "deliveries.ready", true, 0},
                                                {"FAILED", "deliveries.failed", true, 0},
                                                {"PROFILE", "profile", false, 0},
                                                {"CAUSE", "cause", false, 0},
                                                {NULL, NULL, false, 0}};
    if (print) {
        cli_table(rows, columns);
    }
    return CLI_DONE;
}

static int show_echo(const json_t *rows, bool print)
{
    const json_t *row = json_array_get(rows, 0);
    const bool answered = json_is_true(json_object_get(row, "answered"));
    if (print && answered) {
        (void)printf("%s answered after %.1f ms\n", text_in(row, "peer"),
                     json_number_value(json_object_get(row, "ms")));
    } else if (print) {
        (void)printf("%s did not answer: %s\n", text_in(row, "peer"), text_in(row, "cause"));
    }
    return answered ? CLI_DONE : CLI_FAILED;
}

static int show_pause(const json_t *rows, bool print)
{
    const json_t *row = json_array_get(rows, 0);
    const bool paused = json_is_true(json_object_get(row, "paused"));
    const bool changed = json_is_true(json_object_get(row, "changed"));
    if (print) {
        (void)printf("%s %s %s\n", text_in(row, "peer"), changed ? "is now" : "was already",
                     paused ? "paused" : "not paused");
    }
    return CLI_DONE;
}

static const struct cli_command commands[] = {
    {"list", 0, CLI_NONE, true, show_list},
    {"echo", 0, CLI_ONE_PEER, false, show_echo},
    {"pause", CLI_TAKES_REASON, CLI_ONE_PEER, false, show_pause},
    {"resume", 0, CLI_ONE_PEER, false, show_pause},
    {0}};

static int run(int argc, char **argv)
{
    return cli_operate("peer", commands, argc, argv);
}

const struct cli_verb cli_peer = {
    .name = "peer",
    .summary = "peers of a running node: list, echo, pause, resume",
    .help = "Usage: dicomstego peer list\n"
            "       dicomstego peer echo   PEER\n"
            "       dicomstego peer pause  PEER [--reason TEXT]\n"
            "       dicomstego peer resume PEER\n"
            "PEER is its name in the configuration.\n"
            "list    every peer, with what is owed to it and whether it is served.\n"
            "echo    the node sends a C-ECHO on an association of its own; when the peer\n"
            "        answers, what it is owed goes at once. Exit code 1 when it does not.\n"
            "pause   nothing more is sent to it by any node on the database; what is being\n"
            "        sent ends first.\n"
            "resume  ends the pause.\n"
            "  --json         the facts as JSON\n"
            "  --config FILE  the node's configuration, /etc/dicomstego/config.yaml by default\n"
            "  --socket PATH  its control socket, STATE_DIR/control.sock by default\n",
    .run = run,
};

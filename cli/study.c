/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operate.h"

static int show_list(const json_t *rows, bool print)
{
    static const struct cli_column columns[] = {{"ID", "id", true, 0},
                                                {"STATE", "state", false, 0},
                                                {"OBJECTS", "instances", true, 0},
                                                {"READY", "deliveries.ready", true, 0},
                                                {"SENT", "deliveries.sent", true, 0},
                                                {"FAILED", "deliveries.failed", true, 0},
                                                {"LAST (UTC)", "last", false, 0},
                                                {"ACCESSION", "accession", false, 0},
                                                {NULL, NULL, false, 0}};
    if (print) {
        cli_table(rows, columns);
    }
    return CLI_DONE;
}

static int show_one(const json_t *rows, bool print)
{
    static const struct cli_column columns[] = {{"PEER", "peer", false, 24},
                                                {"STATE", "state", false, 0},
                                                {"WAITING", "deliveries.waiting", true, 0},
                                                {"READY", "deliveries.ready", true, 0},
                                                {"SENT", "deliveries.sent", true, 0},
                                                {"COMMITTED", "deliveries.committed", true, 0},
                                                {"FAILED", "deliveries.failed", true, 0},
                                                {NULL, NULL, false, 0}};
    const json_t *row = json_array_get(rows, 0);
    const json_t *peers = json_object_get(row, "peers");
    if (print) {
        cli_facts(row);
    }
    if (print && json_array_size(peers) > 0) {
        (void)puts("");
        cli_table(peers, columns);
    }
    return CLI_DONE;
}

static int show_completed(const json_t *rows, bool print)
{
    const json_t *row = json_array_get(rows, 0);
    if (print) {
        (void)printf("%s counts as complete; %lld of its instances were not planned yet\n",
                     json_string_value(json_object_get(row, "study")),
                     (long long)json_integer_value(json_object_get(row, "unplanned")));
    }
    return CLI_DONE;
}

static const struct cli_command commands[] = {{"list", CLI_TAKES_LIMIT, CLI_NONE, true, show_list},
                                              {"show", 0, CLI_ONE_STUDY, false, show_one},
                                              {"complete", 0, CLI_ONE_STUDY, false, show_completed},
                                              {0}};

static int run(int argc, char **argv)
{
    return cli_operate("study", commands, argc, argv);
}

const struct cli_verb cli_study = {
    .name = "study",
    .summary = "studies of a running node: list, show, complete",
    .help = "Usage: dicomstego study list     [--limit N]\n"
            "       dicomstego study show     STUDY\n"
            "       dicomstego study complete STUDY\n"
            "STUDY is a Study Instance UID, an accession number, or the number that the log\n"
            "and the list give it.\n"
            "list      the newest first, at most 1000 or N.\n"
            "show      one of them, peer by peer.\n"
            "complete  what has come of it goes now: nothing more is waited for, a report\n"
            "          neither. What comes later follows as its next generation.\n"
            "  --json         the facts as JSON\n"
            "  --config FILE  the node's configuration, /etc/dicomstego/config.yaml by default\n"
            "  --socket PATH  its control socket, STATE_DIR/control.sock by default\n",
    .run = run,
};

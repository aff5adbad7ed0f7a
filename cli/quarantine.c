/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operate.h"

static int show_list(const json_t *rows, bool print)
{
    static const struct cli_column columns[] = {
        {"ID", "id", true, 0},           {"CLASS", "class", false, 0},
        {"SENDER", "sender", false, 16}, {"HELD (UTC)", "held", false, 19},
        {"REASON", "reason", false, 0},  {NULL, NULL, false, 0}};
    if (print) {
        cli_table(rows, columns);
    }
    return CLI_DONE;
}

static int show_one(const json_t *rows, bool print)
{
    const json_t *row = json_array_get(rows, 0);
    if (print) {
        cli_facts(row);
    }
    return CLI_DONE;
}

/* Exit code 1 when it could not be done for one of them. */
static int show_done(const json_t *rows, bool print)
{
    int code = CLI_DONE;
    size_t i = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, i, row)
    {
        const long long id = json_integer_value(json_object_get(row, "id"));
        const char *cause = json_string_value(json_object_get(row, "cause"));
        const bool done = json_is_true(json_object_get(row, "done"));
        if (print && done) {
            (void)printf("%lld done\n", id);
        } else if (print) {
            (void)printf("%lld not done: %s\n", id, cause != NULL ? cause : "");
        }
        code = done ? code : CLI_FAILED;
    }
    return code;
}

#define CONDITIONS (CLI_TAKES_PEER | CLI_TAKES_STATE | CLI_TAKES_STUDY | CLI_TAKES_CLASS)

static const struct cli_command commands[] = {
    {"list", CONDITIONS | CLI_TAKES_ALL | CLI_TAKES_LIMIT, CLI_NONE, true, show_list},
    {"show", CLI_TAKES_OUTPUT, CLI_ONE_ID, false, show_one},
    {"release", CLI_TAKES_REASON | CLI_TAKES_RETRY, CLI_IDS, true, show_done},
    {"discard", CLI_TAKES_REASON, CLI_IDS, true, show_done},
    {0}};

static int run(int argc, char **argv)
{
    return cli_operate("quarantine", commands, argc, argv);
}

const struct cli_verb cli_quarantine = {
    .name = "quarantine",
    .summary = "what a running node holds back: list, show, release, discard",
    .help = "Usage: dicomstego quarantine list    [CONDITION]... [--all] [--limit N]\n"
            "       dicomstego quarantine show    ID [--output FILE]\n"
            "       dicomstego quarantine release ID... --reason TEXT [--retry]\n"
            "       dicomstego quarantine discard ID... --reason TEXT\n"
            "Held back is what could not be read (class unreadable), did not verify (unverified),\n"
            "was sealed for somebody else (no-key), whose other parts did not come (incomplete),\n"
            "whose file is not what was received (damaged), and what came under the UID of other\n"
            "contents where the rule holds both (collision).\n"
            "list     what is held, at most 1000 or N; --all: also what was decided.\n"
            "show     one with its hashes and what it would be judged to be now. No patient data.\n"
            "         --output writes its bytes into a new file; that is an event.\n"
            "release  lets it go on: a carrier is forwarded as it is, never as restored; what\n"
            "         collided is sent. --retry: it is judged again, as if it had come now, after\n"
            "         a certificate was added or a file restored.\n"
            "discard  the file is deleted. The same bytes, sent again, are judged anew.\n"
            "Reasons go into the provenance: write no patient data.\n"
            "Conditions must all hold: --peer AE_TITLE of the sender, --class CLASS, --study UID,\n"
            "--state held|released|discarded.\n"
            "  --json         the facts as JSON\n"
            "  --config FILE  the node's configuration, /etc/dicomstego/config.yaml by default\n"
            "  --socket PATH  its control socket, STATE_DIR/control.sock by default\n"
            "Exit code 1 when one of the IDs could not be released or discarded.\n",
    .run = run,
};

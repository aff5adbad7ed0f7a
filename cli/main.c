/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/log.h"

#include <string.h>

static const struct cli_verb *const verbs[] = {
    &cli_protect, &cli_recover, &cli_inspect,    &cli_capacity, &cli_verify, &cli_key,
    &cli_dna,     &cli_cipher,  &cli_decipher,   &cli_stats,    &cli_config, &cli_delivery,
    &cli_study,   &cli_peer,    &cli_quarantine, &cli_audit,
};

static void print_help(FILE *to)
{
    (void)fputs("Usage: dicomstego VERB [OPTION]... [FILE]...\n"
                "Hides sealed reports in the pixels of DICOM and PNG images, and restores the\n"
                "originals bit for bit.\n\n",
                to);
    for (size_t i = 0; i < DS_ARRAY_SIZE(verbs); i++) {
        (void)fprintf(to, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    }
    (void)fputs("\n'dicomstego VERB --help' describes a verb, --version says which program this "
                "is.\n"
                "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 does not verify,\n"
                "4 no key for it, 5 carries nothing, 6 capacity too small.\n",
                to);
}

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(verbs); i++) {
        if (strcmp(name, verbs[i]->name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

static int run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        (void)fputs(verb->help, stdout);
        return CLI_DONE;
    }
    struct ds_error err = {0};
    ds_log_set_level(DS_LOG_ERROR);
    if (dicom_init(&err) != DS_OK) {
        return cli_complain("", &err);
    }
    cli_catch_signals();
    const int code = verb->run(argc, argv);
    cli_pool_finish();
    cli_progress("", 0, 0);
    if (fflush(stdout) != 0) {
        (void)ds_fail(&err, DS_EIO, "standard output: %m");
        return cli_worse(code, cli_complain("", &err));
    }
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("dicomstego " DICOMSTEGO_VERSION);
        return CLI_DONE;
    }
    const struct cli_verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        (void)fprintf(stderr, "dicomstego: no verb '%s'\nTry 'dicomstego --help'.\n", argv[1]);
        return CLI_USAGE;
    }
    return run_verb(verb, argc - 1, argv + 1);
}

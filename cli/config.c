/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "cli/cli.h"

#include <string.h>

static int run(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "check") != 0) {
        return cli_usage("config", "expected 'config check FILE'");
    }
    struct ds_error err = {0};
    DS_AUTO(config_auto) struct config *c = NULL;
    if (config_load(&c, argv[2], &err) != DS_OK) {
        (void)cli_complain("", &err);
        return CLI_USAGE;
    }
    (void)printf("%s: sound; AE title %s, %zu peers, %zu rules\n", argv[2], c->ae_title,
                 c->peer_count, c->rule_count);
    return CLI_DONE;
}

const struct cli_verb cli_config = {
    .name = "config",
    .summary = "check a node's configuration file",
    .help = "Usage: dicomstego config check FILE\n"
            "Reads a configuration as dicomstegod would, and says what is wrong with it\n"
            "by line and column. Exit code 2 when it is wrong.\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What loads must also answer: rules are total. */
static void ask(const struct config *c)
{
    char *items[] = {"CT", "MR"};
    const struct config_list modalities = {items, 2};
    const struct config_subject subject = {"CT1", "NODE", &modalities, "chest\xc3", true};
    (void)config_rule_for(c, &subject);
    (void)config_peer_calling(c, "CT1", "::ffff:10.1.2.3");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c;
    struct ds_error err;
    if (config_load_text(&c, "/tmp/fuzz.yaml", data, size, &err) == DS_OK) {
        ask(c);
    }
    config_free(c);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say by which method to hide, shared by 'protect' and 'capacity'. */
#include "cli/cli.h"

#include "base/secret.h"
#include "dicomstego/dna.h"

#include <string.h>

static const char *parse_method(struct cli_hiding *h, const char *text)
{
    h->how.method = stego_method_named(text);
    return h->how.method != NULL ? NULL : "--method takes rdh (default) or lsb";
}

static const char *parse_order(struct cli_hiding *h, const char *text)
{
    h->how.lsb.is_keyed = strcmp(text, "keyed") == 0;
    return h->how.lsb.is_keyed || strcmp(text, "sequential") == 0
               ? NULL
               : "--order takes sequential (default) or keyed";
}

static const char *parse_code(struct cli_hiding *h, const char *text)
{
    if (h->how.lsb.dna_rule == 0) {
        h->how.lsb.dna_rule = 1;
    }
    return strcmp(text, "dna") == 0 ? NULL : "--code takes dna";
}

bool cli_dna_rule(const char *text, unsigned *rule)
{
    uint32_t number = 0;
    if (!cli_number(&text, '\0', &number) || stego_dna_rule(number) == NULL) {
        return false;
    }
    *rule = number;
    return true;
}

const char *cli_method_option(struct cli_hiding *h, int c, const char *value)
{
    uint32_t number = 0;
    if (c != CLI_OPTION_METHOD) {
        h->has_method_option = true;
    }
    switch (c) {
    case CLI_OPTION_METHOD:
        return parse_method(h, value);
    case CLI_OPTION_PLANES:
        if (!cli_number(&value, '\0', &number) || number < 1 || number > STEGO_LSB_PLANES_MAX) {
            return "--planes takes 1 to 4";
        }
        h->how.lsb.planes = number;
        return NULL;
    case CLI_OPTION_ORDER:
        return parse_order(h, value);
    case CLI_OPTION_DELIMITER:
        h->how.lsb.delimiter = value;
        return value[0] != '\0' && strlen(value) <= STEGO_DELIMITER_MAX_BYTES
                   ? NULL
                   : "--delimiter takes 1 to 64 bytes";
    case CLI_OPTION_REVERSIBLE:
        h->how.lsb.is_reversible = true;
        return NULL;
    case CLI_OPTION_CODE:
        return parse_code(h, value);
    case CLI_OPTION_DNA_RULE:
        return cli_dna_rule(value, &h->how.lsb.dna_rule) ? NULL : "--dna-rule takes 1 to 8";
    case CLI_OPTION_SHARED_KEY:
        h->shared_key_path = value;
        return NULL;
    default:
        return "see the options";
    }
}

const char *cli_method_check(const struct cli_hiding *h)
{
    const bool is_engine = h->how.method == NULL || h->how.method == &stego_method_rdh;
    const bool has_engine_option = h->how.max_difference > 0 || h->how.min_psnr_db > 0 ||
                                   h->how.preserve_count > 0 || h->mask_path != NULL ||
                                   h->has_effort;
    if (is_engine) {
        return h->has_method_option ? "--planes, --order, --delimiter, --reversible, --code, "
                                      "--dna-rule and --shared-key are for --method lsb"
                                    : NULL;
    }
    return has_engine_option ? "--effort, --preserve, --preserve-mask, --max-difference and "
                               "--min-psnr are for --method rdh"
                             : NULL;
}

enum ds_status cli_method_load(struct cli_hiding *h, const char *password, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes shared = DS_BYTES_INIT(0);
    const char *secret = password;
    enum ds_status s = DS_OK;
    if (h->shared_key_path != NULL) {
        s = cli_password_read(h->shared_key_path, &shared, err);
        secret = (const char *)shared.data;
    }
    h->how.lsb.complements = h->how.lsb.dna_rule != 0 && secret != NULL;
    if (s != DS_OK || !(h->how.lsb.complements || h->how.lsb.is_keyed)) {
        return s;
    }
    if (secret == NULL) {
        return ds_fail(err, DS_ECONFIG,
                       "--order keyed needs --password-file or --shared-key: the order comes from "
                       "it");
    }
    s = stego_password_key_new(&h->key, secret, err);
    h->how.lsb.key = &h->key;
    return s;
}

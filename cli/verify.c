/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/pairs.h"

#include "base/file.h"

#include <stdlib.h>

struct verification {
    bool json;
    struct cli_keys keys;
    struct cli_inputs inputs;
    struct cli_pairs pairs;
};

static void verification_finish(struct verification *v)
{
    cli_keys_free(&v->keys);
    cli_pairs_free(&v->pairs);
    cli_inputs_free(&v->inputs);
}

static const char *origin_text(enum stego_origin_state state)
{
    static const char *const texts[] = {"unsigned", "signed, not checked", "signature verified"};
    return texts[state];
}

static void print_sound(const struct verification *v, const char *path, const struct cli_carried *c,
                        bool first)
{
    const struct stego_part *part = cli_carried_part(c);
    const char *signer = stego_part_signer(part);
    const bool restorable = cli_carried_is_restorable(c);
    const bool region = c->found != NULL && carrier_found_region(c->found)->width > 0;
    if (v->json) {
        (void)fputs(first ? "[\n  {\"file\": " : ",\n  {\"file\": ", stdout);
        cli_json_string(stdout, path);
        (void)printf(", \"verifies\": true, \"origin\": ");
        cli_json_string(stdout, stego_part_manifest(part)->origin);
        (void)fputs(", \"signature\": ", stdout);
        cli_json_string(stdout, origin_text(stego_part_origin(part)));
        (void)fputs(", \"signer\": ", stdout);
        cli_json_string(stdout, signer != NULL ? signer : "");
        (void)printf(", \"pixels_proven\": %s, \"restorable\": %s}",
                     region || !restorable ? "false" : "true", restorable ? "true" : "false");
        return;
    }
    const char *origin = stego_part_manifest(part)->origin;
    (void)printf("%s: sound, %s%s%s%s%s%s%s%s\n", path, origin[0] != '\0' ? "from " : "", origin,
                 origin[0] != '\0' ? ", " : "", origin_text(stego_part_origin(part)),
                 signer != NULL ? " by " : "", signer != NULL ? signer : "",
                 region ? "; the key region's pixels need a key" : "",
                 restorable ? ""
                            : "; not restorable: what it carries is sound, its pixels are not "
                              "the original's");
}

static int print_fault(const struct verification *v, const char *path, const struct ds_error *err,
                       bool first)
{
    if (v->json) {
        (void)fputs(first ? "[\n  {\"file\": " : ",\n  {\"file\": ", stdout);
        cli_json_string(stdout, path);
        (void)fputs(", \"verifies\": false, \"why\": ", stdout);
        cli_json_string(stdout, err->text);
        (void)fputs("}", stdout);
    }
    return cli_complain(path, err);
}

/* A sidecar vouches for the instance that it belongs to, all of it. */
static enum ds_status verify_beside(const struct verification *v, size_t i,
                                    struct cli_carried *carried, struct ds_error *err)
{
    const enum ds_status s = cli_pairs_join(&v->pairs, &v->inputs, i, carried, err);
    return s == DS_OK && v->pairs.items[i].is_sidecar
               ? carrier_found_prove_beside(carried->found, err)
               : s;
}

static int verify_one(const struct verification *v, size_t i, bool *first)
{
    struct ds_error err = {0};
    const struct cli_input *in = &v->inputs.items[i];
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(cli_carried_free) struct cli_carried carried = {0};
    enum ds_status s = ds_file_read(in->path, &file, &err);
    if (s == DS_OK && cli_is_foreign(in, &file)) {
        return CLI_DONE;
    }
    if (s == DS_OK) {
        s = cli_carried_load(&carried, &file, &v->keys.ring, &err);
    }
    if (s == DS_OK) {
        s = verify_beside(v, i, &carried, &err);
    }
    const bool is_first = *first;
    *first = false;
    if (s != DS_OK) {
        return print_fault(v, in->path, &err, is_first);
    }
    print_sound(v, in->path, &carried, is_first);
    return CLI_DONE;
}

static int parse(struct verification *v, int argc, char **argv)
{
    static const struct option options[] = {
        {"trust", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    v->keys.trust_paths = calloc((size_t)argc, sizeof(char *));
    if (v->keys.trust_paths == NULL) {
        return CLI_FAILED;
    }
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 't') {
            v->keys.trust_paths[v->keys.trust_count++] = optarg;
        } else if (c == 'j') {
            v->json = true;
        } else {
            return cli_usage("verify", "see the options");
        }
    }
    return optind < argc ? CLI_DONE : cli_usage("verify", "no input is given");
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(verification_finish) struct verification v = {0};
    int code = parse(&v, argc, argv);
    if (code != CLI_DONE) {
        return code;
    }
    enum ds_status s = cli_inputs_gather(&v.inputs, argv + optind, (size_t)(argc - optind), &err);
    if (s == DS_OK) {
        s = cli_pairs_find(&v.pairs, &v.inputs, &err);
    }
    if (s == DS_OK) {
        s = cli_keys_load(&v.keys, &err);
    }
    if (s != DS_OK) {
        return cli_complain("", &err);
    }
    bool first = true;
    for (size_t i = 0; i < v.inputs.count && !cli_stopped(); i++) {
        cli_progress("verifying", i, v.inputs.count);
        if (!cli_pairs_is_beside(&v.pairs, i)) { /* else its sidecar speaks for it */
            code = cli_worse(code, verify_one(&v, i, &first));
        }
    }
    if (v.json) {
        (void)fputs(first ? "[]\n" : "\n]\n", stdout);
    }
    return cli_stopped() ? CLI_FAILED : code;
}

const struct cli_verb cli_verify = {
    .name = "verify",
    .summary = "check that carriers are unaltered, and who signed them",
    .help =
        "Usage: dicomstego verify [--trust FILE]... [--json] IN...\n"
        "Restores the pixels in memory and compares them with the manifest's hash; needs no\n"
        "key. With --trust the signature must be by one of these certificates, or by one that\n"
        "they, as CAs, have issued. A sidecar is verified together with the file that it belongs\n"
        "to, attributes included. Exit code 0: all sound; 3: one is not; 5: carries nothing.\n",
    .run = run,
};

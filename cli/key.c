/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/bytes.h"
#include "dicomstego/agreement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct new_options {
    const char *type, *name, *dns, *key, *certificate;
    unsigned days;
    bool force;
};

static bool parse_days(const char *text, unsigned *out)
{
    char *end = NULL;
    errno = 0;
    const unsigned long v = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v == 0 || v > 36500) {
        return false;
    }
    *out = (unsigned)v;
    return true;
}

static int parse_new(int argc, char **argv, struct new_options *o)
{
    static const struct option options[] = {
        {"type", required_argument, NULL, 't'}, {"name", required_argument, NULL, 'n'},
        {"dns", required_argument, NULL, 'd'},  {"days", required_argument, NULL, 'D'},
        {"key", required_argument, NULL, 'k'},  {"certificate", required_argument, NULL, 'c'},
        {"force", no_argument, NULL, 'f'},      {NULL, 0, NULL, 0},
    };
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 't':
            o->type = optarg;
            break;
        case 'n':
            o->name = optarg;
            break;
        case 'd':
            o->dns = optarg;
            break;
        case 'D':
            if (!parse_days(optarg, &o->days)) {
                return cli_usage("key", "--days takes 1 to 36500");
            }
            break;
        case 'k':
            o->key = optarg;
            break;
        case 'c':
            o->certificate = optarg;
            break;
        case 'f':
            o->force = true;
            break;
        default:
            return cli_usage("key", "see the options of 'key new'");
        }
    }
    if (optind != argc || o->name == NULL || o->key == NULL || o->certificate == NULL) {
        return cli_usage("key", "'key new' needs --name, --key and --certificate");
    }
    return CLI_DONE;
}

/* A key that serves 'cipher' alone. */
static bool show_curve(const char *path)
{
    DS_AUTO(stego_ec_key_auto) struct stego_ec_key *k = NULL;
    if (stego_ec_public_load(&k, path, NULL) != DS_OK) {
        return false;
    }
    char hex[2 * STEGO_KEY_ID_BYTES + 1];
    ds_hex(stego_ec_key_id(k), STEGO_KEY_ID_BYTES, hex);
    (void)printf("%s: %s, key %s\n", path, stego_curve_name(stego_ec_key_curve(k)), hex);
    return true;
}

static int show_one(const char *path)
{
    struct ds_error err = {0};
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = NULL;
    if (stego_certificate_load(&c, path, &err) != DS_OK) {
        return show_curve(path) ? CLI_DONE : cli_complain(path, &err);
    }
    uint8_t id[STEGO_KEY_ID_BYTES];
    char hex[2 * STEGO_KEY_ID_BYTES + 1];
    stego_certificate_key_id(c, id);
    ds_hex(id, sizeof(id), hex);
    (void)printf("%s: %s, key %s\n", path, stego_certificate_subject(c), hex);
    return CLI_DONE;
}

static int make_new(int argc, char **argv)
{
    struct new_options o = {.type = "ec", .days = 3650};
    struct ds_error err = {0};
    const int code = parse_new(argc, argv, &o);
    if (code != CLI_DONE) {
        return code;
    }
    if (stego_key_new(o.type, o.name, o.dns, o.days, o.key, o.certificate, o.force, &err) !=
        DS_OK) {
        return cli_complain("", &err);
    }
    return show_one(o.certificate);
}

static int show(int argc, char **argv)
{
    int code = CLI_DONE;
    if (argc < 2) {
        return cli_usage("key", "'key show' needs certificates");
    }
    for (int i = 1; i < argc; i++) {
        code = cli_worse(code, show_one(argv[i]));
    }
    return code;
}

static int run(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "new") == 0) {
        return make_new(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "show") == 0) {
        return show(argc - 1, argv + 1);
    }
    return cli_usage("key", "expected 'key new' or 'key show'");
}

const struct cli_verb cli_key = {
    .name = "key",
    .summary = "make a key with its certificate, or show certificates",
    .help = "Usage: dicomstego key new --name NAME --key FILE --certificate FILE\n"
            "                          [--type ec|rsa|secp256k1] [--dns HOST] [--days N]\n"
            "                          [--force]\n"
            "       dicomstego key show CERTIFICATE...\n"
            "new   writes a private key (mode 0600) and a self-signed certificate for\n"
            "      CN=NAME. ec is P-256, rsa is 3072 bits; ec is the default. secp256k1 is\n"
            "      for 'dicomstego cipher' alone. --dns is the host name for use with TLS.\n"
            "      --days is the validity, 3650 by default.\n"
            "show  prints the subject and key identifier of each certificate.\n",
    .run = run,
};

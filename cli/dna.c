/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb dna: files as DNA sequences and back. With a password what is coded was sealed before,
 * and a key from the password complements bases; with recipients it was sealed; with neither the
 * letters are the file for whoever reads them.
 */
#include "cli/cli.h"

#include "base/file.h"
#include "base/secret.h"
#include "dicomstego/dna.h"

#include <stdlib.h>
#include <string.h>

#define DNA_MAX_BYTES  STEGO_REPORT_MAX_BYTES
#define TEXT_MAX_BYTES (8U * DNA_MAX_BYTES)
#define TITLE_BYTES    64U
#define LABEL          "dna complement 2"
#define DNA_WIDTH_MAX  1000U

struct transcription {
    const char *out;
    unsigned rule, width;
    bool has_rule, is_fasta;
    const char **recipients;
    size_t recipient_count;
    struct stego_certificate **certificates;
    struct cli_keys keys;
    struct cli_outputs outputs;
};

static void transcription_finish(struct transcription *t)
{
    for (size_t i = 0; t->certificates != NULL && i < t->recipient_count; i++) {
        stego_certificate_free(t->certificates[i]);
    }
    free(t->certificates);
    free(t->recipients);
    cli_keys_free(&t->keys);
    cli_outputs_free(&t->outputs);
}

/* ---- complements ---- */

static enum ds_status complement(const struct stego_password_key *key, uint8_t *data, size_t len,
                                 struct ds_error *err)
{
    uint8_t own[STEGO_KEY_BYTES];
    enum ds_status s = stego_hkdf(key->key, NULL, 0, (const uint8_t *)LABEL, sizeof(LABEL) - 1, own,
                                  sizeof(own), err);
    if (s == DS_OK) {
        s = stego_dna_complement(own, data, len, err);
    }
    ds_wipe(own, sizeof(own));
    return s;
}

/* ---- encode ---- */

static enum ds_status load_certificates(struct transcription *t, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    t->certificates = calloc(t->recipient_count + 1, sizeof(*t->certificates));
    if (t->certificates == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for recipients");
    }
    for (size_t i = 0; i < t->recipient_count && s == DS_OK; i++) {
        s = stego_certificate_load(&t->certificates[i], t->recipients[i], err);
    }
    return s;
}

/* Before the sealed bytes stands how the password became a key, not complemented itself. */
static enum ds_status seal(struct transcription *t, const struct ds_bytes *plain,
                           struct ds_bytes *out, struct ds_error *err)
{
    struct stego_password_key key = {0};
    const bool has_password = t->keys.ring.password != NULL;
    enum ds_status s = load_certificates(t, err);
    if (s == DS_OK && has_password) {
        s = stego_password_key_new(&key, t->keys.ring.password, err);
    }
    if (s == DS_OK && has_password) {
        s = ds_bytes_append(out, key.id, sizeof(key.id), err);
    }
    const struct stego_audience audience = {
        .certificates = (const struct stego_certificate *const *)t->certificates,
        .count = t->recipient_count,
        .password = has_password ? &key : NULL};
    const size_t before = out->len;
    if (s == DS_OK) {
        s = stego_seal(&audience, plain->data, plain->len, out, err);
    }
    if (s == DS_OK && has_password) {
        s = complement(&key, out->data + before, out->len - before, err);
    }
    ds_wipe(&key, sizeof(key));
    return s;
}

static const char *layers_of(const struct transcription *t)
{
    if (t->keys.ring.password != NULL) {
        return "sealed+complemented";
    }
    return t->recipient_count > 0 ? "sealed" : "plain";
}

static enum ds_status write_text(const struct transcription *t, const struct ds_bytes *letters,
                                 struct ds_bytes *out, struct ds_error *err)
{
    char title[TITLE_BYTES];
    if (!t->is_fasta) {
        const enum ds_status s = ds_bytes_append(out, letters->data, letters->len, err);
        return s == DS_OK ? ds_bytes_put_u8(out, '\n', err) : s;
    }
    (void)snprintf(title, sizeof(title), "dicomstego rule=%u layers=%s", t->rule, layers_of(t));
    return stego_fasta_write(title, letters->data, letters->len, t->width, out, err);
}

static enum ds_status encode(struct transcription *t, const struct ds_bytes *in,
                             struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes coded = DS_BYTES_INIT(DNA_MAX_BYTES + 65536U);
    DS_AUTO(ds_bytes_free) struct ds_bytes letters = DS_BYTES_INIT(TEXT_MAX_BYTES);
    const bool is_sealed = t->keys.ring.password != NULL || t->recipient_count > 0;
    enum ds_status s =
        is_sealed ? seal(t, in, &coded, err) : ds_bytes_append(&coded, in->data, in->len, err);
    if (s == DS_OK && !is_sealed) {
        (void)fputs("dicomstego: not sealed: whoever reads the letters has the file "
                    "(--password-file, --to)\n",
                    stderr);
    }
    if (s == DS_OK) {
        s = stego_dna_encode(t->rule, coded.data, coded.len, &letters, err);
    }
    return s == DS_OK ? write_text(t, &letters, out, err) : s;
}

/* ---- decode ---- */

/* The title is nobody's word: what it says of the rule is only tried, and layers must open. */
static enum ds_status read_title(struct transcription *t, const struct ds_cursor *title,
                                 struct ds_error *err)
{
    char text[TITLE_BYTES + 1] = "";
    const char *rule = NULL;
    memcpy(text, title->data, title->len < TITLE_BYTES ? title->len : TITLE_BYTES);
    rule = strstr(text, "rule=");
    if (rule == NULL || t->has_rule) {
        return DS_OK;
    }
    const char number[2] = {rule[5], '\0'};
    return cli_dna_rule(number, &t->rule)
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "the title's rule is none of 1 to 8");
}

static enum ds_status unseal(const struct transcription *t, struct ds_bytes *coded,
                             struct ds_bytes *out, struct ds_error *err)
{
    struct stego_password_key key = {0};
    size_t before = 0;
    enum ds_status s = DS_OK;
    if (t->keys.ring.password != NULL) {
        before = STEGO_PASSWORD_ID_BYTES;
        s = coded->len < before
                ? ds_fail(err, DS_EAUTH, "too short for something sealed with a password")
                : stego_password_key_derive(&key, coded->data, before, t->keys.ring.password, err);
        s = s == DS_EUNSUPPORTED
                ? ds_fail(err, DS_EAUTH, "not sealed with a password, or read by another rule")
                : s;
        if (s == DS_OK) {
            s = complement(&key, coded->data + before, coded->len - before, err);
        }
        ds_wipe(&key, sizeof(key));
    }
    return s == DS_OK
               ? stego_unseal(coded->data + before, coded->len - before, &t->keys.ring, out, err)
               : s;
}

static enum ds_status decode(struct transcription *t, const struct ds_bytes *in,
                             struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes coded = DS_BYTES_INIT(DNA_MAX_BYTES + 65536U);
    struct ds_cursor letters = ds_cursor_over(in->data, in->len);
    struct ds_cursor title = {0};
    const bool is_fasta = stego_fasta_read(in, &title, &letters);
    enum ds_status s = is_fasta ? read_title(t, &title, err) : DS_OK;
    if (s == DS_OK) {
        s = stego_dna_decode(t->rule, letters.data, letters.len, is_fasta ? 2 : 1, &coded, err);
    }
    if (s != DS_OK) {
        return s;
    }
    return t->keys.ring.password != NULL || t->keys.ring.identity_count > 0
               ? unseal(t, &coded, out, err)
               : ds_bytes_append(out, coded.data, coded.len, err);
}

/* ---- the verb ---- */

static const char *parse_option(struct transcription *t, int c)
{
    const char *text = optarg;
    uint32_t number = 0;
    switch (c) {
    case 'o':
        t->out = optarg;
        return NULL;
    case 'r':
        t->has_rule = true;
        return cli_dna_rule(optarg, &t->rule) ? NULL : "--rule takes 1 to 8";
    case 'F':
        t->is_fasta = true;
        return NULL;
    case 'w':
        if (!cli_number(&text, '\0', &number) || number < 1 || number > DNA_WIDTH_MAX) {
            return "--width takes 1 to 1000";
        }
        t->width = number;
        return NULL;
    case 'p':
        t->keys.password_path = optarg;
        return NULL;
    case 't':
        t->recipients[t->recipient_count++] = optarg;
        return NULL;
    case 'k':
        t->keys.key_path = optarg;
        return NULL;
    case 'c':
        t->keys.certificate_path = optarg;
        return NULL;
    case 'f':
        t->outputs.force = true;
        return NULL;
    default:
        return "see the options";
    }
}

static int parse(struct transcription *t, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"rule", required_argument, NULL, 'r'},
        {"fasta", no_argument, NULL, 'F'},
        {"width", required_argument, NULL, 'w'},
        {"password-file", required_argument, NULL, 'p'},
        {"to", required_argument, NULL, 't'},
        {"key", required_argument, NULL, 'k'},
        {"certificate", required_argument, NULL, 'c'},
        {"force", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    t->recipients = calloc((size_t)argc, sizeof(char *));
    if (t->recipients == NULL) {
        return CLI_FAILED;
    }
    int c = 0;
    while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        const char *wrong = parse_option(t, c);
        if (wrong != NULL) {
            return cli_usage("dna", "%s", wrong);
        }
    }
    if (t->out == NULL) {
        return cli_usage("dna", "-o OUT is missing");
    }
    return optind + 2 == argc ? CLI_DONE : cli_usage("dna", "one of encode, decode and one file");
}

static int transcribe(struct transcription *t, bool encodes, const char *path)
{
    struct ds_error err = {0};
    DS_AUTO(ds_bytes_free)
    struct ds_bytes in = DS_BYTES_INIT(encodes ? DNA_MAX_BYTES : TEXT_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(TEXT_MAX_BYTES);
    enum ds_status s =
        !t->outputs.force && ds_file_exists(t->out)
            ? ds_fail(&err, DS_EEXIST, "%.150s exists; --force overwrites it", t->out)
            : ds_file_read(path, &in, &err);
    if (s == DS_OK) {
        s = cli_keys_load(&t->keys, &err);
    }
    if (s == DS_OK) {
        s = encodes ? encode(t, &in, &out, &err) : decode(t, &in, &out, &err);
    }
    if (s == DS_OK) {
        s = cli_outputs_stage(&t->outputs, t->out, &out, &err);
    }
    if (s == DS_OK) {
        s = cli_outputs_commit(&t->outputs, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(path, &err);
}

static int run(int argc, char **argv)
{
    DS_AUTO(transcription_finish)
    struct transcription t = {.rule = 1, .width = STEGO_FASTA_WIDTH};
    const int code = parse(&t, argc, argv);
    if (code != CLI_DONE) {
        return code;
    }
    const char *verb = argv[optind];
    if (strcmp(verb, "encode") != 0 && strcmp(verb, "decode") != 0) {
        return cli_usage("dna", "one of encode, decode and one file");
    }
    return transcribe(&t, verb[0] == 'e', argv[optind + 1]);
}

const struct cli_verb cli_dna = {
    .name = "dna",
    .summary = "a file as a DNA sequence, sealed, and back",
    .help =
        "Usage: dicomstego dna encode -o OUT [OPTION]... FILE\n"
        "       dicomstego dna decode -o OUT [OPTION]... FILE\n"
        "Writes a file as the letters A, C, G and T, two bits each, and reads such letters. With "
        "a\n"
        "password or recipients the file is sealed first (AES-256-GCM), and with a password some\n"
        "bases are replaced by their complements. The letters themselves protect nothing.\n\n"
        "  -o, --output OUT      the file to write\n"
        "  --rule N              which letter has which bits: 1 (default: A=00 C=01 G=10 T=11)\n"
        "                        to 8; FASTA that was written here says it itself\n"
        "  --fasta               encode: FASTA with a title line; decode finds out by itself\n"
        "  --width N             encode: bases in a line of FASTA (default 70)\n"
        "  --password-file FILE  encode: seals; decode: opens\n"
        "  --to CERTIFICATE      encode: seals for its owner; may be repeated\n"
        "  --key KEY             decode: opens with it, and its --certificate\n"
        "  --certificate FILE\n"
        "  --force               overwrite\n\n"
        "Either case is read, white space is passed over; any other letter is refused, with base,\n"
        "line and column. Exit codes 3 and 4: altered, or sealed for somebody else.\n",
    .run = run,
};

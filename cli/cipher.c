/* SPDX-License-Identifier: Apache-2.0 */
/* One file becomes a cipher image and a key file. */
#include "cli/cipher.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

struct enciphering {
    const char *out, *key_file, *recipient;
    bool json;
    struct cli_outputs outputs;
    struct stego_ec_key *key;
    struct stego_cipher cipher;
    struct stego_cipher_sizes sizes;
    struct cipher_source source;
    struct ds_bytes file, packed, text, cells, image;
};

static void finish(struct enciphering *e)
{
    cli_outputs_free(&e->outputs);
    stego_ec_key_free(e->key);
    stego_cipher_finish(&e->cipher);
    cipher_source_free(&e->source);
    ds_bytes_free(&e->file);
    ds_bytes_free(&e->packed);
    ds_bytes_free(&e->text);
    ds_bytes_free(&e->cells);
    ds_bytes_free(&e->image);
}

static enum ds_status encipher(struct enciphering *e, const char *path, struct ds_error *err)
{
    const unsigned stages = e->cipher.form.stages;
    enum ds_status s = stego_ec_public_load(&e->key, e->recipient, err);
    if (s == DS_OK) {
        s = ds_file_read(path, &e->file, err);
    }
    if (s == DS_OK) {
        s = cipher_source_load(&e->source, &e->file, err);
    }
    if (s == DS_OK) {
        s = stego_cipher_pack(&e->source.source, stages, &e->packed, &e->sizes, err);
    }
    if (s == DS_OK) {
        s = stego_cipher_begin(&e->cipher, e->key, e->packed.len, err);
    }
    if (s == DS_OK) {
        s = cipher_form_write(&e->cipher.form, &e->text, err);
    }
    if (s == DS_OK) {
        s = stego_cipher_seal(&e->cipher, e->text.data, e->text.len, e->packed.data, e->packed.len,
                              &e->cells, err);
    }
    e->sizes.padded = e->cells.len;
    return s == DS_OK
               ? cipher_image_write(e->out, &e->cipher.form, &e->cells, &e->text, &e->image, err)
               : s;
}

static enum ds_status check_free(const struct enciphering *e, const char *path,
                                 struct ds_error *err)
{
    return !e->outputs.force && ds_file_exists(path)
               ? ds_fail(err, DS_EEXIST, "%.150s exists; --force overwrites it", path)
               : DS_OK;
}

static enum ds_status write_outputs(struct enciphering *e, struct ds_error *err)
{
    enum ds_status s = check_free(e, e->out, err);
    if (s == DS_OK) {
        s = check_free(e, e->key_file, err);
    }
    if (s == DS_OK) {
        s = cli_outputs_stage(&e->outputs, e->out, &e->image, err);
    }
    if (s == DS_OK) {
        s = cli_outputs_stage(&e->outputs, e->key_file, &e->text, err);
    }
    return s == DS_OK ? cli_outputs_commit(&e->outputs, err) : s;
}

static void print(const struct enciphering *e)
{
    const struct stego_cipher_sizes *z = &e->sizes;
    const struct stego_cipher_form *form = &e->cipher.form;
    if (e->json) {
        (void)printf("{\"pixels\": %zu, \"duplicates\": %zu, \"run_lengths\": %zu, \"lzma\": %zu, "
                     "\"cipher\": %zu, \"file\": %zu, \"columns\": %u, \"rows\": %u}\n",
                     z->cells, z->duplicates, z->runs, z->lzma, z->padded, e->file.len,
                     form->columns, form->rows);
        return;
    }
    (void)printf("bytes: file %zu, pixels %zu, without duplicates %zu, as run lengths %zu, packed "
                 "with the rest %zu, enciphered %zu (%ux%u)\n",
                 e->file.len, z->cells, z->duplicates, z->runs, z->lzma, z->padded, form->columns,
                 form->rows);
}

/* "1.4,0.3" */
static bool parse_henon(const char *text, struct stego_henon_form *out)
{
    char *end = NULL;
    const double a = strtod(text, &end);
    if (end == text || *end != ',' || !(a >= 0.0 && a <= 2.0)) {
        return false;
    }
    const char *second = end + 1;
    const double b = strtod(second, &end);
    if (end == second || *end != '\0' || !(b >= 0.0 && b <= 1.0)) {
        return false;
    }
    *out = (struct stego_henon_form){(uint32_t)(a * 1e6 + 0.5), (uint32_t)(b * 1e6 + 0.5)};
    return true;
}

static const char *parse_option(struct enciphering *e, int c)
{
    struct stego_cipher_form *form = &e->cipher.form;
    switch (c) {
    case 'o':
        e->out = optarg;
        return NULL;
    case 't':
        e->recipient = optarg;
        return NULL;
    case 'k':
        e->key_file = optarg;
        return NULL;
    case 'a':
        form->aead =
            strcmp(optarg, "chacha20-poly1305") == 0 ? STEGO_CHACHA20_POLY1305 : STEGO_AES_256_GCM;
        return form->aead == STEGO_AES_256_GCM && strcmp(optarg, "aes-256-gcm") != 0
                   ? "--aead takes chacha20-poly1305 or aes-256-gcm"
                   : NULL;
    case 'H':
        return parse_henon(optarg, &form->henon) ? NULL : "--henon takes A,B: A to 2, B to 1";
    case 'j':
        e->json = true;
        return NULL;
    case 'f':
        e->outputs.force = true;
        return NULL;
    case '?':
        return "see the options";
    default: /* a stage that is left out */
        form->stages &= ~(unsigned)(c - 256);
        return NULL;
    }
}

static const char *parse(struct enciphering *e, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"to", required_argument, NULL, 't'},
        {"key-file", required_argument, NULL, 'k'},
        {"aead", required_argument, NULL, 'a'},
        {"henon", required_argument, NULL, 'H'},
        {"no-duplicates", no_argument, NULL, 256 + STEGO_CIPHER_DUPLICATES},
        {"no-rle", no_argument, NULL, 256 + STEGO_CIPHER_RUNS},
        {"no-lzma", no_argument, NULL, 256 + STEGO_CIPHER_LZMA},
        {"no-padding", no_argument, NULL, 256 + STEGO_CIPHER_PADDING},
        {"no-henon", no_argument, NULL, 256 + STEGO_CIPHER_HENON},
        {"json", no_argument, NULL, 'j'},
        {"force", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    int c = 0;
    while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        const char *wrong = parse_option(e, c);
        if (wrong != NULL) {
            return wrong;
        }
    }
    if (e->out == NULL || e->recipient == NULL) {
        return "-o OUT and --to CERTIFICATE are needed";
    }
    return optind + 1 == argc ? NULL : "one input is needed";
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(finish)
    struct enciphering e = {
        .cipher.form = {.aead = STEGO_CHACHA20_POLY1305,
                        .stages = STEGO_CIPHER_ALL,
                        .henon = STEGO_HENON_DEFAULT},
        .file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES),
        .packed = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
        .text = DS_BYTES_INIT(CIPHER_FORM_MAX_BYTES),
        .cells = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
        .image = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
    };
    DS_AUTO(ds_string_free) char *beside = NULL;
    const char *wrong = parse(&e, argc, argv);
    if (wrong != NULL) {
        return cli_usage("cipher", "%s", wrong);
    }
    if (e.key_file == NULL) {
        if (asprintf(&beside, "%s.json", e.out) < 0) {
            beside = NULL;
            return CLI_FAILED;
        }
        e.key_file = beside;
    }
    enum ds_status s = encipher(&e, argv[optind], &err);
    if (s == DS_OK) {
        s = write_outputs(&e, &err);
    }
    if (s != DS_OK) {
        return cli_complain(argv[optind], &err);
    }
    print(&e);
    return CLI_DONE;
}

const struct cli_verb cli_cipher = {
    .name = "cipher",
    .summary = "turn a whole image into noise for one recipient",
    .help =
        "Usage: dicomstego cipher -o OUT --to CERTIFICATE [OPTION]... IN\n"
        "Enciphers a DICOM file or PNG as a whole. OUT is a noise image: PNG of 16 bits when its\n"
        "name ends with .png, else a DICOM Secondary Capture instance. Beside it goes a key file\n"
        "without secrets, which 'dicomstego decipher' needs with the recipient's private key.\n\n"
        "  -o, --output OUT      where the cipher image goes\n"
        "  --to CERTIFICATE      the recipient: a certificate or public key of the curve P-256 or\n"
        "                        secp256k1, PEM\n"
        "  --key-file FILE       where the key file goes (default OUT.json)\n"
        "  --aead NAME           chacha20-poly1305 (default) or aes-256-gcm\n"
        "  --henon A,B           the Henon map's numbers (default 1.4,0.3)\n"
        "  --no-duplicates       leaves out: removal of equal rows and columns,\n"
        "  --no-rle              run lengths,\n"
        "  --no-lzma             LZMA,\n"
        "  --no-padding          padding to at least 512x512 cells, which hides the size and\n"
        "                        gives the statistics enough to count,\n"
        "  --no-henon            the shifts of rows and columns\n"
        "  --json                the sizes after each stage as JSON\n"
        "  --force               overwrite\n\n"
        "The cipher image does not prove who made it: sign it, or use 'protect'.\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A cipher image and its key file become the file that they were. */
#include "cli/cipher.h"

#include "base/file.h"

struct deciphering {
    const char *out, *key, *key_file;
    struct cli_outputs outputs;
    struct stego_ec_key *private_key;
    struct stego_cipher_unpacked unpacked;
    struct ds_bytes file, cells, text, inner_text, packed, original;
};

static void finish(struct deciphering *d)
{
    cli_outputs_free(&d->outputs);
    stego_ec_key_free(d->private_key);
    stego_cipher_unpacked_free(&d->unpacked);
    ds_bytes_free(&d->file);
    ds_bytes_free(&d->cells);
    ds_bytes_free(&d->text);
    ds_bytes_free(&d->inner_text);
    ds_bytes_free(&d->packed);
    ds_bytes_free(&d->original);
}

static enum ds_status load(struct deciphering *d, const char *path, struct ds_error *err)
{
    enum ds_status s = stego_ec_private_load(&d->private_key, d->key, err);
    if (s == DS_OK) {
        s = ds_file_read(path, &d->file, err);
    }
    if (s == DS_OK) {
        s = cipher_image_read(&d->file, &d->cells, &d->inner_text, err);
    }
    if (s == DS_OK && d->key_file != NULL) {
        s = ds_file_read(d->key_file, &d->text, err);
        /* No key file is that long. */
        return s == DS_EFORMAT ? ds_fail_context(err, DS_EAUTH, "key file") : s;
    }
    if (s == DS_OK && d->inner_text.len == 0) {
        s = ds_fail(err, DS_EINVAL, "no key file travels in this image: --key-file FILE");
    }
    return s == DS_OK ? ds_bytes_append(&d->text, d->inner_text.data, d->inner_text.len, err) : s;
}

static enum ds_status decipher(struct deciphering *d, struct ds_error *err)
{
    struct stego_cipher_form form;
    enum ds_status s = cipher_form_read(&d->text, &form, err);
    if (s == DS_OK) {
        s = stego_cipher_open(&form, d->private_key, d->text.data, d->text.len, d->cells.data,
                              d->cells.len, &d->packed, err);
    }
    if (s == DS_OK) {
        s = stego_cipher_unpack(d->packed.data, d->packed.len, DICOM_FILE_MAX_BYTES, &d->unpacked,
                                err);
        s = s == DS_EFORMAT ? ds_fail_context(err, DS_EAUTH, "deciphered") : s;
    }
    return s == DS_OK ? cipher_source_restore(&d->unpacked, &d->original, err) : s;
}

static enum ds_status write_output(struct deciphering *d, struct ds_error *err)
{
    if (!d->outputs.force && ds_file_exists(d->out)) {
        return ds_fail(err, DS_EEXIST, "%.150s exists; --force overwrites it", d->out);
    }
    const enum ds_status s = cli_outputs_stage(&d->outputs, d->out, &d->original, err);
    return s == DS_OK ? cli_outputs_commit(&d->outputs, err) : s;
}

static const char *parse(struct deciphering *d, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"key", required_argument, NULL, 'k'},
        {"key-file", required_argument, NULL, 'K'},
        {"force", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    int c = 0;
    while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        switch (c) {
        case 'o':
            d->out = optarg;
            break;
        case 'k':
            d->key = optarg;
            break;
        case 'K':
            d->key_file = optarg;
            break;
        case 'f':
            d->outputs.force = true;
            break;
        default:
            return "see the options";
        }
    }
    if (d->out == NULL || d->key == NULL) {
        return "-o OUT and --key KEY are needed";
    }
    return optind + 1 == argc ? NULL : "one input is needed";
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(finish)
    struct deciphering d = {
        .file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES),
        .cells = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
        .text = DS_BYTES_INIT(CIPHER_FORM_MAX_BYTES),
        .inner_text = DS_BYTES_INIT(CIPHER_FORM_MAX_BYTES),
        .packed = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
        .original = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
    };
    const char *wrong = parse(&d, argc, argv);
    if (wrong != NULL) {
        return cli_usage("decipher", "%s", wrong);
    }
    enum ds_status s = load(&d, argv[optind], &err);
    if (s == DS_OK) {
        s = decipher(&d, &err);
    }
    if (s == DS_OK) {
        s = write_output(&d, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(argv[optind], &err);
}

const struct cli_verb cli_decipher = {
    .name = "decipher",
    .summary = "make the image of its noise again",
    .help =
        "Usage: dicomstego decipher -o OUT --key KEY [--key-file FILE] [--force] IN\n"
        "Gives back what 'dicomstego cipher' enciphered: the very bytes of a DICOM file, a PNG\n"
        "with the same samples. Nothing is written before all of it has been verified.\n\n"
        "  -o, --output OUT      where the original goes\n"
        "  --key KEY             the recipient's private key, PEM\n"
        "  --key-file FILE       the key file; DICOM cipher images have it inside, too\n"
        "  --force               overwrite\n\n"
        "Exit code 3: image or key file were altered; 4: enciphered for another key.\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protect - what the parts of the verb share: protect_options.c reads the command line, protect.c
 * serves DICOM, protect_png.c serves PNG.
 */
#ifndef DICOMSTEGO_CLI_PROTECT_H
#define DICOMSTEGO_CLI_PROTECT_H

#include "cli/cli.h"

struct protect_options {
    const char *out;
    const char **reports, **recipients;
    size_t report_count, recipient_count;
    const char *password_path, *key_path, *certificate_path;
    const char *origin;
    const char *site; /* NULL: the origin */
    struct stego_rect region;
    struct cli_hiding hiding;
    bool qr;
    bool keep_bitstream;
    unsigned redundancy;
    enum carrier_attributes attributes;
    enum carrier_placement unsuitable; /* HOLD: refuse */
    unsigned measurement;              /* set of carrier_measurement */
    const char *transfer_syntax;       /* of DICOM carriers; NULL: Explicit VR Little Endian */
};

/* One run of the verb. */
struct protection {
    struct protect_options options;
    struct cli_inputs inputs;
    struct cli_outputs outputs;
    /* loaded */
    struct stego_document *documents;
    struct ds_bytes *document_bytes;
    const struct stego_certificate **certificates;
    struct stego_certificate **owned_certificates;
    struct stego_identity *signer;
    struct ds_bytes password;
    struct stego_seal_request request;
    /* while carriers are made: what the run's files are called as carriers; borrowed */
    const struct carrier_uid_map *renamed;
};

extern const char protect_help[];

/* Fills p->options and p->outputs.force, which hold their defaults, with text borrowed from argv;
 * inputs are from optind on. Complains; returns an exit code. */
int protect_parse(struct protection *p, int argc, char **argv);

/* Seals and stages every input, all of them PNG. Complains; returns an exit code. */
int protect_png(struct protection *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protect - what the two halves of the verb share: protect.c reads the command line and serves
 * DICOM, protect_png.c serves PNG.
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
    struct stego_rect region;
    struct cli_hiding hiding;
    bool qr;
    unsigned redundancy;
    enum carrier_attributes attributes;
    enum carrier_placement unsuitable; /* HOLD: refuse */
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
};

/* Seals and stages every input, all of them PNG. Complains; returns an exit code. */
int protect_png(struct protection *p);

#endif

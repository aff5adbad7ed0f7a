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
    const char *site;                               /* NULL: the origin */
    struct stego_rect regions[CARRIER_REGIONS_MAX]; /* the same of every image */
    size_t region_count;
    const char *region_source; /* --region-from; NULL: none */
    struct cli_hiding hiding;
    bool qr;
    bool keep_bitstream;
    unsigned redundancy;
    enum carrier_attributes attributes;
    bool attributes_given;
    enum carrier_placement unsuitable; /* HOLD: refuse */
    unsigned measurement;              /* set of carrier_measurement */
    const char *transfer_syntax;       /* of DICOM carriers; NULL: Explicit VR Little Endian */
};

/* The key regions of one image; none has the first item empty. */
struct protect_regions {
    struct stego_rect items[CARRIER_REGIONS_MAX];
    size_t count;
};

/* One run of the verb. */
struct protection {
    struct protect_options options;
    struct cli_inputs inputs;
    struct cli_outputs outputs;
    size_t region_count; /* key regions of all images that were planned */
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

/* protect_regions.c. DS_ECONFIG, DS_EINVAL: the table is wrong, or nothing is marked. */
DS_CHECKED enum ds_status protect_regions_of(const struct protect_options *options,
                                             const struct cli_input *in,
                                             const struct carrier_original *o,
                                             struct protect_regions *out, struct ds_error *err);
/* Whether headers travel: as asked; else not when a code has room for the reports alone. */
enum carrier_attributes protect_attributes(const struct protection *p);
/* Those behind the first; borrows. */
struct carrier_regions protect_regions_more(const struct protect_regions *r);

/* Seals and stages every input, all of them PNG. Complains; returns an exit code. */
int protect_png(struct protection *p);

#endif

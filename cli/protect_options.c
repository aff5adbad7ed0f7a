/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of protect: what it takes, and the text that says so.
 */
#include "cli/protect.h"

#include "dicom/transfer_syntax.h"

#include <stdlib.h>
#include <string.h>

const char protect_help[] =
    "Usage: dicomstego protect -o OUT [OPTION]... IN...\n"
    "Makes carriers of DICOM files, of all in folders, or of greyscale PNG. All IN are one\n"
    "study: its reports are spread over them. OUT is a file, or a folder when IN is more than\n"
    "one file. Every carrier is proven to give its original back before it is written.\n\n"
    "  -o, --output OUT      where the carriers go\n"
    "  --report FILE         a document to hide; may be repeated\n"
    "  --to CERTIFICATE      who may open it; may be repeated\n"
    "  --password-file FILE  or who knows the password in its first line\n"
    "  --sign KEY            the private key that signs, with its --certificate\n"
    "  --certificate FILE\n"
    "  --region X,Y,W,H      covers a key region; its pixels travel sealed; may be repeated\n"
    "  --region-from FROM    takes the key regions from a presentation state's graphics; from a\n"
    "                        table of tab-separated values (image, frame, x, y, width,\n"
    "                        height); or 'overlay': what the image's own overlays mark\n"
    "  --qr                  puts a QR code over each region: the sealed report, in several\n"
    "                        codes if need be, or where that is too long a reference to it\n"
    "  --method NAME         rdh (default): reversible data hiding; or lsb: in least significant\n"
    "                        bits, which are lost unless --reversible\n"
    "  --planes N            lsb: in so many of them, 1 (default) to 4\n"
    "  --order HOW           lsb: sequential (default), or keyed: as the password or shared key\n"
    "                        orders\n"
    "  --delimiter TEXT      lsb: ends with TEXT instead of after a length\n"
    "  --reversible          lsb: the replaced bits travel along, or exit 6\n"
    "  --code dna            lsb: the sealed bytes as a DNA sequence, complemented by the "
    "password\n"
    "                        or shared key; protects nothing by itself\n"
    "  --dna-rule N          by which of the rules, 1 (default) to 8\n"
    "  --shared-key FILE     for order and complements, instead of the password\n"
    "  --effort HOW          fast, balanced (default) or best: less change for more time\n"
    "  --preserve X,Y,W,H[,FRAME]  these pixels stay as they are, in every frame or in the\n"
    "                        one named (from 1); may be repeated\n"
    "  --preserve-mask PNG   so do those that are not 0 in this image of the same size\n"
    "  --max-difference N    no pixel changes by more than N\n"
    "  --min-psnr DB         every carrier keeps this PSNR against its original, or exit 6\n"
    "  --use-padding         pixels with the declared padding value may change, too\n"
    "  --redundancy PERCENT  of the images, so many may be lost (default 25)\n"
    "  --attributes WHICH    whole headers travel along: auto (default), all, changed (none);\n"
    "                        none also where a QR code has room for the reports alone\n"
    "  --keep-bitstream      the bytes of compressed originals travel along where they fit\n"
    "  --unsuitable WHAT     refuse (default) or pass what cannot carry, or sidecar: leave it\n"
    "                        untouched and write NAME.sidecar.dcm beside it; objects that\n"
    "                        refer to images of the run always get one\n"
    "  --measurement KIND    change also what software computes with: rt_dose, segmentation,\n"
    "                        parametric_map or pet, which cannot carry otherwise; may be\n"
    "                        repeated\n"
    "  --origin AE           the sender's AE title\n"
    "  --site NAME           whose new UIDs the carriers get (default: the origin)\n"
    "  --syntax KEYWORD      the lossless transfer syntax of the carriers, by keyword or UID\n"
    "                        (default explicit-le)\n"
    "  --force               overwrite\n\n"
    "What cannot be read, or is a carrier already, is named and left out, and the exit code is\n"
    "1; any other fault leaves everything unwritten.\n"
    "Without report, recipient and password the carriers are integrity tokens: they prove\n"
    "themselves and restore their originals for anybody.\n";

static bool parse_word(const char *text, const char *const *words, size_t count, int *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

/* By keyword or UID; carriers are never in a syntax that may lose. */
static const char *parse_syntax(struct protect_options *o, const char *text)
{
    const struct dicom_transfer_syntax *t = dicom_transfer_syntax_named(text);
    if (t == NULL || t->may_lose || !dicom_dataset_encodes(t->uid)) {
        return "--syntax takes a lossless transfer syntax that is written here, such as "
               "jpeg-ls-lossless, jpeg-2000-lossless, rle, deflated or explicit-le";
    }
    o->transfer_syntax = t->uid;
    return NULL;
}

static const char *parse_value(struct protect_options *o, int c)
{
    static const char *const attributes[] = {"auto", "all", "changed"};
    static const char *const unsuitable[] = {"refuse", "pass", "sidecar"};
    static const enum carrier_placement placements[] = {CARRIER_HOLD, CARRIER_PASS,
                                                        CARRIER_SIDECAR};
    const char *text = optarg;
    uint32_t number = 0;
    int word = 0;
    switch (c) {
    case 'R':
        if (o->region_count == CARRIER_REGIONS_MAX) {
            return "too many regions";
        }
        return cli_rectangle(text, &o->regions[o->region_count++])
                   ? NULL
                   : "--region takes X,Y,WIDTH,HEIGHT";
    case 'F':
        o->region_source = text;
        return NULL;
    case 'P':
        if (!cli_number(&text, '\0', &number) || number > 90) {
            return "--redundancy takes 0 to 90 (percent)";
        }
        o->redundancy = number;
        return NULL;
    case 'a':
        if (!parse_word(text, attributes, DS_ARRAY_SIZE(attributes), &word)) {
            return "--attributes takes auto, all or changed";
        }
        o->attributes = (enum carrier_attributes)word;
        o->attributes_given = true;
        return NULL;
    case 'u':
        if (!parse_word(text, unsuitable, DS_ARRAY_SIZE(unsuitable), &word)) {
            return "--unsuitable takes refuse, pass or sidecar";
        }
        o->unsuitable = placements[word];
        return NULL;
    case 'M':
        o->measurement |= carrier_measurement_named(text);
        return carrier_measurement_named(text) != 0
                   ? NULL
                   : "--measurement takes rt_dose, segmentation, parametric_map or pet";
    case 'A':
        o->origin = text;
        return strlen(text) < STEGO_ORIGIN_BYTES ? NULL : "--origin takes at most 16 characters";
    case 'S':
        o->site = text;
        return NULL;
    case 'y':
        return parse_syntax(o, text);
    default:
        return cli_hiding_option(&o->hiding, c, text);
    }
}

static const char *parse_option(struct protection *p, int c)
{
    struct protect_options *o = &p->options;
    switch (c) {
    case 'o':
        o->out = optarg;
        return NULL;
    case 'r':
        o->reports[o->report_count++] = optarg;
        return NULL;
    case 't':
        o->recipients[o->recipient_count++] = optarg;
        return NULL;
    case 'p':
        o->password_path = optarg;
        return NULL;
    case 's':
        o->key_path = optarg;
        return NULL;
    case 'c':
        o->certificate_path = optarg;
        return NULL;
    case 'q':
        o->qr = true;
        return NULL;
    case 'k':
        o->keep_bitstream = true;
        return NULL;
    case 'f':
        p->outputs.force = true;
        return NULL;
    default:
        return parse_value(o, c);
    }
}

static const char *check_options(const struct protect_options *o)
{
    if (o->out == NULL) {
        return "-o OUT is missing";
    }
    if ((o->key_path == NULL) != (o->certificate_path == NULL)) {
        return "--sign and --certificate are given together";
    }
    if (o->report_count > 0 && o->recipient_count == 0 && o->password_path == NULL) {
        return "a report needs somebody who may read it: --to CERTIFICATE or --password-file FILE";
    }
    if (o->region_count > 0 && o->region_source != NULL) {
        return "--region and --region-from exclude each other";
    }
    if (o->qr && o->region_count == 0 && o->region_source == NULL) {
        return "--qr needs --region or --region-from";
    }
    if ((o->region_count > 0 || o->region_source != NULL) &&
        o->hiding.how.method == &stego_method_lsb) {
        return "--region is for --method rdh";
    }
    return cli_method_check(&o->hiding);
}

int protect_parse(struct protection *p, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"report", required_argument, NULL, 'r'},
        {"to", required_argument, NULL, 't'},
        {"password-file", required_argument, NULL, 'p'},
        {"sign", required_argument, NULL, 's'},
        {"certificate", required_argument, NULL, 'c'},
        {"region", required_argument, NULL, 'R'},
        {"region-from", required_argument, NULL, 'F'},
        {"qr", no_argument, NULL, 'q'},
        {"redundancy", required_argument, NULL, 'P'},
        {"attributes", required_argument, NULL, 'a'},
        {"keep-bitstream", no_argument, NULL, 'k'},
        {"unsuitable", required_argument, NULL, 'u'},
        {"measurement", required_argument, NULL, 'M'},
        {"origin", required_argument, NULL, 'A'},
        {"site", required_argument, NULL, 'S'},
        {"syntax", required_argument, NULL, 'y'},
        {"force", no_argument, NULL, 'f'},
        CLI_HIDING_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    p->options.reports = calloc((size_t)argc, sizeof(char *));
    p->options.recipients = calloc((size_t)argc, sizeof(char *));
    if (p->options.reports == NULL || p->options.recipients == NULL) {
        return CLI_FAILED;
    }
    int c = 0;
    while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        const char *wrong = parse_option(p, c);
        if (wrong != NULL) {
            return cli_usage("protect", "%s", wrong);
        }
    }
    const char *wrong = optind < argc ? check_options(&p->options) : "no input is given";
    return wrong != NULL ? cli_usage("protect", "%s", wrong) : CLI_DONE;
}

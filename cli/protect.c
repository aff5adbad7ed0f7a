/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/protect.h"

#include "base/clock.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* ---- the command line ---- */

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
        return cli_rectangle(text, &o->region) ? NULL : "--region takes X,Y,WIDTH,HEIGHT";
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
        return NULL;
    case 'u':
        if (!parse_word(text, unsuitable, DS_ARRAY_SIZE(unsuitable), &word)) {
            return "--unsuitable takes refuse, pass or sidecar";
        }
        o->unsuitable = placements[word];
        return NULL;
    case 'A':
        o->origin = text;
        return strlen(text) < STEGO_ORIGIN_BYTES ? NULL : "--origin takes at most 16 characters";
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
    if (o->qr && o->region.width == 0) {
        return "--qr needs --region";
    }
    return NULL;
}

static int parse(struct protection *p, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"report", required_argument, NULL, 'r'},
        {"to", required_argument, NULL, 't'},
        {"password-file", required_argument, NULL, 'p'},
        {"sign", required_argument, NULL, 's'},
        {"certificate", required_argument, NULL, 'c'},
        {"region", required_argument, NULL, 'R'},
        {"qr", no_argument, NULL, 'q'},
        {"redundancy", required_argument, NULL, 'P'},
        {"attributes", required_argument, NULL, 'a'},
        {"unsuitable", required_argument, NULL, 'u'},
        {"origin", required_argument, NULL, 'A'},
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

/* ---- what goes in ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text);
    const size_t b = strlen(end);
    return a >= b && strcasecmp(text + a - b, end) == 0;
}

static const char *media_type_of(const char *path, const struct ds_bytes *data)
{
    if (data->len >= 5 && memcmp(data->data, "%PDF-", 5) == 0) {
        return "application/pdf";
    }
    if (ends_with(path, ".dcm") || (data->len >= 132 && memcmp(data->data + 128, "DICM", 4) == 0)) {
        return "application/dicom";
    }
    return ends_with(path, ".txt") ? "text/plain; charset=utf-8" : "application/octet-stream";
}

static enum ds_status load_reports(struct protection *p, struct ds_error *err)
{
    const size_t n = p->options.report_count;
    p->documents = calloc(n + 1, sizeof(*p->documents));
    p->document_bytes = calloc(n + 1, sizeof(*p->document_bytes));
    if (p->documents == NULL || p->document_bytes == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu reports", n);
    }
    for (size_t i = 0; i < n; i++) {
        const char *path = p->options.reports[i];
        const char *slash = strrchr(path, '/');
        struct ds_bytes *b = &p->document_bytes[i];
        *b = DS_BYTES_INIT(STEGO_REPORT_MAX_BYTES);
        const enum ds_status s = ds_file_read(path, b, err);
        if (s != DS_OK) {
            return ds_fail_context(err, s == DS_ENOTFOUND ? DS_EIO : s, "report");
        }
        p->documents[i] = (struct stego_document){slash != NULL ? slash + 1 : path,
                                                  media_type_of(path, b), b->data, b->len};
    }
    return DS_OK;
}

static enum ds_status load_recipients(struct protection *p, struct ds_error *err)
{
    const size_t n = p->options.recipient_count;
    p->owned_certificates = calloc(n + 1, sizeof(*p->owned_certificates));
    p->certificates = calloc(n + 1, sizeof(*p->certificates));
    if (p->owned_certificates == NULL || p->certificates == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu recipients", n);
    }
    for (size_t i = 0; i < n; i++) {
        const enum ds_status s =
            stego_certificate_load(&p->owned_certificates[i], p->options.recipients[i], err);
        if (s != DS_OK) {
            return ds_fail_context(err, DS_ECONFIG, "--to %s", p->options.recipients[i]);
        }
        p->certificates[i] = p->owned_certificates[i];
    }
    return DS_OK;
}

static enum ds_status load_all(struct protection *p, struct ds_error *err)
{
    const struct protect_options *o = &p->options;
    enum ds_status s = load_reports(p, err);
    if (s == DS_OK) {
        s = load_recipients(p, err);
    }
    if (s == DS_OK && o->password_path != NULL) {
        s = cli_password_read(o->password_path, &p->password, err);
    }
    if (s == DS_OK && o->key_path != NULL) {
        s = stego_identity_load(&p->signer, o->key_path, o->certificate_path, err);
    }
    if (s == DS_OK) {
        s = cli_hiding_load(&p->options.hiding, err);
    }
    p->request = (struct stego_seal_request){
        .origin = o->origin,
        .created_utc_us = ds_clock_utc_us(),
        .documents = p->documents,
        .document_count = o->report_count,
        .recipients = p->certificates,
        .recipient_count = o->recipient_count,
        .password = (const char *)p->password.data,
        .signer = p->signer,
        .redundancy_percent = o->redundancy,
    };
    return s;
}

/* Takes files that are no images out of the list, and says whether what is left is PNG. */
static enum ds_status sort_inputs(struct protection *p, bool *png, struct ds_error *err)
{
    size_t kept = 0;
    size_t pngs = 0;
    for (size_t i = 0; i < p->inputs.count; i++) {
        struct cli_input *in = &p->inputs.items[i];
        DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
        const enum ds_status s = ds_file_read(in->path, &file, err);
        if (s != DS_OK) {
            return s;
        }
        if (cli_is_foreign(in, &file)) {
            (void)fprintf(stderr, "dicomstego: %s: left out, not DICOM\n", in->path);
            free(in->path);
            free(in->relative);
            continue;
        }
        pngs += cli_is_png(&file) ? 1 : 0;
        p->inputs.items[kept++] = *in;
    }
    p->inputs.count = kept;
    *png = pngs > 0;
    if (kept == 0) {
        return ds_fail(err, DS_EFORMAT, "no DICOM or PNG files there");
    }
    return pngs == 0 || pngs == kept ? DS_OK
                                     : ds_fail(err, DS_EINVAL, "DICOM and PNG cannot be one study");
}

/* ---- DICOM ---- */

static enum ds_status load_original(const struct cli_input *in, struct carrier_original **out,
                                    struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = ds_file_read(in->path, &file, err);
    return s == DS_OK ? carrier_original_load(out, file.data, file.len, err) : s;
}

static enum ds_status refuse_carrier(const struct carrier_original *o, struct ds_error *err)
{
    const struct stego_image *image = carrier_original_image(o);
    return image != NULL && stego_is_carrier(image)
               ? ds_fail(err, DS_EUNSUPPORTED, "is a carrier already")
               : DS_OK;
}

static int plan_all(const struct protection *p, struct carrier_plan *plan)
{
    for (size_t i = 0; i < p->inputs.count; i++) {
        const struct cli_input *in = &p->inputs.items[i];
        struct ds_error err = {0};
        DS_AUTO(carrier_original_auto) struct carrier_original *o = NULL;
        cli_progress("planning", i, p->inputs.count);
        enum ds_status s =
            cli_stopped() ? ds_fail(&err, DS_EIO, "stopped") : load_original(in, &o, &err);
        if (s == DS_OK) {
            s = refuse_carrier(o, &err);
        }
        if (s == DS_OK && p->options.region.width > 0 && carrier_original_image(o) != NULL) {
            s = carrier_region_fits(o, &p->options.region, p->options.qr, &err);
        }
        if (s == DS_OK && carrier_original_image(o) != NULL) {
            s = carrier_hiding_fits(&p->options.hiding.how, carrier_original_image(o), &err);
        }
        if (s == DS_OK) {
            s = carrier_plan_add(plan, o, &err);
        }
        if (s != DS_OK) {
            return cli_complain(in->path, &err);
        }
    }
    return CLI_DONE;
}

static int refuse_held(const struct protection *p, const struct carrier_slot *slots)
{
    int code = CLI_DONE;
    for (size_t i = 0; i < p->inputs.count; i++) {
        if (slots[i].placement == CARRIER_HOLD) {
            struct ds_error err = {0};
            (void)ds_fail(&err, DS_ECAPACITY, "cannot carry: %s (see --unsuitable)",
                          slots[i].reason);
            code = cli_worse(code, cli_complain(p->inputs.items[i].path, &err));
        }
    }
    return code;
}

static enum ds_status make_bytes(const struct protection *p, const struct stego_capsule *capsule,
                                 const struct cli_input *in, const struct carrier_slot *slot,
                                 struct ds_bytes *out, struct ds_error *err)
{
    if (slot->placement == CARRIER_PASS) {
        return ds_file_read(in->path, out, err);
    }
    DS_AUTO(carrier_original_auto) struct carrier_original *o = NULL;
    struct carrier_made made = {0};
    const struct carrier_make_options options = {
        .region = p->options.region,
        .qr = p->options.qr,
        .hiding = p->options.hiding.how,
        .station = p->options.origin[0] != '\0' ? p->options.origin : NULL,
    };
    enum ds_status s = load_original(in, &o, err);
    if (s == DS_OK) {
        s = carrier_make(capsule, o, slot, &options, &made, err);
    }
    if (s == DS_OK) {
        s = carrier_made_part10(&made, out, err);
    }
    carrier_made_free(&made);
    return s;
}

static int make_one(struct protection *p, const struct stego_capsule *capsule, size_t i,
                    const struct carrier_slot *slot)
{
    struct ds_error err = {0};
    const struct cli_input *in = &p->inputs.items[i];
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_string_free) char *name = NULL;
    enum ds_status s = cli_output_name(&p->outputs, &p->inputs, in, p->options.out, &name, &err);
    if (s == DS_OK) {
        s = make_bytes(p, capsule, in, slot, &bytes, &err);
    }
    if (s == DS_OK) {
        s = cli_outputs_stage(&p->outputs, name, &bytes, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(in->path, &err);
}

static void print_summary(const struct protection *p, const struct stego_capsule *capsule,
                          const struct carrier_slot *slots)
{
    size_t counts[CARRIER_HOLD + 1] = {0};
    char id[2 * STEGO_CAPSULE_ID_BYTES + 1];
    ds_hex(stego_capsule_id(capsule), STEGO_CAPSULE_ID_BYTES, id);
    for (size_t i = 0; i < p->inputs.count; i++) {
        counts[slots[i].placement]++;
        if (slots[i].placement != CARRIER_IN_PIXELS) {
            (void)printf("%s: %s: %s\n", p->inputs.items[i].path,
                         slots[i].placement == CARRIER_SIDECAR ? "sidecar" : "passed untouched",
                         slots[i].reason);
        }
    }
    (void)printf("capsule %s: %zu in pixels, %zu with sidecar, %zu untouched; any %u of %u shares "
                 "give the documents back\n",
                 id, counts[CARRIER_IN_PIXELS], counts[CARRIER_SIDECAR], counts[CARRIER_PASS],
                 stego_capsule_shares_needed(capsule), stego_capsule_shares_total(capsule));
}

static int make_all(struct protection *p, const struct stego_capsule *capsule,
                    const struct carrier_slot *slots)
{
    for (size_t i = 0; i < p->inputs.count; i++) {
        cli_progress("protecting", i, p->inputs.count);
        const int code = cli_stopped() ? CLI_FAILED : make_one(p, capsule, i, &slots[i]);
        if (code != CLI_DONE) {
            return code;
        }
    }
    struct ds_error err = {0};
    return cli_outputs_commit(&p->outputs, &err) == DS_OK ? CLI_DONE : cli_complain("", &err);
}

static int protect_dicom(struct protection *p)
{
    struct ds_error err = {0};
    DS_AUTO(carrier_plan_auto) struct carrier_plan *plan = NULL;
    DS_AUTO(stego_capsule_auto) struct stego_capsule *capsule = NULL;
    const struct carrier_plan_options how = {.unsuitable = p->options.unsuitable,
                                             .attributes = p->options.attributes,
                                             .region = p->options.region,
                                             .hiding = p->options.hiding.how,
                                             .instances = p->inputs.count};
    if (carrier_plan_new(&plan, &how, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    int code = plan_all(p, plan);
    if (code != CLI_DONE) {
        return code;
    }
    struct carrier_slot *slots = calloc(p->inputs.count, sizeof(*slots));
    if (slots == NULL) {
        return CLI_FAILED;
    }
    if (carrier_plan_seal(plan, &p->request, slots, p->inputs.count, &capsule, &err) != DS_OK) {
        code = cli_complain(p->inputs.count == 1 ? p->inputs.items[0].path : "", &err);
    } else {
        code = refuse_held(p, slots);
    }
    if (code == CLI_DONE) {
        code = make_all(p, capsule, slots);
    }
    if (code == CLI_DONE) {
        print_summary(p, capsule, slots);
    }
    free(slots);
    return code;
}

/* ---- the verb ---- */

static void protection_finish(struct protection *p)
{
    for (size_t i = 0; p->document_bytes != NULL && i < p->options.report_count; i++) {
        ds_bytes_free(&p->document_bytes[i]);
    }
    for (size_t i = 0; p->owned_certificates != NULL && i < p->options.recipient_count; i++) {
        stego_certificate_free(p->owned_certificates[i]);
    }
    free(p->documents);
    free(p->document_bytes);
    free(p->certificates);
    free(p->owned_certificates);
    free(p->options.reports);
    free(p->options.recipients);
    cli_hiding_finish(&p->options.hiding);
    stego_identity_free(p->signer);
    ds_bytes_free(&p->password);
    cli_outputs_free(&p->outputs);
    cli_inputs_free(&p->inputs);
}

/* Before the work, so that nobody waits for a name that is taken. */
static enum ds_status check_names(const struct protection *p, struct ds_error *err)
{
    for (size_t i = 0; i < p->inputs.count; i++) {
        DS_AUTO(ds_string_free) char *name = NULL;
        const enum ds_status s = cli_output_name(&p->outputs, &p->inputs, &p->inputs.items[i],
                                                 p->options.out, &name, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    bool png = false;
    DS_AUTO(protection_finish)
    struct protection p = {.options = {.origin = "",
                                       .redundancy = 25,
                                       .unsuitable = CARRIER_HOLD,
                                       .hiding = {.how = {.effort = STEGO_BALANCED}}}};
    const int code = parse(&p, argc, argv);
    if (code != CLI_DONE) {
        return code;
    }
    enum ds_status s = cli_inputs_gather(&p.inputs, argv + optind, (size_t)(argc - optind), &err);
    if (s == DS_OK) {
        s = check_names(&p, &err);
    }
    if (s == DS_OK) {
        s = sort_inputs(&p, &png, &err);
    }
    if (s == DS_OK) {
        s = load_all(&p, &err);
    }
    if (s != DS_OK) {
        return cli_complain("", &err);
    }
    return png ? protect_png(&p) : protect_dicom(&p);
}

const struct cli_verb cli_protect = {
    .name = "protect",
    .summary = "hide reports in images, seal them, sign them",
    .help =
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
        "  --region X,Y,W,H      covers a key region; its pixels travel sealed\n"
        "  --qr                  puts a QR code over the region\n"
        "  --effort HOW          fast, balanced (default) or best: less change for more time\n"
        "  --preserve X,Y,W,H[,FRAME]  these pixels stay as they are, in every frame or in the\n"
        "                        one named (from 1); may be repeated\n"
        "  --preserve-mask PNG   so do those that are not 0 in this image of the same size\n"
        "  --max-difference N    no pixel changes by more than N\n"
        "  --min-psnr DB         every carrier keeps this PSNR against its original, or exit 6\n"
        "  --use-padding         pixels with the declared padding value may change, too\n"
        "  --redundancy PERCENT  of the images, so many may be lost (default 25)\n"
        "  --attributes WHICH    whole headers travel along: auto (default), all, changed (none)\n"
        "  --unsuitable WHAT     refuse (default), pass or sidecar what cannot carry\n"
        "  --origin AE           the sender's AE title\n"
        "  --force               overwrite\n\n"
        "Without report, recipient and password the carriers are integrity tokens: they prove\n"
        "themselves and restore their originals for anybody.\n",
    .run = run,
};

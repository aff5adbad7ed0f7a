/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb protect: what goes in, and a study of DICOM files made into carriers.
 */
#include "cli/protect.h"

#include "base/clock.h"
#include "base/file.h"
#include "carrier/references.h"
#include "cli/renamed.h"

#include <stdlib.h>
#include <string.h>

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
    if (s == DS_OK) {
        s = cli_method_load(&p->options.hiding, (const char *)p->password.data, err);
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
    size_t pngs = 0;
    for (size_t i = 0; i < p->inputs.count;) {
        const struct cli_input *in = &p->inputs.items[i];
        DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
        const enum ds_status s = ds_file_read(in->path, &file, err);
        if (s != DS_OK) {
            return s;
        }
        if (cli_is_foreign(in, &file)) {
            (void)fprintf(stderr, "dicomstego: %s: left out, not DICOM\n", in->path);
            cli_inputs_drop(&p->inputs, i);
            continue;
        }
        pngs += cli_is_png(&file) ? 1 : 0;
        i++;
    }
    *png = pngs > 0;
    if (p->inputs.count == 0) {
        return ds_fail(err, DS_EFORMAT, "no DICOM or PNG files there");
    }
    return pngs == 0 || pngs == p->inputs.count
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "DICOM and PNG cannot be one study");
}

/* ---- DICOM ---- */

static enum ds_status refuse_carrier(const struct carrier_original *o, struct ds_error *err)
{
    const struct stego_image *image = carrier_original_image(o);
    if (carrier_original_is_sidecar(o)) {
        return ds_fail(err, DS_EUNSUPPORTED, "is a sidecar already");
    }
    return image != NULL && stego_is_carrier(image)
               ? ds_fail(err, DS_EUNSUPPORTED, "is a carrier already")
               : DS_OK;
}

static enum ds_status plan_regions(struct protection *p, struct carrier_plan *plan,
                                   const struct cli_input *in, const struct carrier_original *o,
                                   struct ds_error *err)
{
    struct protect_regions r;
    enum ds_status s = protect_regions_of(&p->options, in, o, &r, err);
    p->region_count += r.count;
    const struct carrier_regions more = protect_regions_more(&r);
    if (s == DS_OK && r.count > 0 && carrier_original_image(o) != NULL) {
        s = carrier_regions_fit(o, &r.items[0], &more, p->options.qr, err);
    }
    return s == DS_OK ? carrier_plan_regions(plan, &r.items[0], &more, err) : s;
}

static enum ds_status plan_one(struct protection *p, struct carrier_plan *plan,
                               const struct cli_input *in, const struct carrier_original *o,
                               struct ds_error *err)
{
    enum ds_status s = plan_regions(p, plan, in, o, err);
    if (s == DS_OK && carrier_original_image(o) != NULL) {
        s = carrier_hiding_fits(&p->options.hiding.how, carrier_original_image(o), err);
    }
    return s == DS_OK ? carrier_plan_add(plan, o, err) : s;
}

/* What is no sound DICOM, or is a carrier already, is named and left out of the study; any other
 * fault ends the run. */
static bool may_be_left_out(enum ds_status s)
{
    return s == DS_EFORMAT || s == DS_EUNSUPPORTED;
}

/* Afterwards the inputs are those that the plan has. *code: the worst of those left out. */
static int plan_all(struct protection *p, struct carrier_plan *plan, int *code)
{
    const size_t count = p->inputs.count;
    for (size_t i = 0, done = 0; i < p->inputs.count; done++) {
        const struct cli_input *in = &p->inputs.items[i];
        struct ds_error err = {0};
        DS_AUTO(carrier_original_auto) struct carrier_original *o = NULL;
        cli_progress("planning", done, count);
        enum ds_status s = cli_stopped() ? ds_fail(&err, DS_EIO, "stopped")
                                         : carrier_original_open(&o, in->path, &err);
        if (s == DS_OK) {
            s = refuse_carrier(o, &err);
        }
        if (may_be_left_out(s)) {
            *code = cli_worse(*code, cli_complain(in->path, &err));
            cli_inputs_drop(&p->inputs, i);
            continue;
        }
        if (s == DS_OK) {
            s = plan_one(p, plan, in, o, &err);
        }
        if (s != DS_OK) {
            return cli_complain(in->path, &err);
        }
        i++;
    }
    if (p->options.region_source != NULL && p->region_count == 0) {
        /* Somebody who asked for a cover must not get none by a slip of a name. */
        return cli_usage("protect", "--region-from marks nothing on any of the images");
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

static enum ds_status make(const struct protection *p, const struct stego_capsule *capsule,
                           const struct cli_input *in, const struct carrier_slot *slot,
                           struct carrier_made *made, struct ds_error *err)
{
    DS_AUTO(carrier_original_auto) struct carrier_original *o = NULL;
    struct carrier_make_options options = {
        .qr = p->options.qr,
        .hiding = p->options.hiding.how,
        .station = p->options.origin[0] != '\0' ? p->options.origin : NULL,
        .site = p->options.site,
        .references = p->renamed,
        .transfer_syntax = slot->placement == CARRIER_SIDECAR ? NULL : p->options.transfer_syntax,
    };
    struct protect_regions r;
    enum ds_status s = carrier_original_open(&o, in->path, err);
    if (s == DS_OK) {
        s = protect_regions_of(&p->options, in, o, &r, err);
    }
    if (s != DS_OK) {
        return s;
    }
    options.region = r.items[0];
    options.more = protect_regions_more(&r);
    return carrier_make(capsule, o, slot, &options, made, err);
}

static enum ds_status stage_untouched(struct protection *p, const struct cli_input *in,
                                      const char *name, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = ds_file_read(in->path, &file, err);
    return s == DS_OK ? cli_outputs_stage(&p->outputs, name, &file, err) : s;
}

static enum ds_status stage_made(struct protection *p, const struct carrier_made *made,
                                 const char *name, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = carrier_made_part10(made, &bytes, err);
    return s == DS_OK ? cli_outputs_stage(&p->outputs, name, &bytes, err) : s;
}

/* The instance beside its sidecar, untouched unless it refers to carriers. */
static enum ds_status stage_beside(struct protection *p, const struct cli_input *in,
                                   const struct carrier_made *made, const char *name,
                                   struct ds_error *err)
{
    if (made->beside.len == 0) {
        return stage_untouched(p, in, name, err);
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const enum ds_status s = carrier_made_beside_part10(made, &bytes, err);
    return s == DS_OK ? cli_outputs_stage(&p->outputs, name, &bytes, err) : s;
}

static enum ds_status stage_slot(struct protection *p, const struct stego_capsule *capsule,
                                 const struct cli_input *in, const struct carrier_slot *slot,
                                 const char *name, struct ds_error *err)
{
    if (slot->placement != CARRIER_IN_PIXELS && slot->placement != CARRIER_SIDECAR) {
        return stage_untouched(p, in, name, err);
    }
    DS_AUTO(carrier_made_free) struct carrier_made made = {0};
    enum ds_status s = make(p, capsule, in, slot, &made, err);
    if (s != DS_OK || slot->placement == CARRIER_IN_PIXELS) {
        return s == DS_OK ? stage_made(p, &made, name, err) : s;
    }
    s = stage_beside(p, in, &made, name, err);
    DS_AUTO(ds_string_free) char *beside = NULL;
    if (s == DS_OK) {
        s = cli_output_sidecar(&p->outputs, name, &beside, err);
    }
    return s == DS_OK ? stage_made(p, &made, beside, err) : s;
}

static int make_one(struct protection *p, const struct stego_capsule *capsule, size_t i,
                    const struct carrier_slot *slot)
{
    struct ds_error err = {0};
    const struct cli_input *in = &p->inputs.items[i];
    DS_AUTO(ds_string_free) char *name = NULL;
    enum ds_status s = cli_output_name(&p->outputs, &p->inputs, in, p->options.out, &name, &err);
    if (s == DS_OK) {
        s = stage_slot(p, capsule, in, slot, name, &err);
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

/* As carrier_make has it. */
static const char *site_of(const struct protection *p)
{
    return p->options.site != NULL ? p->options.site : p->options.origin;
}

static int make_renamed(struct protection *p, const struct stego_capsule *capsule,
                        const struct carrier_slot *slots)
{
    struct ds_error err = {0};
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *renamed = NULL;
    if (cli_renamed(&p->inputs, slots, site_of(p), &renamed, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    p->renamed = renamed;
    const int code = make_all(p, capsule, slots);
    p->renamed = NULL;
    return code;
}

static int protect_dicom(struct protection *p)
{
    struct ds_error err = {0};
    DS_AUTO(carrier_plan_auto) struct carrier_plan *plan = NULL;
    DS_AUTO(stego_capsule_auto) struct stego_capsule *capsule = NULL;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *candidates = NULL;
    if (cli_renamed(&p->inputs, NULL, site_of(p), &candidates, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    const struct carrier_plan_options how = {.unsuitable = p->options.unsuitable,
                                             .attributes = protect_attributes(p),
                                             .keep_bitstream = p->options.keep_bitstream,
                                             .hiding = p->options.hiding.how,
                                             .measurement = p->options.measurement,
                                             .measurement_is_unsuitable = true,
                                             .references = candidates,
                                             .instances = p->inputs.count};
    if (carrier_plan_new(&plan, &how, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    int left_out = CLI_DONE;
    int code = plan_all(p, plan, &left_out);
    if (code != CLI_DONE || p->inputs.count == 0) {
        return cli_worse(code, left_out);
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
        code = make_renamed(p, capsule, slots);
    }
    if (code == CLI_DONE) {
        print_summary(p, capsule, slots);
    }
    free(slots);
    return cli_worse(code, left_out);
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
    const int code = protect_parse(&p, argc, argv);
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
    .help = protect_help,
    .run = run,
};

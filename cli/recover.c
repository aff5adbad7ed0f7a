/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/pairs.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* The study that a capsule was sealed for, as far as its instances are among the inputs. */
struct study {
    uint8_t capsule_id[STEGO_CAPSULE_ID_BYTES];
    struct stego_collector *collector;
    bool is_sealed;
};

struct recovery {
    const char *out;
    bool pixels_only, reports_only;
    const struct stego_method *method; /* NULL: whichever it is */
    struct cli_keys keys;
    struct cli_inputs inputs;
    struct cli_pairs pairs;
    struct cli_outputs outputs;
    struct study *studies;
    size_t study_count;
    bool *is_carrier; /* for each input: found and verified */
    size_t restored, identical, pixels_restored, reports, unrestorable;
    bool is_blocked; /* a report's file exists: nothing at all is written then */
};

static struct study *study_of(const struct recovery *r, const struct stego_manifest *m)
{
    for (size_t i = 0; i < r->study_count; i++) {
        if (memcmp(r->studies[i].capsule_id, m->capsule_id, sizeof(m->capsule_id)) == 0) {
            return &r->studies[i];
        }
    }
    return NULL;
}

static enum ds_status add_study(struct recovery *r, const struct stego_manifest *m,
                                struct ds_error *err)
{
    struct study *studies = reallocarray(r->studies, r->study_count + 1, sizeof(*studies));
    if (studies == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a study");
    }
    r->studies = studies;
    struct study *s = &studies[r->study_count];
    *s = (struct study){.is_sealed = m->is_sealed};
    memcpy(s->capsule_id, m->capsule_id, sizeof(s->capsule_id));
    const enum ds_status status = stego_collector_new(&s->collector, err);
    r->study_count += status == DS_OK ? 1 : 0;
    return status;
}

/* ---- first round: who carries what ---- */

static enum ds_status collect_one(struct recovery *r, size_t i, bool *foreign, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(cli_carried_free) struct cli_carried carried = {0};
    enum ds_status s = ds_file_read(r->inputs.items[i].path, &file, err);
    *foreign = s == DS_OK && cli_is_foreign(&r->inputs.items[i], &file);
    if (*foreign) {
        return DS_OK;
    }
    if (s == DS_OK) {
        s = cli_carried_load(&carried, &file, &r->keys.ring, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct stego_method *method = cli_carried_method(&carried)->method;
    if (r->method != NULL && method != r->method) {
        return ds_fail(err, DS_ENOTHING, "carries nothing by method %s", r->method->name);
    }
    const struct stego_part *part = cli_carried_part(&carried);
    const struct stego_manifest *m = stego_part_manifest(part);
    if (study_of(r, m) == NULL) {
        s = add_study(r, m, err);
    }
    if (s == DS_OK && m->share_index != STEGO_NO_SHARE) {
        s = stego_collector_add(study_of(r, m)->collector, part, err);
    }
    r->is_carrier[i] = s == DS_OK;
    return s;
}

static int collect(struct recovery *r)
{
    int code = CLI_DONE;
    for (size_t i = 0; i < r->inputs.count && !cli_stopped(); i++) {
        struct ds_error err = {0};
        bool foreign = false;
        if (cli_pairs_is_beside(&r->pairs, i)) {
            continue; /* its sidecar speaks for it */
        }
        cli_progress("reading", i, r->inputs.count);
        if (collect_one(r, i, &foreign, &err) != DS_OK) {
            code = cli_worse(code, cli_complain(r->inputs.items[i].path, &err));
        } else if (foreign) {
            (void)fprintf(stderr, "dicomstego: %s: left out, not DICOM\n", r->inputs.items[i].path);
        }
    }
    return code;
}

/* ---- second round: restoring ---- */

static enum ds_status restore_png(const struct recovery *r, const struct study *study,
                                  const struct cli_carried *c, struct ds_bytes *out,
                                  struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes record = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    const enum ds_status s =
        r->pixels_only ? DS_OK
                       : stego_part_record(c->part, study->collector, &r->keys.ring, &record, err);
    return s == DS_OK ? cli_png_write(&c->image, out, err) : s;
}

/* What the user can do about a record that stays closed. */
static enum ds_status explain(const struct recovery *r, enum ds_status s, struct ds_error *err)
{
    if (s == DS_ENOKEY && r->keys.ring.identity_count == 0 && r->keys.ring.password == NULL) {
        return ds_fail(err, s,
                       "sealed, and no key was given: --key KEY --certificate CERT, or "
                       "--password-file FILE (--pixels-only restores the pixels without one)");
    }
    if (s == DS_ECAPACITY) {
        return ds_fail(err, DS_ENOTFOUND, "%s",
                       "its key travels in other images of the study: give more of them");
    }
    return s;
}

static enum ds_status restore_dicom(struct recovery *r, const struct study *study,
                                    const struct cli_carried *c, struct ds_bytes *out,
                                    struct ds_error *err)
{
    struct carrier_restored restored = {0};
    enum ds_status s = carrier_restore(c->found, study->collector, &r->keys.ring, &restored, err);
    const bool no_key = s == DS_ENOKEY || s == DS_ECAPACITY;
    if (no_key && r->pixels_only) {
        s = carrier_restore_pixels(c->found, &restored, err);
        r->pixels_restored += s == DS_OK ? 1 : 0;
    } else if (s == DS_OK) {
        r->identical += restored.file_proven ? 1 : 0;
    }
    if (s == DS_OK) {
        ds_bytes_free(out);
        *out = ds_bytes_take(&restored.file);
    }
    carrier_restored_free(&restored);
    return explain(r, s, err);
}

/* What comes back has the name of the carrier; with a sidecar, of the instance that it is. */
static const struct cli_input *named_by(const struct recovery *r, size_t i)
{
    const struct cli_pair *pair = &r->pairs.items[i];
    return &r->inputs.items[pair->is_sidecar && pair->other != CLI_NO_INPUT ? pair->other : i];
}

static enum ds_status restore_one(struct recovery *r, size_t i, struct ds_error *err)
{
    const struct cli_input *in = &r->inputs.items[i];
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(cli_carried_free) struct cli_carried carried = {0};
    DS_AUTO(ds_string_free) char *name = NULL;
    enum ds_status s = ds_file_read(in->path, &file, err);
    if (s == DS_OK) {
        s = cli_carried_load(&carried, &file, &r->keys.ring, err);
    }
    if (s == DS_OK) {
        s = cli_pairs_join(&r->pairs, &r->inputs, i, &carried, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct study *study = study_of(r, stego_part_manifest(cli_carried_part(&carried)));
    if (study == NULL) {
        return ds_fail(err, DS_EIO, "changed while it was read");
    }
    if (!cli_carried_is_restorable(&carried)) {
        r->unrestorable++;
        return ds_fail(err, DS_EUNSUPPORTED,
                       "not restorable: the least significant bits were replaced and did not "
                       "travel along; its reports are recovered (--reports-only asks for no more)");
    }
    s = carried.found != NULL ? restore_dicom(r, study, &carried, &out, err)
                              : restore_png(r, study, &carried, &out, err);
    if (s == DS_OK) {
        s = cli_output_name(&r->outputs, &r->inputs, named_by(r, i), r->out, &name, err);
    }
    return s == DS_OK ? cli_outputs_stage(&r->outputs, name, &out, err) : s;
}

static int restore_all(struct recovery *r)
{
    int code = CLI_DONE;
    for (size_t i = 0; i < r->inputs.count && !cli_stopped(); i++) {
        struct ds_error err = {0};
        if (!r->is_carrier[i] || r->reports_only) {
            continue;
        }
        const size_t gone = r->unrestorable;
        cli_progress("restoring", i, r->inputs.count);
        if (restore_one(r, i, &err) != DS_OK) {
            const int worse = cli_complain(r->inputs.items[i].path, &err);
            /* What never comes back is the lesser fault where the reports do not open either. */
            code = r->unrestorable > gone ? code : cli_worse(code, worse);
        } else {
            r->restored++;
        }
    }
    return code;
}

/* ---- reports ---- */

/* Where reports go: OUT when it is a folder, else the folder that OUT lies in. */
static char *report_folder(const struct recovery *r)
{
    if (r->inputs.is_many) {
        return strdup(r->out);
    }
    const char *restored = r->outputs.count > 0 ? r->outputs.items[0].path : r->out;
    const char *slash = strrchr(restored, '/');
    return slash == NULL ? strdup(".") : strndup(restored, (size_t)(slash - restored) + 1);
}

static enum ds_status stage_report(struct recovery *r, const struct study *study,
                                   const struct stego_opened_document *report, struct ds_error *err)
{
    char id[2 * STEGO_CAPSULE_ID_BYTES + 1];
    DS_AUTO(ds_string_free) char *folder = report_folder(r);
    DS_AUTO(ds_string_free) char *path = folder != NULL ? ds_file_join(folder, report->name) : NULL;
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    /* Two studies with reports of the same name in one run: the capsule tells them apart. */
    if (cli_outputs_has(&r->outputs, path)) {
        DS_AUTO(ds_string_free) char *longer = NULL;
        ds_hex(study->capsule_id, 4, id);
        if (asprintf(&longer, "%s-%s", id, report->name) < 0) {
            longer = NULL;
            return ds_fail(err, DS_ENOMEM, "no memory for a file name");
        }
        free(path);
        path = ds_file_join(folder, longer);
        if (path == NULL) {
            return ds_fail(err, DS_ENOMEM, "no memory for a file name");
        }
    }
    if (!r->outputs.force && ds_file_exists(path)) {
        return ds_fail(err, DS_EEXIST, "%.150s exists; --force overwrites it", path);
    }
    return cli_outputs_stage(&r->outputs, path, &report->data, err);
}

static int recover_reports(struct recovery *r, struct study *study)
{
    struct ds_error err = {0};
    struct stego_documents documents = {0};
    enum ds_status s = carrier_reports(study->collector, &r->keys.ring, &documents, &err);
    for (size_t i = 0; i < documents.count && s == DS_OK; i++) {
        s = stage_report(r, study, &documents.items[i], &err);
        r->reports += s == DS_OK ? 1 : 0;
    }
    stego_documents_free(&documents);
    if (s == DS_OK) {
        return CLI_DONE;
    }
    r->is_blocked = r->is_blocked || s == DS_EEXIST;
    const int code = cli_complain("report", &err);
    return s == DS_ECAPACITY ? CLI_FAILED : code; /* too few images, not too small ones */
}

static int recover_all_reports(struct recovery *r)
{
    int code = CLI_DONE;
    for (size_t i = 0; i < r->study_count; i++) {
        if (r->studies[i].is_sealed &&
            (r->restored > r->pixels_restored || r->unrestorable > 0 || r->reports_only)) {
            code = cli_worse(code, recover_reports(r, &r->studies[i]));
        }
    }
    return code;
}

/* ---- the verb ---- */

static void recovery_finish(struct recovery *r)
{
    for (size_t i = 0; i < r->study_count; i++) {
        stego_collector_free(r->studies[i].collector);
    }
    free(r->studies);
    free(r->is_carrier);
    cli_outputs_free(&r->outputs);
    cli_pairs_free(&r->pairs);
    cli_inputs_free(&r->inputs);
    cli_keys_free(&r->keys);
}

static int parse(struct recovery *r, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"key", required_argument, NULL, 'k'},
        {"certificate", required_argument, NULL, 'c'},
        {"password-file", required_argument, NULL, 'p'},
        {"trust", required_argument, NULL, 't'},
        {"pixels-only", no_argument, NULL, 'x'},
        {"reports-only", no_argument, NULL, 'r'},
        {"method", required_argument, NULL, 'm'},
        {"shared-key", required_argument, NULL, 's'},
        {"force", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    r->keys.trust_paths = calloc((size_t)argc, sizeof(char *));
    if (r->keys.trust_paths == NULL) {
        return CLI_FAILED;
    }
    int c = 0;
    while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        switch (c) {
        case 'o':
            r->out = optarg;
            break;
        case 'k':
            r->keys.key_path = optarg;
            break;
        case 'c':
            r->keys.certificate_path = optarg;
            break;
        case 'p':
            r->keys.password_path = optarg;
            break;
        case 't':
            r->keys.trust_paths[r->keys.trust_count++] = optarg;
            break;
        case 'x':
            r->pixels_only = true;
            break;
        case 'r':
            r->reports_only = true;
            break;
        case 'm':
            r->method = stego_method_named(optarg);
            if (r->method == NULL) {
                return cli_usage("recover", "--method takes rdh or lsb");
            }
            break;
        case 's':
            r->keys.shared_key_path = optarg;
            break;
        case 'f':
            r->outputs.force = true;
            break;
        default:
            return cli_usage("recover", "see the options");
        }
    }
    if (r->out == NULL) {
        return cli_usage("recover", "-o OUT is missing");
    }
    return optind < argc ? CLI_DONE : cli_usage("recover", "no input is given");
}

static enum ds_status prepare(struct recovery *r, char *const *names, size_t count,
                              struct ds_error *err)
{
    enum ds_status s = cli_inputs_gather(&r->inputs, names, count, err);
    if (s == DS_OK) {
        s = cli_pairs_find(&r->pairs, &r->inputs, err);
    }
    for (size_t i = 0; i < r->inputs.count && s == DS_OK; i++) {
        DS_AUTO(ds_string_free) char *name = NULL;
        s = cli_output_name(&r->outputs, &r->inputs, &r->inputs.items[i], r->out, &name, err);
    }
    if (s == DS_OK) {
        s = cli_keys_load(&r->keys, err);
    }
    r->is_carrier = calloc(r->inputs.count + 1, sizeof(*r->is_carrier));
    return s == DS_OK && r->is_carrier == NULL ? ds_fail(err, DS_ENOMEM, "no memory") : s;
}

static int finish(struct recovery *r, int code)
{
    struct ds_error err = {0};
    if (cli_stopped()) {
        (void)fputs("dicomstego: stopped, nothing written\n", stderr);
        return CLI_FAILED;
    }
    if (r->is_blocked) {
        (void)fputs("dicomstego: nothing written\n", stderr);
        return code;
    }
    if (cli_outputs_commit(&r->outputs, &err) != DS_OK) {
        return cli_worse(code, cli_complain("", &err));
    }
    if (r->restored > r->pixels_restored) {
        (void)printf("%zu restored, %zu of them to the byte as they were; %zu report%s\n",
                     r->restored - r->pixels_restored, r->identical, r->reports,
                     r->reports == 1 ? "" : "s");
    }
    if (r->restored == 0 && r->reports > 0) {
        (void)printf("%zu report%s, no image restored\n", r->reports, r->reports == 1 ? "" : "s");
    }
    if (r->pixels_restored > 0) {
        (void)printf("%zu with the original's pixels only: attributes are the carrier's\n",
                     r->pixels_restored);
    }
    return code;
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(recovery_finish) struct recovery r = {0};
    int code = parse(&r, argc, argv);
    if (code != CLI_DONE) {
        return code;
    }
    if (prepare(&r, argv + optind, (size_t)(argc - optind), &err) != DS_OK) {
        return cli_complain("", &err);
    }
    code = collect(&r);
    code = cli_worse(code, restore_all(&r));
    code = cli_worse(code, recover_all_reports(&r));
    code = code == CLI_DONE && r.unrestorable > 0 ? CLI_FAILED : code;
    return finish(&r, code);
}

const struct cli_verb cli_recover = {
    .name = "recover",
    .summary = "restore originals and reports, with proof",
    .help =
        "Usage: dicomstego recover -o OUT [OPTION]... IN...\n"
        "Restores what 'protect' or a node made, and writes only what is proven to be the\n"
        "original by pixel and dataset hash. Reports come back under their own names, into OUT\n"
        "when it is a folder, else beside it. OUT is a folder when IN is more than one file.\n"
        "A sidecar is given together with the file that it belongs to.\n\n"
        "  -o, --output OUT      where originals and reports go\n"
        "  --key KEY             the private key to open with, and its --certificate\n"
        "  --certificate FILE\n"
        "  --password-file FILE  or the password, in the file's first line\n"
        "  --trust FILE          accept only what these certificates, or CAs, have signed;\n"
        "                        may be repeated\n"
        "  --reports-only        the reports alone, no images: for carriers whose originals do "
        "not\n"
        "                        come back (--method lsb without --reversible)\n"
        "  --method NAME         only what is hidden by this method; otherwise the carrier says\n"
        "  --shared-key FILE     what orders or complements, where it is not the password\n"
        "  --pixels-only         without a key: the original's pixels in the carrier's attributes\n"
        "  --force               overwrite\n\n"
        "Of several inputs the good ones are written, the others named; the exit code is that of\n"
        "the worst. Too few images for a report: exit code 1, and how many are missing.\n",
    .run = run,
};

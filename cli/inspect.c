/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/pairs.h"

#include "base/clock.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

struct inspection {
    bool json, first;
    bool hashes; /* of the files as they are, instead of what they carry */
    const char *export_folder;
    struct cli_inputs inputs;
    struct cli_pairs pairs;
    struct cli_outputs outputs;
    /* for --export: one capsule */
    struct stego_collector *collector;
    struct ds_bytes key_block;
};

static void inspection_finish(struct inspection *v)
{
    cli_pairs_free(&v->pairs);
    cli_inputs_free(&v->inputs);
    cli_outputs_free(&v->outputs);
    stego_collector_free(v->collector);
    ds_bytes_free(&v->key_block);
}

/* ---- printing ---- */

/* One fact in either form. */
static void fact(const struct inspection *v, const char *name, const char *text)
{
    if (v->json) {
        (void)printf(", \"%s\": ", name);
        cli_json_string(stdout, text);
    } else {
        (void)printf("  %-16s %s\n", name, text);
    }
}

static void fact_number(const struct inspection *v, const char *name, unsigned long long n)
{
    if (v->json) {
        (void)printf(", \"%s\": %llu", name, n);
    } else {
        (void)printf("  %-16s %llu\n", name, n);
    }
}

static void fact_hex(const struct inspection *v, const char *name, const uint8_t *data, size_t len)
{
    char hex[2 * DS_SHA256_BYTES + 1];
    ds_hex(data, len, hex);
    fact(v, name, hex);
}

static void fact_bool(const struct inspection *v, const char *name, bool is)
{
    if (v->json) {
        (void)printf(", \"%s\": %s", name, is ? "true" : "false");
    }
}

static void begin(struct inspection *v, const char *path)
{
    if (v->json) {
        (void)fputs(v->first ? "[\n  {\"file\": " : ",\n  {\"file\": ", stdout);
        cli_json_string(stdout, path);
    } else {
        (void)printf("%s\n", path);
    }
    v->first = false;
}

static void end(const struct inspection *v)
{
    if (v->json) {
        (void)fputs("}", stdout);
    }
}

static void print_origin(const struct inspection *v, const struct stego_part *part)
{
    static const char *const states[] = {"unsigned", "signed, not checked", "verified"};
    static const uint8_t none[STEGO_KEY_ID_BYTES] = {0};
    const struct stego_manifest *m = stego_part_manifest(part);
    char when[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(m->created_utc_us, when);
    fact(v, "origin", m->origin);
    fact(v, "created", when);
    fact(v, "signature", states[stego_part_origin(part)]);
    if (memcmp(m->signer_key_id, none, sizeof(none)) != 0) {
        fact_hex(v, "signer_key", m->signer_key_id, sizeof(m->signer_key_id));
    }
}

static void print_contents(const struct inspection *v, const struct stego_part *part)
{
    const struct stego_manifest *m = stego_part_manifest(part);
    fact_hex(v, "capsule", m->capsule_id, sizeof(m->capsule_id));
    fact(v, "sealed", m->is_sealed ? "yes" : "no");
    if (m->share_index != STEGO_NO_SHARE) {
        fact_number(v, "share", m->share_index);
    }
    fact_number(v, "shares_needed", m->shares_needed);
    fact_number(v, "shares_total", m->shares_total);
    fact(v, "key_block", m->has_key_block ? "yes" : "no");
    if (m->head.size > 0) {
        fact_number(v, "log_size", m->head.size);
        fact_hex(v, "log_root", m->head.root, sizeof(m->head.root));
    }
    fact_number(v, "manifest_bytes", m->manifest_bytes);
    fact_number(v, "record_bytes", m->record_bytes);
    fact_number(v, "key_block_bytes", m->key_block_bytes);
    fact_number(v, "share_bytes", m->share_bytes);
    fact_hex(v, "pixel_hash", m->pixel_hash, sizeof(m->pixel_hash));
    fact_hex(v, "dataset_hash", m->dataset_hash, sizeof(m->dataset_hash));
}

static void print_region(const struct inspection *v, const struct cli_carried *c)
{
    const struct stego_rect *r = c->found != NULL ? carrier_found_region(c->found) : NULL;
    if (r != NULL && r->width > 0) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%u,%u,%u,%u", r->x, r->y, r->width, r->height);
        fact(v, "key_region", text);
    }
}

static void print_method(const struct inspection *v, const struct cli_carried *c)
{
    const struct stego_method_facts *facts = cli_carried_method(c);
    if (facts->method == NULL) {
        return;
    }
    fact(v, "method", facts->method->name);
    fact(v, "restorable", facts->is_restored ? "yes" : "no");
    if (facts->method == &stego_method_lsb) {
        fact_number(v, "planes", facts->lsb.planes);
        fact(v, "order", facts->lsb.is_keyed ? "keyed" : "sequential");
        if (facts->lsb.dna_rule != 0) {
            fact_number(v, "dna_rule", facts->lsb.dna_rule);
        }
    }
}

/* What the image as it is could hold, as 'capacity' says it. */
static void print_capacity(const struct inspection *v, const struct ds_bytes *file)
{
    const struct carrier_hiding how = {.effort = STEGO_FAST, .pool = cli_pool()};
    uint64_t bits = 0;
    if (cli_capacity_of(file, &how, &bits, NULL) != DS_OK) {
        bits = 0;
    }
    fact_number(v, "capacity_bytes", bits / 8);
}

/* ---- export ---- */

static enum ds_status collect(struct inspection *v, const struct stego_part *part,
                              struct ds_error *err)
{
    if (v->export_folder == NULL) {
        return DS_OK;
    }
    size_t len = 0;
    const uint8_t *key_block = stego_part_key_block(part, &len);
    enum ds_status s = DS_OK;
    if (v->key_block.len == 0 && len > 0) {
        s = ds_bytes_append(&v->key_block, key_block, len, err);
    }
    if (s == DS_OK && v->collector == NULL) {
        s = stego_collector_new(&v->collector, err);
    }
    if (s != DS_OK || stego_part_manifest(part)->share_index == STEGO_NO_SHARE) {
        return s;
    }
    s = stego_collector_add(v->collector, part, err);
    return s == DS_EINVAL ? ds_fail(err, s, "belongs to another capsule: export one at a time") : s;
}

static enum ds_status stage(struct inspection *v, const char *name, const struct ds_bytes *data,
                            struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = ds_file_join(v->export_folder, name);
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    return ds_file_exists(path) ? ds_fail(err, DS_EEXIST, "%.150s exists", path)
                                : cli_outputs_stage(&v->outputs, path, data, err);
}

static int export_all(struct inspection *v)
{
    struct ds_error err = {0};
    if (v->export_folder == NULL || v->collector == NULL) {
        return CLI_DONE;
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes sealed = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    enum ds_status s = stego_collector_sealed(v->collector, &sealed, &err);
    if (s == DS_OK) {
        s = stage(v, "sealed.cms", &sealed, &err);
    }
    if (s == DS_OK && v->key_block.len > 0) {
        s = stage(v, "key.cms", &v->key_block, &err);
    }
    if (s == DS_OK) {
        s = cli_outputs_commit(&v->outputs, &err);
    }
    if (s == DS_OK) {
        return CLI_DONE;
    }
    const int code = cli_complain("export", &err);
    return s == DS_ECAPACITY ? CLI_FAILED : code;
}

/* ---- hashes ---- */

static enum ds_status print_png_hashes(struct inspection *v, const char *path,
                                       const struct ds_bytes *file, struct ds_error *err)
{
    struct stego_image image = {0};
    uint8_t pixel[DS_SHA256_BYTES];
    uint8_t dataset[DS_SHA256_BYTES];
    enum ds_status s = cli_png_read(file, &image, err);
    if (s == DS_OK) {
        s = cli_png_hashes(&image, pixel, dataset, err);
    }
    stego_image_free(&image);
    if (s == DS_OK) {
        begin(v, path);
        fact_hex(v, "pixel_hash", pixel, sizeof(pixel));
        fact_hex(v, "dataset_hash", dataset, sizeof(dataset));
        end(v);
    }
    return s;
}

/* Pixels that are not decoded have no hash; the reason stands in its place. */
static enum ds_status print_hashes(struct inspection *v, const char *path,
                                   const struct ds_bytes *file, struct ds_error *err)
{
    if (cli_is_png(file)) {
        return print_png_hashes(v, path, file, err);
    }
    DS_AUTO(carrier_original_auto) struct carrier_original *o = NULL;
    const enum ds_status s = carrier_original_load(&o, file->data, file->len, err);
    if (s != DS_OK) {
        return s;
    }
    const struct carrier_hashes *h = carrier_original_hashes(o);
    struct ds_error why = {0};
    begin(v, path);
    if (h->has_pixels) {
        fact_hex(v, "pixel_hash", h->pixel, sizeof(h->pixel));
    } else if (carrier_original_suitable(o, &why) != DS_OK) {
        fact(v, "no_pixel_hash", why.text);
    }
    fact_hex(v, "dataset_hash", h->dataset, sizeof(h->dataset));
    fact_hex(v, "file_hash", h->file, sizeof(h->file));
    end(v);
    return DS_OK;
}

/* ---- the verb ---- */

static void print_sidecar(const struct inspection *v, size_t i)
{
    const struct cli_pair *pair = &v->pairs.items[i];
    if (pair->is_sidecar) {
        fact(v, "belongs_to", pair->belongs_to);
        fact(v, "beside",
             pair->other != CLI_NO_INPUT ? v->inputs.items[pair->other].path
                                         : "missing among the files given");
    }
}

/* An original that a sidecar among the inputs belongs to: the capsule is told of there. */
static void inspect_beside(struct inspection *v, size_t i)
{
    begin(v, v->inputs.items[i].path);
    fact_bool(v, "carries", false);
    fact(v, "sidecar", v->inputs.items[v->pairs.items[i].other].path);
    end(v);
}

static int inspect_one(struct inspection *v, size_t i)
{
    struct ds_error err = {0};
    const struct cli_input *in = &v->inputs.items[i];
    if (!v->hashes && cli_pairs_is_beside(&v->pairs, i)) {
        inspect_beside(v, i);
        return CLI_DONE;
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(cli_carried_free) struct cli_carried carried = {0};
    enum ds_status s = ds_file_read(in->path, &file, &err);
    if (s == DS_OK && cli_is_foreign(in, &file)) {
        return CLI_DONE;
    }
    if (s == DS_OK && v->hashes) {
        s = print_hashes(v, in->path, &file, &err);
        return s == DS_OK ? CLI_DONE : cli_complain(in->path, &err);
    }
    if (s == DS_OK) {
        s = cli_carried_load(&carried, &file, NULL, &err);
    }
    if (s == DS_ENOTHING) {
        begin(v, in->path);
        fact_bool(v, "carries", false);
        print_capacity(v, &file);
        end(v);
        return cli_complain(in->path, &err);
    }
    if (s != DS_OK) {
        return cli_complain(in->path, &err);
    }
    const struct stego_part *part = cli_carried_part(&carried);
    begin(v, in->path);
    fact_bool(v, "carries", true);
    fact(v, "placement",
         carried.found != NULL && carrier_found_placement(carried.found) == CARRIER_SIDECAR
             ? "sidecar"
             : "pixels");
    print_method(v, &carried);
    print_sidecar(v, i);
    print_origin(v, part);
    print_contents(v, part);
    print_region(v, &carried);
    end(v);
    s = collect(v, part, &err);
    return s == DS_OK ? CLI_DONE : cli_complain(in->path, &err);
}

static int parse(struct inspection *v, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"hashes", no_argument, NULL, 'h'},
        {"export", required_argument, NULL, 'e'},
        {NULL, 0, NULL, 0},
    };
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'j') {
            v->json = true;
        } else if (c == 'h') {
            v->hashes = true;
        } else if (c == 'e') {
            v->export_folder = optarg;
        } else {
            return cli_usage("inspect", "see the options");
        }
    }
    if (v->hashes && v->export_folder != NULL) {
        return cli_usage("inspect", "--hashes and --export are two questions: ask one at a time");
    }
    return optind < argc ? CLI_DONE : cli_usage("inspect", "no input is given");
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(inspection_finish)
    struct inspection v = {.first = true, .key_block = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES)};
    int code = parse(&v, argc, argv);
    if (code != CLI_DONE) {
        return code;
    }
    if (cli_inputs_gather(&v.inputs, argv + optind, (size_t)(argc - optind), &err) != DS_OK) {
        return cli_complain("", &err);
    }
    if (cli_pairs_find(&v.pairs, &v.inputs, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    for (size_t i = 0; i < v.inputs.count && !cli_stopped(); i++) {
        cli_progress("inspecting", i, v.inputs.count);
        code = cli_worse(code, inspect_one(&v, i));
    }
    if (v.json) {
        (void)fputs(v.first ? "[]\n" : "\n]\n", stdout);
    }
    return cli_stopped() ? CLI_FAILED : cli_worse(code, export_all(&v));
}

const struct cli_verb cli_inspect = {
    .name = "inspect",
    .summary = "what images carry and where it is from; needs no key",
    .help =
        "Usage: dicomstego inspect [--json] [--hashes | --export FOLDER] IN...\n"
        "Prints what each image carries: origin, capsule, shares, sizes and the original's\n"
        "hashes; of others the capacity; of a sidecar which instance it belongs to. 'verify'\n"
        "checks signatures.\n\n"
        "  --json           the facts as a JSON array\n"
        "  --hashes         instead: the hashes of pixels, data set and file as they are\n"
        "  --export FOLDER  writes the sealed documents as sealed.cms, and the sealed study key\n"
        "                   as key.cms, for 'openssl cms -decrypt'; needs enough of the images\n\n"
        "Exit code 5: one of them carries nothing.\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stats.h"

#include "base/file.h"
#include "dicomstego/similarity.h"

#include <math.h>
#include <stdlib.h>

struct counting {
    struct stats stats;
    const char *plot;
    bool json;
    struct cli_outputs outputs;
};

static void image_finish(struct stats_image *i)
{
    carrier_original_free(i->original);
    stego_image_free(&i->png);
}

static void finish(struct counting *c)
{
    image_finish(&c->stats.cover);
    image_finish(&c->stats.other);
    cli_outputs_free(&c->outputs);
}

/* ---- measuring ---- */

static enum ds_status load_image(struct stats_image *out, const struct ds_bytes *file,
                                 struct ds_error *err)
{
    out->file_bytes = file->len;
    if (cli_is_png(file)) {
        out->image = &out->png;
        return cli_png_read(file, &out->png, err);
    }
    enum ds_status s = carrier_original_load(&out->original, file->data, file->len, err);
    if (s == DS_OK) {
        s = carrier_original_suitable(out->original, err);
    }
    if (s == DS_OK) {
        out->image = carrier_original_image(out->original);
    }
    return s;
}

static enum ds_status measure_image(struct stats_image *out, struct ds_error *err)
{
    size_t count = 0;
    enum ds_status s = stego_statistics_of(out->image, &out->statistics, err);
    if (s == DS_OK && !stego_image_count(out->image, &count)) {
        s = ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    for (size_t i = 0; i < STATS_PREFIXES && s == DS_OK; i++) {
        s = stego_chi_square_attack(out->image, count * (i + 1) / STATS_PREFIXES, &out->attack[i],
                                    err);
    }
    return s == DS_OK ? stego_rs_analysis(out->image, &out->rs, err) : s;
}

static enum ds_status find_sizes(struct stats *s, const struct ds_bytes *file, struct ds_error *err)
{
    struct cipher_source source;
    struct ds_bytes packed = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    enum ds_status status = cipher_source_load(&source, file, err);
    if (status == DS_OK) {
        status = stego_cipher_pack(&source.source, STEGO_CIPHER_ALL, &packed, &s->sizes, err);
    }
    cipher_source_free(&source);
    ds_bytes_free(&packed);
    return status;
}

static enum ds_status compare(struct stats *s, struct ds_error *err)
{
    const struct stego_image *a = s->cover.image;
    const struct stego_image *b = s->other.image;
    enum ds_status status = stego_change_of(a, b, &s->change, err);
    s->is_same_geometry = status == DS_OK && !s->change.by_byte;
    s->ssim = (double)NAN;
    if (s->is_same_geometry) {
        status = stego_image_compare(a, b, &s->distortion, err);
    }
    return s->is_same_geometry && status == DS_OK ? stego_ssim(a, b, &s->ssim, err) : status;
}

static int measure_one(struct counting *c, struct stats_image *image, const char *path)
{
    struct ds_error err = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    enum ds_status s = ds_file_read(path, &file, &err);
    if (s == DS_OK) {
        s = load_image(image, &file, &err);
    }
    if (s == DS_OK) {
        s = measure_image(image, &err);
    }
    if (s == DS_OK && image == &c->stats.cover) {
        s = find_sizes(&c->stats, &file, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(path, &err);
}

/* ---- printing ---- */

/* JSON has no NAN and no infinity. */
static void number(const char *name, double v, const char *end)
{
    if (isfinite(v)) {
        (void)printf("\"%s\": %.9g%s", name, v, end);
    } else {
        (void)printf("\"%s\": null%s", name, end);
    }
}

static void json_image(const char *name, const struct stats_image *i, const char *end)
{
    const struct stego_image *m = i->image;
    const struct stego_statistics *s = &i->statistics;
    (void)printf("  \"%s\": {\"file_bytes\": %zu, \"columns\": %u, \"rows\": %u, \"frames\": %u, "
                 "\"components\": %u, \"bits\": %u,\n    ",
                 name, i->file_bytes, m->columns, m->rows, m->frames, m->components,
                 m->bits_stored);
    number("entropy_bits_per_byte", s->entropy_byte, ", ");
    number("entropy_bits_per_sample", s->entropy_sample, ",\n    \"correlation\": {");
    number("horizontal", s->correlation[STEGO_HORIZONTAL], ", ");
    number("vertical", s->correlation[STEGO_VERTICAL], ", ");
    number("diagonal", s->correlation[STEGO_DIAGONAL], "},\n    \"histogram\": {");
    number("chi_square", s->chi_square, ", ");
    number("p", s->chi_square_p, "},\n    \"lsb\": {\"chi_square_attack\": [");
    for (size_t k = 0; k < STATS_PREFIXES; k++) {
        (void)printf(isfinite(i->attack[k]) ? "%.6g" : "null", i->attack[k]);
        (void)fputs(k + 1 < STATS_PREFIXES ? ", " : "], ", stdout);
    }
    number("rs_length", i->rs.length, "}}");
    (void)fputs(end, stdout);
}

static void print_json(const struct stats *s)
{
    const struct stego_cipher_sizes *z = &s->sizes;
    (void)fputs("{\n", stdout);
    json_image("cover", &s->cover, ",\n");
    json_image("other", &s->other, ",\n");
    (void)printf("  \"stages\": {\"pixels\": %zu, \"duplicates\": %zu, \"run_lengths\": %zu, "
                 "\"lzma\": %zu},\n",
                 z->cells, z->duplicates, z->runs, z->lzma);
    (void)printf("  \"comparison\": {\"same_geometry\": %s, \"compared\": %llu, ",
                 s->is_same_geometry ? "true" : "false", (unsigned long long)s->change.compared);
    number("npcr_percent", s->change.npcr, ", ");
    number("uaci_percent", s->change.uaci, ", ");
    const double none = (double)NAN;
    const bool same = s->is_same_geometry;
    number("mse", same ? s->distortion.mse : none, ", ");
    number("psnr_db", same ? s->distortion.psnr_format_db : none, ", ");
    number("psnr_dynamic_db", same ? s->distortion.psnr_dynamic_db : none, ", ");
    number("ssim", s->ssim, ", ");
    number("max_difference", same ? s->distortion.max_difference : none, ", ");
    number("changed_samples", same ? (double)s->distortion.changed_samples : none, "}\n}\n");
}

static void line(const char *name, double a, double b)
{
    (void)printf("%-34s %14.6g %14.6g\n", name, a, b);
}

static void print_text(const struct stats *s)
{
    const struct stego_statistics *a = &s->cover.statistics;
    const struct stego_statistics *b = &s->other.statistics;
    const struct stego_cipher_sizes *z = &s->sizes;
    const size_t last = STATS_PREFIXES - 1;
    (void)printf("%-34s %14s %14s\n", "", "cover", "other");
    line("bytes of the file", (double)s->cover.file_bytes, (double)s->other.file_bytes);
    line("entropy, bits per byte", a->entropy_byte, b->entropy_byte);
    line("entropy, bits per sample", a->entropy_sample, b->entropy_sample);
    line("correlation, horizontal", a->correlation[0], b->correlation[0]);
    line("correlation, vertical", a->correlation[1], b->correlation[1]);
    line("correlation, diagonal", a->correlation[2], b->correlation[2]);
    line("histogram, chi-square", a->chi_square, b->chi_square);
    line("histogram, p", a->chi_square_p, b->chi_square_p);
    line("chi-square attack, first 10 %", s->cover.attack[0], s->other.attack[0]);
    line("chi-square attack, all", s->cover.attack[last], s->other.attack[last]);
    line("RS, part that carries", s->cover.rs.length, s->other.rs.length);
    (void)printf("NPCR %.4f %%, UACI %.4f %% of %llu %s\n", s->change.npcr, s->change.uaci,
                 (unsigned long long)s->change.compared, s->change.by_byte ? "bytes" : "samples");
    if (s->is_same_geometry) {
        const struct stego_distortion *d = &s->distortion;
        (void)printf("MSE %.6g, PSNR %.2f dB (of the range in use %.2f dB), SSIM %.6f, greatest "
                     "difference %u, %llu samples changed\n",
                     d->mse, d->psnr_format_db, d->psnr_dynamic_db, s->ssim, d->max_difference,
                     (unsigned long long)d->changed_samples);
    }
    const double all = (double)z->cells;
    (void)printf(
        "the cover's stages: pixels %zu, without duplicates %zu (%.3f), as run lengths %zu "
        "(%.3f), with LZMA and the rest of the file %zu (%.3f)\n",
        z->cells, z->duplicates, (double)z->duplicates / all, z->runs, (double)z->runs / all,
        z->lzma, (double)z->lzma / all);
}

/* ---- the verb ---- */

static enum ds_status write_plot(struct counting *c, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes picture = {0};
    enum ds_status s = !c->outputs.force && ds_file_exists(c->plot)
                           ? ds_fail(err, DS_EEXIST, "it exists; --force overwrites it")
                           : stats_plot(&c->stats, &picture, err);
    if (s == DS_OK) {
        s = cli_outputs_stage(&c->outputs, c->plot, &picture, err);
    }
    return s == DS_OK ? cli_outputs_commit(&c->outputs, err) : s;
}

static const char *parse(struct counting *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"plot", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {"force", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    int o = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'p':
            c->plot = optarg;
            break;
        case 'j':
            c->json = true;
            break;
        case 'f':
            c->outputs.force = true;
            break;
        default:
            return "see the options";
        }
    }
    return optind + 2 == argc ? NULL : "two images are needed";
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(finish) struct counting c = {0};
    const char *wrong = parse(&c, argc, argv);
    if (wrong != NULL) {
        return cli_usage("stats", "%s", wrong);
    }
    int code = measure_one(&c, &c.stats.cover, argv[optind]);
    if (code == CLI_DONE) {
        code = measure_one(&c, &c.stats.other, argv[optind + 1]);
    }
    if (code != CLI_DONE) {
        return code;
    }
    if (compare(&c.stats, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    if (c.plot != NULL && write_plot(&c, &err) != DS_OK) {
        return cli_complain(c.plot, &err);
    }
    if (c.json) {
        print_json(&c.stats);
    } else {
        print_text(&c.stats);
    }
    return CLI_DONE;
}

const struct cli_verb cli_stats = {
    .name = "stats",
    .summary = "what two images have in common, and what an observer sees",
    .help =
        "Usage: dicomstego stats [--plot OUT.png] [--json] [--force] COVER CARRIER|CIPHER\n"
        "Prints the figures of the literature for two DICOM or PNG images: entropy, correlation\n"
        "of neighbours, chi-square of the histogram; NPCR and UACI; MSE, PSNR, SSIM and the\n"
        "greatest difference; of the lowest bits the chi-square attack and RS analysis; and the\n"
        "sizes of COVER after each stage of 'cipher'. Images of different geometry are compared\n"
        "byte by byte, as far as the shorter goes, and have no PSNR. NPCR and UACI of a cipher "
        "are\n"
        "those of two cipher images of covers that differ in a pixel. Of DICOM images with many\n"
        "frames the first 8 Mi samples count.\n\n"
        "  --plot OUT.png        draws them, by the program gnuplot\n"
        "  --json                as JSON; what does not exist is null\n"
        "  --force               overwrite\n",
    .run = run,
};

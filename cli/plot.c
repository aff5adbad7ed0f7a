/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of the figures. gnuplot reads a script with the data in it and writes a PNG; both are
 * unnamed files, so no name of the user's ever comes into a script. */
#include "cli/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLOT_MAX_BYTES (64U * 1024U * 1024U)
#define SCATTER_PAIRS  4000U
#define MAP_SIDE       256U

extern char **environ;

static void put_histogram(FILE *to, const char *name, const struct stego_statistics *s)
{
    (void)fprintf(to, "$%s << EOD\n", name);
    for (unsigned i = 0; i < 256; i++) {
        (void)fprintf(to, "%u %llu\n", i, (unsigned long long)s->bytes[i]);
    }
    (void)fputs("EOD\n", to);
}

/* Neighbours side by side, evenly taken from the first plane. */
static void put_scatter(FILE *to, const char *name, const struct stego_image *image)
{
    const size_t across = image->columns - 1U;
    const size_t pairs = across * image->rows;
    const size_t step = pairs / SCATTER_PAIRS + 1;
    (void)fprintf(to, "$%s << EOD\n", name);
    for (size_t i = 0; i < pairs; i += step) {
        const int32_t *at = image->samples + i / across * image->columns + i % across;
        (void)fprintf(to, "%d %d\n", at[0], at[1]);
    }
    (void)fputs(pairs == 0 ? "0 0\nEOD\n" : "EOD\n", to);
}

/* The greatest difference in each tile of the first plane. */
static int64_t greatest_in(const struct stego_image *a, const struct stego_image *b, size_t tile,
                           size_t left, size_t top)
{
    int64_t greatest = 0;
    for (size_t y = top; y < top + tile && y < a->rows; y++) {
        for (size_t x = left; x < left + tile && x < a->columns; x++) {
            const size_t at = y * a->columns + x;
            const int64_t d = llabs((int64_t)a->samples[at] - b->samples[at]);
            greatest = d > greatest ? d : greatest;
        }
    }
    return greatest;
}

static void put_map(FILE *to, const struct stego_image *a, const struct stego_image *b)
{
    const size_t side = a->columns > a->rows ? a->columns : a->rows;
    const size_t tile = (side + MAP_SIDE - 1) / MAP_SIDE;
    (void)fputs("$map << EOD\n", to);
    for (size_t y = 0; y < a->rows; y += tile) {
        for (size_t x = 0; x < a->columns; x += tile) {
            (void)fprintf(to, "%zu %zu %lld\n", x, y, (long long)greatest_in(a, b, tile, x, y));
        }
        (void)fputc('\n', to);
    }
    (void)fputs("EOD\n", to);
}

static void put_sizes(FILE *to, const struct stats *s)
{
    (void)fprintf(to,
                  "$sizes << EOD\npixels %zu\n\"no duplicates\" %zu\n\"run lengths\" %zu\n"
                  "packed %zu\n\"other file\" %zu\nEOD\n",
                  s->sizes.cells, s->sizes.duplicates, s->sizes.runs, s->sizes.lzma,
                  s->other.file_bytes);
}

static void put_script(FILE *to, const struct stats *s)
{
    put_histogram(to, "before", &s->cover.statistics);
    put_histogram(to, "after", &s->other.statistics);
    put_scatter(to, "pairs_before", s->cover.image);
    put_scatter(to, "pairs_after", s->other.image);
    put_sizes(to, s);
    if (s->is_same_geometry) {
        put_map(to, s->cover.image, s->other.image);
    }
    (void)fputs("set terminal pngcairo size 1100,1400\n"
                "set multiplot layout 3,2\nunset key\n"
                "set xrange [0:255]\nset yrange [0:*]\n"
                "set title 'stored bytes, before'\nplot $before with impulses\n"
                "set title 'stored bytes, after'\nplot $after with impulses\n"
                "set autoscale\nset yrange [*:*]\nset xrange [*:*]\n"
                "set title 'neighbours, before'\nplot $pairs_before with dots\n"
                "set title 'neighbours, after'\nplot $pairs_after with dots\n",
                to);
    if (s->is_same_geometry) {
        (void)fputs("set title 'greatest difference'\nset yrange [*:*] reverse\n"
                    "plot $map with image\nset yrange [*:*] noreverse\n",
                    to);
    }
    (void)fputs("set title 'bytes after each stage'\nset style fill solid 0.5\n"
                "set boxwidth 0.7\nset yrange [0:*]\nset xtics rotate by -20\n"
                "plot $sizes using 0:2:xtic(1) with boxes\nunset multiplot\n",
                to);
}

static enum ds_status spawn(FILE *script, FILE *picture, struct ds_error *err)
{
    char name[] = "gnuplot";
    char *argv[] = {name, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    int status = 0;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(picture), STDOUT_FILENO);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int failed = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        return ds_fail(err, DS_ENOTFOUND,
                       "--plot needs the program gnuplot (package gnuplot-nox): %s",
                       strerrordesc_np(failed));
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return ds_fail(err, DS_EIO, "gnuplot: %m");
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? DS_OK
                                                         : ds_fail(err, DS_EIO, "gnuplot failed");
}

static enum ds_status read_all(FILE *from, struct ds_bytes *out, struct ds_error *err)
{
    uint8_t piece[16384];
    size_t n = 0;
    enum ds_status s = DS_OK;
    rewind(from);
    while (s == DS_OK && (n = fread(piece, 1, sizeof(piece), from)) > 0) {
        s = ds_bytes_append(out, piece, n, err);
    }
    return s == DS_OK && (ferror(from) != 0 || out->len == 0)
               ? ds_fail(err, DS_EIO, "gnuplot drew nothing")
               : s;
}

static void close_file(FILE **f)
{
    if (*f != NULL) {
        (void)fclose(*f);
    }
}

enum ds_status stats_plot(const struct stats *s, struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(close_file) FILE *script = tmpfile();
    DS_AUTO(close_file) FILE *picture = tmpfile();
    *out = DS_BYTES_INIT(PLOT_MAX_BYTES);
    if (script == NULL || picture == NULL) {
        return ds_fail(err, DS_EIO, "temporary file: %m");
    }
    put_script(script, s);
    if (fflush(script) != 0 || ferror(script) != 0 || lseek(fileno(script), 0, SEEK_SET) != 0) {
        return ds_fail(err, DS_EIO, "temporary file: %m");
    }
    const enum ds_status status = spawn(script, picture, err);
    return status == DS_OK ? read_all(picture, out, err) : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the node's answers for people: tables of 80 columns, and facts one below the other. */
#include "cli/operate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 12U
#define LINE_CHARS  80U
#define CELL_BYTES  1024U
#define GAP         2U

/* The member behind "a.b"; NULL: none. */
static const json_t *member(const json_t *row, const char *path)
{
    char name[64];
    const char *dot = strchr(path, '.');
    if (dot == NULL) {
        return json_object_get(row, path);
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
    return member(json_object_get(row, name), dot + 1);
}

/* Of times the part up to the seconds; of durations whole units. Control characters of a peer's
 * words do not reach the terminal. */
static void text_of(const json_t *v, char out[CELL_BYTES])
{
    out[0] = '\0';
    if (json_is_string(v)) {
        (void)snprintf(out, CELL_BYTES, "%s", json_string_value(v));
    } else if (json_is_integer(v)) {
        (void)snprintf(out, CELL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_is_real(v)) {
        (void)snprintf(out, CELL_BYTES, "%.3f", json_real_value(v));
    } else if (json_is_boolean(v)) {
        (void)snprintf(out, CELL_BYTES, "%s", json_is_true(v) ? "yes" : "no");
    }
    for (char *c = out; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
    const bool is_time = strlen(out) == 27 && out[10] == 'T' && out[26] == 'Z';
    if (is_time) {
        out[10] = ' ';
        out[19] = '\0';
    }
}

/* Characters, of UTF-8. */
static unsigned width_of(const char *text)
{
    unsigned n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        n += ((unsigned char)*c & 0xc0U) != 0x80 ? 1 : 0;
    }
    return n;
}

/* Cuts to max characters, the last of them dots. */
static void cut(char text[CELL_BYTES], unsigned max)
{
    if (width_of(text) <= max || max < 4) {
        return;
    }
    unsigned n = 0;
    char *c = text;
    for (; *c != '\0'; c++) {
        n += ((unsigned char)*c & 0xc0U) != 0x80 ? 1 : 0;
        if (n > max - 2) {
            break;
        }
    }
    (void)snprintf(c, 3, "..");
}

static void print_cell(const char *text, unsigned width, bool right, bool last)
{
    const unsigned is = width_of(text);
    const int pad = is < width ? (int)(width - is) : 0;
    if (right) {
        (void)printf("%*s%s%s", pad, "", text, last ? "\n" : "  ");
    } else if (last) {
        (void)printf("%s\n", text);
    } else {
        (void)printf("%s%*s", text, pad + (int)GAP, "");
    }
}

static void cell_of(const json_t *row, const struct cli_column *c, char out[CELL_BYTES])
{
    text_of(member(row, c->path), out);
    if (c->max > 0) {
        cut(out, c->max);
    }
}

/* Of every column the widest cell, of the last one what is left. */
static size_t measure(const json_t *rows, const struct cli_column *columns,
                      unsigned widths[COLUMNS_MAX])
{
    char text[CELL_BYTES];
    size_t count = 0;
    unsigned used = 0;
    for (; columns[count].title != NULL && count < COLUMNS_MAX; count++) {
        widths[count] = (unsigned)strlen(columns[count].title);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            cell_of(json_array_get(rows, i), &columns[count], text);
            const unsigned is = width_of(text);
            widths[count] = is > widths[count] ? is : widths[count];
        }
        used += widths[count] + GAP;
    }
    if (count > 0 && used - GAP > LINE_CHARS) {
        const unsigned others = used - GAP - widths[count - 1];
        const unsigned least = (unsigned)strlen(columns[count - 1].title);
        widths[count - 1] = others + least < LINE_CHARS ? LINE_CHARS - others : least;
    }
    return count;
}

void cli_table(const json_t *rows, const struct cli_column *columns)
{
    char text[CELL_BYTES];
    unsigned widths[COLUMNS_MAX] = {0};
    const size_t count = measure(rows, columns, widths);
    for (size_t k = 0; k < count; k++) {
        print_cell(columns[k].title, widths[k], columns[k].right, k + 1 == count);
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t k = 0; k < count; k++) {
            cell_of(json_array_get(rows, i), &columns[k], text);
            cut(text, widths[k]);
            print_cell(text, widths[k], columns[k].right, k + 1 == count);
        }
    }
}

void cli_facts(const json_t *row)
{
    char text[CELL_BYTES];
    void *at = json_object_iter((json_t *)(uintptr_t)row);
    for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)row, at)) {
        const json_t *value = json_object_iter_value(at);
        const char *name = json_object_iter_key(at);
        if (json_is_object(value)) {
            (void)printf("%-14s", name);
            void *in = json_object_iter((json_t *)(uintptr_t)value);
            for (; in != NULL; in = json_object_iter_next((json_t *)(uintptr_t)value, in)) {
                text_of(json_object_iter_value(in), text);
                (void)printf(" %s %s", text, json_object_iter_key(in));
            }
            (void)puts("");
            continue;
        }
        text_of(value, text);
        if (!json_is_array(value) && text[0] != '\0') {
            (void)printf("%-14s %s\n", name, text);
        }
    }
}

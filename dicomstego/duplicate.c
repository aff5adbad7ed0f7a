/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/duplicate.h"

#include "base/size.h"

#include <string.h>

bool stego_grid_bytes(const struct stego_grid *grid, size_t *out)
{
    const unsigned b = grid->cell_bytes;
    return grid->columns > 0 && grid->rows > 0 && (b == 1 || b == 2 || b == 4 || b == 8) &&
           ds_size_mul(grid->columns, grid->rows, out) && ds_size_mul(*out, grid->cell_bytes, out);
}

static bool is_kept(const uint8_t *bits, size_t i)
{
    return (bits[i / 8] & 0x80U >> i % 8) != 0;
}

static void keep(uint8_t *bits, size_t i)
{
    bits[i / 8] |= (uint8_t)(0x80U >> i % 8);
}

/* A multiple of every cell_bytes, so that what follows are whole cells. */
static size_t bit_bytes(size_t count)
{
    return (count / 64 + (count % 64 != 0)) * 8;
}

static void find_rows(const struct stego_grid *g, const uint8_t *cells, uint8_t *rows)
{
    const size_t stride = g->columns * g->cell_bytes;
    keep(rows, 0);
    for (size_t y = 1; y < g->rows; y++) {
        if (memcmp(cells + y * stride, cells + (y - 1) * stride, stride) != 0) {
            keep(rows, y);
        }
    }
}

static void find_columns(const struct stego_grid *g, const uint8_t *cells, const uint8_t *rows,
                         uint8_t *columns)
{
    const size_t width = g->cell_bytes;
    keep(columns, 0);
    for (size_t y = 0; y < g->rows; y++) {
        const uint8_t *row = cells + y * g->columns * width;
        for (size_t x = 1; is_kept(rows, y) && x < g->columns; x++) {
            if (memcmp(row + x * width, row + (x - 1) * width, width) != 0) {
                keep(columns, x);
            }
        }
    }
}

enum ds_status stego_duplicate_remove(const struct stego_grid *grid, const uint8_t *cells,
                                      struct ds_bytes *out, struct ds_error *err)
{
    size_t len = 0;
    if (!stego_grid_bytes(grid, &len)) {
        return ds_fail(err, DS_EINVAL, "a grid of %zux%zu cells of %u bytes", grid->columns,
                       grid->rows, grid->cell_bytes);
    }
    const size_t begin = out->len;
    const size_t head = bit_bytes(grid->rows) + bit_bytes(grid->columns);
    /* All the room at once, so that the bits stay where they are while cells are appended. */
    enum ds_status s = ds_bytes_reserve(out, head + len, err);
    if (s == DS_OK) {
        s = ds_bytes_resize(out, begin + head, err);
    }
    if (s != DS_OK) {
        return s;
    }
    uint8_t *rows = out->data + begin;
    uint8_t *columns = rows + bit_bytes(grid->rows);
    const size_t width = grid->cell_bytes;
    find_rows(grid, cells, rows);
    find_columns(grid, cells, rows, columns);
    for (size_t y = 0; y < grid->rows; y++) {
        const uint8_t *row = cells + y * grid->columns * width;
        for (size_t x = 0; is_kept(rows, y) && x < grid->columns && s == DS_OK; x++) {
            s = is_kept(columns, x) ? ds_bytes_append(out, row + x * width, width, err) : DS_OK;
        }
    }
    return s;
}

static size_t count_kept(const uint8_t *bits, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        kept += is_kept(bits, i) ? 1 : 0;
    }
    return kept;
}

/* Every kept cell once, the first row and column among them. */
static bool adds_up(const struct stego_grid *g, const uint8_t *rows, const uint8_t *columns,
                    size_t cells_len)
{
    const size_t kept = count_kept(rows, g->rows) * count_kept(columns, g->columns);
    return is_kept(rows, 0) && is_kept(columns, 0) && cells_len == kept * g->cell_bytes;
}

static const uint8_t *restore_row(const struct stego_grid *g, const uint8_t *columns,
                                  const uint8_t *from, uint8_t *row)
{
    const size_t width = g->cell_bytes;
    for (size_t x = 0; x < g->columns; x++) {
        const bool kept = is_kept(columns, x);
        memcpy(row + x * width, kept ? from : row + (x - 1) * width, width);
        from += kept ? width : 0;
    }
    return from;
}

enum ds_status stego_duplicate_restore(const struct stego_grid *grid, const uint8_t *coded,
                                       size_t len, struct ds_bytes *out, struct ds_error *err)
{
    size_t cells_len = 0;
    const bool sound = stego_grid_bytes(grid, &cells_len);
    const size_t head = sound ? bit_bytes(grid->rows) + bit_bytes(grid->columns) : 0;
    if (!sound || len < head || !adds_up(grid, coded, coded + bit_bytes(grid->rows), len - head)) {
        return ds_fail(err, DS_EFORMAT, "the rows and columns that were kept do not add up");
    }
    const size_t begin = out->len;
    const enum ds_status s = ds_bytes_resize(out, begin + cells_len, err);
    if (s != DS_OK) {
        return s;
    }
    const size_t stride = grid->columns * grid->cell_bytes;
    const uint8_t *columns = coded + bit_bytes(grid->rows);
    const uint8_t *from = coded + head;
    for (size_t y = 0; y < grid->rows; y++) {
        uint8_t *row = out->data + begin + y * stride;
        if (is_kept(coded, y)) {
            from = restore_row(grid, columns, from, row);
        } else {
            memcpy(row, row - stride, stride);
        }
    }
    return DS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/henon.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 wide;

#define BURN_IN 256U /* errors grow by e^0.42 a step: 2^-56 has become 1 after about 93 steps */
#define MILLION 1000000

static int64_t times(int64_t p, int64_t q)
{
    return (int64_t)((wide)p * q / STEGO_HENON_ONE); /* towards zero, by the C standard */
}

/*
 * The orbit stays bounded. For a = 1.4, b = 0.3 Henon's quadrilateral (-1.33, 0.42), (1.32, 0.133),
 * (1.245, -0.14), (-1.06, -0.5) is mapped into itself, its image having a distance of more than
 * 2^-13 from its border while a step errs by less than 2^-54; it contains |x| <= 5/8, |y| <= 1/8,
 * where the seed puts the orbit. Other forms may throw a point out. So, for all of them: a
 * point with |x| > 2 is replaced by (f, 0), where f in [-1/2, 1/2) has the fraction bits of x.
 * Hence |x| <= 2 and |y| <= 2 b <= 2 before every step, |x'| <= 1 + 2 * 4 + 2 = 11 within it, and
 * 11 * 2^56 < 2^60 fits.
 */
static void step(struct stego_henon *h)
{
    const int64_t x = STEGO_HENON_ONE - times(h->a, times(h->x, h->x)) + h->y;
    h->y = times(h->b, h->x);
    h->x = x;
    if (x > 2 * STEGO_HENON_ONE || x < -2 * STEGO_HENON_ONE) {
        const uint64_t fraction = (uint64_t)x & (uint64_t)(STEGO_HENON_ONE - 1);
        h->x = (int64_t)fraction - STEGO_HENON_ONE / 2;
        h->y = 0;
    }
}

enum ds_status stego_henon_start(struct stego_henon *h, struct stego_henon_form form,
                                 const uint8_t seed[STEGO_HENON_SEED_BYTES], struct ds_error *err)
{
    memset(h, 0, sizeof(*h));
    if (form.a > STEGO_HENON_A_MAX || form.b > STEGO_HENON_B_MAX) {
        return ds_fail(err, DS_EINVAL, "a Henon map with a up to 2 and b up to 1 is possible");
    }
    struct ds_cursor c = ds_cursor_over(seed, STEGO_HENON_SEED_BYTES);
    const uint64_t mask = (uint64_t)(STEGO_HENON_ONE - 1);
    h->a = (int64_t)((wide)form.a * STEGO_HENON_ONE / MILLION);
    h->b = (int64_t)((wide)form.b * STEGO_HENON_ONE / MILLION);
    h->x = (int64_t)(ds_cursor_be(&c, 8) & mask) - STEGO_HENON_ONE / 2;
    /* The second half of the seed comes in later: all of both moves the orbit, y stays small. */
    for (unsigned i = 0; i < BURN_IN / 2; i++) {
        step(h);
    }
    h->x = ((int64_t)(ds_cursor_be(&c, 8) & mask) - STEGO_HENON_ONE / 2 + h->x) / 4;
    h->y /= 4;
    for (unsigned i = 0; i < BURN_IN / 2; i++) {
        step(h);
    }
    return DS_OK;
}

uint64_t stego_henon_next(struct stego_henon *h, uint64_t bound)
{
    step(h);
    /* The low fraction bits: those above say where on the attractor the point lies. */
    const uint64_t bits = ((uint64_t)h->x >> 8) & UINT32_MAX;
    return bits * bound >> 32;
}

/* Rows' shifts, then columns'. */
struct shifts {
    uint32_t *of_row, *of_column;
};

static void shifts_finish(struct shifts *s)
{
    free(s->of_row);
    free(s->of_column);
}

static enum ds_status draw(struct shifts *s, struct stego_henon *h, struct stego_henon_grid grid,
                           struct ds_error *err)
{
    s->of_row = calloc((size_t)grid.rows + 1, sizeof(uint32_t));
    s->of_column = calloc((size_t)grid.columns + 1, sizeof(uint32_t));
    if (s->of_row == NULL || s->of_column == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %u shifts", grid.rows);
    }
    for (uint32_t y = 0; y < grid.rows; y++) {
        s->of_row[y] = (uint32_t)stego_henon_next(h, grid.columns);
    }
    for (uint32_t x = 0; x < grid.columns; x++) {
        s->of_column[x] = (uint32_t)stego_henon_next(h, grid.rows);
    }
    return DS_OK;
}

static uint32_t shifted(uint32_t at, uint32_t by, uint32_t size)
{
    const uint64_t sum = (uint64_t)at + by;
    return (uint32_t)(sum >= size ? sum - size : sum);
}

static enum ds_status move(struct stego_henon h, struct stego_henon_grid grid, const uint8_t *from,
                           uint8_t *to, bool scatters, struct ds_error *err)
{
    DS_AUTO(shifts_finish) struct shifts s = {0};
    const enum ds_status status = draw(&s, &h, grid, err);
    if (status != DS_OK) {
        return status;
    }
    const size_t width = grid.cell_bytes;
    for (uint32_t y = 0; y < grid.rows; y++) {
        for (uint32_t x = 0; x < grid.columns; x++) {
            const uint32_t column = shifted(x, s.of_row[y], grid.columns);
            const uint32_t row = shifted(y, s.of_column[column], grid.rows);
            const size_t ordered = ((size_t)y * grid.columns + x) * width;
            const size_t moved = ((size_t)row * grid.columns + column) * width;
            memcpy(to + (scatters ? moved : ordered), from + (scatters ? ordered : moved), width);
        }
    }
    return DS_OK;
}

enum ds_status stego_henon_scatter(struct stego_henon h, struct stego_henon_grid grid,
                                   const uint8_t *from, uint8_t *to, struct ds_error *err)
{
    return move(h, grid, from, to, true, err);
}

enum ds_status stego_henon_gather(struct stego_henon h, struct stego_henon_grid grid,
                                  const uint8_t *from, uint8_t *to, struct ds_error *err)
{
    return move(h, grid, from, to, false, err);
}

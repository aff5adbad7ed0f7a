/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/least_squares.h"

#include "dicomstego/fixed.h"

#define N     (STEGO_UNKNOWNS_MAX + 1U)
#define RIDGE (STEGO_ONE >> 13)

static const int64_t *row_of(const int64_t *sums, unsigned i)
{
    return sums + (size_t)i * (i + 1U) / 2U;
}

/* Half the logarithm of v, rounded up: v / 4^e is in (1/4, 1]. */
static int exponent_of(int64_t v)
{
    const int bits = v <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)v - 1U);
    return (bits + 1) / 2;
}

static int64_t scaled(int64_t v, int exponent)
{
    return exponent <= 30 ? v * (INT64_C(1) << (30 - exponent)) : v >> (exponent - 30);
}

struct work {
    int64_t lower[N][N]; /* L */
    int64_t mixed[N][N]; /* L D */
    int exponent[N];
};

/* Row i of L and L D against the columns before; returns what is left of the diagonal. */
static inline __attribute__((always_inline)) int64_t
eliminate(struct work *w, const int64_t *sums, unsigned i, const int64_t *inverse, const int *shift)
{
    const int64_t *row = row_of(sums, i);
    int64_t diagonal = 0;
    for (unsigned j = 0; j < i; j++) {
        int64_t sum = 0;
        for (unsigned k = 0; k < j; k++) {
            sum += w->mixed[i][k] * w->lower[j][k] >> 8;
        }
        const int64_t u = scaled(row[j], w->exponent[i] + w->exponent[j]) - (sum >> 22);
        w->mixed[i][j] = u;
        w->lower[i][j] = (u * inverse[j]) >> shift[j];
        diagonal += (u * w->lower[i][j]) >> 8;
    }
    return diagonal >> 22;
}

static inline __attribute__((always_inline)) void
solve(const int64_t *sums, unsigned n, int64_t count, int32_t *weight, struct stego_fit *fit)
{
    struct work w;
    int64_t inverse[N];
    int shift[N];
    int64_t solution[N];
    for (unsigned i = 0; i <= n; i++) {
        const int64_t noise = count / 64 + 1;
        const int64_t square = row_of(sums, i)[i] + noise;
        w.exponent[i] = exponent_of(square);
        const int64_t rest = eliminate(&w, sums, i, inverse, shift);
        int64_t pivot = scaled(square, 2 * w.exponent[i]) + RIDGE - rest;
        if (i == n) {
            fit->residue = pivot - RIDGE < 0 ? 0 : pivot - RIDGE;
            fit->residue_shift = 2 * w.exponent[i] - 30;
            break;
        }
        pivot = pivot < RIDGE / 2 ? RIDGE / 2 : pivot;
        /* 2^60 / pivot to 31 bits. */
        const int bits = 63 - __builtin_clzll((uint64_t)pivot);
        inverse[i] = (INT64_C(1) << (bits + 31)) / pivot;
        shift[i] = bits + 1;
    }
    for (unsigned i = n; i-- > 0;) {
        int64_t v = w.lower[n][i] >> 10; /* 20 fraction bits */
        for (unsigned k = i + 1; k < n; k++) {
            v -= ((w.lower[k][i] >> 8) * solution[k]) >> 22;
        }
        solution[i] = v;
        const int up = w.exponent[n] - w.exponent[i] - 8; /* 20 to 12 fraction bits */
        const int64_t limit = (INT64_C(8) << STEGO_WEIGHT_BITS) - 1;
        int64_t out = up >= 0 ? (v > limit || v < -limit ? v : v * (INT64_C(1) << up)) : v >> -up;
        out = out > limit ? limit : (out < -limit ? -limit : out);
        weight[i] = (int32_t)out;
    }
}

/* The least number of unknowns that balanced effort has: known when this is compiled, it takes less
 * time. */
#define USUAL 12U

void stego_least_squares(const int64_t *sums, unsigned n, int64_t count, int32_t *weight,
                         struct stego_fit *fit)
{
    if (n == USUAL) {
        solve(sums, USUAL, count, weight, fit);
    } else {
        solve(sums, n, count, weight, fit);
    }
}

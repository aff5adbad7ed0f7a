/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/room.h"

#include "dicomstego/contest.h"

#include <stdlib.h>

/* A trial message is zeros, which the seed makes random. With each seed it is another one, so what
 * fits with all of these fits with one of STEGO_SEEDS whatever the payload is: if one seed's chance
 * were p, three would succeed and all others fail with p^3 (1-p)^60, less than one in 100000
 * however small p is. */
#define TRIAL_SEEDS 3U

/* Of planes larger than this the room is measured with full stages only, for time. */
#define SEARCH_SAMPLES ((size_t)1 << 16)

/* What stego_room_least leaves to chance in a small plane. */
#define RESERVE_BITS 256U

struct survey {
    const struct stego_hold *h;
    struct stego_ground ground;
    struct stego_bits message;
    struct stego_contest contest;
};

static void survey_finish(struct survey *s)
{
    stego_bits_free(&s->message);
    free(s->contest.a.work);
}

static enum ds_status out_of_memory(struct ds_error *err)
{
    return ds_fail(err, DS_ENOMEM, "out of memory for a trial");
}

static enum ds_status survey_init(struct survey *s, const struct stego_hold *h,
                                  struct ds_error *err)
{
    const size_t n = stego_plane_count(&h->ground.plane);
    *s = (struct survey){.h = h, .ground = h->ground, .message = STEGO_BITS_INIT};
    s->ground.lead = stego_hold_filled(h, 0, 0, 0);
    s->contest = (struct stego_contest){.h = h};
    s->contest.a = (struct stego_attempt){
        .ground = &s->ground, .message = &s->message, .work = malloc(n * sizeof(int32_t))};
    return s->contest.a.work != NULL ? DS_OK : out_of_memory(err);
}

static enum ds_status set_length(struct survey *s, size_t bits, struct ds_error *err)
{
    s->message.count = 0;
    s->message.bytes.len = 0;
    stego_bits_grow(&s->message, bits);
    return s->message.failed ? out_of_memory(err) : DS_OK;
}

/* What fits in so many passes with this seed when each stage takes all it can. */
static enum ds_status measure_passes(struct survey *s, unsigned passes, unsigned seed,
                                     uint64_t *bits, struct ds_error *err)
{
    struct stego_attempt a = s->contest.a;
    *bits = 0;
    enum ds_status st = set_length(s, stego_plane_count(&s->ground.plane) * passes, err);
    if (st == DS_OK) {
        a.seed = seed;
        a.measuring = true;
        st = stego_attempt_board(&a, passes, STEGO_FULLEST, err);
        *bits = st == DS_OK ? s->message.count - a.left : 0;
    }
    return st == DS_ECAPACITY ? DS_OK : st;
}

/* The most with one of the seeds less what the seeds differ by, and the number of passes for it. */
static enum ds_status measure_fullest(struct survey *s, unsigned *best, uint64_t *bits,
                                      struct ds_error *err)
{
    uint64_t most = 0;
    enum ds_status st = DS_OK;
    *best = s->h->max_passes;
    for (unsigned passes = s->h->max_passes; st == DS_OK && passes > 0; passes--) {
        uint64_t fits = 0;
        st = measure_passes(s, passes, STEGO_FIRST_SEED, &fits, err);
        *best = fits > most ? passes : *best;
        most = fits > most ? fits : most;
    }
    uint64_t least = most;
    for (unsigned i = 1; st == DS_OK && most != 0 && i < TRIAL_SEEDS; i++) {
        uint64_t fits = 0;
        st = measure_passes(s, *best, STEGO_FIRST_SEED + i, &fits, err);
        least = fits < least ? fits : least;
        most = fits > most ? fits : most;
    }
    *bits = least > most - least ? least - (most - least) : 0;
    return st;
}

/* Does a message of so many bits fit with each of the seeds? */
static enum ds_status try_length(struct survey *s, unsigned passes, uint64_t bits,
                                 bool with_fullest, bool *fits, struct ds_error *err)
{
    enum ds_status st = set_length(s, (size_t)bits, err);
    *fits = true;
    /* Only with a narrow limit does the chain find more room than passes of the board. */
    s->contest.with_chain = s->h->effort != STEGO_FAST && s->ground.max_difference != 0;
    for (unsigned i = 0; st == DS_OK && *fits && i < TRIAL_SEEDS; i++) {
        s->contest.a.seed = STEGO_FIRST_SEED + i;
        st = stego_contest_fits(&s->contest, passes, with_fullest, fits, err);
    }
    return st;
}

static bool fits_closely(uint64_t low, uint64_t high)
{
    return high - low <= 32 + low / 64;
}

/* Stages that share the load evenly can take more than full ones, of which the first may leave no
 * room for what the last has to hold. Looks for more than *bits, to one in 64. */
static enum ds_status search_more(struct survey *s, unsigned passes, uint64_t *bits,
                                  struct ds_error *err)
{
    uint64_t low = *bits;
    uint64_t high = stego_plane_count(&s->ground.plane) * passes;
    uint64_t step = 32 + low / 64;
    enum ds_status st = DS_OK;
    bool fits = true;
    while (st == DS_OK && fits && low + step < high) {
        st = try_length(s, passes, low + step, false, &fits, err);
        low = fits ? low + step : low;
        high = fits ? high : low + step;
        step *= 4;
    }
    while (st == DS_OK && !fits_closely(low, high)) {
        const uint64_t middle = low + (high - low) / 2;
        st = try_length(s, passes, middle, false, &fits, err);
        low = fits ? middle : low;
        high = fits ? high : middle;
    }
    *bits = low;
    return st;
}

/* Goes down from *bits until a trial succeeds. */
static enum ds_status prove(struct survey *s, unsigned passes, uint64_t *bits, struct ds_error *err)
{
    uint64_t step = 8;
    enum ds_status st = DS_OK;
    bool fits = false;
    while (st == DS_OK && *bits > 0) {
        st = try_length(s, passes, *bits, true, &fits, err);
        if (fits) {
            break;
        }
        *bits = *bits > step ? *bits - step : 0;
        step *= 2;
    }
    return st;
}

/* In a large plane the seeds differ by little, and one of many will do. */
static enum ds_status measure_most(struct survey *s, uint64_t *bits, struct ds_error *err)
{
    const size_t n = stego_plane_count(&s->ground.plane);
    unsigned passes = 0;
    enum ds_status st = measure_fullest(s, &passes, bits, err);
    if (st != DS_OK || (n > SEARCH_SAMPLES && *bits > n / 4 && s->ground.max_difference == 0)) {
        return st;
    }
    const uint64_t measured = *bits;
    st = search_more(s, passes, bits, err);
    return st == DS_OK && *bits == measured ? prove(s, passes, bits, err) : st;
}

enum ds_status stego_room_most(const struct stego_hold *h, uint64_t *bits, struct ds_error *err)
{
    DS_AUTO(survey_finish) struct survey s;
    *bits = 0;
    const enum ds_status st = survey_init(&s, h, err);
    return st == DS_OK ? measure_most(&s, bits, err) : st;
}

/* Half of what a single pass takes. */
enum ds_status stego_room_least(const struct stego_hold *h, uint64_t *bits, struct ds_error *err)
{
    DS_AUTO(survey_finish) struct survey s;
    *bits = 0;
    enum ds_status st = survey_init(&s, h, err);
    st = st == DS_OK ? measure_passes(&s, 1, STEGO_FIRST_SEED, bits, err) : st;
    *bits = *bits / 2 > RESERVE_BITS ? *bits / 2 - RESERVE_BITS : 0;
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/contest.h"

#include <stdlib.h>

/* A mark that came about by chance before ours would be found instead of it. */
static bool is_found(const struct stego_contest *c)
{
    const size_t behind = c->a.run_begin + STEGO_MARK_BITS;
    size_t begin = 0;
    return stego_mark_find(c->a.work, behind, &begin) == STEGO_FOUND_MARK &&
           begin == c->a.run_begin;
}

static void judge(struct stego_contest *c, unsigned passes, bool is_chained)
{
    const double error = stego_plane_error(&c->h->ground.plane, c->a.work);
    if ((c->passes == 0 || error < c->error) && is_found(c)) {
        if (c->a.work == c->other) {
            c->other = c->best;
            c->best = c->a.work;
        }
        c->error = error;
        c->passes = passes;
        c->is_chained = is_chained;
        c->hidden = c->a.hidden;
    }
}

/* The attempt's carrier goes where there is none to keep. */
static enum ds_status clear_space(struct stego_contest *c, struct ds_error *err)
{
    const size_t n = stego_plane_count(&c->h->ground.plane);
    if (c->passes != 0 && c->other == NULL) {
        c->other = malloc(n * sizeof *c->other);
        if (c->other == NULL) {
            return ds_fail(err, DS_ENOMEM, "out of memory for %zu samples", n);
        }
    }
    c->a.work = c->passes == 0 ? c->best : c->other;
    return DS_OK;
}

/* One more entry; DS_ECAPACITY is no failure here. */
static enum ds_status enter(struct stego_contest *c, unsigned passes, enum stego_load load,
                            struct ds_error *err)
{
    if (c->a.message->count > stego_plane_count(&c->h->ground.plane) * passes) {
        return DS_OK; /* a pass takes one bit of each pixel at most */
    }
    enum ds_status s = clear_space(c, err);
    s = s == DS_OK ? stego_attempt_board(&c->a, passes, load, err) : s;
    if (s == DS_OK) {
        judge(c, passes, false);
    }
    return s == DS_ECAPACITY ? DS_OK : s;
}

/* The chain instead. */
static enum ds_status enter_chain(struct stego_contest *c, struct ds_error *err)
{
    if (!c->with_chain) {
        return DS_OK;
    }
    enum ds_status s = clear_space(c, err);
    s = s == DS_OK ? stego_attempt_chain(&c->a, c->h->effort == STEGO_BEST, err) : s;
    if (s == DS_OK) {
        judge(c, 1, true);
    }
    c->with_chain = s == DS_OK; /* another seed will not make room for it */
    return s == DS_ECAPACITY ? DS_OK : s;
}

/* From a bit for each third pixel on, two half-full passes can be better than a full one: the
 * error grows with the square of what a pixel is moved by. */
static bool is_crowded(const struct stego_contest *c)
{
    return c->hidden > stego_plane_count(&c->h->ground.plane) * c->passes / 3;
}

/* Balanced passes of the board, more of them as long as that is better. */
static enum ds_status enter_even(struct stego_contest *c, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (unsigned passes = 1; s == DS_OK && passes <= c->h->max_passes; passes++) {
        s = enter(c, passes, STEGO_EVEN, err);
        if (c->passes != 0 && (c->passes != passes || !is_crowded(c))) {
            break;
        }
    }
    return s;
}

static enum ds_status hold_one(struct stego_contest *c, struct ds_error *err)
{
    enum ds_status s = enter_even(c, err);
    s = s == DS_OK ? enter_chain(c, err) : s;
    for (unsigned passes = 1; s == DS_OK && c->passes == 0 && passes <= c->h->max_passes;
         passes++) {
        s = enter(c, passes, STEGO_FULLEST, err);
    }
    return s;
}

enum ds_status stego_contest_hold(struct stego_contest *c, unsigned first, unsigned count,
                                  struct ds_error *err)
{
    enum ds_status s = DS_OK;
    unsigned seed = first;
    for (unsigned i = 0; s == DS_OK && c->passes == 0 && i < count; i++) {
        c->a.seed = seed;
        s = hold_one(c, err);
        seed = seed + 1 < STEGO_SEEDS ? seed + 1 : STEGO_FIRST_SEED;
    }
    return s;
}

enum ds_status stego_contest_fits(struct stego_contest *c, unsigned passes, bool with_fullest,
                                  bool *fits, struct ds_error *err)
{
    c->passes = 0;
    enum ds_status s = enter(c, passes, STEGO_EVEN, err);
    s = s == DS_OK && c->passes == 0 ? enter_chain(c, err) : s;
    if (s == DS_OK && c->passes == 0 && with_fullest) {
        s = enter(c, passes, STEGO_FULLEST, err);
    }
    *fits = c->passes != 0;
    return s;
}

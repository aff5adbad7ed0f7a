/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/contest.h"

/* A mark that came about by chance before ours would be found instead of it. */
static bool is_found(const struct stego_contest *c)
{
    const size_t behind = c->a.run_begin + STEGO_MARK_BITS;
    size_t begin = 0;
    return stego_mark_find(c->a.work, behind, &begin) == STEGO_FOUND_MARK &&
           begin == c->a.run_begin;
}

static enum ds_status attempt(struct stego_contest *c, struct stego_entry entry,
                              struct ds_error *err)
{
    return entry.is_chained ? stego_attempt_chain(&c->a, c->h->effort == STEGO_BEST, err)
                            : stego_attempt_board(&c->a, entry.passes, entry.load, err);
}

/* One more entry; DS_ECAPACITY is no failure here, *fits tells. Only the last carrier is kept. */
static enum ds_status enter(struct stego_contest *c, struct stego_entry entry, bool *fits,
                            struct ds_error *err)
{
    const enum ds_status s = attempt(c, entry, err);
    *fits = s == DS_OK;
    c->is_standing = false;
    if (s != DS_OK) {
        return s == DS_ECAPACITY ? DS_OK : s;
    }
    const double error = stego_plane_error(&c->h->ground.plane, c->a.work);
    if ((c->best.passes == 0 || error < c->error) && is_found(c)) {
        c->is_standing = true;
        c->best = entry;
        c->error = error;
        c->hidden = c->a.hidden;
    }
    return DS_OK;
}

static enum ds_status enter_board(struct stego_contest *c, unsigned passes, enum stego_load load,
                                  struct ds_error *err)
{
    bool fits = false;
    if (c->a.message->count > stego_plane_count(&c->h->ground.plane) * passes) {
        return DS_OK; /* a pass takes one bit of each pixel at most */
    }
    return enter(c, (struct stego_entry){.passes = passes, .load = load}, &fits, err);
}

/* The chain instead. */
static enum ds_status enter_chain(struct stego_contest *c, struct ds_error *err)
{
    bool fits = false;
    if (!c->with_chain) {
        return DS_OK;
    }
    const enum ds_status s =
        enter(c, (struct stego_entry){.passes = 1, .is_chained = true}, &fits, err);
    c->with_chain = fits; /* another seed will not make room for it */
    return s;
}

/* The best one's carrier again, if another one took its place: that takes less memory than keeping
 * both, and little time, because it is never the chain's. */
static enum ds_status make_best(struct stego_contest *c, struct ds_error *err)
{
    return c->best.passes == 0 || c->is_standing ? DS_OK : attempt(c, c->best, err);
}

/* From a bit for each third pixel on, two half-full passes can be better than a full one: the
 * error grows with the square of what a pixel is moved by. */
static bool is_crowded(const struct stego_contest *c)
{
    return c->hidden > stego_plane_count(&c->h->ground.plane) * c->best.passes / 3;
}

/* Balanced passes of the board, more of them as long as that is better. */
static enum ds_status enter_even(struct stego_contest *c, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (unsigned passes = 1; s == DS_OK && passes <= c->h->max_passes; passes++) {
        s = enter_board(c, passes, STEGO_EVEN, err);
        if (c->best.passes != 0 && (c->best.passes != passes || !is_crowded(c))) {
            break;
        }
    }
    return s;
}

static enum ds_status hold_one(struct stego_contest *c, struct ds_error *err)
{
    enum ds_status s = enter_even(c, err);
    s = s == DS_OK ? enter_chain(c, err) : s;
    for (unsigned passes = 1; s == DS_OK && c->best.passes == 0 && passes <= c->h->max_passes;
         passes++) {
        s = enter_board(c, passes, STEGO_FULLEST, err);
    }
    return s;
}

enum ds_status stego_contest_hold(struct stego_contest *c, unsigned first, unsigned count,
                                  struct ds_error *err)
{
    enum ds_status s = DS_OK;
    unsigned seed = first;
    for (unsigned i = 0; s == DS_OK && c->best.passes == 0 && i < count; i++) {
        c->a.seed = seed;
        s = hold_one(c, err);
        seed = seed + 1 < STEGO_SEEDS ? seed + 1 : STEGO_FIRST_SEED;
    }
    return s == DS_OK ? make_best(c, err) : s;
}

enum ds_status stego_contest_fits(struct stego_contest *c, unsigned passes, bool with_fullest,
                                  bool *fits, struct ds_error *err)
{
    c->best.passes = 0;
    enum ds_status s = enter_board(c, passes, STEGO_EVEN, err);
    s = s == DS_OK && c->best.passes == 0 ? enter_chain(c, err) : s;
    if (s == DS_OK && c->best.passes == 0 && with_fullest) {
        s = enter_board(c, passes, STEGO_FULLEST, err);
    }
    *fits = c->best.passes != 0;
    return s;
}

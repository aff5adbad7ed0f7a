/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack - the chain's coder: bits as a state on a stack of words (rANS; Duda, arXiv:1311.2540).
 * Private.
 *
 * What was put last comes out first, so each step has an exact opposite.
 */
#ifndef DICOMSTEGO_STACK_H
#define DICOMSTEGO_STACK_H

#include "dicomstego/bits.h"
#include "dicomstego/coupling.h"

struct stego_stack {
    uint64_t state; /* 33 to 64 bits */
    uint32_t *word;
    size_t count, room;
    bool failed; /* no memory, or a word taken from the empty stack */
};

void stego_stack_free(struct stego_stack *s);
void stego_stack_push(struct stego_stack *s, uint32_t word);

/* At least 32 bits: the first 32 to 63 become the state, the others words, the next one on top. */
void stego_stack_load(struct stego_stack *s, const struct stego_bits *message);
/* Appends them. False when the stack holds another number of bits. */
DS_CHECKED bool stego_stack_unload(const struct stego_stack *s, size_t count,
                                   struct stego_bits *out);

static inline uint32_t stego_stack_slot(const struct stego_stack *s)
{
    return (uint32_t)s->state & (STEGO_SLOTS - 1U);
}

/* Makes the slot one of `size` (at least 1) from `begin` on. */
static inline void stego_stack_compress(struct stego_stack *s, uint32_t begin, uint32_t size)
{
    if (size != STEGO_SLOTS && s->state >> (64U - STEGO_SLOT_BITS) >= size) {
        stego_stack_push(s, (uint32_t)s->state);
        s->state >>= 32U;
    }
    s->state = (s->state / size << STEGO_SLOT_BITS) + begin + s->state % size;
}

/* The opposite, for the slots that the slot lies in. */
static inline void stego_stack_decompress(struct stego_stack *s, uint32_t begin, uint32_t size)
{
    s->state = size * (s->state >> STEGO_SLOT_BITS) + stego_stack_slot(s) - begin;
    if (s->state >> 32U == 0) {
        if (s->count == 0) {
            s->failed = true;
            s->state |= UINT64_C(1) << 32U;
            return;
        }
        s->state = s->state << 32U | s->word[--s->count];
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/stack.h"

#include <stdlib.h>

void stego_stack_free(struct stego_stack *s)
{
    free(s->word);
    *s = (struct stego_stack){0};
}

void stego_stack_push(struct stego_stack *s, uint32_t word)
{
    if (s->count == s->room) {
        const size_t room = s->room < 64 ? 128 : 2 * s->room;
        uint32_t *grown = realloc(s->word, room * sizeof *grown);
        if (grown == NULL) {
            s->failed = true;
            return;
        }
        s->word = grown;
        s->room = room;
    }
    s->word[s->count++] = word;
}

void stego_stack_load(struct stego_stack *s, const struct stego_bits *message)
{
    struct stego_bit_reader r = stego_bits_read(message);
    const unsigned odd = (unsigned)(message->count % 32U);
    const uint64_t head = stego_reader_get(&r, 32);
    s->state = (UINT64_C(1) << (32U + odd)) | head << odd | stego_reader_get(&r, odd);
    const size_t words = (message->count - 32U - odd) / 32U;
    s->count = 0;
    for (size_t i = 0; i < words; i++) {
        stego_stack_push(s, 0);
    }
    for (size_t i = 0; !s->failed && i < words; i++) {
        s->word[words - 1 - i] = stego_reader_get(&r, 32);
    }
}

bool stego_stack_unload(const struct stego_stack *s, size_t count, struct stego_bits *out)
{
    const unsigned odd = 31U - (unsigned)__builtin_clzll(s->state);
    if (s->failed || count < 32 || 32U * s->count + 32U + odd != count) {
        return false;
    }
    stego_bits_put(out, (uint32_t)(s->state >> odd), 32);
    stego_bits_put(out, (uint32_t)(s->state & ((UINT64_C(1) << odd) - 1U)), odd);
    for (size_t i = s->count; i-- > 0;) {
        stego_bits_put(out, s->word[i], 32);
    }
    return true;
}

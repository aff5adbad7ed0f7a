/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicomstego_lsb - least significant bits behind a header whose check holds, whatever it says.
 *
 * The input chooses geometry, the header's fields and the samples. Reading ends with a status; what
 * fails hands out nothing, and nothing but the bits that the header names is ever changed.
 */
#include "dicomstego/bits.h"
#include "dicomstego/lsb_header.h"
#include "dicomstego/method.h"

#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 64U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static const struct stego_password_key key = {.id = "scrypt"};

static struct stego_lsb_header header_of(struct ds_cursor *c, const struct stego_image *image)
{
    struct stego_lsb_header h = {0};
    const unsigned flags = (unsigned)ds_cursor_be(c, 1);
    h.facts = (struct stego_lsb_facts){.planes = (unsigned)ds_cursor_be(c, 1) % 16U,
                                       .dna_rule = (unsigned)ds_cursor_be(c, 1) % 10U,
                                       .is_reversible = (flags & 1U) != 0,
                                       .is_keyed = (flags & 2U) != 0,
                                       .complements = (flags & 4U) != 0,
                                       .has_delimiter = (flags & 8U) != 0};
    h.has_padding = image->has_padding;
    h.padding_min = image->padding_min;
    h.padding_max = image->padding_max;
    h.body_bytes = (uint32_t)ds_cursor_be(c, (flags & 32U) != 0 ? 4 : 1);
    h.saved_bytes = (uint32_t)ds_cursor_be(c, (flags & 64U) != 0 ? 4 : 1);
    h.saved_slots = ds_cursor_be(c, (flags & 128U) != 0 ? 5 : 2);
    h.delimiter[0] = (char)(ds_cursor_be(c, 1) | 1U);
    h.delimiter[1] = (char)ds_cursor_be(c, 1);
    memcpy(h.key_id, key.id, sizeof(h.key_id));
    return h;
}

/* Bits 0 of the samples from the first one on: where a writer has it when none may be padding. */
static void plant(struct stego_image *image, size_t n, const struct stego_lsb_header *h)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(STEGO_LSB_HEADER_MAX_BYTES);
    must(stego_lsb_header_put(h, &bytes, NULL) == DS_OK);
    for (size_t i = 0; i < 8 * bytes.len && i < n; i++) {
        image->samples[i] = (image->samples[i] & ~1) | (int32_t)stego_bit_at(bytes.data, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds_cursor c = ds_cursor_over(data, size);
    struct stego_image image = {.columns = 1 + (uint32_t)ds_cursor_be(&c, 1) % SIDE_MAX,
                                .rows = 1 + (uint32_t)ds_cursor_be(&c, 1) % SIDE_MAX,
                                .frames = 1,
                                .components = 1,
                                .bits_stored = 8};
    image.padding_min = (int32_t)ds_cursor_be(&c, 1);
    image.padding_max = (int32_t)ds_cursor_be(&c, 1);
    image.has_padding = image.padding_min < image.padding_max;
    const struct stego_lsb_header h = header_of(&c, &image);
    const struct stego_secret secret = {.key = &key};
    const struct stego_method_reader reader = {.secret = &secret};
    struct stego_image was = {0};
    size_t n = 0;
    must(stego_image_new(&image, NULL) == DS_OK && stego_image_count(&image, &n));
    for (size_t i = 0; i < n; i++) {
        image.samples[i] = ds_cursor_left(&c) > 0 ? (int32_t)ds_cursor_be(&c, 1) : 0;
    }
    plant(&image, n, &h);
    must(stego_image_copy(&was, &image, NULL) == DS_OK);
    DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_method_facts facts = {0};
    const enum ds_status s = stego_method_recover(&image, &reader, &found, &facts, NULL);
    must(s == DS_OK || (found.len == 0 && !facts.is_restored));
    for (size_t i = 0; i < n; i++) {
        const uint32_t change = (uint32_t)(image.samples[i] ^ was.samples[i]);
        must(change == 0 || (facts.is_restored && change >> facts.lsb.planes == 0));
    }
    stego_image_free(&image);
    stego_image_free(&was);
    return 0;
}

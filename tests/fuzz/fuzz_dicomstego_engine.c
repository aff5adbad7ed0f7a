/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicomstego_engine - the hiding engine on arbitrary pixels and on carriers that were altered.
 *
 * Eight bytes choose geometry, format, content and wishes. Then either the rest of the input are
 * samples, which go to the extractor; or the target makes a carrier itself and the rest are
 * alterations of it. In the second case the truth is known: an unaltered carrier gives everything
 * back, an altered one never another payload, and planes that were not altered are restored. The
 * mutator plants real carriers as samples and changes single ones, so that the first case also
 * comes behind mark and checksum.
 */
#include "dicomstego/engine.h"

#include "tests/unit/dicomstego/draw.h"

#define HEADER_BYTES 8U
#define SIDE_MAX     48U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* What the first eight bytes choose. */
struct choice {
    bool raw; /* the rest are samples */
    struct draw draw;
    struct draw_case c; /* without its picture */
    enum draw_content content;
    size_t payload_bits;
};

static void choose(const uint8_t header[HEADER_BYTES], struct choice *out)
{
    struct stego_image *image = &out->c.cover;
    *out = (struct choice){.raw = header[0] % 2 == 0};
    image->columns = 1 + header[1] % SIDE_MAX;
    image->rows = 1 + header[2] % SIDE_MAX;
    image->frames = 1 + header[3] % 3U;
    image->components = (header[3] & 4U) != 0 ? 3 : 1;
    image->chroma_halved = image->components == 3 && image->columns % 2 == 0 && header[3] >= 128;
    image->bits_stored =
        (uint8_t)(STEGO_BITS_MIN + header[4] % (STEGO_BITS_MAX - STEGO_BITS_MIN + 1));
    image->is_signed = (header[3] & 8U) != 0 || image->bits_stored == STEGO_BITS_MAX;
    out->content = (enum draw_content)(header[5] % DRAW_CONTENTS);
    out->draw.state = header[6] / 16U * 256U + header[5];
    draw_padding(image, &out->draw);
    draw_wishes(&out->c, &out->draw);
    /* The chain's search takes long, and so does that for a PSNR: only on small images. */
    const size_t n = draw_count(image);
    out->c.options.effort = header[6] % 16 < 14 || n > 1024 ? STEGO_FAST
                            : header[6] % 2 != 0            ? STEGO_BEST
                                                            : STEGO_BALANCED;
    out->c.options.min_psnr_db = n > 2048 ? 0 : out->c.options.min_psnr_db;
    out->payload_bits = (size_t)header[7] * 2;
}

static unsigned sample_bytes(const struct stego_image *image)
{
    return image->bits_stored <= 8 ? 1 : image->bits_stored <= 16 ? 2 : 4;
}

static int32_t legal(const struct stego_image *image, uint64_t cell)
{
    const uint64_t range = (UINT64_C(1) << image->bits_stored) - 1;
    return (int32_t)(stego_image_min(image) + (int64_t)(cell & range));
}

/* Samples from the input; what it leaves out is as above it. */
static void read_samples(struct ds_cursor *c, struct stego_image *image)
{
    must(stego_image_new(image, NULL) == DS_OK);
    const size_t n = draw_count(image);
    for (size_t i = 0; i < n; i++) {
        if (ds_cursor_left(c) >= sample_bytes(image)) {
            image->samples[i] = legal(image, ds_cursor_le(c, sample_bytes(image)));
        } else {
            image->samples[i] =
                i >= image->columns ? image->samples[i - image->columns] : stego_image_min(image);
        }
    }
}

static enum ds_status extract(struct stego_image *image, struct ds_bytes *payload,
                              struct stego_extract_facts *facts)
{
    const bool is_carrier = stego_is_carrier(image);
    const enum ds_status s = stego_extract(image, NULL, payload, facts, NULL);
    must(s == DS_OK || s == DS_ENOTHING || s == DS_EAUTH || s == DS_EUNSUPPORTED);
    must(is_carrier == (s != DS_ENOTHING));
    must(s == DS_OK || payload->len == 0);
    must(payload->len <= draw_count(image) * sizeof(int32_t));
    return s;
}

static void extract_samples(struct ds_cursor *c, struct stego_image *image)
{
    struct ds_bytes payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_extract_facts facts;
    read_samples(c, image);
    struct stego_image before = draw_copy(image);
    if (extract(image, &payload, &facts) == DS_ENOTHING) {
        must(memcmp(image->samples, before.samples, draw_count(image) * sizeof(int32_t)) == 0);
    }
    ds_bytes_free(&payload);
    stego_image_free(&before);
}

static void alter(struct ds_cursor *c, struct stego_image *image)
{
    const size_t n = draw_count(image);
    const int32_t low = stego_image_min(image);
    while (ds_cursor_left(c) >= 4) {
        const size_t at = ds_cursor_le(c, 2) % n;
        const uint64_t change = ds_cursor_le(c, 2);
        image->samples[at] = legal(image, (uint64_t)((int64_t)image->samples[at] - low) ^ change);
    }
}

static bool is_plane_same(const struct stego_image *a, const struct stego_image *b, uint32_t frame,
                          unsigned component)
{
    const size_t begin = draw_plane_begin(a, frame, component);
    const size_t n = (size_t)draw_plane_columns(a, component) * a->rows;
    return memcmp(a->samples + begin, b->samples + begin, n * sizeof(int32_t)) == 0;
}

/* carrier: as it was made; given: what became of it. */
static void check_extraction(const struct choice *choice, const struct stego_image *carrier,
                             struct stego_image *given, const uint8_t *payload)
{
    struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_extract_facts facts = {0};
    struct stego_image before = draw_copy(given);
    const enum ds_status s = extract(given, &found, &facts);
    if (s == DS_OK) {
        must(facts.payload_bits == choice->payload_bits);
        must(found.len == (choice->payload_bits + 7) / 8);
        must(found.len == 0 || memcmp(found.data, payload, found.len) == 0);
    }
    for (uint32_t f = 0; f < given->frames; f++) {
        for (unsigned c = 0; c < given->components; c++) {
            const bool restored = is_plane_same(given, &choice->c.cover, f, c);
            const bool unaltered = is_plane_same(&before, carrier, f, c);
            must(s == DS_ENOTHING || restored || !unaltered);
            must(s != DS_ENOTHING || is_plane_same(given, &before, f, c));
        }
    }
    const bool unaltered =
        memcmp(before.samples, carrier->samples, draw_count(carrier) * sizeof(int32_t)) == 0;
    must(s == DS_OK || !unaltered);
    ds_bytes_free(&found);
    stego_image_free(&before);
}

/* NULL: it does not fit. Otherwise the carrier is in *carrier; stego_image_free and free. */
static uint8_t *make_carrier(struct choice *choice, struct stego_image *carrier)
{
    const size_t bytes = (choice->payload_bits + 7) / 8;
    draw_image(&choice->c.cover, choice->content, &choice->draw);
    uint8_t *payload = draw_payload(bytes, &choice->draw);
    if (choice->payload_bits % 8 != 0) {
        payload[bytes - 1] &= (uint8_t)(0xFF00U >> choice->payload_bits % 8);
    }
    *carrier = draw_copy(&choice->c.cover);
    const enum ds_status s =
        stego_embed(carrier, payload, choice->payload_bits, &choice->c.options, NULL, NULL);
    must(s == DS_OK || s == DS_ECAPACITY);
    if (s == DS_OK) {
        return payload;
    }
    must(memcmp(carrier->samples, choice->c.cover.samples, draw_count(carrier) * sizeof(int32_t)) ==
         0);
    free(payload);
    return NULL;
}

static void embed_and_alter(struct ds_cursor *c, struct choice *choice)
{
    struct stego_image carrier;
    uint8_t *payload = make_carrier(choice, &carrier);
    if (payload != NULL) {
        struct stego_image given = draw_copy(&carrier);
        alter(c, &given);
        check_extraction(choice, &carrier, &given, payload);
        stego_image_free(&given);
    }
    stego_image_free(&carrier);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choice choice;
    struct ds_cursor c = ds_cursor_over(data, size);
    const uint8_t *header = ds_cursor_bytes(&c, HEADER_BYTES);
    if (header == NULL) {
        return 0;
    }
    choose(header, &choice);
    if (choice.raw) {
        extract_samples(&c, &choice.c.cover);
    } else {
        embed_and_alter(&c, &choice);
    }
    draw_case_free(&choice.c);
    return 0;
}

static void put_cell(uint8_t *at, uint64_t cell, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(cell >> (8 * i));
    }
}

/* Writes a carrier behind the header; the new size, or the old one when there is none. */
static size_t plant(uint8_t *data, size_t size, size_t max_size)
{
    struct choice choice;
    struct stego_image carrier;
    choose(data, &choice);
    const unsigned width = sample_bytes(&choice.c.cover);
    uint8_t *payload = make_carrier(&choice, &carrier);
    const size_t n = draw_count(&carrier);
    if (payload != NULL && HEADER_BYTES + n * width <= max_size) {
        for (size_t i = 0; i < n; i++) {
            const int64_t cell = (int64_t)carrier.samples[i] - stego_image_min(&carrier);
            put_cell(data + HEADER_BYTES + i * width, (uint64_t)cell, width);
        }
        size = HEADER_BYTES + n * width;
    }
    free(payload);
    stego_image_free(&carrier);
    draw_case_free(&choice.c);
    return size;
}

/* Low bits of a few bytes: what a mark or a coder notices last. */
static void nudge(uint8_t *data, size_t size, struct draw *d)
{
    for (uint64_t k = 1 + draw_below(d, 4); k > 0; k--) {
        data[HEADER_BYTES + draw_below(d, size - HEADER_BYTES)] ^= (uint8_t)draw_from(d, 1, 3);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct draw d = {.state = seed};
    if (size > HEADER_BYTES && data[0] % 2 == 0) {
        switch (draw_below(&d, 8)) {
        case 0:
            return plant(data, size, max_size);
        case 1:
        case 2:
        case 3:
            nudge(data, size, &d);
            return size;
        default:
            break;
        }
    }
    return LLVMFuzzerMutate(data, size, max_size);
}

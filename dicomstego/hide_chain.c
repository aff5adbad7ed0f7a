/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/hide.h"

#include "dicomstego/chain.h"

#include <lzma.h>

struct link {
    struct stego_attempt *a;
    const struct stego_ground *g;
    struct stego_lead lead;
    struct stego_run run;
    struct stego_bits stream; /* displaced bits, checksum, message */
    struct stego_bits blob;
};

static void link_finish(struct link *k)
{
    stego_bits_free(&k->stream);
    stego_bits_free(&k->blob);
}

static enum ds_status out_of_memory(struct ds_error *err)
{
    return ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits");
}

/* The run's length depends on how the number of bits is written, and they include the run's. */
static enum ds_status place_run(struct link *k, struct ds_error *err)
{
    struct stego_lead_length length = {0, 0};
    const size_t others = 8 * k->lead.map_bytes + STEGO_CHAIN_BLOB_BITS + STEGO_CHECKSUM_BITS;
    size_t before = SIZE_MAX;
    while (length.all != before) {
        before = length.all;
        k->lead.bits = before + others + k->a->message->count;
        length = stego_lead_measure(k->g->image, k->g->index, &k->lead);
    }
    const struct stego_run_need need = {.head = length.head,
                                        .rest_and_map =
                                            length.all - length.head + 8 * k->lead.map_bytes,
                                        .blob = STEGO_CHAIN_BLOB_BITS,
                                        .latest = k->g->latest};
    if (!stego_run_choose(&k->g->plane, &need, &k->run)) {
        return ds_fail(err, DS_ECAPACITY, "the payload does not fit into the image");
    }
    k->a->run_begin = k->run.begin;
    return DS_OK;
}

static enum ds_status fill_stream(struct link *k, struct ds_error *err)
{
    const struct stego_bits *message = k->a->message;
    const uint32_t sum = stego_lead_checksum(k->g->image, k->g->index, &k->lead, k->g->map->data) ^
                         lzma_crc32(message->bytes.data, message->bytes.len, 0);
    stego_run_read(&k->g->plane, k->run.begin, k->run.end, &k->stream);
    stego_bits_put(&k->stream, sum, STEGO_CHECKSUM_BITS);
    stego_bits_append(&k->stream, message->bytes.data, 0, message->count);
    if (k->stream.failed) {
        return out_of_memory(err);
    }
    stego_whiten(k->stream.bytes.data, k->stream.count, k->a->seed, 0);
    return DS_OK;
}

static enum ds_status finish_run(struct link *k, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits bits = STEGO_BITS_INIT;
    stego_lead_write(k->g->image, k->g->index, &k->lead, &bits);
    stego_bits_append(&bits, k->g->map->data, 0, 8 * k->lead.map_bytes);
    stego_bits_append(&bits, k->blob.bytes.data, 0, STEGO_CHAIN_BLOB_BITS);
    if (bits.failed) {
        return out_of_memory(err);
    }
    stego_run_write(&k->g->plane, k->a->work, k->run.begin, k->run.end, bits.bytes.data);
    return DS_OK;
}

enum ds_status stego_attempt_chain(struct stego_attempt *attempt, bool thorough,
                                   struct ds_error *err)
{
    DS_AUTO(link_finish)
    struct link k = {.a = attempt,
                     .g = attempt->ground,
                     .lead = attempt->ground->lead,
                     .stream = STEGO_BITS_INIT,
                     .blob = STEGO_BITS_INIT};
    k.lead.codec = STEGO_CHAIN;
    k.lead.seed = attempt->seed;
    enum ds_status s = place_run(&k, err);
    s = s == DS_OK ? fill_stream(&k, err) : s;
    if (s != DS_OK) {
        return s;
    }
    const struct stego_chain chain = {.plane = &k.g->plane,
                                      .run_begin = k.run.begin,
                                      .run_end = k.run.end,
                                      .thorough = thorough,
                                      .max_difference = k.g->max_difference};
    s = stego_chain_embed(&chain, &k.stream, attempt->work, &k.blob, err);
    s = s == DS_OK ? finish_run(&k, err) : s;
    attempt->left = 0;
    attempt->hidden = k.stream.count;
    if (s == DS_OK && !stego_attempt_is_within_limit(attempt)) {
        return ds_fail(err, DS_ECAPACITY, "the payload does not fit into the image");
    }
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/method.h"

#include <string.h>

static const struct stego_method *const methods[] = {&stego_method_rdh, &stego_method_lsb};

const struct stego_method *stego_method_at(size_t i)
{
    return i < DS_ARRAY_SIZE(methods) ? methods[i] : NULL;
}

const struct stego_method *stego_method_named(const char *name)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(methods); i++) {
        if (strcmp(methods[i]->name, name) == 0) {
            return methods[i];
        }
    }
    return NULL;
}

bool stego_method_reverses(const struct stego_method *method,
                           const struct stego_method_options *options)
{
    return method->reversal == STEGO_REVERSES_ALWAYS ||
           (method->reversal == STEGO_REVERSES_ON_REQUEST && options->lsb.is_reversible);
}

/* The engine's reader also finds the marks of other methods, which it takes for another version's.
 * Only where it finds nothing at all do the others look, for a mark of theirs that was altered. */
enum ds_status stego_method_recover(struct stego_image *image,
                                    const struct stego_method_reader *reader,
                                    struct ds_bytes *payload, struct stego_method_facts *facts,
                                    struct ds_error *err)
{
    struct stego_method_facts unused;
    struct stego_method_facts *told = facts != NULL ? facts : &unused;
    const enum ds_status s = stego_method_rdh.recover(image, reader, payload, told, err);
    for (size_t i = 0; i < DS_ARRAY_SIZE(methods) && (s == DS_EUNSUPPORTED || s == DS_ENOTHING);
         i++) {
        if (methods[i] == &stego_method_rdh) {
            continue;
        }
        struct ds_error why = {0};
        const enum ds_status t = methods[i]->recover(image, reader, payload, told, &why);
        if (t != DS_ENOTHING) {
            return t == DS_OK ? t : ds_fail(err, t, "%s", why.text);
        }
    }
    return s;
}

/* ---- the reversible engine ---- */

static enum ds_status rdh_capacity(const struct stego_image *image,
                                   const struct stego_method_options *options, uint64_t *bits,
                                   struct ds_error *err)
{
    return stego_capacity_of(image, &options->engine, bits, err);
}

static enum ds_status rdh_protect(struct stego_image *image, const uint8_t *payload,
                                  size_t payload_bits, const struct stego_method_options *options,
                                  struct stego_embed_facts *facts, struct ds_error *err)
{
    return stego_embed(image, payload, payload_bits, &options->engine, facts, err);
}

static enum ds_status rdh_recover(struct stego_image *image,
                                  const struct stego_method_reader *reader,
                                  struct ds_bytes *payload, struct stego_method_facts *facts,
                                  struct ds_error *err)
{
    struct stego_extract_facts said = {0};
    const enum ds_status s = stego_extract(image, reader->pool, payload, &said, err);
    *facts = (struct stego_method_facts){
        .method = s == DS_ENOTHING || s == DS_EUNSUPPORTED ? NULL : &stego_method_rdh,
        .is_restored = s == DS_OK,
        .exclude = said.exclude,
        .planes = said.planes,
        .damaged = said.damaged,
        .first_damaged = said.first_damaged,
    };
    return s;
}

const struct stego_method stego_method_rdh = {
    .name = "rdh",
    .summary = "reversible data hiding: the original comes back bit for bit",
    .needs_secret = false,
    .is_secret = false,
    .reversal = STEGO_REVERSES_ALWAYS,
    .capacity = rdh_capacity,
    .protect = rdh_protect,
    .recover = rdh_recover,
};

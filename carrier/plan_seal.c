/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who carries what: how many instances share the capsule, who has room for the key block and the
 * certificate, what goes beside. Sizes are measured on the sealed capsule, not guessed.
 */
#include "carrier/plan_private.h"

#include <stdlib.h>
#include <string.h>

/* What the parts of one instance's bytes cost in this capsule. */
struct part_costs {
    size_t base; /* manifest, signature, sealing of an empty record */
    size_t share, key_block, certificate;
};

/* Lengths are written in as many bytes as they need; this covers the difference. */
#define LENGTH_SLACK_BYTES 8U

#define SEAL_ROUNDS_MAX 6U

static enum ds_status bytes_of(const struct stego_capsule *c, uint32_t share, bool key_block,
                               bool certificate, size_t *bytes, struct ds_error *err)
{
    const struct stego_instance instance = {.share_index = share,
                                            .with_key_block = key_block,
                                            .with_certificate = certificate,
                                            .record = (const uint8_t *)"",
                                            .record_len = 0};
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    const enum ds_status s = stego_capsule_instance(c, &instance, &out, err);
    *bytes = out.len;
    return s;
}

static enum ds_status measure_parts(const struct stego_capsule *c, bool has_signer,
                                    struct part_costs *costs, struct ds_error *err)
{
    size_t with_share = 0;
    size_t with_key = 0;
    size_t with_certificate = 0;
    enum ds_status s = bytes_of(c, STEGO_NO_SHARE, false, false, &costs->base, err);
    if (s == DS_OK) {
        s = bytes_of(c, 0, false, false, &with_share, err);
    }
    if (s == DS_OK && stego_capsule_key_block_bytes(c) > 0) {
        s = bytes_of(c, STEGO_NO_SHARE, true, false, &with_key, err);
    }
    if (s == DS_OK && has_signer) {
        s = bytes_of(c, STEGO_NO_SHARE, false, true, &with_certificate, err);
    }
    costs->share = with_share - costs->base;
    costs->key_block = with_key > costs->base ? with_key - costs->base : 0;
    costs->certificate = with_certificate > costs->base ? with_certificate - costs->base : 0;
    costs->base += LENGTH_SLACK_BYTES;
    return s;
}

static size_t count_shares(const struct carrier_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++) {
        n += p->items[i].with_share ? 1 : 0;
    }
    return n;
}

/* k of n, as the capsule will have it: of the n, redundancy percent may be lost. */
static size_t shares_needed(size_t n, unsigned redundancy_percent)
{
    const size_t k = n - n * redundancy_percent / 100;
    return k == 0 ? 1 : k;
}

/* Does the image hold so much? One that was only tried may hold more: noted. */
static bool holds(struct carrier_plan *p, const struct plan_item *item, uint64_t bytes)
{
    const bool does = bytes <= item->capacity_bytes;
    p->is_short = p->is_short || (!does && item->was_tried);
    return does;
}

/* Takes the share from whoever cannot hold it. Fewer shares are larger shares, so who cannot hold
 * one now never will: repeating this ends at the largest set that fits. */
static bool drop_those_that_overflow(struct carrier_plan *p, const struct part_costs *costs,
                                     size_t share_bytes)
{
    bool dropped = false;
    for (size_t i = 0; i < p->count; i++) {
        struct plan_item *item = &p->items[i];
        const uint64_t own = costs->base + item->record_bytes;
        item->in_pixels = item->can_carry && holds(p, item, own);
        if (item->with_share && (!item->in_pixels || !holds(p, item, own + share_bytes))) {
            item->with_share = false;
            dropped = true;
        }
    }
    return dropped;
}

/* Predicts share sizes to spare sealing for every smaller number. True when anything changed. */
static bool shrink(struct carrier_plan *p, const struct part_costs *costs, unsigned redundancy)
{
    const size_t n0 = count_shares(p);
    const size_t total = costs->share * shares_needed(n0, redundancy);
    size_t share = costs->share;
    bool changed = false;
    while (drop_those_that_overflow(p, costs, share)) {
        changed = true;
        const size_t n = count_shares(p);
        if (n == 0) {
            break;
        }
        share = total / shares_needed(n, redundancy) + 1;
    }
    return changed;
}

struct sealing {
    struct carrier_plan *plan;
    struct stego_seal_request request; /* documents and share_total are set here */
    struct stego_capsule *capsule;
    struct part_costs costs;
};

static void sealing_finish(struct sealing *s)
{
    stego_capsule_free(s->capsule);
}

static enum ds_status seal_for(struct sealing *s, size_t n, struct ds_error *err)
{
    stego_capsule_free(s->capsule);
    s->capsule = NULL;
    s->request.share_total = n == 0 ? 1 : (uint32_t)n;
    const enum ds_status r = stego_capsule_seal(&s->capsule, &s->request, err);
    return r == DS_OK ? measure_parts(s->capsule, s->request.signer != NULL, &s->costs, err) : r;
}

static bool is_token(const struct stego_seal_request *request)
{
    return request->recipient_count == 0 && request->password == NULL;
}

/* Finds the largest number of instances that can hold their share of these documents. *shares is 0
 * when there is none. */
static enum ds_status settle(struct sealing *s, size_t *shares, struct ds_error *err)
{
    struct carrier_plan *p = s->plan;
    const bool needs_shares = !is_token(&s->request);
    for (size_t i = 0; i < p->count; i++) {
        p->items[i].with_share = p->items[i].can_carry && needs_shares;
    }
    for (unsigned round = 0; round < SEAL_ROUNDS_MAX; round++) {
        *shares = count_shares(p);
        const enum ds_status r = seal_for(s, *shares, err);
        if (r != DS_OK) {
            return r;
        }
        if (!shrink(p, &s->costs, s->request.redundancy_percent)) {
            return DS_OK;
        }
    }
    *shares = 0;
    return DS_OK;
}

static size_t count_in_pixels(const struct carrier_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++) {
        n += p->items[i].in_pixels ? 1 : 0;
    }
    return n;
}

/* A quarter of a bit for each sample of the smallest image that carries: up to there a whole header
 * is worth its place (one 256x256 slice: 2 KB). */
static bool shares_are_small(const struct carrier_plan *p, const struct part_costs *costs)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].with_share && 32 * (uint64_t)costs->share > p->items[i].samples) {
            return false;
        }
    }
    return true;
}

/* ---- with the envelopes ---- */

static size_t envelope_bytes(const struct carrier_plan *p)
{
    size_t total = 0;
    for (size_t i = 0; i < p->count; i++) {
        total += p->items[i].envelope.before.len + p->items[i].envelope.behind.len;
    }
    return total;
}

static enum ds_status write_envelopes(const struct carrier_plan *p, struct ds_bytes *out,
                                      struct ds_error *err)
{
    struct carrier_envelope *list = calloc(p->count, sizeof(*list));
    if (list == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu envelopes", p->count);
    }
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].envelope.before.len > 0) {
            list[n++] = p->items[i].envelope; /* lent */
        }
    }
    const enum ds_status s = carrier_envelopes_write(list, n, out, err);
    free(list);
    return s;
}

/* The reports and one document more. */
static struct stego_document *join_documents(const struct stego_seal_request *request,
                                             const struct ds_bytes *envelopes)
{
    struct stego_document *all = calloc(request->document_count + 1, sizeof(*all));
    if (all == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < request->document_count; i++) {
        all[i] = request->documents[i];
    }
    all[request->document_count] = (struct stego_document){
        CARRIER_ENVELOPES_NAME, CARRIER_ENVELOPES_MEDIA, envelopes->data, envelopes->len};
    return all;
}

static bool has_envelopes(const struct carrier_plan *p, const struct stego_seal_request *request)
{
    return !is_token(request) && envelope_bytes(p) > 0 &&
           envelope_bytes(p) <= STEGO_REPORT_MAX_BYTES / 2;
}

/* Runs step with a request for the reports and the envelopes. */
static enum ds_status with_envelopes(struct sealing *s, const struct stego_seal_request *request,
                                     enum ds_status (*step)(struct sealing *s, size_t *shares,
                                                            struct ds_error *err),
                                     size_t *shares, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes envelopes = DS_BYTES_INIT(STEGO_REPORT_MAX_BYTES);
    enum ds_status r = write_envelopes(s->plan, &envelopes, err);
    struct stego_document *all = r == DS_OK ? join_documents(request, &envelopes) : NULL;
    if (all == NULL) {
        return r == DS_OK ? ds_fail(err, DS_ENOMEM, "no memory for the documents") : r;
    }
    s->request = *request;
    s->request.documents = all;
    s->request.document_count = request->document_count + 1;
    r = step(s, shares, err);
    s->request = *request;
    free(all);
    return r;
}

/* *fits: whether the capsule with envelopes is as the options want it. */
static enum ds_status settle_with_envelopes(struct sealing *s,
                                            const struct stego_seal_request *request, bool *fits,
                                            size_t *shares, struct ds_error *err)
{
    const struct carrier_plan *p = s->plan;
    *fits = false;
    if (!has_envelopes(p, request)) {
        return DS_OK;
    }
    const enum ds_status r = with_envelopes(s, request, settle, shares, err);
    const bool all_hold_one = *shares > 0 && *shares == count_in_pixels(p);
    *fits = r == DS_OK && *shares > 0 &&
            (p->options.attributes == CARRIER_ATTRIBUTES_ALL || p->options.keep_bitstream ||
             (all_hold_one && shares_are_small(p, &s->costs)));
    return r == DS_ECAPACITY && p->options.attributes != CARRIER_ATTRIBUTES_ALL ? DS_OK : r;
}

/* ---- slots ---- */

static void fill_pixel_slot(struct carrier_plan *p, const struct plan_item *item,
                            const struct part_costs *costs, struct carrier_slot *slot)
{
    const uint64_t own = costs->base + item->record_bytes;
    const uint64_t share = item->with_share ? costs->share : 0;
    slot->placement = CARRIER_IN_PIXELS;
    /* An eighth of a bit for each sample keeps a noisy slice as it looks; see docs/benchmarks.md.
     */
    const bool modest = 64 * (own + costs->key_block) <= item->samples;
    slot->with_key_block = costs->key_block > 0 && (modest || p->count == 1) &&
                           holds(p, item, own + share + costs->key_block);
    const uint64_t so_far = own + share + (slot->with_key_block ? costs->key_block : 0);
    slot->with_certificate = costs->certificate > 0 &&
                             128 * (so_far + costs->certificate) <= item->samples &&
                             holds(p, item, so_far + costs->certificate);
}

static void fill_other_slot(const struct carrier_plan *p, const struct plan_item *item,
                            const struct part_costs *costs, struct carrier_slot *slot)
{
    slot->placement = item->passes   ? CARRIER_PASS
                      : item->refers ? CARRIER_SIDECAR
                                     : p->options.unsuitable;
    if (slot->placement == CARRIER_SIDECAR) {
        slot->with_key_block = costs->key_block > 0;
        slot->with_certificate = costs->certificate > 0;
    }
    if (item->can_carry) {
        (void)snprintf(slot->reason, sizeof(slot->reason), "holds %llu bytes, needs at least %zu",
                       (unsigned long long)item->capacity_bytes, costs->base + item->record_bytes);
    } else {
        memcpy(slot->reason, item->reason, sizeof(slot->reason));
    }
}

static void fill_slots(struct carrier_plan *p, const struct part_costs *costs,
                       struct carrier_slot *slots)
{
    uint32_t next = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct plan_item *item = &p->items[i];
        memset(&slots[i], 0, sizeof(slots[i]));
        slots[i].share_index = item->with_share ? next++ : STEGO_NO_SHARE;
        if (item->in_pixels) {
            fill_pixel_slot(p, item, costs, &slots[i]);
        } else {
            fill_other_slot(p, item, costs, &slots[i]);
        }
    }
}

static size_t count_sidecars(const struct carrier_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++) {
        n += p->items[i].passes ? 0 : 1;
    }
    return n;
}

/* Does anything go in pixels, or must beside? */
static bool has_use(const struct carrier_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].in_pixels || p->items[i].refers) {
            return true;
        }
    }
    return false;
}

static bool may_go_beside(const struct carrier_plan *p)
{
    return p->options.unsuitable == CARRIER_SIDECAR && count_sidecars(p) > 0;
}

static void fill_sidecar_slot(const struct sealing *s, const struct plan_item *item, uint32_t share,
                              struct carrier_slot *slot)
{
    memset(slot, 0, sizeof(*slot));
    slot->placement = item->passes ? CARRIER_PASS : CARRIER_SIDECAR;
    slot->share_index = item->passes ? STEGO_NO_SHARE : share;
    slot->with_key_block = !item->passes && s->costs.key_block > 0;
    slot->with_certificate = !item->passes && s->costs.certificate > 0;
    (void)snprintf(slot->reason, sizeof(slot->reason), "%s",
                   item->can_carry ? "the documents are larger than the images can hold"
                                   : item->reason);
}

/* A share for every instance that may be touched. */
static enum ds_status seal_for_sidecars(struct sealing *s, size_t *shares, struct ds_error *err)
{
    *shares = count_sidecars(s->plan);
    return seal_for(s, *shares, err);
}

/* In the capsule there was no room for them. */
static void note_lost_bitstreams(const struct carrier_plan *p, struct carrier_slot *slots)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].wants_bitstream && p->items[i].in_pixels) {
            (void)snprintf(slots[i].reason, sizeof(slots[i].reason),
                           "the compressed bitstream does not fit and does not travel");
        }
    }
}

/* Every instance that may be touched gets its share in a sidecar: no image can hold one, and the
 * rule allows it. */
static enum ds_status all_in_sidecars(struct sealing *s, const struct stego_seal_request *request,
                                      struct carrier_slot *slots, struct ds_error *err)
{
    const struct carrier_plan *p = s->plan;
    size_t shares = 0;
    const enum ds_status r = has_envelopes(p, request)
                                 ? with_envelopes(s, request, seal_for_sidecars, &shares, err)
                                 : seal_for_sidecars(s, &shares, err);
    uint32_t next = 0;
    for (size_t i = 0; i < p->count && r == DS_OK; i++) {
        fill_sidecar_slot(s, &p->items[i], next, &slots[i]);
        next += p->items[i].passes ? 0 : 1;
    }
    return r;
}

static enum ds_status too_much(const struct sealing *s, struct ds_error *err)
{
    const struct carrier_plan *p = s->plan;
    uint64_t room = 0;
    for (size_t i = 0; i < p->count; i++) {
        const uint64_t own = s->costs.base + p->items[i].record_bytes;
        if (p->items[i].can_carry && p->items[i].capacity_bytes > own) {
            room += p->items[i].capacity_bytes - own;
        }
    }
    const size_t need = s->costs.share * stego_capsule_shares_needed(s->capsule);
    if (room == 0) {
        return ds_fail(err, DS_ECAPACITY, "no image of the study can carry anything%s%.120s",
                       p->items[0].reason[0] != '\0' ? ": " : "", p->items[0].reason);
    }
    return ds_fail(err, DS_ECAPACITY,
                   "the sealed documents need about %zu bytes, the images can hold %llu", need,
                   (unsigned long long)room);
}

static enum ds_status settle_all(struct sealing *s, const struct stego_seal_request *request,
                                 struct carrier_slot *slots, struct ds_error *err)
{
    size_t shares = 0;
    bool fits = false;
    enum ds_status r = settle_with_envelopes(s, request, &fits, &shares, err);
    const bool must = s->plan->options.attributes == CARRIER_ATTRIBUTES_ALL && !is_token(request);
    s->request = *request;
    if (r == DS_OK && !fits && !must) {
        r = settle(s, &shares, err);
    } else if (r == DS_OK && !fits && s->capsule == NULL) {
        r = settle(s, &shares, err); /* "all", but no instance has an envelope */
    } else if (r == DS_OK && !fits && may_go_beside(s->plan)) {
        return all_in_sidecars(s, request, slots, err);
    } else if (r == DS_OK && !fits) {
        r = too_much(s, err);
    }
    if (r != DS_OK) {
        return r;
    }
    const bool nobody = shares == 0 && (request->document_count > 0 || !has_use(s->plan));
    if (!nobody) {
        fill_slots(s->plan, &s->costs, slots);
        if (!fits) {
            note_lost_bitstreams(s->plan, slots);
        }
        return DS_OK;
    }
    return may_go_beside(s->plan) ? all_in_sidecars(s, request, slots, err) : too_much(s, err);
}

/* Would an image that goes beside, or without a share, hold it if no tree head were named? */
static bool head_displaces(const struct sealing *s)
{
    const struct carrier_plan *p = s->plan;
    for (size_t i = 0; i < p->count; i++) {
        const struct plan_item *item = &p->items[i];
        const uint64_t room = item->capacity_bytes + STEGO_HEAD_BYTES;
        const uint64_t own = s->costs.base + item->record_bytes;
        const bool wants_share = !item->with_share && !is_token(&s->request);
        if (item->can_carry && room >= own &&
            (!item->in_pixels || (wants_share && room - own >= s->costs.share))) {
            return true;
        }
    }
    return false;
}

/* The head is a witness more, not worth an image that goes beside for it: then the whole study goes
 * without. */
static enum ds_status settle_with_head(struct sealing *s, const struct stego_seal_request *request,
                                       struct carrier_slot *slots, struct ds_error *err)
{
    const enum ds_status r = settle_all(s, request, slots, err);
    const bool displaced = r == DS_ECAPACITY || (r == DS_OK && head_displaces(s));
    if (request->head.size == 0 || !displaced) {
        return r;
    }
    struct stego_seal_request plain = *request;
    plain.head = (struct stego_tree_head){0};
    return settle_all(s, &plain, slots, err);
}

enum ds_status carrier_plan_seal(struct carrier_plan *p, const struct stego_seal_request *request,
                                 struct carrier_slot *slots, size_t count,
                                 struct stego_capsule **out, struct ds_error *err)
{
    *out = NULL;
    if (count != p->count || count == 0) {
        return ds_fail(err, DS_EINVAL, "%zu slots for a plan of %zu instances", count, p->count);
    }
    DS_AUTO(sealing_finish) struct sealing s = {.plan = p};
    const enum ds_status r = settle_with_head(&s, request, slots, err);
    if (r == DS_OK) {
        *out = s.capsule;
        s.capsule = NULL;
    }
    return r;
}

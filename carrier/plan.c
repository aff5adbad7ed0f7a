/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who carries what: which instances can, how many share the capsule, who has room for the key block
 * and the certificate. Sizes are measured on the sealed capsule, not guessed.
 */
#include "carrier/carrier_private.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

struct plan_item {
    bool can_carry; /* an image that the engine takes */
    char reason[CARRIER_REASON_BYTES];
    uint64_t samples;
    uint64_t capacity_bytes;
    size_t record_bytes;
    struct carrier_envelope envelope; /* empty when there is none */
    /* decided while sealing */
    bool in_pixels; /* manifest and record fit */
    bool with_share;
};

struct carrier_plan {
    struct carrier_plan_options options;
    struct plan_item *items;
    size_t count;
    size_t room;
};

/* What the parts of one instance's bytes cost in this capsule. */
struct part_costs {
    size_t base; /* manifest, signature, sealing of an empty record */
    size_t share, key_block, certificate;
};

/* Lengths are written in as many bytes as they need; this covers the difference. */
#define LENGTH_SLACK_BYTES 8U

#define SEAL_ROUNDS_MAX 6U

enum ds_status carrier_plan_new(struct carrier_plan **out,
                                const struct carrier_plan_options *options, struct ds_error *err)
{
    *out = NULL;
    if (options->unsuitable == CARRIER_IN_PIXELS) {
        return ds_fail(err, DS_EINVAL, "unsuitable instances cannot carry in their pixels");
    }
    struct carrier_plan *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a plan");
    }
    p->options = *options;
    *out = p;
    return DS_OK;
}

void carrier_plan_free(struct carrier_plan *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        carrier_envelope_free(&p->items[i].envelope);
    }
    free(p->items);
    free(p);
}

void carrier_plan_auto(struct carrier_plan **p)
{
    carrier_plan_free(*p);
}

/* ---- adding ---- */

static enum ds_status next_item(struct carrier_plan *p, struct plan_item **out,
                                struct ds_error *err)
{
    if (p->count == STEGO_SHARES_MAX) {
        return ds_fail(err, DS_ECAPACITY, "more than %u instances in one study", STEGO_SHARES_MAX);
    }
    if (p->count == p->room) {
        const size_t room = p->room == 0 ? 64 : 2 * p->room;
        struct plan_item *items = reallocarray(p->items, room, sizeof(*items));
        if (items == NULL) {
            return ds_fail(err, DS_ENOMEM, "no memory for a plan of %zu instances", room);
        }
        p->items = items;
        p->room = room;
    }
    *out = &p->items[p->count];
    memset(*out, 0, sizeof(**out));
    return DS_OK;
}

/* The record's length does not depend on the capsule, only on what the original is. */
static enum ds_status measure_record(const struct carrier_plan *p, const struct carrier_original *o,
                                     size_t *bytes, struct ds_error *err)
{
    static const uint8_t any_id[STEGO_CAPSULE_ID_BYTES] = {0};
    const struct carrier_make_options options = {.region = p->options.region};
    const struct carrier_derivation how = {
        .capsule_id = any_id, .options = &options, .placement = CARRIER_IN_PIXELS};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *derived = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes record = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    enum ds_status s = carrier_derive(o, &how, &derived, err);
    if (s == DS_OK) {
        s = carrier_record_build(o, derived, &p->options.region, &record, err);
    }
    *bytes = record.len;
    return s;
}

/* A study of more instances than this is planned by quick bounds. */
#define STUDY_IS_LARGE 4U

/* One bit for each sample is the most that is asked of an image, even where the engine could hide
 * more: beyond it what is shown is no longer the image. More effort never holds less, so the
 * cheapest one measures; only within limits of distortion what more effort gains may decide. For a
 * large study without key regions a quick bound will do where it is roomy. Measuring costs as much
 * as some carriers, and several passes as many, so those are measured only where a single pass is
 * not roomy. */
static enum ds_status measure_capacity(const struct carrier_plan *p,
                                       const struct stego_image *image, size_t samples,
                                       uint64_t *bytes, struct ds_error *err)
{
    struct carrier_hiding hiding = p->options.hiding;
    const struct stego_rect *region = &p->options.region;
    uint64_t bits = 0;
    enum ds_status s = DS_OK;
    if (!carrier_hiding_is_limited(&hiding)) {
        hiding.effort = STEGO_FAST;
    }
    if (p->options.instances > STUDY_IS_LARGE && carrier_region_is_empty(region)) {
        s = carrier_hiding_at_least(&hiding, image, region, &bits, err);
    }
    if (s == DS_OK && bits < samples / 4) {
        s = carrier_hiding_measure(&hiding, image, region, 1, &bits, err);
        if (s == DS_OK && bits < samples / 2) {
            s = carrier_hiding_capacity(&hiding, image, region, &bits, err);
        }
    }
    *bytes = (bits < samples ? bits : samples) / 8;
    return s;
}

static enum ds_status measure_image(const struct carrier_plan *p, const struct carrier_original *o,
                                    struct plan_item *item, struct ds_error *err)
{
    size_t samples = 0;
    enum ds_status s = carrier_original_suitable(o, err);
    if (s == DS_OK && !carrier_region_is_empty(&p->options.region)) {
        s = carrier_region_check(&o->image, &p->options.region, err);
    }
    if (s == DS_OK && !stego_image_count(&o->image, &samples)) {
        s = ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    if (s == DS_OK) {
        s = measure_capacity(p, &o->image, samples, &item->capacity_bytes, err);
    }
    if (s == DS_OK) {
        s = measure_record(p, o, &item->record_bytes, err);
    }
    item->samples = samples;
    return s;
}

static enum ds_status keep_envelope(const struct carrier_plan *p, const struct carrier_original *o,
                                    struct plan_item *item, struct ds_error *err)
{
    if (!item->can_carry || p->options.attributes == CARRIER_ATTRIBUTES_CHANGED) {
        return DS_OK;
    }
    const enum ds_status s = carrier_envelope_of(o, &item->envelope, err);
    if (s == DS_OK || s == DS_ENOMEM) {
        return s;
    }
    carrier_envelope_free(&item->envelope); /* this one then relies on its record alone */
    return DS_OK;
}

enum ds_status carrier_plan_add(struct carrier_plan *p, const struct carrier_original *o,
                                struct ds_error *err)
{
    struct plan_item *item = NULL;
    enum ds_status s = next_item(p, &item, err);
    if (s != DS_OK) {
        return s;
    }
    struct ds_error why = {0};
    s = measure_image(p, o, item, &why);
    if (s == DS_ENOMEM) {
        return ds_fail(err, s, "%s", why.text);
    }
    item->can_carry = s == DS_OK;
    (void)snprintf(item->reason, sizeof(item->reason), "%.*s", (int)sizeof(item->reason) - 1,
                   why.text);
    s = keep_envelope(p, o, item, err);
    if (s == DS_OK) {
        p->count++;
    }
    return s;
}

/* ---- sealing ---- */

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

/* Takes the share from whoever cannot hold it. Fewer shares are larger shares, so who cannot hold
 * one now never will: repeating this ends at the largest set that fits. */
static bool drop_those_that_overflow(struct carrier_plan *p, const struct part_costs *costs,
                                     size_t share_bytes)
{
    bool dropped = false;
    for (size_t i = 0; i < p->count; i++) {
        struct plan_item *item = &p->items[i];
        item->in_pixels =
            item->can_carry && item->capacity_bytes >= costs->base + item->record_bytes;
        if (item->with_share &&
            (!item->in_pixels ||
             item->capacity_bytes - costs->base - item->record_bytes < share_bytes)) {
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

/* *fits: whether the capsule with envelopes is as the options want it. */
static enum ds_status settle_with_envelopes(struct sealing *s,
                                            const struct stego_seal_request *request, bool *fits,
                                            size_t *shares, struct ds_error *err)
{
    const struct carrier_plan *p = s->plan;
    *fits = false;
    if (p->options.attributes == CARRIER_ATTRIBUTES_CHANGED || is_token(request) ||
        envelope_bytes(p) == 0 || envelope_bytes(p) > STEGO_REPORT_MAX_BYTES / 2) {
        return DS_OK;
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes envelopes = DS_BYTES_INIT(STEGO_REPORT_MAX_BYTES);
    enum ds_status r = write_envelopes(p, &envelopes, err);
    struct stego_document *all = r == DS_OK ? join_documents(request, &envelopes) : NULL;
    if (all == NULL) {
        return r == DS_OK ? ds_fail(err, DS_ENOMEM, "no memory for the documents") : r;
    }
    s->request = *request;
    s->request.documents = all;
    s->request.document_count = request->document_count + 1;
    r = settle(s, shares, err);
    free(all);
    const bool all_hold_one = *shares > 0 && *shares == count_in_pixels(p);
    *fits = r == DS_OK && *shares > 0 &&
            (p->options.attributes == CARRIER_ATTRIBUTES_ALL ||
             (all_hold_one && shares_are_small(p, &s->costs)));
    return r == DS_ECAPACITY && p->options.attributes == CARRIER_ATTRIBUTES_AUTO ? DS_OK : r;
}

/* ---- slots ---- */

static void fill_pixel_slot(const struct carrier_plan *p, const struct plan_item *item,
                            const struct part_costs *costs, struct carrier_slot *slot)
{
    const uint64_t own = costs->base + item->record_bytes;
    const uint64_t share = item->with_share ? costs->share : 0;
    slot->placement = CARRIER_IN_PIXELS;
    /* An eighth of a bit for each sample keeps a noisy slice as it looks; see docs/benchmarks.md.
     */
    const bool modest = 64 * (own + costs->key_block) <= item->samples;
    slot->with_key_block = costs->key_block > 0 &&
                           own + share + costs->key_block <= item->capacity_bytes &&
                           (modest || p->count == 1);
    const uint64_t so_far = own + share + (slot->with_key_block ? costs->key_block : 0);
    slot->with_certificate = costs->certificate > 0 &&
                             so_far + costs->certificate <= item->capacity_bytes &&
                             128 * (so_far + costs->certificate) <= item->samples;
}

static void fill_other_slot(const struct carrier_plan *p, const struct plan_item *item,
                            const struct part_costs *costs, struct carrier_slot *slot)
{
    slot->placement = p->options.unsuitable;
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

static void fill_slots(const struct carrier_plan *p, const struct part_costs *costs,
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

/* Every instance gets its share in a sidecar: no image can hold one, and the rule allows it. */
static enum ds_status all_in_sidecars(struct sealing *s, struct carrier_slot *slots,
                                      struct ds_error *err)
{
    const struct carrier_plan *p = s->plan;
    const enum ds_status r = seal_for(s, p->count, err);
    for (size_t i = 0; i < p->count && r == DS_OK; i++) {
        memset(&slots[i], 0, sizeof(slots[i]));
        slots[i].placement = CARRIER_SIDECAR;
        slots[i].share_index = (uint32_t)i;
        slots[i].with_key_block = s->costs.key_block > 0;
        slots[i].with_certificate = s->costs.certificate > 0;
        (void)snprintf(slots[i].reason, sizeof(slots[i].reason), "%s",
                       p->items[i].can_carry ? "the documents are larger than the images can hold"
                                             : p->items[i].reason);
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
    } else if (r == DS_OK && !fits) {
        r = too_much(s, err);
    }
    if (r != DS_OK) {
        return r;
    }
    const bool nobody =
        shares == 0 && (request->document_count > 0 || count_in_pixels(s->plan) == 0);
    if (!nobody) {
        fill_slots(s->plan, &s->costs, slots);
        return DS_OK;
    }
    return s->plan->options.unsuitable == CARRIER_SIDECAR ? all_in_sidecars(s, slots, err)
                                                          : too_much(s, err);
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
    const enum ds_status r = settle_all(&s, request, slots, err);
    if (r == DS_OK) {
        *out = s.capsule;
        s.capsule = NULL;
    }
    return r;
}

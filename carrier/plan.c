/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances of a study and what each of them could carry: its capacity, its record, its
 * envelope. What becomes of them is decided in plan_seal.c.
 */
#include "carrier/plan_private.h"

#include <stdlib.h>
#include <string.h>

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
    p->hiding = options->hiding;
    const enum ds_status s = carrier_plan_regions(p, &options->region, &options->more, err);
    if (s != DS_OK) {
        carrier_plan_free(p);
        return s;
    }
    *out = p;
    return DS_OK;
}

enum ds_status carrier_plan_regions(struct carrier_plan *p, const struct stego_rect *region,
                                    const struct carrier_regions *more, struct ds_error *err)
{
    const enum ds_status s =
        carrier_regions_preserve(&p->hiding, more, p->preserve, &p->options.hiding, err);
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < more->count; i++) {
        p->more[i] = more->items[i];
    }
    p->options.region = *region;
    p->options.more = (struct carrier_regions){p->more, more->count};
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

bool carrier_plan_is_short(const struct carrier_plan *p)
{
    return p->is_short;
}

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

/* The record's length does not depend on capsule and site, only on what the original is. */
static enum ds_status measure_record(const struct carrier_plan *p, const struct carrier_original *o,
                                     size_t *bytes, struct ds_error *err)
{
    const struct carrier_make_options options = {.region = p->options.region};
    const struct carrier_derivation how = {.site = "", .options = &options};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *derived = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes record = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    enum ds_status s = carrier_derive(o, &how, &derived, err);
    if (s == DS_OK) {
        s = carrier_record_build(o, derived, &p->options.region, &p->options.more, NULL, &record,
                                 err);
    }
    *bytes = record.len;
    return s;
}

/* A study of more instances than this is planned by quick bounds. */
#define STUDY_IS_LARGE 4U

/* What an image of fewer samples holds is measured: that is quick, and bounds leave too little of
 * it. */
#define IMAGE_IS_LARGE 65536U

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
    if (p->options.instances > STUDY_IS_LARGE && samples >= IMAGE_IS_LARGE &&
        carrier_region_is_empty(region)) {
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

/* About the part of the capsule that the headers ask of each image: compressed alone, one shrinks
 * to less than half, among its like to less than a quarter. */
static size_t header_bytes(const struct carrier_plan *p, const struct carrier_original *o)
{
    if (p->options.attributes == CARRIER_ATTRIBUTES_CHANGED) {
        return 0;
    }
    const bool whole = p->options.keep_bitstream || o->len < o->pixels.all_bytes;
    const size_t header = whole ? o->len : o->len - o->pixels.all_bytes;
    return whole ? header : header / (p->options.instances > STUDY_IS_LARGE ? 4 : 2);
}

/* One carrier's work in place of many. Beyond a quarter of a bit for each sample it is not sure
 * that the image will be asked for so much. */
static enum ds_status try_expected(const struct carrier_plan *p, const struct carrier_original *o,
                                   struct plan_item *item, struct ds_error *err)
{
    struct carrier_hiding hiding = p->options.hiding;
    const size_t expected = p->options.expected_bytes + item->record_bytes + header_bytes(p, o);
    if (!carrier_hiding_is_limited(&hiding)) {
        hiding.effort = STEGO_FAST;
    }
    const enum ds_status s =
        p->options.expected_bytes == 0 || 32 * (uint64_t)expected > item->samples
            ? DS_OK
            : carrier_hiding_holds(&hiding, &o->image, &p->options.region, expected,
                                   &item->was_tried, err);
    item->capacity_bytes = item->was_tried ? expected : 0;
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
    item->samples = samples;
    if (s == DS_OK) {
        s = measure_record(p, o, &item->record_bytes, err);
    }
    if (s == DS_OK) {
        s = try_expected(p, o, item, err);
    }
    return s == DS_OK && !item->was_tried
               ? measure_capacity(p, &o->image, samples, &item->capacity_bytes, err)
               : s;
}

/* What software computes with is not touched unless its kind was named. */
static bool is_protected_measurement(const struct carrier_plan *p, const struct carrier_original *o)
{
    char sop_class[DICOM_UID_BYTES] = "";
    if (dicom_dataset_get(o->dataset, DICOM_TAG_SOP_CLASS_UID, sop_class, sizeof(sop_class),
                          NULL) != DS_OK) {
        return false;
    }
    const unsigned kind = carrier_measurement_of(sop_class);
    return (kind & ~p->options.measurement) != 0;
}

/* Headers of palettes, key objects and plans; a document of megabytes would take the room of all.
 */
#define SIDECAR_ENVELOPE_MAX_BYTES (16U * 1024U)

static bool wants_envelope(const struct carrier_plan *p, const struct plan_item *item)
{
    /* Where bitstreams travel, whole headers of native images do so only when they must. */
    const bool wanted = p->options.attributes == CARRIER_ATTRIBUTES_ALL ||
                        (p->options.attributes == CARRIER_ATTRIBUTES_AUTO &&
                         !(p->options.keep_bitstream && item->can_carry));
    return wanted && (item->can_carry || item->refers ||
                      (p->options.unsuitable == CARRIER_SIDECAR && !item->passes));
}

static bool is_worth_it(const struct carrier_plan *p, const struct plan_item *item)
{
    return item->can_carry || p->options.attributes == CARRIER_ATTRIBUTES_ALL ||
           item->envelope.before.len + item->envelope.behind.len <= SIDECAR_ENVELOPE_MAX_BYTES;
}

static enum ds_status keep_envelope(const struct carrier_plan *p, const struct carrier_original *o,
                                    struct plan_item *item, struct ds_error *err)
{
    const char *syntax = dicom_dataset_transfer_syntax(o->dataset);
    item->wants_bitstream =
        p->options.keep_bitstream && item->can_carry && !dicom_transfer_syntax_is_native(syntax);
    if (!item->wants_bitstream && !wants_envelope(p, item)) {
        return DS_OK;
    }
    const enum ds_status s = item->wants_bitstream ? carrier_envelope_whole(o, &item->envelope, err)
                                                   : carrier_envelope_of(o, &item->envelope, err);
    if (s == DS_ENOMEM || (s == DS_OK && is_worth_it(p, item))) {
        return s;
    }
    carrier_envelope_free(&item->envelope); /* this one then relies on its record alone */
    return DS_OK;
}

/* A sidecar says by its SOP Instance UID what it belongs to. */
static bool has_name(const struct carrier_original *o)
{
    char uid[DICOM_UID_BYTES] = "";
    return dicom_dataset_get(o->dataset, DICOM_TAG_SOP_INSTANCE_UID, uid, sizeof(uid), NULL) ==
               DS_OK &&
           uid[0] != '\0' && uid[strspn(uid, "0123456789.")] == '\0';
}

/* What can be done with the instance by itself; the reason when nothing can be hidden in it. */
static enum ds_status judge(const struct carrier_plan *p, const struct carrier_original *o,
                            struct plan_item *item, struct ds_error *why)
{
    if (is_protected_measurement(p, o)) {
        item->passes = !p->options.measurement_is_unsuitable;
        return ds_fail(why, DS_EUNSUPPORTED, "it feeds measurement, and its kind is not named");
    }
    return measure_image(p, o, item, why);
}

/* Whether its way is beside a sidecar because of what it refers to. To hold is for images. */
static enum ds_status look_at_references(const struct carrier_plan *p,
                                         const struct carrier_original *o, struct plan_item *item,
                                         struct ds_error *err)
{
    const bool goes_untouched = item->passes || p->options.unsuitable == CARRIER_PASS ||
                                !dicom_dataset_has(o->dataset, DICOM_TAG_PIXEL_DATA);
    if (item->can_carry || !goes_untouched || p->options.references == NULL || !has_name(o)) {
        return DS_OK;
    }
    const enum ds_status s = carrier_original_refers(o, p->options.references, &item->refers, err);
    item->passes = item->passes && !item->refers;
    return s;
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
    s = judge(p, o, item, &why);
    if (p->options.unsuitable == CARRIER_SIDECAR && !has_name(o)) {
        item->passes = true;
        s = s == DS_OK || s == DS_ENOMEM
                ? s
                : ds_fail(&why, DS_EFORMAT, "it has no SOP Instance UID that a sidecar could name");
    }
    if (s == DS_ENOMEM) {
        return ds_fail(err, s, "%s", why.text);
    }
    item->can_carry = s == DS_OK;
    s = look_at_references(p, o, item, err);
    if (s != DS_OK) {
        return s;
    }
    (void)snprintf(item->reason, sizeof(item->reason), "%.*s", (int)sizeof(item->reason) - 1,
                   why.text);
    s = keep_envelope(p, o, item, err);
    if (s == DS_OK) {
        p->count++;
    }
    return s;
}

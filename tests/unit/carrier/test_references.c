/* SPDX-License-Identifier: Apache-2.0 */
/* References of real objects, rewritten by made-up maps and put back. */
#include "base/clock.h"
#include "base/file.h"
#include "carrier/carrier_private.h"
#include "carrier/references.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REFERENCED_INSTANCE DICOM_TAG(0x0008, 0x1155)

static const char *const names[] = {
    "nonimage/key-object-selection.dcm",    "nonimage/gsps-presentation-state.dcm",
    "nonimage/sr-comprehensive-nested.dcm", "nonimage/sr-comprehensive3d-tid1500.dcm",
    "nonimage/sr-tid1500-dcmqi.dcm",        "nonimage/rtstruct-no-preamble.dcm",
    "nonimage/real-world-value-map.dcm",    "nonimage/microscopy-bulk-annotations.dcm",
};

static struct dicom_dataset *load(const char *name)
{
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    struct dicom_dataset *d = NULL;
    DS_AUTO(ds_string_free) char *path = data == NULL ? NULL : ds_file_join(data, name);
    if (path == NULL || !ds_file_exists(path)) {
        print_message("no %s: set DICOMSTEGO_TEST_DATA\n", name);
        skip();
    }
    assert_int_equal(dicom_dataset_read_file(&d, path, NULL), DS_OK);
    return d;
}

/* ---- made-up maps ---- */

struct collecting {
    struct carrier_uid_map *map;
    size_t seen;
};

static enum ds_status collect(void *context, dicom_tag tag, unsigned depth, const uint8_t *value,
                              size_t len, struct ds_bytes *replacement, struct ds_error *err)
{
    (void)replacement;
    struct collecting *c = context;
    char old[DICOM_UID_BYTES] = "";
    char new[DICOM_UID_BYTES] = "";
    const bool is_reference =
        depth > 0 && (tag == REFERENCED_INSTANCE || tag == DICOM_TAG_SERIES_INSTANCE_UID);
    if (!is_reference || len == 0 || len > 64) {
        return DS_OK;
    }
    memcpy(old, value, len);
    while (old[0] != '\0' && old[strlen(old) - 1] == ' ') {
        old[strlen(old) - 1] = '\0';
    }
    c->seen++;
    const enum ds_status s = carrier_derived_uid(CARRIER_UID_INSTANCE, "A", old, NULL, new, err);
    return s == DS_OK ? carrier_uid_map_add(c->map, old, new, err) : s;
}

/* All instances and series that d refers to. */
static struct carrier_uid_map *map_of(struct dicom_dataset *d, size_t *references)
{
    struct collecting c = {0};
    assert_int_equal(carrier_uid_map_new(&c.map, NULL), DS_OK);
    assert_int_equal(dicom_dataset_visit_uids(d, collect, &c, NULL), DS_OK);
    carrier_uid_map_complete(c.map);
    *references = c.seen;
    return c.map;
}

struct hash {
    uint8_t bytes[DS_SHA256_BYTES];
};

static struct hash hash_of(const struct dicom_dataset *d)
{
    struct hash h;
    assert_int_equal(dicom_dataset_hash(d, h.bytes, NULL), DS_OK);
    return h;
}

static bool same(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* As it is after a detour through another native syntax. */
static struct dicom_dataset *sent(const struct dicom_dataset *d, const char *syntax)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes b = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    struct dicom_dataset *out = NULL;
    assert_int_equal(dicom_dataset_write(d, syntax, &b, NULL), DS_OK);
    assert_int_equal(dicom_dataset_read(&out, b.data, b.len, syntax, NULL), DS_OK);
    return out;
}

static enum ds_status find_left(void *context, dicom_tag tag, unsigned depth, const uint8_t *value,
                                size_t len, struct ds_bytes *replacement, struct ds_error *err)
{
    (void)replacement;
    (void)err;
    const size_t n = len > 0 && value[len - 1] == '\0' ? len - 1 : len;
    if (depth > 0 && tag == REFERENCED_INSTANCE) {
        assert_null(carrier_uid_map_find(context, (const char *)value, n));
        assert_true(n > 5 && memcmp(value, "2.25.", 5) == 0);
    }
    return DS_OK;
}

static void references_are_rewritten_at_every_depth_and_put_back(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = load(names[i]);
        DS_AUTO(ds_bytes_free) struct ds_bytes record = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
        size_t references = 0;
        size_t count = 0;
        DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = map_of(d, &references);
        const struct hash was = hash_of(d);
        assert_int_equal(carrier_references_rewrite(d, map, &record, &count, NULL), DS_OK);
        print_message("%s: %zu references, record of %zu bytes\n", names[i], count, record.len);
        assert_true(references > 0 && count >= references);
        const struct hash rewritten = hash_of(d);
        assert_false(same(&was, &rewritten));
        assert_int_equal(dicom_dataset_visit_uids(d, find_left, map, NULL), DS_OK);
        for (size_t k = 0; k < DS_ARRAY_SIZE(syntaxes); k++) {
            DS_AUTO(dicom_dataset_auto) struct dicom_dataset *arrived = sent(d, syntaxes[k]);
            assert_int_equal(carrier_references_undo(arrived, record.data, record.len, NULL),
                             DS_OK);
            const struct hash restored = hash_of(arrived);
            assert_true(same(&was, &restored));
        }
    }
}

static void what_refers_to_nothing_in_the_map_is_untouched(void **state)
{
    (void)state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = load(names[i]);
        DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
        struct ds_bytes record = DS_BYTES_INIT(64);
        char own[DICOM_UID_BYTES];
        size_t count = 1;
        assert_int_equal(carrier_uid_map_new(&map, NULL), DS_OK);
        assert_int_equal(carrier_uid_map_add(map, "1.2.3", "2.25.1", NULL), DS_OK);
        /* The object's own UID is no reference. */
        assert_int_equal(dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, own, sizeof(own), NULL),
                         DS_OK);
        assert_int_equal(carrier_uid_map_add(map, own, "2.25.2", NULL), DS_OK);
        carrier_uid_map_complete(map);
        const struct hash was = hash_of(d);
        assert_int_equal(carrier_references_rewrite(d, map, &record, &count, NULL), DS_OK);
        const struct hash is = hash_of(d);
        assert_true(same(&was, &is));
        assert_int_equal(count, 0);
        assert_int_equal(record.len, 0);
    }
}

/* Padded with a space, several in one value, and one of them not in the map. */
static void values_come_back_as_they_were_written(void **state)
{
    (void)state;
    static const uint8_t file[] = "\x08\0\x18\0UI\x06\0"
                                  "1.2.9\0"
                                  "\x08\0\x15\x11SQ\0\0\x2f\0\0\0\xfe\xff\x00\xe0\x27\0\0\0"
                                  "\x08\0\x55\x11UI\x06\0"
                                  "1.2.7 "
                                  "\x08\0\x58\x30UI\x11\0"
                                  "1.2.7\\1.2.8\\1.2.7";
    struct dicom_dataset *d = NULL;
    struct ds_bytes record = DS_BYTES_INIT(4096);
    struct ds_bytes written = DS_BYTES_INIT(4096);
    struct ds_error err = {0};
    size_t count = 0;
    if (dicom_dataset_read(&d, file, sizeof(file) - 1, DICOM_EXPLICIT_LE, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
    assert_int_equal(carrier_uid_map_new(&map, NULL), DS_OK);
    assert_int_equal(carrier_uid_map_add(map, "1.2.7", "2.25.70", NULL), DS_OK);
    carrier_uid_map_complete(map);
    const struct hash was = hash_of(d);
    assert_int_equal(carrier_references_rewrite(d, map, &record, &count, NULL), DS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(dicom_dataset_write(d, DICOM_EXPLICIT_LE, &written, NULL), DS_OK);
    assert_non_null(memmem(written.data, written.len, "2.25.70\\1.2.8\\2.25.70", 21));
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *arrived = sent(d, DICOM_EXPLICIT_LE);
    assert_int_equal(carrier_references_undo(arrived, record.data, record.len, NULL), DS_OK);
    const struct hash restored = hash_of(arrived);
    assert_true(same(&was, &restored));
    dicom_dataset_free(d);
    ds_bytes_free(&record);
    ds_bytes_free(&written);
}

static void a_damaged_record_or_another_data_set_s_is_refused(void **state)
{
    (void)state;
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = load(names[0]);
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *few = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes record = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    size_t references = 0;
    size_t count = 0;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = map_of(d, &references);
    const struct hash was = hash_of(d);
    assert_int_equal(carrier_references_rewrite(d, map, &record, &count, NULL), DS_OK);
    for (size_t n = 0; n < record.len; n++) {
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *copy = NULL;
        assert_int_equal(dicom_dataset_copy(&copy, d, NULL), DS_OK);
        assert_int_equal(carrier_references_undo(copy, record.data, n, NULL), DS_EFORMAT);
        record.data[n] ^= 0x10;
        const enum ds_status s = carrier_references_undo(copy, record.data, record.len, NULL);
        const struct hash is = hash_of(copy);
        assert_true(s != DS_OK || !same(&was, &is));
        record.data[n] ^= 0x10;
    }
    assert_int_equal(dicom_dataset_new(&few, NULL), DS_OK);
    assert_int_equal(dicom_dataset_set(few, DICOM_TAG_SOP_INSTANCE_UID, "1.2.3", NULL), DS_OK);
    assert_int_equal(carrier_references_undo(few, record.data, record.len, NULL), DS_EAUTH);
}

static void a_map_finds_what_was_added_first(void **state)
{
    (void)state;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
    char old[32];
    char new[32];
    assert_int_equal(carrier_uid_map_new(&map, NULL), DS_OK);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(old, sizeof(old), "1.2.%u", i * 7919U % 1000U);
        (void)snprintf(new, sizeof(new), "2.25.%u", i * 7919U % 1000U);
        assert_int_equal(carrier_uid_map_add(map, old, new, NULL), DS_OK);
        assert_int_equal(carrier_uid_map_add(map, old, "2.25.0", NULL), DS_OK);
    }
    carrier_uid_map_complete(map);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(old, sizeof(old), "1.2.%u", i);
        (void)snprintf(new, sizeof(new), "2.25.%u", i);
        assert_string_equal(carrier_uid_map_find(map, old, strlen(old)), new);
    }
    assert_null(carrier_uid_map_find(map, "1.2.1000", 8));
    assert_null(carrier_uid_map_find(map, "1.2.12", 4));
    assert_int_equal(carrier_uid_map_add(map, "", "2.25.1", NULL), DS_EINVAL);
}

/* ---- on the way ---- */

static struct carrier_made made_beside(const struct carrier_original *o,
                                       const struct carrier_make_options *options)
{
    const struct carrier_plan_options how = {.unsuitable = CARRIER_SIDECAR,
                                             .attributes = CARRIER_ATTRIBUTES_CHANGED};
    const struct stego_seal_request request = {.origin = "CLINIC_A",
                                               .created_utc_us = ds_clock_utc_us()};
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    struct carrier_slot slot = {0};
    struct carrier_made made = {0};
    struct ds_error err = {0};
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
    assert_int_equal(carrier_plan_seal(plan, &request, &slot, 1, &capsule, NULL), DS_OK);
    assert_int_equal(slot.placement, CARRIER_SIDECAR);
    if (carrier_make(capsule, o, &slot, options, &made, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
    return made;
}

static struct carrier_original *load_original(const char *name)
{
    struct carrier_original *o = NULL;
    DS_AUTO(ds_string_free) char *path = ds_file_join(getenv("DICOMSTEGO_TEST_DATA"), name);
    assert_int_equal(carrier_original_open(&o, path, NULL), DS_OK);
    return o;
}

static void expect_restored(const struct carrier_made *made, const struct carrier_original *o)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes sidecar = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes beside = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    DS_AUTO(carrier_found_auto) struct carrier_found *f = NULL;
    struct carrier_restored r = {0};
    struct ds_error err = {0};
    char named[DICOM_UID_BYTES];
    assert_int_equal(carrier_made_part10(made, &sidecar, NULL), DS_OK);
    assert_int_equal(carrier_made_beside_part10(made, &beside, NULL), DS_OK);
    assert_int_equal(carrier_sidecar_of(sidecar.data, sidecar.len, named, NULL), DS_OK);
    assert_string_equal(named, made->beside_sop_instance_uid);
    assert_int_equal(carrier_found_load(&f, sidecar.data, sidecar.len, NULL, NULL, NULL), DS_OK);
    assert_int_equal(carrier_found_join(f, &beside, NULL), DS_OK);
    if (carrier_restore(f, NULL, NULL, &r, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(r.file_proven);
    assert_memory_equal(r.hashes.dataset, o->hashes.dataset, DS_SHA256_BYTES);
    assert_memory_equal(r.hashes.file, o->hashes.file, DS_SHA256_BYTES);
    carrier_restored_free(&r);
}

static void what_refers_to_carriers_travels_rewritten_and_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = load(names[i]);
        DS_AUTO(carrier_original_auto) struct carrier_original *o = load_original(names[i]);
        size_t references = 0;
        DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = map_of(d, &references);
        const struct carrier_make_options options = {.site = "A", .references = map};
        const struct carrier_make_options closed = {.references = map, .retain_uids = true};
        struct carrier_made made = made_beside(o, &options);
        assert_true(made.beside.len > 0);
        expect_restored(&made, o);
        carrier_made_free(&made);
        made = made_beside(o, &closed);
        assert_int_equal(made.beside.len, 0);
        carrier_made_free(&made);
    }
}

/* It says what was done to it, under UIDs of its own, and claims no signature. */
static void what_travels_rewritten_is_a_derived_instance(void **state)
{
    (void)state;
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = load(names[0]);
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *sent_set = NULL;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = load_original(names[0]);
    size_t references = 0;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = map_of(d, &references);
    const struct carrier_make_options options = {.site = "A", .references = map};
    char own[DICOM_UID_BYTES];
    char uid[DICOM_UID_BYTES];
    assert_int_equal(dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, own, sizeof(own), NULL),
                     DS_OK);
    assert_int_equal(carrier_derived_uid(CARRIER_UID_INSTANCE, "A", own, NULL, uid, NULL), DS_OK);
    struct carrier_made made = made_beside(o, &options);
    assert_string_equal(made.beside_sop_instance_uid, uid);
    assert_int_equal(
        dicom_dataset_read(&sent_set, made.beside.data, made.beside.len, made.beside_syntax, NULL),
        DS_OK);
    assert_true(dicom_dataset_has(sent_set, DICOM_TAG(0x0018, 0xa001)));
    assert_false(dicom_dataset_has(d, DICOM_TAG(0x0018, 0xa001)));
    carrier_made_free(&made);
}

/* ---- the plan ---- */

/* A CT slice that carries, and the object, without a report. */
static enum carrier_placement placement_of(const char *name, const struct carrier_plan_options *how)
{
    struct carrier_slot slots[2];
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    const struct stego_seal_request request = {.origin = "A"};
    const char *const both[] = {"ct/ge-hispeed/0001.dcm", name};
    assert_int_equal(carrier_plan_new(&plan, how, NULL), DS_OK);
    for (size_t i = 0; i < DS_ARRAY_SIZE(both); i++) {
        DS_AUTO(carrier_original_auto) struct carrier_original *o = load_original(both[i]);
        assert_int_equal(carrier_plan_add(plan, o, NULL), DS_OK);
    }
    assert_int_equal(carrier_plan_seal(plan, &request, slots, 2, &capsule, NULL), DS_OK);
    assert_int_equal(slots[0].placement, CARRIER_IN_PIXELS);
    stego_capsule_free(capsule);
    carrier_plan_free(plan);
    return slots[1].placement;
}

/* Whatever the rule does with images that cannot carry, and with what feeds measurement: a
 * reference to a UID that nobody has any more helps none. */
static void what_refers_to_carriers_is_planned_beside_a_sidecar(void **state)
{
    (void)state;
    static const char *const referring[] = {"nonimage/key-object-selection.dcm",
                                            "other/seg_image_ct_binary.dcm"};
    static const enum carrier_placement unsuitable[] = {CARRIER_PASS, CARRIER_HOLD,
                                                        CARRIER_SIDECAR};
    for (size_t i = 0; i < DS_ARRAY_SIZE(referring); i++) {
        DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = load(referring[i]);
        size_t references = 0;
        DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = map_of(d, &references);
        assert_true(references > 0);
        for (size_t u = 0; u < DS_ARRAY_SIZE(unsuitable); u++) {
            struct carrier_plan_options how = {.unsuitable = unsuitable[u], .references = map};
            assert_int_equal(placement_of(referring[i], &how), CARRIER_SIDECAR);
        }
    }
}

static void what_refers_to_others_passes_as_before(void **state)
{
    (void)state;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
    assert_int_equal(carrier_uid_map_new(&map, NULL), DS_OK);
    assert_int_equal(carrier_uid_map_add(map, "1.2.3", "2.25.1", NULL), DS_OK);
    carrier_uid_map_complete(map);
    const struct carrier_uid_map *const maps[] = {NULL, map};
    for (size_t i = 0; i < DS_ARRAY_SIZE(maps); i++) {
        const struct carrier_plan_options pass = {.unsuitable = CARRIER_PASS,
                                                  .references = maps[i]};
        const struct carrier_plan_options hold = {.unsuitable = CARRIER_HOLD,
                                                  .references = maps[i]};
        assert_int_equal(placement_of("nonimage/key-object-selection.dcm", &pass), CARRIER_PASS);
        assert_int_equal(placement_of("nonimage/key-object-selection.dcm", &hold), CARRIER_HOLD);
        assert_int_equal(placement_of("other/seg_image_ct_binary.dcm", &hold), CARRIER_PASS);
    }
}

int main(void)
{
    if (dicom_init(NULL) != DS_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_rewritten_at_every_depth_and_put_back),
        cmocka_unit_test(what_refers_to_nothing_in_the_map_is_untouched),
        cmocka_unit_test(values_come_back_as_they_were_written),
        cmocka_unit_test(a_damaged_record_or_another_data_set_s_is_refused),
        cmocka_unit_test(what_refers_to_carriers_travels_rewritten_and_comes_back),
        cmocka_unit_test(what_travels_rewritten_is_a_derived_instance),
        cmocka_unit_test(what_refers_to_carriers_is_planned_beside_a_sidecar),
        cmocka_unit_test(what_refers_to_others_passes_as_before),
        cmocka_unit_test(a_map_finds_what_was_added_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the node hands out, from a real database, and what the other side's manifest left in it. */
#include "../db/fixture.h"

#include "db/audit.h"
#include "db/witness.h"
#include "dicomstego/statement.h"
#include "node/testimony.h"
#include "provenance/evidence_check.h"
#include "provenance/witness.h"

#include <stdlib.h>

static struct stego_identity *node, *peer;
static struct db_book *book;
static struct provenance_tree tree;
static uint8_t log_id[DS_SHA256_BYTES], peer_log[DS_SHA256_BYTES];

/* ---- a log with its keeper's work done by hand ---- */

static struct stego_identity *identity(const char *name)
{
    struct stego_identity *i = NULL;
    char key[128];
    char certificate[128];
    (void)snprintf(key, sizeof(key), "%s/%s.key", folder, name);
    (void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", folder, name);
    OK(stego_key_new("ec", name, NULL, 10, key, certificate, false, &err));
    OK(stego_identity_load(&i, key, certificate, &err));
    return i;
}

static void number_events(void)
{
    struct db_leaf leaves[64];
    const size_t count = db_book_look(book, leaves, DS_ARRAY_SIZE(leaves));
    const uint64_t first = tree.size;
    for (size_t i = 0; i < count; i++) {
        OK(provenance_tree_append(&tree, leaves[i].hash, NULL, NULL, &err));
    }
    OK(db_leaves_add(db, log_id, first, leaves, count, NULL, 0, &err));
    db_book_done(book, count);
}

static struct db_head sign_head(void)
{
    struct db_head h = {.head = {.size = tree.size, .at_us = ds_clock_utc_us()}};
    struct ds_bytes signature = DS_BYTES_INIT(DB_SIGNATURE_BYTES);
    memcpy(h.head.log, log_id, sizeof(log_id));
    OK(provenance_tree_root(&tree, h.head.root, &err));
    OK(provenance_head_sign(&h.head, node, &signature, &err));
    memcpy(h.signature, signature.data, signature.len);
    h.signature_len = signature.len;
    ds_bytes_free(&signature);
    OK(db_head_add(db, &h, &err));
    return h;
}

static void happen(const char *kind, const char *uid, const char *to)
{
    const struct db_event e = {.kind = kind, .actor = "node", .sop_uid = uid, .peer = to};
    OK(db_event_add(db, &e, 1, &err));
}

static int setup(void **state)
{
    static const uint8_t tag_key[DS_SHA256_BYTES] = {7};
    if (start_everything(state) != 0) {
        return -1;
    }
    struct ds_bytes key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    node = identity("node");
    peer = identity("peer");
    const struct stego_certificate *c = stego_identity_certificate(node);
    size_t der_len = 0;
    const uint8_t *der = stego_certificate_der(c, &der_len);
    OK(stego_certificate_public_key(c, &key, &err));
    OK(testimony_log_of(c, log_id, &err));
    OK(testimony_log_of(stego_identity_certificate(peer), peer_log, &err));
    OK(db_log_register(db, log_id, key.data, key.len, der, der_len, &err));
    OK(db_book_new(&book, log_id, tag_key, &err));
    db_set_book(db, book);
    ds_bytes_free(&key);
    for (unsigned i = 0; i < 10; i++) {
        happen("received", i % 3 == 0 ? "1.2.3" : "1.2.4", "CT1");
        happen("sent", i % 3 == 0 ? "1.2.3" : "1.2.4", "B");
    }
    number_events();
    (void)sign_head();
    return 0;
}

static int teardown(void **state)
{
    const int stopped = stop_everything(state);
    stego_identity_free(node);
    stego_identity_free(peer);
    db_book_free(book);
    return stopped;
}

/* ---- checking ---- */

static unsigned events, heads, witnesses;

static void note(void *context, const struct evidence_step *step)
{
    (void)context;
    if (step->status != DS_OK) {
        fail_msg("%s: %s", step->name, step->text);
    }
    events += strcmp(step->name, "event") == 0 ? 1 : 0;
    heads += strcmp(step->name, "head") == 0 ? 1 : 0;
    witnesses += strcmp(step->name, "witness") == 0 ? 1 : 0;
}

static void check(const struct ds_bytes *text)
{
    static const struct evidence_trust nobody;
    struct evidence e;
    events = heads = witnesses = 0;
    OK(evidence_parse(text->data, text->len, &e, &err));
    OK(evidence_check(&e, &nobody, note, NULL, &err));
    evidence_free(&e);
}

static struct ds_bytes bundle_of(const char *uid)
{
    struct ds_bytes out = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    OK(testimony_of_instance(db, node, uid, &out, &err));
    return out;
}

/* ---- tests ---- */

static void a_bundle_has_every_event_of_the_instance_and_no_other(void **state)
{
    (void)state;
    struct ds_bytes b = bundle_of("1.2.3");
    check(&b);
    assert_int_equal(events, 8);
    assert_int_equal(heads, 1);
    ds_bytes_free(&b);
    b = bundle_of("1.2.4");
    check(&b);
    assert_int_equal(events, 12);
    ds_bytes_free(&b);
    assert_int_equal(testimony_of_instance(db, node, "1.2.5", &b, &err), DS_ENOTFOUND);
    ds_bytes_free(&b);
    assert_int_equal(testimony_of_instance(db, node, "not a uid", &b, &err), DS_EINVAL);
    ds_bytes_free(&b);
}

static void events_without_a_number_come_into_the_next_head(void **state)
{
    (void)state;
    happen("verified", "1.2.6", "B");
    struct ds_bytes b = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    assert_int_equal(testimony_of_instance(db, node, "1.2.6", &b, &err), DS_ENOTFOUND);
    ds_bytes_free(&b);
    number_events();
    assert_int_equal(testimony_of_instance(db, node, "1.2.6", &b, &err), DS_ENOTFOUND);
    ds_bytes_free(&b);
    (void)sign_head();
    b = bundle_of("1.2.6");
    check(&b);
    assert_int_equal(events, 1);
    ds_bytes_free(&b);
}

static void the_newest_head_is_a_file(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    OK(testimony_of_head(db, node, &b, &err));
    check(&b);
    assert_int_equal(heads, 1);
    assert_int_equal(events, 0);
    ds_bytes_free(&b);
}

static enum ds_status count_row(void *context, const struct db_audit_row *row, struct ds_error *why)
{
    (void)why;
    *(unsigned *)context += row->event.kind.len > 0 ? 1 : 0;
    return DS_OK;
}

static unsigned count_of(const struct db_audit_filter *filter, unsigned limit)
{
    unsigned count = 0;
    OK(db_audit_newest(db, filter, limit, count_row, &count, &err));
    return count;
}

static void filters_must_all_hold(void **state)
{
    (void)state;
    struct db_audit_filter f = {.sop_uid = "1.2.4"};
    assert_int_equal(count_of(&f, 1000), 12);
    assert_int_equal(count_of(&f, 5), 5);
    f.kind = "sent";
    assert_int_equal(count_of(&f, 1000), 6);
    f.peer = "CT1";
    assert_int_equal(count_of(&f, 1000), 0);
    f = (struct db_audit_filter){.peer = "CT1", .until_us = 1};
    assert_int_equal(count_of(&f, 1000), 0);
    f = (struct db_audit_filter){.peer = "CT1", .since_us = 1};
    assert_int_equal(count_of(&f, 1000), 10);
    f.until_us = ds_clock_utc_us() + 60000000;
    assert_int_equal(count_of(&f, 1000), 10);
    f.since_us = f.until_us;
    assert_int_equal(count_of(&f, 1000), 0);
    f = (struct db_audit_filter){.patient_id = "nobody"};
    assert_int_equal(count_of(&f, 1000), 0);
}

static void all_events_come_once_and_in_order(void **state)
{
    (void)state;
    struct db_audit_filter f = {0};
    unsigned count = 0;
    OK(db_audit_all(db, &f, count_row, &count, &err));
    assert_int_equal(count, count_of(&f, 1000));
    for (unsigned i = 0; i < 12; i++) {
        struct db_event many[100];
        for (size_t n = 0; n < DS_ARRAY_SIZE(many); n++) {
            many[n] = (struct db_event){.kind = "found", .actor = "node", .sop_uid = "1.9"};
        }
        OK(db_event_add(db, many, DS_ARRAY_SIZE(many), &err));
    }
    f.sop_uid = "1.9";
    for (unsigned i = 0; i < 2; i++) {
        count = 0;
        OK(db_audit_all(db, &f, count_row, &count, &err));
        assert_int_equal(count, 1200);
    }
}

static void what_is_seen_twice_is_kept_once(void **state)
{
    (void)state;
    struct db_seen seen = {.origin = "A", .head = {.size = 5, .at_us = 1000000}};
    struct ds_bytes b = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    bool is_new = false;
    memcpy(seen.head.log, peer_log, sizeof(peer_log));
    memcpy(seen.witness, log_id, sizeof(log_id));
    assert_int_equal(testimony_of_seen(db, node, stego_identity_certificate(peer), &b, &err),
                     DS_ENOTFOUND);
    ds_bytes_free(&b);
    OK(db_seen_add(db, &seen, "PEER", &is_new, &err));
    assert_true(is_new);
    OK(db_seen_add(db, &seen, "PEER", &is_new, &err));
    assert_false(is_new);
    const struct db_audit_filter f = {.kind = "witnessed"};
    assert_int_equal(count_of(&f, 10), 1);
    struct db_seen *list = NULL;
    size_t count = 0;
    OK(db_seen_list(db, peer_log, log_id, 10, &list, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(list[0].head.size, 5);
    assert_int_equal(list[0].head.at_us, 1000000);
    free(list);
}

static void what_a_peer_countersigned_travels_in_bundles(void **state)
{
    (void)state;
    struct ds_bytes key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    struct ds_bytes signature = DS_BYTES_INIT(DB_SIGNATURE_BYTES);
    struct db_head last;
    bool is_new = false;
    const struct stego_certificate *c = stego_identity_certificate(peer);
    OK(db_head_last(db, log_id, &last, &err));
    OK(stego_certificate_public_key(c, &key, &err));
    struct db_seen seen = {.origin = "TESTNODE", .head = last.head};
    OK(provenance_witness_sign(&seen.head, peer, &signature, &err));
    memcpy(seen.witness, peer_log, sizeof(peer_log));
    memcpy(seen.signature, signature.data, signature.len);
    seen.signature_len = signature.len;
    seen.key = (struct provenance_bytes){key.data, key.len};
    seen.certificate.data = stego_certificate_der(c, &seen.certificate.len);
    OK(db_seen_add(db, &seen, "PEER", &is_new, &err));
    number_events();
    (void)sign_head();
    struct ds_bytes b = bundle_of("1.2.3");
    check(&b);
    assert_int_equal(witnesses, 1);
    ds_bytes_free(&b);
    ds_bytes_free(&key);
    ds_bytes_free(&signature);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_has_every_event_of_the_instance_and_no_other),
        cmocka_unit_test(events_without_a_number_come_into_the_next_head),
        cmocka_unit_test(the_newest_head_is_a_file),
        cmocka_unit_test(filters_must_all_hold),
        cmocka_unit_test(what_is_seen_twice_is_kept_once),
        cmocka_unit_test(what_a_peer_countersigned_travels_in_bundles),
        /* Last: more leaves than number_events makes subtrees for. */
        cmocka_unit_test(all_events_come_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

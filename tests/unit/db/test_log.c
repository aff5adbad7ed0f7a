/* SPDX-License-Identifier: Apache-2.0 */
/* The log, and what becomes of it when somebody with every right in the database changes it. */
#include "base/secret.h"
#include "db/book.h"
#include "db/log_verify.h"
#include "db/roles.h"
#include "dicomstego/statement.h"

#include "fixture.h"

#define EVENTS 600U

static struct stego_identity *identity;
static struct ds_bytes public_key;
static uint8_t log_id[DS_SHA256_BYTES], tag_key[DS_SHA256_BYTES];
static struct db_book *book;
static struct provenance_tree tree;
static struct db_head kept[16];
static size_t kept_count;

/* ---- a small keeper ---- */

static struct db_subtree completed[64];
static size_t completed_count;

static enum ds_status keep_subtree(void *context, unsigned level, uint64_t index,
                                   const uint8_t *hash, struct ds_error *e)
{
    (void)context;
    (void)e;
    completed[completed_count] = (struct db_subtree){.level = level, .index = index};
    memcpy(completed[completed_count++].hash, hash, DS_SHA256_BYTES);
    return DS_OK;
}

static void number(void)
{
    static struct db_leaf leaves[4096];
    const size_t count = db_book_look(book, leaves, DS_ARRAY_SIZE(leaves));
    const uint64_t first = tree.size;
    completed_count = 0;
    for (size_t i = 0; i < count; i++) {
        OK(provenance_tree_append(&tree, leaves[i].hash, keep_subtree, NULL, &err));
    }
    OK(db_leaves_add(db, log_id, first, leaves, count, completed, completed_count, &err));
    db_book_done(book, count);
}

static void sign(void)
{
    struct ds_bytes signature = DS_BYTES_INIT(DB_SIGNATURE_BYTES);
    struct db_head h = {.head = {.size = tree.size, .at_us = ds_clock_utc_us()}};
    memcpy(h.head.log, log_id, sizeof(log_id));
    OK(provenance_tree_root(&tree, h.head.root, &err));
    OK(provenance_head_sign(&h.head, identity, &signature, &err));
    memcpy(h.signature, signature.data, signature.len);
    h.signature_len = signature.len;
    ds_bytes_free(&signature);
    OK(db_head_add(db, &h, &err));
    kept[kept_count++] = h;
}

static void add_events(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct db_event e = {.kind = "sent",
                             .actor = "node",
                             .instance_id = 1 + i,
                             .study_id = 7,
                             .sop_uid = "1.2.3",
                             .study_uid = "1.2",
                             .peer = "PEER \xff \"x\"",
                             .outcome = "sent",
                             .has_before = true,
                             .has_after = true,
                             .detail = "{\"delivery\": 1,  \"cause\":\"\\u00e4\"}"};
        memset(e.before, (int)i, sizeof(e.before));
        OK(db_event_add(db, &e, 1, &err));
    }
}

/* ---- verification ---- */

static unsigned found[16], found_count;
static struct db_finding first;
static size_t kept_at;

static void note(void *context, const struct db_finding *f)
{
    (void)context;
    first = found_count++ == 0 ? *f : first;
    found[f->kind]++;
}

static bool next_kept(void *context, struct db_head *out)
{
    (void)context;
    if (kept_at == kept_count) {
        return false;
    }
    *out = kept[kept_at++];
    return true;
}

static unsigned verify(void)
{
    struct db_log_report report;
    struct db_log_check check = {.tag_key = tag_key,
                                 .public_key = public_key.data,
                                 .public_key_len = public_key.len,
                                 .min_size = tree.size,
                                 .next_kept = next_kept,
                                 .found = note};
    memcpy(check.log, log_id, sizeof(log_id));
    memset(found, 0, sizeof(found));
    found_count = 0;
    kept_at = 0;
    OK(db_log_verify(db, &check, &report, &err));
    assert_int_equal(report.findings, found_count);
    return found_count;
}

/* As the superuser, past triggers and keys. */
static void as_superuser(const char *sql)
{
    char address[512];
    const char *user = strstr(url, "user=dicomstego");
    assert_non_null(user);
    (void)snprintf(address, sizeof(address), "%.*suser=postgres", (int)(user - url), url);
    PGconn *c = PQconnectdb(address);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    }
    PQclear(r);
    PQfinish(c);
}

#define TABLES "'events', 'log_leaves', 'log_subtrees', 'log_heads', 'logs'"

static void lift_locks(void)
{
    as_superuser("DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY[" TABLES "] LOOP "
                 "EXECUTE format('ALTER TABLE %I DISABLE TRIGGER ALL', t); "
                 "EXECUTE format('CREATE TABLE kept_%s AS TABLE %I', t, t); END LOOP; END $$;"
                 "ALTER TABLE events DROP CONSTRAINT events_pkey;"
                 "ALTER TABLE log_leaves DROP CONSTRAINT log_leaves_event_id_key;"
                 "ALTER TABLE log_leaves DROP CONSTRAINT log_leaves_pkey");
}

/* logs is named by the others: it is mended in place. */
static void put_back(void)
{
    as_superuser("DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['events', 'log_leaves', "
                 "'log_subtrees', 'log_heads'] LOOP EXECUTE format('DELETE FROM %I', t); "
                 "EXECUTE format('INSERT INTO %I SELECT * FROM kept_%s', t, t); END LOOP; END $$; "
                 "UPDATE logs SET public_key = k.public_key FROM kept_logs k WHERE k.id = logs.id");
}

#define EVENT(n) "(SELECT event_id FROM kept_log_leaves WHERE leaf = " #n ")"

static void the_log_as_it_was_written_is_right(void **state)
{
    (void)state;
    assert_int_equal(verify(), 0);
    assert_int_equal(ask("SELECT count(*) FROM log_leaves"), EVENTS + 30);
    assert_int_equal(ask("SELECT count(*) FROM log_subtrees"), 2);
}

static void each_change_of_a_superuser_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum db_finding_kind kind;
    } deeds[] = {
        {"UPDATE events SET id = 900001 WHERE id = " EVENT(5), DB_ROW_MISSING},
        {"UPDATE events SET log = NULL WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET at = at + interval '1 microsecond' WHERE id = " EVENT(5),
         DB_ROW_CHANGED},
        {"UPDATE events SET at = 'infinity' WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET node = 'X' WHERE id = " EVENT(0), DB_ROW_CHANGED},
        {"UPDATE events SET kind = 'received' WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET actor = 'X' WHERE id = " EVENT(629), DB_ROW_CHANGED},
        {"UPDATE events SET instance_id = NULL WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET study_id = 8 WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET sop_uid = '1.2.4' WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET study_uid = NULL WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET peer = '' WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET outcome = 'Sent' WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET before_hash = NULL WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET after_hash = before_hash WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET detail = '{\"delivery\":1}' WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET detail = NULL WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET tag = sha256('') WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"UPDATE events SET tag = NULL WHERE id = " EVENT(5), DB_ROW_CHANGED},
        {"DELETE FROM events WHERE id = " EVENT(0), DB_ROW_MISSING},
        {"DELETE FROM events WHERE id = " EVENT(300), DB_ROW_MISSING},
        {"DELETE FROM events WHERE id = " EVENT(629), DB_ROW_MISSING},
        {"DELETE FROM events WHERE id = " EVENT(5) "; DELETE FROM log_leaves WHERE leaf = 5",
         DB_LEAVES_MISSING},
        {"DELETE FROM events WHERE id >= " EVENT(600) "; DELETE FROM log_leaves WHERE leaf >= 600;"
                                                      "DELETE FROM log_heads WHERE size > 600",
         DB_LEAVES_MISSING},
        {"UPDATE events e SET actor = 'swapped', instance_id = o.instance_id FROM kept_events o "
         "WHERE e.id = " EVENT(5) " AND o.id = " EVENT(6),
         DB_ROW_CHANGED},
        {"UPDATE events SET id = CASE id WHEN " EVENT(5) " THEN " EVENT(6) " ELSE " EVENT(
             5) " END WHERE id IN (" EVENT(5) ", " EVENT(6) ")",
         DB_ROW_CHANGED},
        {"UPDATE log_leaves SET leaf = 11 - leaf WHERE leaf IN (5, 6)", DB_SUBTREE_WRONG},
        {"UPDATE log_leaves SET leaf = 1209 - leaf WHERE leaf IN (604, 605)", DB_HEAD_WRONG},
        {"INSERT INTO events SELECT 900001, log, at, node, kind, actor, instance_id, study_id, "
         "sop_uid, study_uid, peer, outcome, before_hash, after_hash, detail, tag FROM events "
         "WHERE id = " EVENT(5),
         DB_ROW_INSERTED},
        {"INSERT INTO events (id, at, node, kind, actor) VALUES (-4, now(), 'N', 'sent', 'x')",
         DB_ROW_INSERTED},
        {"INSERT INTO events SELECT 900001, log, at, node, kind, actor, instance_id, study_id, "
         "sop_uid, study_uid, peer, outcome, before_hash, after_hash, detail, tag FROM events "
         "WHERE id = " EVENT(5) "; INSERT INTO log_leaves SELECT log, 630, 900001, hash FROM "
                                "log_leaves WHERE leaf = 5",
         DB_ROW_CHANGED},
        {"INSERT INTO events SELECT 900001, log, at, node, kind, actor, instance_id, study_id, "
         "sop_uid, study_uid, peer, outcome, before_hash, after_hash, detail, tag FROM events "
         "WHERE id = " EVENT(5) "; UPDATE log_leaves SET leaf = leaf + 1 WHERE leaf > 5; INSERT "
                                "INTO log_leaves SELECT log, 6, 900001, hash FROM log_leaves "
                                "WHERE leaf = 5",
         DB_ROW_CHANGED},
        {"INSERT INTO log_leaves SELECT log, 5, event_id, hash FROM log_leaves WHERE leaf = 9",
         DB_LEAF_TWICE},
        {"INSERT INTO events SELECT * FROM events WHERE id = " EVENT(5), DB_LEAF_TWICE},
        {"UPDATE log_leaves SET hash = sha256('') WHERE leaf = 5", DB_LEAF_CHANGED},
        {"UPDATE log_leaves SET event_id = 900001 WHERE leaf = 5", DB_ROW_MISSING},
        {"UPDATE log_subtrees SET hash = sha256('') WHERE n = 1", DB_SUBTREE_WRONG},
        {"DELETE FROM log_subtrees WHERE n = 0", DB_SUBTREE_WRONG},
        {"INSERT INTO log_subtrees SELECT log, level, 2, hash FROM log_subtrees WHERE n = 0",
         DB_SUBTREE_WRONG},
        {"UPDATE log_heads SET root = sha256('') WHERE size = 600", DB_HEAD_WRONG},
        {"UPDATE log_heads SET size = 599 WHERE size = 600", DB_HEAD_UNKNOWN},
        {"UPDATE log_heads SET at = at + interval '1 hour' WHERE size = 600", DB_HEAD_WRONG},
        {"UPDATE log_heads SET signature = '\\x00' WHERE size = 600", DB_HEAD_WRONG},
        {"DELETE FROM log_heads WHERE size = 600", DB_HEAD_MISSING},
        {"UPDATE logs SET public_key = '\\x3000'", DB_KEY_WRONG},
    };
    lift_locks();
    for (size_t i = 0; i < DS_ARRAY_SIZE(deeds); i++) {
        as_superuser(deeds[i].sql);
        if (verify() == 0 || found[deeds[i].kind] == 0) {
            fail_msg("%s: %u findings, the first %s: %s", deeds[i].sql, found_count,
                     found_count == 0 ? "none" : db_finding_name(first.kind), first.text);
        }
        put_back();
        assert_int_equal(verify(), 0);
    }
}

/* Rows, leaves and heads go together: only the heads that were kept elsewhere tell. */
static void a_database_that_was_put_back_is_found_by_the_kept_heads(void **state)
{
    (void)state;
    as_superuser("DELETE FROM events WHERE id >= " EVENT(
        600) "; DELETE FROM log_leaves WHERE leaf >= 600; DELETE FROM log_heads WHERE size > 600");
    const uint64_t size = tree.size;
    tree.size = 0; /* nobody remembers */
    assert_true(verify() > 0);
    assert_int_equal(found[DB_HEAD_MISSING], 1);
    tree.size = size;
    put_back();
    assert_int_equal(verify(), 0);
}

static void a_row_says_which_it_is(void **state)
{
    (void)state;
    as_superuser("UPDATE events SET kind = 'x' WHERE id = " EVENT(77));
    assert_int_equal(verify(), 1);
    assert_int_equal(first.leaf, 77);
    assert_int_equal(first.event_id, ask("SELECT event_id FROM log_leaves WHERE leaf = 77"));
    put_back();
}

static void what_a_crash_left_gets_a_number_and_what_was_slipped_in_does_not(void **state)
{
    (void)state;
    static struct db_leaf lost[8], again[8];
    add_events(3);
    assert_int_equal(db_book_look(book, lost, 8), 3);
    db_book_done(book, 3); /* the process ends here */
    as_superuser("INSERT INTO events SELECT id + 900000, log, at, node, kind, actor, instance_id, "
                 "study_id, sop_uid, study_uid, peer, outcome, before_hash, after_hash, detail, "
                 "tag FROM events WHERE id = (SELECT max(id) FROM events)");
    uint64_t adopted = 0;
    memset(found, 0, sizeof(found));
    OK(db_log_adopt(db, book, INT64_MIN, note, NULL, &adopted, &err));
    assert_int_equal(adopted, 3);
    assert_int_equal(found[DB_ROW_INSERTED], 1);
    assert_int_equal(db_book_look(book, again, 8), 3);
    assert_memory_equal(lost, again, sizeof(lost));
    as_superuser("DELETE FROM events WHERE id >= 900000");
    number();
    sign();
    assert_int_equal(verify(), 0);
}

static void what_was_rolled_back_is_not_missed_and_what_is_unsure_is_looked_up(void **state)
{
    (void)state;
    const struct db_event bad = {.kind = "x", .actor = "node", .detail = "no json"};
    assert_int_not_equal(db_event_add(db, &bad, 1, &err), DS_OK);
    assert_int_equal(db_book_waiting(book), 0);
    add_events(1);
    static struct db_leaf there[1];
    assert_int_equal(db_book_look(book, there, 1), 1);
    db_book_done(book, 1);
    const struct db_leaf gone = {.event_id = 123456789};
    db_book_add(book, there, 1, false);
    db_book_add(book, &gone, 1, false);
    OK(db_log_settle(db, book, &err));
    assert_int_equal(db_book_waiting(book), 1);
    number();
    assert_int_equal(verify(), 0);
}

static void proofs_come_out_of_the_database(void **state)
{
    (void)state;
    struct db_log_nodes *nodes;
    struct provenance_proof p;
    uint8_t root[DS_SHA256_BYTES], hash[DS_SHA256_BYTES];
    OK(db_log_nodes_new(&nodes, db, log_id, &err));
    const struct provenance_nodes source = db_log_nodes_of(nodes);
    OK(provenance_tree_root(&tree, root, &err));
    for (uint64_t leaf = 0; leaf < tree.size; leaf += 37) {
        OK(provenance_prove_leaf(&source, leaf, tree.size, &p, &err));
        OK(source.get(source.context, 0, leaf, hash, &err));
        OK(provenance_verify_leaf(hash, leaf, tree.size, root, &p, &err));
    }
    for (size_t i = 0; i < kept_count; i++) {
        const struct provenance_head *h = &kept[i].head;
        OK(provenance_prove_prefix(&source, h->size, tree.size, &p, &err));
        OK(provenance_verify_prefix(h->size, h->root, tree.size, root, &p, &err));
    }
    uint64_t leaf;
    OK(db_leaf_of(db, log_id, ask("SELECT event_id FROM log_leaves WHERE leaf = 300"), &leaf,
                  &err));
    assert_int_equal(leaf, 300);
    assert_int_equal(db_leaf_of(db, log_id, 5555555, &leaf, &err), DS_ENOTFOUND);
    db_log_nodes_free(nodes);
}

static void two_writers_of_one_log_do_not_give_one_number_twice(void **state)
{
    (void)state;
    const struct db_leaf leaf = {.event_id = 777777};
    as_superuser("ALTER TABLE log_leaves ADD PRIMARY KEY (log, leaf)");
    assert_int_equal(db_leaves_add(db, log_id, 3, &leaf, 1, NULL, 0, &err), DS_EEXIST);
}

/* The node's own role: real privileges, with the triggers off. */
static void the_nodes_role_may_add_to_the_log_and_nothing_else(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "UPDATE events SET kind = 'x'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE log_leaves SET leaf = 1",
        "DELETE FROM log_leaves",
        "TRUNCATE log_leaves",
        "UPDATE log_subtrees SET n = 1",
        "DELETE FROM log_subtrees",
        "UPDATE log_heads SET size = 1",
        "DELETE FROM log_heads",
        "TRUNCATE log_heads",
        "DELETE FROM logs",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER TABLE events DROP COLUMN tag",
        "DROP TABLE events",
        "DROP TRIGGER events_append_only ON events",
        "CREATE TRIGGER t BEFORE INSERT ON events EXECUTE FUNCTION log_refuse_change()",
        "CREATE RULE r AS ON INSERT TO events DO INSTEAD NOTHING",
        "SET session_replication_role = 'replica'",
        "CREATE OR REPLACE FUNCTION log_refuse_change() RETURNS trigger LANGUAGE sql AS ''",
        "UPDATE schema_migrations SET name = 'x'",
    };
    bool may = false;
    char role[DB_ROLE_BYTES];
    OK(db_may_change_log(db, &may, &err));
    assert_true(may); /* the owner */
    OK(db_grant(db, "dicomstego_node", &err));
    OK(db_grant(db, "dicomstego_node", &err)); /* again at each start */
    char *owner = url;
    OK(db_cluster_node_url(cluster, &url, &err));
    struct db *own = NULL;
    OK(db_open(&own, url, 1, "TESTNODE", &err));
    OK(db_role(own, role, &err));
    assert_string_equal(role, "dicomstego_node");
    OK(db_may_change_log(own, &may, &err));
    assert_false(may);
    for (size_t i = 0; i < DS_ARRAY_SIZE(refused); i++) {
        if (!is_refused(refused[i])) {
            fail_msg("not refused: %s", refused[i]);
        }
    }
    db_set_book(own, book);
    const struct db_event e = {.kind = "sent", .actor = "node"};
    OK(db_event_add(own, &e, 1, &err));
    struct db *const before = db;
    db = own;
    number();
    sign();
    db = before;
    db_close(own);
    free(url);
    url = owner;
    assert_int_equal(verify(), 0);
}

static int start_log(void **state)
{
    char key[128], certificate[128];
    size_t len;
    (void)start_everything(state);
    (void)snprintf(key, sizeof(key), "%s/log.key", folder);
    (void)snprintf(certificate, sizeof(certificate), "%s/log.pem", folder);
    OK(stego_key_new("ec", "node", NULL, 10, key, certificate, true, &err));
    OK(stego_identity_load(&identity, key, certificate, &err));
    const struct stego_certificate *c = stego_identity_certificate(identity);
    public_key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    OK(stego_certificate_public_key(c, &public_key, &err));
    OK(provenance_log_id(public_key.data, public_key.len, log_id, &err));
    OK(stego_identity_secret(identity, "log tag", tag_key, &err));
    OK(db_book_new(&book, log_id, tag_key, &err));
    db_set_book(db, book);
    const uint8_t *der = stego_certificate_der(c, &len);
    OK(db_log_register(db, log_id, public_key.data, public_key.len, der, len, &err));
    add_events(EVENTS - 100);
    number();
    sign();
    add_events(100);
    number();
    sign();
    add_events(30);
    number();
    sign();
    return 0;
}

static int stop_log(void **state)
{
    const int result = stop_everything(state);
    db_book_free(book);
    stego_identity_free(identity);
    ds_bytes_free(&public_key);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_as_it_was_written_is_right),
        cmocka_unit_test(each_change_of_a_superuser_is_found),
        cmocka_unit_test(a_database_that_was_put_back_is_found_by_the_kept_heads),
        cmocka_unit_test(a_row_says_which_it_is),
        cmocka_unit_test(what_a_crash_left_gets_a_number_and_what_was_slipped_in_does_not),
        cmocka_unit_test(what_was_rolled_back_is_not_missed_and_what_is_unsure_is_looked_up),
        cmocka_unit_test(proofs_come_out_of_the_database),
        cmocka_unit_test(two_writers_of_one_log_do_not_give_one_number_twice),
        cmocka_unit_test(the_nodes_role_may_add_to_the_log_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, start_log, stop_log);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/refusals.h"
#include "node/rendering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_peer peers[] = {{.name = "PACS", .ae_title = "ARCHIVE", .host = "10.0.0.9"}};
static struct config config = {
    .ae_title = "CLINIC_A", .site = "site", .peers = peers, .peer_count = 1};
static const struct rendering how = {.config = &config, .machine = "node.example"};
static struct ds_error err;

static struct db_told event(int64_t id, const char *kind, const char *actor, const char *study,
                            const char *peer)
{
    struct db_told e = {.place = id, .event_id = id, .at_us = 1000000 * id};
    /* Never written to: the fields are the database's own. */
    const char *const texts[] = {kind,  actor, "",    peer,  "1.2.840.10008.5.1.4.1.1.2",
                                 study, "ACC", "PAT", "CT1", ""};
    char **const fields[] = {&e.kind,          &e.actor,     &e.outcome,   &e.peer,
                             &e.sop_class_uid, &e.study_uid, &e.accession, &e.patient_id,
                             &e.calling_ae,    &e.detail};
    for (size_t i = 0; i < DS_ARRAY_SIZE(fields); i++) {
        memcpy(fields[i], &texts[i], sizeof(texts[i]));
    }
    return e;
}

static char *render(const struct db_told *events, size_t count, size_t first, bool *done)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    assert_int_equal(rendering_message(&how, events, count, first, done, &out, &err), DS_OK);
    return strndup((const char *)out.data, out.len);
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' is not in %s", part, text);
    }
}

static void a_transfer_is_one_message_and_others_are_left(void **state)
{
    (void)state;
    const struct db_told events[] = {
        event(1, "received", "CT1", "1.2", ""), event(2, "indexed", "node", "1.2", ""),
        event(3, "received", "CT2", "1.2", ""), event(4, "received", "CT1", "1.2", ""),
        event(5, "received", "CT1", "1.3", ""), event(6, "received", "CT1", "1.2", "")};
    bool done[6] = {false};
    char *text = render(events, 6, 0, done);
    has(text, "NumberOfInstances=\"3\"");
    has(text, "value=\"MSw0LDY=\""); /* 1,4,6 */
    has(text, "EventDateTime=\"1970-01-01T00:00:06.000000Z\"");
    assert_true(done[0] && !done[1] && !done[2] && done[3] && !done[4] && done[5]);
    free(text);
}

static void a_row_that_is_told_is_never_left_out(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static struct db_told events[MANY];
    static bool done[MANY];
    for (size_t i = 0; i < MANY;
         i++) { /* every second number, so that each is a range of its own */
        events[i] = event(1000000000 + 2 * (int64_t)i, "sent", "node", "1.2", "PACS");
    }
    size_t messages = 0;
    for (size_t i = 0; i < MANY; i++) {
        if (!done[i]) {
            free(render(events, MANY, i, done));
            assert_true(done[i]);
            messages++;
        }
    }
    assert_true(messages > 1 && messages < 20);
}

static void what_is_not_told_is_not_told(void **state)
{
    (void)state;
    const struct db_told quiet[] = {
        event(1, "indexed", "node", "1.2", ""), event(2, "cancelled", "node", "1.2", "PACS"),
        event(3, "duplicate", "node", "1.2", ""), event(4, "nonsense", "node", "1.2", "")};
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    for (size_t i = 0; i < DS_ARRAY_SIZE(quiet); i++) {
        bool done[4] = {false};
        assert_false(rendering_tells(&quiet[i]));
        assert_int_equal(rendering_message(&how, quiet, 4, i, done, &out, &err), DS_EINVAL);
    }
    const struct db_told loud = event(5, "cancelled", "operator anna", "1.2", "PACS");
    assert_true(rendering_tells(&loud) && !rendering_is_urgent(&loud));
}

static void a_peer_is_named_by_its_title_and_address(void **state)
{
    (void)state;
    const struct db_told one = event(1, "sent", "node", "1.2", "PACS");
    bool done = false;
    char *text = render(&one, 1, 0, &done);
    has(text, "UserID=\"ARCHIVE\" AlternativeUserID=\"AETITLES=ARCHIVE\" UserIsRequestor=\"false\" "
              "NetworkAccessPointID=\"10.0.0.9\"");
    free(text);
}

static void who_had_it_sent_to_another_is_named_too(void **state)
{
    (void)state;
    const struct db_told moved = event(1, "retrieved", "WORKSTATION", "1.2", "ARCHIVE");
    bool done = false;
    char *text = render(&moved, 1, 0, &done);
    has(text, "UserID=\"WORKSTATION\" AlternativeUserID=\"AETITLES=WORKSTATION\" "
              "UserIsRequestor=\"true\"");
    has(text, "UserID=\"ARCHIVE\"");
    free(text);
}

static void the_outcome_decides_what_a_read_back_is(void **state)
{
    (void)state;
    struct db_told e = event(1, "read-back", "node", "1.2", "PACS");
    static char intact[] = "intact";
    static char missing[] = "missing";
    bool done = false;
    e.outcome = intact;
    assert_false(rendering_is_urgent(&e));
    char *text = render(&e, 1, 0, &done);
    has(text, "110103");
    free(text);
    e.outcome = missing;
    done = false;
    assert_true(rendering_is_urgent(&e));
    text = render(&e, 1, 0, &done);
    has(text, "110113");
    free(text);
}

static void equal_refusals_are_counted_together_and_none_is_forgotten(void **state)
{
    (void)state;
    struct refusals r;
    struct refusal taken[REFUSALS_KINDS_MAX];
    uint64_t others = 0;
    refusals_init(&r);
    for (unsigned i = 0; i < 2 * REFUSALS_KINDS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "AE%u", i);
        refusals_add(&r, name, "10.0.0.1");
        refusals_add(&r, "AE0", "10.0.0.1");
    }
    assert_int_equal(refusals_take(&r, taken, &others), REFUSALS_KINDS_MAX);
    assert_string_equal(taken[0].calling_ae, "AE0");
    assert_int_equal(taken[0].count, 2 * REFUSALS_KINDS_MAX + 1);
    assert_int_equal(others, REFUSALS_KINDS_MAX);
    assert_int_equal(refusals_take(&r, taken, &others), 0);
    assert_int_equal(others, 0);
    refusals_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transfer_is_one_message_and_others_are_left),
        cmocka_unit_test(a_row_that_is_told_is_never_left_out),
        cmocka_unit_test(what_is_not_told_is_not_told),
        cmocka_unit_test(a_peer_is_named_by_its_title_and_address),
        cmocka_unit_test(who_had_it_sent_to_another_is_named_too),
        cmocka_unit_test(the_outcome_decides_what_a_read_back_is),
        cmocka_unit_test(equal_refusals_are_counted_together_and_none_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

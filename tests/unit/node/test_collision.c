/* SPDX-License-Identifier: Apache-2.0 */
/* Instances with one SOP Instance UID: what each policy sends. */
#include "node/collision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX 4

/* One letter for each instance in the order of arrival: 'p' pending, 's' sent, 'u' planned and
 * unsent, 'x' of an earlier generation that nothing was sent of. Its contents are the digit that
 * follows; '-' has no dataset hash. */
static size_t read_rivals(const char *text, struct db_rival *rivals)
{
    size_t n = 0;
    for (; text[2 * n] != '\0'; n++) {
        const char what = text[2 * n];
        const char contents = text[2 * n + 1];
        rivals[n] = (struct db_rival){.instance_id = (int64_t)n + 1,
                                      .sop_uid = "1.2.3",
                                      .has_dataset_hash = contents != '-',
                                      .is_pending = what == 'p',
                                      .is_planned = what == 's' || what == 'u',
                                      .is_unsent = what == 'u'};
        memset(rivals[n].dataset_hash, contents, DS_SHA256_BYTES);
    }
    return n;
}

/* G goes, D duplicate, S superseded, H held, R recalled, '.' stays. */
static void judged(enum config_collision policy, const char *text, const char *expected)
{
    static const char letters[] = {
        [COLLISION_GOES] = 'G', [COLLISION_DUPLICATE] = 'D', [COLLISION_SUPERSEDED] = 'S',
        [COLLISION_HELD] = 'H', [COLLISION_RECALLED] = 'R',  [COLLISION_STAYS] = '.'};
    struct db_rival rivals[MAX] = {0};
    enum collision_verdict verdicts[MAX] = {COLLISION_GOES};
    char got[MAX + 1] = "";
    const size_t n = read_rivals(text, rivals);
    collision_judge(policy, rivals, n, verdicts);
    for (size_t i = 0; i < n; i++) {
        got[i] = letters[verdicts[i]];
    }
    if (strcmp(got, expected) != 0) {
        fail_msg("%s: '%s', expected '%s'", text, got, expected);
    }
}

static void different_contents_are_sent_as_the_rule_says(void **state)
{
    (void)state;
    static const struct {
        const char *rivals, *newest, *first, *both, *hold;
    } cases[] = {
        {"p1p2", "SG", "GS", "GG", "HH"},
        {"p1p2p3", "SSG", "GSS", "GGG", "HHH"},
        {"s1p2", ".G", ".S", ".G", ".H"},
        {"u1p2", "RG", ".S", ".G", "RH"},
        {"s1u2p3p4", ".RSG", "..SS", "..GG", ".RHH"},
        {"x1p2", ".G", ".G", ".G", ".G"}, /* nothing was sent of the first: no collision */
        {"p-p-", "SG", "GS", "GG", "HH"}, /* what cannot be compared is different */
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        judged(CONFIG_COLLISION_NEWEST, cases[i].rivals, cases[i].newest);
        judged(CONFIG_COLLISION_FIRST, cases[i].rivals, cases[i].first);
        judged(CONFIG_COLLISION_BOTH, cases[i].rivals, cases[i].both);
        judged(CONFIG_COLLISION_HOLD, cases[i].rivals, cases[i].hold);
    }
}

static void the_same_data_set_is_never_sent_twice(void **state)
{
    (void)state;
    static const enum config_collision policies[] = {CONFIG_COLLISION_NEWEST,
                                                     CONFIG_COLLISION_FIRST, CONFIG_COLLISION_BOTH,
                                                     CONFIG_COLLISION_HOLD};
    for (size_t i = 0; i < DS_ARRAY_SIZE(policies); i++) {
        judged(policies[i], "p1p1", "GD");
        judged(policies[i], "s1p1", ".D");
        judged(policies[i], "u1p1", ".D");
        judged(policies[i], "x1p1", ".G");
    }
    judged(CONFIG_COLLISION_NEWEST, "p1p2p1", "SGD");
    judged(CONFIG_COLLISION_HOLD, "p1p2p1", "HHD");
    judged(CONFIG_COLLISION_NEWEST, "s1s2p1", "..D");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(different_contents_are_sent_as_the_rule_says),
        cmocka_unit_test(the_same_data_set_is_never_sent_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The section provenance: defaults, a time stamping authority, nonsense. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD "node: {ae_title: A}\n"

static struct ds_error err;

static enum ds_status load(struct config **out, const char *rest)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "%s%s", HEAD, rest);
    return config_load_text(out, "/tmp/t.yaml", (const uint8_t *)text, strlen(text), &err);
}

static void left_out_nobody_is_asked_for_time_stamps(void **state)
{
    (void)state;
    static const char *const rests[] = {"", "provenance: {}\n",
                                        "provenance: {tree_head_every: 5 s}\n"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(rests); i++) {
        struct config *c = NULL;
        assert_int_equal(load(&c, rests[i]), DS_OK);
        assert_false(c->provenance.stamped);
        assert_null(c->provenance.stamp_url);
        assert_int_equal(c->provenance.head_every_ms, i == 2 ? 5000 : 60000);
        config_free(c);
    }
}

static void an_authority_has_a_url_a_ca_and_an_interval(void **state)
{
    (void)state;
    struct config *c = NULL;
    assert_int_equal(load(&c, "provenance:\n  time_stamp: {url: http://tsa.example/tsr, "
                              "certificate: tsa.pem}\n"),
                     DS_OK);
    assert_true(c->provenance.stamped);
    assert_string_equal(c->provenance.stamp_url, "http://tsa.example/tsr");
    assert_string_equal(c->provenance.stamp_certificate, "/tmp/tsa.pem");
    assert_int_equal(c->provenance.stamp_every_ms, 3600 * 1000);
    config_free(c);
}

static void what_is_missing_or_no_url_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *value, *word;
    } wrong[] = {
        {"{url: http://tsa.example/}", "certificate"},
        {"{certificate: tsa.pem}", "url"},
        {"{url: tsa.example, certificate: t.pem}", "http"},
        {"{url: file:///etc/passwd, certificate: t.pem}", "http"},
        {"{url: 'http://', certificate: t.pem}", "http"},
        {"{url: 'http://a b', certificate: t.pem}", "http"},
        {"{url: http://a/, certificate: t.pem, every: 1 ms}", "every"},
        {"{url: http://a/, certificate: t.pem, often: 1 h}", "often"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        char text[256];
        struct config *c = NULL;
        (void)snprintf(text, sizeof(text), "provenance:\n  time_stamp: %s\n", wrong[i].value);
        assert_int_equal(load(&c, text), DS_ECONFIG);
        if (strstr(err.text, wrong[i].word) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, wrong[i].word);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_nobody_is_asked_for_time_stamps),
        cmocka_unit_test(an_authority_has_a_url_a_ca_and_an_interval),
        cmocka_unit_test(what_is_missing_or_no_url_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct ds_error err;

static struct provenance_event sample(void)
{
    struct provenance_event e = {
        .id = 7,
        .at_us = 1767225600123456,
        .node = provenance_text_of("CLINIC_A"),
        .kind = provenance_text_of("sent"),
        .actor = provenance_text_of("a \"b\" \\ c\nd"),
        .instance_id = 12,
        .sop_uid = provenance_text_of("1.2.3"),
        .peer = provenance_text_of("B\xc3\x96"),
        .has_before = true,
        .detail = provenance_text_of("{\"delivery\": 4}"),
    };
    memset(e.log, 0xab, sizeof(e.log));
    memset(e.before, 0xff, sizeof(e.before));
    return e;
}

static void bytes_of(const struct provenance_event *e, char *out, size_t size)
{
    struct ds_bytes b = DS_BYTES_INIT(65536);
    assert_int_equal(provenance_event_bytes(e, &b, &err), DS_OK);
    assert_true(b.len < size);
    memcpy(out, b.data, b.len);
    out[b.len] = '\0';
    ds_bytes_free(&b);
}

static void an_event_is_one_line_of_json_in_this_order(void **state)
{
    (void)state;
    char text[2048];
    const struct provenance_event e = sample();
    bytes_of(&e, text, sizeof(text));
    assert_string_equal(
        text,
        "{\"v\":1,\"log\":\"abababababababababababababababababababababababababababababababab\","
        "\"id\":7,\"at\":\"2026-01-01T00:00:00.123456Z\","
        "\"node\":\"CLINIC_A\",\"kind\":\"sent\",\"actor\":\"a \\\"b\\\" \\\\ c\\u000ad\","
        "\"instance\":12,\"study\":null,\"sop_uid\":\"1.2.3\",\"study_uid\":null,"
        "\"peer\":\"B\xc3\x96\",\"outcome\":null,"
        "\"before\":\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\","
        "\"after\":null,\"detail\":{\"delivery\": 4}}");
}

static void each_member_changes_the_bytes_and_the_tag(void **state)
{
    (void)state;
    struct provenance_event all[16];
    for (size_t i = 0; i < DS_ARRAY_SIZE(all); i++) {
        all[i] = sample();
    }
    all[1].log[31] ^= 1;
    all[2].id++;
    all[3].detail = provenance_text_of("{\"delivery\":4}");
    all[4].at_us++;
    all[5].node = provenance_text_of("CLINIC_B");
    all[6].kind = provenance_text_of("sens");
    all[7].actor = provenance_text_of("a");
    all[8].instance_id = 0;
    all[9].study_id = 1;
    all[10].sop_uid = provenance_text_of("");
    all[11].study_uid = provenance_text_of("1.2.3");
    all[12].peer = provenance_text_of(NULL);
    all[13].outcome = provenance_text_of("0000");
    all[14].has_before = false;
    all[15].has_after = true;
    static char texts[DS_ARRAY_SIZE(all)][2048];
    static uint8_t tags[DS_ARRAY_SIZE(all)][PROVENANCE_TAG_BYTES];
    const uint8_t key[DS_SHA256_BYTES] = {1};
    for (size_t i = 0; i < DS_ARRAY_SIZE(all); i++) {
        bytes_of(&all[i], texts[i], sizeof(texts[i]));
        assert_int_equal(
            provenance_event_tag(key, (const uint8_t *)texts[i], strlen(texts[i]), tags[i], &err),
            DS_OK);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(texts[i], texts[j]);
            assert_memory_not_equal(tags[i], tags[j], sizeof(tags[i]));
        }
    }
}

/* openssl dgst -sha256 -mac HMAC -macopt hexkey:0100...00 says the same. */
static void the_tag_is_hmac_sha256(void **state)
{
    (void)state;
    const uint8_t key[DS_SHA256_BYTES] = {1};
    uint8_t tag[PROVENANCE_TAG_BYTES];
    char text[2 * sizeof(tag) + 1];
    assert_int_equal(provenance_event_tag(key, (const uint8_t *)"abc", 3, tag, &err), DS_OK);
    ds_hex(tag, sizeof(tag), text);
    assert_string_equal(text, "df55998f9fc33d78ac99d1d8ebc2b6e16aa076c4189946942a82b55d5dee8dc7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line_of_json_in_this_order),
        cmocka_unit_test(each_member_changes_the_bytes_and_the_tag),
        cmocka_unit_test(the_tag_is_hmac_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "authority.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static struct ds_error err;
static const uint8_t digest[DS_SHA256_BYTES] = {1, 2, 3};
static const uint8_t other[DS_SHA256_BYTES] = {1, 2, 4};

static enum ds_status accept(const struct ds_bytes *request, const struct ds_bytes *answer,
                             const char *ca)
{
    struct ds_bytes token = DS_BYTES_INIT(PROVENANCE_STAMP_MAX_BYTES);
    const enum ds_status s =
        provenance_stamp_accept(request, answer->data, answer->len, support_path(ca), &token, &err);
    assert_int_equal(s == DS_OK, token.len > 0);
    ds_bytes_free(&token);
    return s;
}

static struct ds_bytes request_for(const uint8_t of[DS_SHA256_BYTES])
{
    struct ds_bytes b = DS_BYTES_INIT(4096);
    assert_int_equal(provenance_stamp_request(of, &b, &err), DS_OK);
    return b;
}

static enum ds_status check(const struct ds_bytes *token, const uint8_t of[DS_SHA256_BYTES],
                            const char *ca, struct provenance_stamp *out)
{
    const char *path = ca != NULL ? support_path(ca) : NULL;
    return provenance_stamp_check(token->data, token->len, of, &path, path != NULL ? 1 : 0, out,
                                  &err);
}

static void an_answer_counts_only_for_its_own_request_and_from_whom_we_trust(void **state)
{
    (void)state;
    struct ds_bytes asked = request_for(digest);
    struct ds_bytes again = request_for(digest); /* another nonce */
    struct ds_bytes foreign = request_for(other);
    struct ds_bytes answer = authority_answer("tsa", &asked);
    assert_int_equal(accept(&asked, &answer, "tsa.ca.pem"), DS_OK);
    assert_int_equal(accept(&again, &answer, "tsa.ca.pem"), DS_EAUTH);
    assert_non_null(strstr(err.text, "nonce"));
    assert_int_equal(accept(&foreign, &answer, "tsa.ca.pem"), DS_EAUTH);
    assert_non_null(strstr(err.text, "imprint"));
    assert_int_equal(accept(&asked, &answer, "rogue.ca.pem"), DS_EAUTH);
    assert_int_equal(accept(&asked, &answer, "missing.pem"), DS_ECONFIG);
    ds_bytes_free(&asked);
    ds_bytes_free(&again);
    ds_bytes_free(&foreign);
    ds_bytes_free(&answer);
}

static void an_altered_answer_is_refused(void **state)
{
    (void)state;
    struct ds_bytes asked = request_for(digest);
    struct ds_bytes answer = authority_answer("tsa", &asked);
    size_t passed = 0;
    for (size_t at = 0; at < answer.len; at++) {
        answer.data[at] ^= 0x01;
        passed += accept(&asked, &answer, "tsa.ca.pem") == DS_OK ? 1 : 0;
        answer.data[at] ^= 0x01;
    }
    /* CMS leaves a few bytes unsigned: version numbers, names and parameters of algorithms. */
    assert_in_range(passed, 0, 24);
    const struct ds_bytes cut = {.data = answer.data, .len = answer.len - 1};
    assert_int_equal(accept(&asked, &cut, "tsa.ca.pem"), DS_EAUTH);
    const struct ds_bytes refusal = {.data = (uint8_t[]){0x30, 5, 0x30, 3, 2, 1, 2}, .len = 7};
    assert_int_equal(accept(&asked, &refusal, "tsa.ca.pem"), DS_EAUTH);
    ds_bytes_free(&asked);
    ds_bytes_free(&answer);
}

static void a_token_is_verified_again_without_its_request(void **state)
{
    (void)state;
    struct provenance_stamp stamp;
    struct ds_bytes token = authority_stamp("tsa", digest);
    assert_int_equal(check(&token, digest, "tsa.ca.pem", &stamp), DS_OK);
    assert_true(stamp.trusted);
    assert_string_equal(stamp.signer, "CN=tsa test authority");
    assert_in_range(ds_clock_utc_us() - stamp.utc_us, 0, 600 * 1000000LL);
    assert_int_equal(check(&token, digest, NULL, &stamp), DS_OK);
    assert_false(stamp.trusted);
    assert_int_equal(check(&token, other, "tsa.ca.pem", &stamp), DS_EAUTH);
    assert_int_equal(check(&token, other, NULL, &stamp), DS_EAUTH);
    assert_int_equal(check(&token, digest, "rogue.ca.pem", &stamp), DS_EAUTH);
    const struct ds_bytes none = {0};
    assert_int_equal(check(&none, digest, NULL, &stamp), DS_EAUTH);
    /* The openssl program says the same. */
    support_write("token.p7", token.data, token.len);
    char hex[DS_SHA256_HEX_BYTES];
    ds_hex(digest, sizeof(digest), hex);
    assert_int_equal(SUPPORT_RUN("openssl", "ts", "-verify", "-token_in", "-in", "token.p7",
                                 "-digest", hex, "-CAfile", "tsa.ca.pem"),
                     0);
    ds_bytes_free(&token);
}

static void the_signature_counts_also_where_nobody_asks_whose_it_is(void **state)
{
    (void)state;
    struct provenance_stamp stamp;
    struct ds_bytes token = authority_stamp("tsa", digest);
    token.data[token.len - 1] ^= 1; /* the signature stands last */
    assert_int_equal(check(&token, digest, NULL, &stamp), DS_EAUTH);
    ds_bytes_free(&token);
}

static int setup(void **state)
{
    if (support_setup(state) != 0) {
        return -1;
    }
    authority_new("tsa");
    authority_new("rogue");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_counts_only_for_its_own_request_and_from_whom_we_trust),
        cmocka_unit_test(an_altered_answer_is_refused),
        cmocka_unit_test(a_token_is_verified_again_without_its_request),
        cmocka_unit_test(the_signature_counts_also_where_nobody_asks_whose_it_is),
    };
    return cmocka_run_group_tests(tests, setup, support_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "authority.h"

#include "dicomstego/statement.h"
#include "provenance/evidence_check.h"
#include "provenance/witness.h"

#include <stdlib.h>
#include <string.h>

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != DS_OK) {                                                                     \
            fail_msg("%s", err.text);                                                              \
        }                                                                                          \
    } while (0)
#define LEAVES 300U
#define UID    "1.2.840.1"
#define AT_US  INT64_C(1767225600000000)

static struct ds_error err;
static struct stego_identity *node, *witness, *stranger;
static uint8_t hashes[LEAVES][DS_SHA256_BYTES];
static struct ds_bytes leaves[LEAVES];
static struct ds_bytes bundle;

/* ---- a log in memory ---- */

struct named {
    struct ds_bytes key;
    const uint8_t *der;
    size_t der_len;
    uint8_t id[DS_SHA256_BYTES];
};

static struct named name_of(const struct stego_identity *i)
{
    struct named n = {.key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES)};
    const struct stego_certificate *c = stego_identity_certificate(i);
    OK(stego_certificate_public_key(c, &n.key, &err));
    OK(provenance_log_id(n.key.data, n.key.len, n.id, &err));
    n.der = stego_certificate_der(c, &n.der_len);
    return n;
}

static void put_party(struct ds_bytes *out, enum evidence_word word, const struct stego_identity *i)
{
    struct named n = name_of(i);
    OK(evidence_put_party(out, word, (struct provenance_bytes){n.key.data, n.key.len},
                          (struct provenance_bytes){n.der, n.der_len}, &err));
    ds_bytes_free(&n.key);
}

static enum ds_status node_hash(void *context, unsigned level, uint64_t index,
                                uint8_t out[DS_SHA256_BYTES], struct ds_error *why)
{
    (void)context;
    if (level == 0) {
        memcpy(out, hashes[index], DS_SHA256_BYTES);
        return DS_OK;
    }
    uint8_t left[DS_SHA256_BYTES], right[DS_SHA256_BYTES];
    OK(node_hash(NULL, level - 1, 2 * index, left, why));
    OK(node_hash(NULL, level - 1, 2 * index + 1, right, why));
    return provenance_node_hash(left, right, out, why);
}
static const struct provenance_nodes nodes = {node_hash, NULL};

static void fill_log(void)
{
    struct named n = name_of(node);
    for (unsigned i = 0; i < LEAVES; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof(uid), "%s%s", UID, i % 7 == 0 ? "" : ".9");
        struct provenance_event e = {.id = i + 1,
                                     .at_us = AT_US + i,
                                     .node = provenance_text_of("A"),
                                     .kind = provenance_text_of("received"),
                                     .actor = provenance_text_of("quo\"te,\"sop_uid\":\"6.6\""),
                                     .sop_uid = provenance_text_of(uid),
                                     .detail = provenance_text_of("{\"sop_uid\":\"9.9\"}")};
        memcpy(e.log, n.id, sizeof(e.log));
        leaves[i] = DS_BYTES_INIT(4096);
        OK(provenance_event_bytes(&e, &leaves[i], &err));
        OK(provenance_leaf_hash(leaves[i].data, leaves[i].len, hashes[i], &err));
    }
    ds_bytes_free(&n.key);
}

static struct provenance_head head_of(uint64_t size)
{
    struct named n = name_of(node);
    struct provenance_head h = {.size = size, .at_us = AT_US + 1000000};
    memcpy(h.log, n.id, sizeof(h.log));
    OK(provenance_root(&nodes, size, h.root, &err));
    ds_bytes_free(&n.key);
    return h;
}

static void put_head(struct ds_bytes *out, const struct provenance_head *h)
{
    struct ds_bytes signature = DS_BYTES_INIT(STEGO_STATEMENT_MAX_BYTES);
    OK(provenance_head_sign(h, node, &signature, &err));
    OK(evidence_put_head(out, h, (struct provenance_bytes){signature.data, signature.len}, &err));
    ds_bytes_free(&signature);
}

static void put_event(struct ds_bytes *out, uint64_t leaf, uint64_t proven_as, uint64_t size)
{
    struct provenance_proof path;
    OK(provenance_prove_leaf(&nodes, proven_as, size, &path, &err));
    OK(evidence_put_event(out, leaf, (struct provenance_bytes){leaves[leaf].data, leaves[leaf].len},
                          &path, &err));
}

static void put_stamp(struct ds_bytes *out, const struct provenance_head *h)
{
    char text[PROVENANCE_HEAD_TEXT_BYTES];
    uint8_t digest[DS_SHA256_BYTES];
    OK(ds_sha256_of(text, provenance_head_text(h, text), digest, &err));
    struct ds_bytes token = authority_stamp("tsa", digest);
    OK(evidence_put_stamp(out, (struct provenance_bytes){token.data, token.len}, &err));
    ds_bytes_free(&token);
}

static void put_witness(struct ds_bytes *out, uint64_t seen_size, uint64_t size)
{
    struct provenance_head seen = head_of(seen_size);
    struct ds_bytes signature = DS_BYTES_INIT(STEGO_STATEMENT_MAX_BYTES);
    struct provenance_proof prefix;
    OK(provenance_witness_sign(&seen, witness, &signature, &err));
    put_party(out, EVIDENCE_WITNESS, witness);
    OK(evidence_put_seen(out, &seen, (struct provenance_bytes){signature.data, signature.len},
                         &err));
    OK(provenance_prove_prefix(&nodes, seen_size, size, &prefix, &err));
    OK(evidence_put_prefix(out, &prefix, &err));
    ds_bytes_free(&signature);
}

/* Up to the first event. */
static struct ds_bytes begin_bundle(const struct provenance_head *h)
{
    struct ds_bytes b = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    OK(evidence_put_title(&b, EVIDENCE_BUNDLE, &err));
    OK(evidence_put_uid(&b, EVIDENCE_INSTANCE, UID, &err));
    OK(evidence_put_uid(&b, EVIDENCE_ALSO, "2.25.7", &err));
    OK(evidence_put_made(&b, AT_US, &err));
    put_party(&b, EVIDENCE_LOG, node);
    put_head(&b, h);
    return b;
}

static struct ds_bytes whole_bundle(void)
{
    const struct provenance_head h = head_of(LEAVES);
    struct ds_bytes b = begin_bundle(&h);
    put_stamp(&b, &h);
    put_event(&b, 7, 7, LEAVES);
    put_event(&b, 294, 294, LEAVES);
    put_witness(&b, 100, LEAVES);
    OK(evidence_put_seal(&b, node, &err));
    return b;
}

/* ---- checking ---- */

static struct {
    const char *names[64];
    enum ds_status status[64];
    size_t count;
} steps;

static void note(void *context, const struct evidence_step *step)
{
    (void)context;
    assert_true(steps.count < DS_ARRAY_SIZE(steps.names));
    steps.names[steps.count] = step->name;
    steps.status[steps.count++] = step->status;
}

static enum ds_status check(const struct ds_bytes *b, const struct evidence_trust *trust)
{
    static const struct evidence_trust nobody;
    struct evidence e;
    steps.count = 0;
    enum ds_status s = evidence_parse(b->data, b->len, &e, &err);
    if (s == DS_OK) {
        s = evidence_check(&e, trust != NULL ? trust : &nobody, note, NULL, &err);
    }
    evidence_free(&e);
    return s;
}

/* The only steps that fail: this one, and the seal after it. */
static void assert_only_fails(const struct ds_bytes *b, const char *name)
{
    assert_int_equal(check(b, NULL), DS_EAUTH);
    size_t failed = 0;
    for (size_t i = 0; i < steps.count; i++) {
        if (steps.status[i] != DS_OK) {
            assert_string_equal(steps.names[i], name);
            failed++;
        }
    }
    assert_int_equal(failed, 1);
}

static struct stego_trust *trust_in(const char *file)
{
    struct stego_trust *t = NULL;
    OK(stego_trust_new(&t, &err));
    OK(stego_trust_add(t, support_path(file), &err));
    return t;
}

/* ---- tests ---- */

static void a_bundle_verifies_with_nothing_else_at_hand(void **state)
{
    (void)state;
    static const char *const expected[] = {"key",     "certificate", "head", "time stamp",
                                           "event",   "event",       "key",  "certificate",
                                           "witness", "prefix",      "seal"};
    OK(check(&bundle, NULL));
    assert_int_equal(steps.count, DS_ARRAY_SIZE(expected));
    for (size_t i = 0; i < steps.count; i++) {
        assert_string_equal(steps.names[i], expected[i]);
    }
}

static void whom_one_trusts_counts(void **state)
{
    (void)state;
    const char *ca = support_path("tsa.ca.pem");
    const char *rogue = support_path("rogue.ca.pem");
    struct stego_trust *both = trust_in("node.cert.pem");
    OK(stego_trust_add(both, support_path("witness.cert.pem"), &err));
    struct stego_trust *one = trust_in("node.cert.pem");
    struct evidence_trust trust = {both, &ca, 1};
    OK(check(&bundle, &trust));
    trust.signers = one; /* not the witness */
    assert_int_equal(check(&bundle, &trust), DS_EAUTH);
    assert_non_null(strstr(err.text, "certificate"));
    trust.signers = both;
    trust.stamp_ca_paths = &rogue;
    assert_int_equal(check(&bundle, &trust), DS_EAUTH);
    assert_non_null(strstr(err.text, "time stamp"));
    stego_trust_free(both);
    stego_trust_free(one);
}

static void no_byte_can_be_changed(void **state)
{
    (void)state;
    static const uint8_t masks[] = {0x01, 0x20, 0x80};
    for (size_t at = 0; at < bundle.len; at++) {
        const uint8_t mask = masks[at % DS_ARRAY_SIZE(masks)];
        bundle.data[at] ^= mask;
        if (check(&bundle, NULL) == DS_OK) {
            fail_msg("byte %zu", at);
        }
        bundle.data[at] ^= mask;
    }
    for (size_t len = 0; len < bundle.len; len += 41) {
        const struct ds_bytes cut = {.data = bundle.data, .len = len};
        assert_int_equal(check(&cut, NULL), DS_EFORMAT);
    }
    struct ds_bytes longer = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    OK(ds_bytes_append(&longer, bundle.data, bundle.len, &err));
    OK(ds_bytes_append(&longer, "\n", 1, &err));
    assert_int_equal(check(&longer, NULL), DS_EFORMAT);
    ds_bytes_free(&longer);
}

/* Each lie is sealed by the node itself: the step that finds it stands alone. */
static void what_the_node_itself_says_wrong_is_found_by_its_step(void **state)
{
    (void)state;
    const struct provenance_head h = head_of(LEAVES);
    struct ds_bytes b = begin_bundle(&h);
    put_event(&b, 14, 7, LEAVES); /* another leaf's path */
    OK(evidence_put_seal(&b, node, &err));
    assert_only_fails(&b, "event");
    ds_bytes_free(&b);

    b = begin_bundle(&h);
    put_event(&b, 8, 8, LEAVES); /* another instance: detail and actor do not make it this one */
    OK(evidence_put_seal(&b, node, &err));
    assert_only_fails(&b, "event");
    ds_bytes_free(&b);

    b = begin_bundle(&h);
    put_event(&b, 14, 14, LEAVES);
    put_event(&b, 7, 7, LEAVES); /* out of order */
    OK(evidence_put_seal(&b, node, &err));
    assert_only_fails(&b, "event");
    ds_bytes_free(&b);

    struct provenance_head wrong = h;
    wrong.root[0] ^= 1; /* a head that was never */
    b = begin_bundle(&wrong);
    put_witness(&b, 100, LEAVES);
    OK(evidence_put_seal(&b, node, &err));
    assert_only_fails(&b, "prefix");
    ds_bytes_free(&b);

    b = begin_bundle(&h);
    put_event(&b, 7, 7, LEAVES);
    OK(evidence_put_seal(&b, stranger, &err));
    assert_only_fails(&b, "seal");
    ds_bytes_free(&b);
}

/* The origin made a new history: of the same length, or longer, it is not what the witness saw. */
static void a_rewritten_log_does_not_agree_with_its_witness(void **state)
{
    (void)state;
    hashes[50][0] ^= 1;
    const struct provenance_head h = head_of(LEAVES);
    struct ds_bytes b = begin_bundle(&h);
    hashes[50][0] ^= 1;
    put_witness(&b, 100, LEAVES);
    OK(evidence_put_seal(&b, node, &err));
    assert_only_fails(&b, "prefix");
    ds_bytes_free(&b);
}

static void what_a_witness_has_seen_is_a_file_of_its_own(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    OK(evidence_put_title(&b, EVIDENCE_SEEN, &err));
    OK(evidence_put_made(&b, AT_US, &err));
    put_party(&b, EVIDENCE_LOG, witness);
    for (uint64_t size = 10; size <= 30; size += 10) {
        const struct provenance_head seen = head_of(size);
        struct ds_bytes signature = DS_BYTES_INIT(STEGO_STATEMENT_MAX_BYTES);
        OK(provenance_witness_sign(&seen, witness, &signature, &err));
        OK(evidence_put_seen(&b, &seen, (struct provenance_bytes){signature.data, signature.len},
                             &err));
        ds_bytes_free(&signature);
    }
    struct ds_bytes by_another = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    OK(ds_bytes_append(&by_another, b.data, b.len, &err));
    OK(evidence_put_seal(&b, witness, &err));
    OK(check(&b, NULL));
    OK(evidence_put_seal(&by_another, stranger, &err));
    assert_only_fails(&by_another, "seal");
    ds_bytes_free(&b);
    ds_bytes_free(&by_another);
}

static void lines_that_may_not_stand_where_they_stand_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "\n",
        "dicomstego evidence 1 bundle\n",
        "dicomstego evidence 2 bundle\n",
        "dicomstego evidence 1 head\ninstance 1.2\n",
        "dicomstego evidence 1 bundle\nmade 2026-01-01T00:00:00.000000Z\n",
        "dicomstego evidence 1 head\nmade 2026-01-01T00:00:00Z\n",
        "dicomstego evidence 1 head\nmade 2026-13-01T00:00:00.000000Z\n",
        "dicomstego evidence 1 head\nseal AAAA\n",
        "dicomstego evidence 1 bundle\ninstance 1.2 \n",
        "dicomstego evidence 1 bundle\ninstance abc\n",
        "dicomstego evidence 1 bundle\nevent 1 {}\n",
        "seal AAAA\n",
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        struct evidence e;
        assert_int_equal(evidence_parse((const uint8_t *)wrong[i], strlen(wrong[i]), &e, &err),
                         DS_EFORMAT);
        evidence_free(&e);
    }
}

/* Each line would be fine but for its spelling. */
static void a_value_has_one_spelling(void **state)
{
    (void)state;
#define BEGIN "dicomstego evidence 1 head\nmade 2026-01-01T00:00:00.000000Z\n"
#define LOG                                                                                        \
    BEGIN "log abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd\nkey AAAA\nhead "
#define ROOT " abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd "
#define TIME "2026-01-01T00:00:00.000000Z"
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {LOG "1" ROOT TIME " AAAA\n", true},
        {LOG "01" ROOT TIME " AAAA\n", false},
        {LOG "+1" ROOT TIME " AAAA\n", false},
        {LOG "0" ROOT TIME " AAAA\n", false},
        {LOG "9223372036854775807" ROOT TIME " AAAA\n", false},
        {LOG "1" ROOT " " TIME " AAAA\n", false},
        {LOG "1" ROOT "2026-01-01T00:00:60.000000Z AAAA\n", false},
        {LOG "1" ROOT "2026-01-01T00:00:00.0Z AAAA\n", false},
        {LOG "1" ROOT TIME " AAAA \n", false},
        {LOG "1" ROOT TIME " AB==\n", false}, /* bits that nobody reads */
        {LOG "1" ROOT TIME " AA==\n", true},
        {LOG "1" ROOT TIME " AAA\n", false},
        {LOG "1" ROOT TIME " AA A\n", false},
        {BEGIN "log ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD\n", false},
        {BEGIN "log abcd\n", false},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        struct evidence e;
        assert_int_equal(
            evidence_parse((const uint8_t *)cases[i].text, strlen(cases[i].text), &e, &err),
            DS_EFORMAT);
        /* All are without a seal; only those whose line is wrong are refused for it. */
        if ((strstr(err.text, "the seal is missing") != NULL) != cases[i].good) {
            fail_msg("%zu: %s", i, err.text);
        }
        evidence_free(&e);
    }
}

static int setup(void **state)
{
    if (support_setup(state) != 0) {
        return -1;
    }
    node = support_identity("node", "ec");
    witness = support_identity("witness", "ec");
    stranger = support_identity("stranger", "ec");
    authority_new("tsa");
    authority_new("rogue");
    fill_log();
    bundle = whole_bundle();
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < LEAVES; i++) {
        ds_bytes_free(&leaves[i]);
    }
    ds_bytes_free(&bundle);
    stego_identity_free(node);
    stego_identity_free(witness);
    stego_identity_free(stranger);
    return support_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_verifies_with_nothing_else_at_hand),
        cmocka_unit_test(whom_one_trusts_counts),
        cmocka_unit_test(no_byte_can_be_changed),
        cmocka_unit_test(what_the_node_itself_says_wrong_is_found_by_its_step),
        cmocka_unit_test(a_rewritten_log_does_not_agree_with_its_witness),
        cmocka_unit_test(what_a_witness_has_seen_is_a_file_of_its_own),
        cmocka_unit_test(a_value_has_one_spelling),
        cmocka_unit_test(lines_that_may_not_stand_where_they_stand_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

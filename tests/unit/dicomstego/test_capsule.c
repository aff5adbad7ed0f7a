/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/capsule.h"

#include "base/clock.h"
#include "dicomstego/capsule_internal.h"
#include "support.h"

#define CREATED_US INT64_C(1767225600123456)
#define RECORD     "(0008,0018) as it was"
#define REPORT     "No acute findings.\n"

static struct stego_identity *node, *peer, *peer_rsa, *peer384, *stranger;
static struct stego_trust *node_trust, *stranger_trust;

static struct stego_trust *trust_of(const char *name)
{
    struct stego_trust *t = NULL;
    assert_int_equal(stego_trust_new(&t, NULL), DS_OK);
    assert_int_equal(stego_trust_add(t, support_path(name), NULL), DS_OK);
    return t;
}

static int setup(void **state)
{
    if (support_setup(state) != 0) {
        return -1;
    }
    node = support_identity("node", "ec");
    peer = support_identity("peer", "ec");
    peer_rsa = support_identity("peer_rsa", "rsa");
    peer384 = support_identity_curve("peer384", "P-384");
    stranger = support_identity("stranger", "ec");
    node_trust = trust_of("node.cert.pem");
    stranger_trust = trust_of("stranger.cert.pem");
    return 0;
}

static int teardown(void **state)
{
    stego_identity_free(node);
    stego_identity_free(peer);
    stego_identity_free(peer_rsa);
    stego_identity_free(peer384);
    stego_identity_free(stranger);
    stego_trust_free(node_trust);
    stego_trust_free(stranger_trust);
    return support_teardown(state);
}

/* ---- making ---- */

static const struct stego_document report = {"report.txt", "text/plain; charset=utf-8",
                                             (const uint8_t *)REPORT, sizeof(REPORT) - 1};

/* A request for one EC recipient, one report, signed; recipients points into static memory. */
static struct stego_seal_request request_for(uint32_t n, unsigned redundancy)
{
    static const struct stego_certificate *recipients[3];
    recipients[0] = stego_identity_certificate(peer);
    recipients[1] = stego_identity_certificate(peer_rsa);
    recipients[2] = stego_identity_certificate(peer384);
    return (struct stego_seal_request){
        .origin = "CLINIC_A",
        .created_utc_us = CREATED_US,
        .documents = &report,
        .document_count = 1,
        .recipients = recipients,
        .recipient_count = 1,
        .signer = node,
        .share_total = n,
        .redundancy_percent = redundancy,
    };
}

static struct stego_capsule *seal(const struct stego_seal_request *r)
{
    struct stego_capsule *c = NULL;
    struct ds_error err = {0};
    if (stego_capsule_seal(&c, r, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static struct stego_instance instance_of(uint32_t share)
{
    struct stego_instance i = {
        .cell_rule = 2,
        .share_index = share,
        .with_key_block = true,
        .record = (const uint8_t *)RECORD,
        .record_len = sizeof(RECORD) - 1,
    };
    memset(i.pixel_hash, (int)(share & 0xffU), sizeof(i.pixel_hash));
    memset(i.dataset_hash, 0x5a, sizeof(i.dataset_hash));
    return i;
}

static struct ds_bytes make(const struct stego_capsule *c, const struct stego_instance *i)
{
    struct ds_bytes out = DS_BYTES_INIT(64U << 20);
    struct ds_error err = {0};
    if (stego_capsule_instance(c, i, &out, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return out;
}

static struct ds_bytes make_share(const struct stego_capsule *c, uint32_t share)
{
    const struct stego_instance i = instance_of(share);
    return make(c, &i);
}

/* ---- opening ---- */

static struct stego_keyring keys_of(const struct stego_identity *const *id, const char *password,
                                    const struct stego_trust *trust)
{
    return (struct stego_keyring){.identities = id,
                                  .identity_count = id == NULL ? 0 : 1,
                                  .password = password,
                                  .trust = trust};
}

static struct stego_part *open_part(const struct ds_bytes *b, const struct stego_keyring *keyring)
{
    struct stego_part *p = NULL;
    struct ds_error err = {0};
    if (stego_part_open(&p, b->data, b->len, keyring, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return p;
}

static enum ds_status open_status(const struct ds_bytes *b, const struct stego_trust *trust)
{
    const struct stego_keyring keyring = {.trust = trust};
    struct stego_part *p = NULL;
    const enum ds_status s = stego_part_open(&p, b->data, b->len, &keyring, NULL);
    assert_int_equal(s == DS_OK, p != NULL);
    stego_part_free(p);
    return s;
}

/* Opens the record and compares it when it opens. */
static enum ds_status record_status(const struct stego_part *p, struct stego_collector *c,
                                    const struct stego_keyring *keyring)
{
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    const enum ds_status s = stego_part_record(p, c, keyring, &out, NULL);
    assert_int_equal(out.len, s == DS_OK ? strlen(RECORD) : 0);
    if (s == DS_OK) {
        assert_memory_equal(out.data, RECORD, out.len);
    }
    ds_bytes_free(&out);
    return s;
}

static struct stego_collector *collector(void)
{
    struct stego_collector *c = NULL;
    assert_int_equal(stego_collector_new(&c, NULL), DS_OK);
    return c;
}

static void collect(struct stego_collector *to, const struct stego_capsule *from, uint32_t share)
{
    struct ds_bytes b = make_share(from, share);
    struct stego_part *p = open_part(&b, NULL);
    assert_int_equal(stego_collector_add(to, p, NULL), DS_OK);
    stego_part_free(p);
    ds_bytes_free(&b);
}

static void check_report(struct stego_collector *c, const struct stego_keyring *keyring)
{
    struct stego_documents d;
    struct ds_error err = {0};
    if (stego_collector_open(c, keyring, &d, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(d.count, 1);
    assert_string_equal(d.items[0].name, "report.txt");
    assert_int_equal(d.items[0].data.len, strlen(REPORT));
    assert_memory_equal(d.items[0].data.data, REPORT, strlen(REPORT));
    stego_documents_free(&d);
}

static enum ds_status report_status(struct stego_collector *c, const struct stego_keyring *keyring)
{
    struct stego_documents d;
    const enum ds_status s = stego_collector_open(c, keyring, &d, NULL);
    stego_documents_free(&d);
    return s;
}

/* ---- the good case ---- */

static void a_study_comes_back_at_the_recipient(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(28, 25);
    struct stego_capsule *c = seal(&r);
    assert_int_equal(stego_capsule_shares_needed(c), 21);
    assert_int_equal(stego_capsule_shares_total(c), 28);
    assert_string_equal(stego_capsule_origin(c), "CLINIC_A");
    assert_int_equal(stego_capsule_created_utc_us(c), CREATED_US);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, node_trust);
    struct stego_collector *all = collector();
    for (uint32_t i = 7; i < 28; i++) {
        struct ds_bytes b = make_share(c, i);
        struct stego_part *p = open_part(&b, &keyring);
        assert_int_equal(stego_part_origin(p), STEGO_ORIGIN_VERIFIED);
        assert_string_equal(stego_part_signer(p), "CN=node");
        assert_int_equal(record_status(p, NULL, &keyring), DS_OK);
        assert_int_equal(stego_collector_add(all, p, NULL), DS_OK);
        assert_int_equal(record_status(p, all, &keyring), DS_OK);
        stego_part_free(p);
        ds_bytes_free(&b);
    }
    check_report(all, &keyring);
    stego_collector_free(all);
    stego_capsule_free(c);
}

static void the_manifest_says_what_was_put_in(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(28, 25);
    struct stego_capsule *c = seal(&r);
    const struct stego_instance i = instance_of(5);
    struct ds_bytes b = make(c, &i);
    struct stego_part *p = open_part(&b, NULL);
    const struct stego_manifest *m = stego_part_manifest(p);
    uint8_t id[STEGO_KEY_ID_BYTES];
    stego_certificate_key_id(stego_identity_certificate(node), id);
    assert_int_equal(stego_part_origin(p), STEGO_ORIGIN_UNCHECKED);
    assert_null(stego_part_signer(p));
    assert_int_equal(m->version, 1);
    assert_memory_equal(m->capsule_id, stego_capsule_id(c), STEGO_CAPSULE_ID_BYTES);
    assert_string_equal(m->origin, "CLINIC_A");
    assert_memory_equal(m->signer_key_id, id, sizeof(id));
    assert_int_equal(m->created_utc_us, CREATED_US);
    assert_int_equal(m->share_index, 5);
    assert_int_equal(m->shares_needed, 21);
    assert_int_equal(m->shares_total, 28);
    assert_int_equal(m->cell_rule, 2);
    assert_memory_equal(m->pixel_hash, i.pixel_hash, sizeof(i.pixel_hash));
    assert_memory_equal(m->dataset_hash, i.dataset_hash, sizeof(i.dataset_hash));
    assert_true(m->has_key_block && m->is_sealed);
    assert_int_equal(m->share_bytes, stego_capsule_share_bytes(c));
    assert_int_equal(m->key_block_bytes, stego_capsule_key_block_bytes(c));
    assert_int_equal(m->manifest_bytes + m->record_bytes + m->key_block_bytes + m->share_bytes +
                         m->certificate_bytes,
                     b.len);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

/* What an enemy does who knows the format. */
static void mend_digest(struct ds_bytes *b)
{
    assert_int_equal(stego_container_digest(b->data + STEGO_DIGEST_BYTES,
                                            b->len - STEGO_DIGEST_BYTES, b->data, NULL),
                     DS_OK);
}

static const struct stego_tree_head HEAD = {.size = 123456789,
                                            .root = {0xa5, [1 ... 30] = 7, [31] = 0x5a}};

static void a_tree_head_is_named_by_every_instance_and_costs_forty_bytes(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(1, 0);
    r.origin = "SIXTEEN_LETTERS_";
    r.head = HEAD;
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 0);
    struct stego_part *p = open_part(&b, NULL);
    const struct stego_manifest *m = stego_part_manifest(p);
    assert_int_equal(m->version, 2);
    assert_int_equal(m->head.size, HEAD.size);
    assert_memory_equal(m->head.root, HEAD.root, sizeof(HEAD.root));
    assert_int_equal(m->manifest_bytes, 213 + STEGO_HEAD_BYTES); /* still below 256 */
    assert_int_equal(m->manifest_bytes + m->record_bytes + m->key_block_bytes + m->share_bytes,
                     b.len);
    /* The signature covers it. */
    const size_t at = STEGO_DIGEST_BYTES + STEGO_HEADER_BYTES + strlen(r.origin);
    for (size_t i = 0; i < STEGO_HEAD_BYTES; i += 13) {
        b.data[at + i] ^= 1;
        mend_digest(&b);
        assert_int_equal(open_status(&b, NULL), DS_OK);
        assert_int_equal(open_status(&b, node_trust), DS_EAUTH);
        b.data[at + i] ^= 1;
    }
    /* The version says whether there is one: no head of size 0, and none beyond the signed range.
     */
    memset(b.data + at, 0, 8);
    mend_digest(&b);
    assert_int_equal(open_status(&b, NULL), DS_EAUTH);
    b.data[at] = 0x80;
    mend_digest(&b);
    assert_int_equal(open_status(&b, NULL), DS_EAUTH);
    b.data[16] = 3;
    mend_digest(&b);
    assert_int_equal(open_status(&b, NULL), DS_EUNSUPPORTED);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void manifest_record_and_key_block_stay_small(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(1, 0);
    r.origin = "SIXTEEN_LETTERS_";
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 0);
    struct stego_part *p = open_part(&b, NULL);
    const struct stego_manifest *m = stego_part_manifest(p);
    assert_string_equal(m->origin, "SIXTEEN_LETTERS_");
    assert_int_equal(m->manifest_bytes, 213);
    assert_int_equal(m->record_bytes, strlen(RECORD) + 24);
    assert_in_range(m->key_block_bytes, 300, 315);
    size_t len = 0;
    assert_non_null(stego_part_key_block(p, &len));
    /* The recipient is named by key identifier: nobody else learns who it is. */
    assert_null(memmem(stego_part_key_block(p, &len), len, "peer", 4));
    print_message("manifest %zu, key block %zu, record %zu for %zu\n", m->manifest_bytes,
                  m->key_block_bytes, m->record_bytes, strlen(RECORD));
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void recipients_of_all_kinds_and_a_password_each_open_alone(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(2, 50);
    r.recipient_count = 3;
    r.password = "correct horse";
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 1);
    struct stego_part *p = open_part(&b, NULL);
    struct stego_collector *one = collector();
    assert_int_equal(stego_collector_add(one, p, NULL), DS_OK);
    const struct stego_identity *const who[] = {peer, peer_rsa, peer384};
    for (size_t i = 0; i < DS_ARRAY_SIZE(who); i++) {
        const struct stego_keyring keyring = keys_of(&who[i], NULL, NULL);
        assert_int_equal(record_status(p, NULL, &keyring), DS_OK);
        check_report(one, &keyring);
    }
    const struct stego_keyring right = keys_of(NULL, "correct horse", NULL);
    const struct stego_keyring wrong = keys_of(NULL, "incorrect horse", NULL);
    assert_int_equal(record_status(p, one, &right), DS_OK);
    check_report(one, &right);
    assert_int_equal(record_status(p, NULL, &wrong), DS_ENOKEY);
    assert_int_equal(record_status(p, one, &wrong), DS_ENOKEY);
    assert_int_equal(report_status(one, &wrong), DS_ENOKEY);
    stego_collector_free(one);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void a_large_pdf_travels(void **state)
{
    (void)state;
    enum { PDF_BYTES = 300000 };
    uint8_t *pdf = malloc(PDF_BYTES);
    assert_non_null(pdf);
    uint32_t x = 1;
    for (size_t i = 0; i < PDF_BYTES; i++) {
        x = x * 1664525U + 1013904223U;
        pdf[i] = (uint8_t)(x >> 24);
    }
    const struct stego_document d = {"big.pdf", "application/pdf", pdf, PDF_BYTES};
    struct stego_seal_request r = request_for(300, 25);
    r.documents = &d;
    struct stego_capsule *c = seal(&r);
    struct stego_collector *all = collector();
    for (uint32_t i = 75; i < 300; i++) {
        collect(all, c, i);
    }
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    struct stego_documents out;
    assert_int_equal(stego_collector_open(all, &keyring, &out, NULL), DS_OK);
    assert_int_equal(out.items[0].data.len, PDF_BYTES);
    assert_memory_equal(out.items[0].data.data, pdf, PDF_BYTES);
    stego_documents_free(&out);
    stego_collector_free(all);
    stego_capsule_free(c);
    free(pdf);
}

/* ---- altered, foreign, missing ---- */

static void every_flipped_byte_is_found_without_any_key(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(4, 25);
    struct stego_capsule *c = seal(&r);
    struct stego_instance i = instance_of(1);
    i.with_certificate = true;
    struct ds_bytes b = make(c, &i);
    assert_int_equal(open_status(&b, NULL), DS_OK);
    for (size_t at = 0; at < b.len; at++) {
        b.data[at] ^= (uint8_t)(1U << (at % 8));
        assert_int_equal(open_status(&b, NULL), DS_EAUTH);
        b.data[at] ^= (uint8_t)(1U << (at % 8));
    }
    const size_t whole = b.len;
    for (b.len = 0; b.len < whole; b.len++) {
        assert_int_equal(open_status(&b, NULL), DS_EAUTH);
    }
    b.len = whole;
    assert_int_equal(ds_bytes_put_u8(&b, 0, NULL), DS_OK);
    assert_int_equal(open_status(&b, NULL), DS_EAUTH);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void a_mended_digest_does_not_deceive_who_checks_the_signature(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(4, 25);
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 1);
    assert_int_equal(open_status(&b, node_trust), DS_OK);
    for (size_t at = STEGO_DIGEST_BYTES; at < b.len; at++) {
        b.data[at] ^= 0x04;
        mend_digest(&b);
        const enum ds_status s = open_status(&b, node_trust);
        /* Only the version is looked at before the signature: it says how to find it. */
        assert_int_equal(s, at == STEGO_DIGEST_BYTES ? DS_EUNSUPPORTED : DS_EAUTH);
        b.data[at] ^= 0x04;
    }
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void a_mended_digest_of_an_unsigned_part_does_not_deceive_who_has_a_key(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(4, 25);
    r.signer = NULL;
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 1);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    for (size_t at = STEGO_DIGEST_BYTES + 1; at < b.len; at++) {
        b.data[at] ^= 0x01;
        mend_digest(&b);
        struct stego_part *p = NULL;
        enum ds_status s = stego_part_open(&p, b.data, b.len, &keyring, NULL);
        if (s == DS_OK) {
            assert_int_equal(stego_part_origin(p), STEGO_ORIGIN_UNSIGNED);
            s = record_status(p, NULL, &keyring);
        }
        /* DS_ENOKEY: the byte was in the recipient's identifier. */
        assert_true(s == DS_EAUTH || s == DS_ENOKEY);
        stego_part_free(p);
        b.data[at] ^= 0x01;
    }
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void unknown_flags_and_impossible_numbers_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {17, 0x10}, {17, 0x80}, {17, 0x04}, /* unknown, unknown, signed without a signature */
        {34, 0x80},                         /* before 1970 */
        {42, 0x01},                         /* a signer, but not signed */
        {51, 5},    {53, 0},    {53, 6},    /* share 5 of 5, k = 0, k = 6 of 5 */
        {121, 1},   {123, 1},   {127, 1},   /* longer than what is there, or not allowed here */
        {131, 11},  {131, 13},  {132, 17},  {133, 0x07}, {133, 0x80},
    };
    struct stego_seal_request r = request_for(5, 0);
    r.documents = NULL;
    r.document_count = 0;
    r.recipient_count = 0;
    r.signer = NULL;
    struct stego_capsule *c = seal(&r);
    struct stego_instance what = instance_of(0);
    what.record_len = 12;
    struct ds_bytes b = make(c, &what);
    assert_int_equal(open_status(&b, NULL), DS_OK);
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        const uint8_t was = b.data[bad[i].at];
        b.data[bad[i].at] = bad[i].value;
        mend_digest(&b);
        assert_int_equal(open_status(&b, NULL), DS_EAUTH);
        b.data[bad[i].at] = was;
    }
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void shares_that_do_not_belong_together_are_found(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(2, 0);
    r.signer = NULL;
    struct stego_capsule *c = seal(&r);
    struct stego_collector *all = collector();
    collect(all, c, 1);
    struct ds_bytes b = make_share(c, 0);
    const size_t share_end = b.len - strlen(RECORD) - 24;
    b.data[share_end - 1] ^= 1U;
    mend_digest(&b);
    struct stego_part *p = open_part(&b, NULL);
    assert_int_equal(stego_collector_add(all, p, NULL), DS_OK);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_collector_sealed(all, &out, NULL), DS_EAUTH);
    assert_int_equal(report_status(all, &keyring), DS_EAUTH);
    assert_int_equal(out.len, 0);
    ds_bytes_free(&out);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_collector_free(all);
    stego_capsule_free(c);
}

static void share_data_is_refused_when_altered_cut_or_padded_with_anything_but_zeros(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(256);
    const struct stego_span key = {(const uint8_t *)"key block", 9};
    const struct stego_span sealed = {(const uint8_t *)"sealed", 6};
    struct stego_share_view view;
    assert_int_equal(stego_share_data_put(&b, key, sealed, NULL), DS_OK);
    const size_t len = b.len;
    assert_int_equal(ds_bytes_resize(&b, len + 3, NULL), DS_OK);
    for (size_t n = 0; n <= 3; n++) {
        assert_int_equal(stego_share_data_get(&view, b.data, len + n, NULL), DS_OK);
        assert_int_equal(view.key_block.len, 9);
        assert_int_equal(view.sealed.len, 6);
    }
    for (size_t at = 0; at < b.len; at++) {
        b.data[at] ^= 0x80;
        assert_int_equal(stego_share_data_get(&view, b.data, b.len, NULL), DS_EAUTH);
        b.data[at] ^= 0x80;
    }
    for (size_t n = 1; n < len; n++) {
        assert_int_equal(stego_share_data_get(&view, b.data, n, NULL), DS_EAUTH);
    }
    ds_bytes_free(&b);
}

static void a_stranger_has_no_key_and_an_empty_keyring_neither(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(1, 0);
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 0);
    struct stego_part *p = open_part(&b, NULL);
    struct stego_collector *all = collector();
    assert_int_equal(stego_collector_add(all, p, NULL), DS_OK);
    const struct stego_identity *ids[] = {stranger, peer};
    const struct stego_keyring good = keys_of(&ids[1], NULL, NULL);
    const struct stego_keyring bad = keys_of(&ids[0], NULL, NULL);
    const struct stego_keyring both = {.identities = ids, .identity_count = 2};
    assert_int_equal(record_status(p, all, &good), DS_OK);
    /* A key that was remembered for one keyring is not given to another. */
    assert_int_equal(record_status(p, all, &bad), DS_ENOKEY);
    assert_int_equal(record_status(p, all, NULL), DS_ENOKEY);
    assert_int_equal(record_status(p, NULL, NULL), DS_ENOKEY);
    assert_int_equal(report_status(all, &bad), DS_ENOKEY);
    assert_int_equal(report_status(all, NULL), DS_ENOKEY);
    assert_int_equal(record_status(p, all, &both), DS_OK);
    stego_collector_free(all);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void who_is_not_trusted_is_refused_and_so_is_nobody(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(1, 0);
    struct stego_capsule *c = seal(&r);
    struct stego_instance i = instance_of(0);
    struct ds_bytes b = make(c, &i);
    assert_int_equal(open_status(&b, node_trust), DS_OK);
    assert_int_equal(open_status(&b, stranger_trust), DS_EAUTH);
    ds_bytes_free(&b);
    i.with_certificate = true;
    b = make(c, &i);
    assert_int_equal(open_status(&b, node_trust), DS_OK);
    assert_int_equal(open_status(&b, stranger_trust), DS_EAUTH);
    ds_bytes_free(&b);
    stego_capsule_free(c);
    r.signer = NULL;
    c = seal(&r);
    b = make(c, &i);
    assert_int_equal(open_status(&b, NULL), DS_OK);
    assert_int_equal(open_status(&b, node_trust), DS_EAUTH);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void issue(const char *name, const char *ca)
{
    char files[6][64];
    const char *const forms[] = {"/CN=%s",      "%s.key.pem", "%s.csr",
                                 "%s.cert.pem", "%s.key.pem", "%s.cert.pem"};
    for (size_t i = 0; i < 6; i++) {
        const char *who = i < 4 ? name : ca;
        char *to = files[i];
        const char *percent = strchr(forms[i], '%');
        (void)snprintf(to, sizeof(files[0]), "%.*s%s%s", (int)(percent - forms[i]), forms[i], who,
                       percent + 2);
    }
    assert_int_equal(SUPPORT_RUN("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                                 "ec_paramgen_curve:P-256", "-nodes", "-subj", files[0], "-keyout",
                                 files[1], "-out", files[2]),
                     0);
    assert_int_equal(SUPPORT_RUN("openssl", "x509", "-req", "-in", files[2], "-days", "30", "-CA",
                                 files[5], "-CAkey", files[4], "-CAcreateserial", "-out", files[3]),
                     0);
}

static enum ds_status carried_status(const char *signer, int64_t created,
                                     const struct stego_trust *trust)
{
    struct stego_identity *id = support_identity(signer, NULL);
    struct stego_seal_request r = request_for(1, 0);
    r.signer = id;
    r.created_utc_us = created;
    struct stego_capsule *c = seal(&r);
    stego_identity_free(id); /* the capsule keeps what it needs */
    struct stego_instance i = instance_of(0);
    i.with_certificate = true;
    struct ds_bytes b = make(c, &i);
    const enum ds_status s = open_status(&b, trust);
    ds_bytes_free(&b);
    stego_capsule_free(c);
    return s;
}

static void a_certificate_that_travels_along_counts_by_its_ca_at_its_time(void **state)
{
    (void)state;
    stego_identity_free(support_identity_curve("ca", "P-256"));
    issue("issued", "ca");
    issue("leafsigned", "node");
    struct stego_trust *ca = trust_of("ca.cert.pem");
    const int64_t now = ds_clock_utc_us();
    const int64_t day = INT64_C(86400) * 1000000;
    assert_int_equal(carried_status("issued", now, ca), DS_OK);
    assert_int_equal(carried_status("issued", now - 2 * day, ca), DS_EAUTH);
    assert_int_equal(carried_status("issued", now + 40 * day, ca), DS_EAUTH);
    assert_int_equal(carried_status("issued", now, stranger_trust), DS_EAUTH);
    assert_int_equal(carried_status("stranger", now, ca), DS_EAUTH);
    /* A node's own certificate is no CA, so what its key issued is not believed. */
    assert_int_equal(carried_status("leafsigned", now, node_trust), DS_EAUTH);
    stego_trust_free(ca);
}

static void a_signer_may_not_call_himself_by_another_key_id(void **state)
{
    (void)state;
    stego_identity_free(support_identity_curve("ca2", "P-384"));
    issue("liar", "ca2");
    struct stego_identity *liar = support_identity("liar", NULL);
    struct stego_trust *ca = trust_of("ca2.cert.pem");
    struct stego_seal_request r = request_for(1, 0);
    r.created_utc_us = ds_clock_utc_us();
    r.signer = liar;
    struct stego_capsule *c = seal(&r);
    struct stego_instance i = instance_of(0);
    i.with_certificate = true;
    struct ds_bytes honest = make(c, &i);
    c->signer_key_id[0] ^= 1U;
    struct ds_bytes lying = make(c, &i);
    assert_int_equal(open_status(&honest, ca), DS_OK);
    assert_int_equal(open_status(&lying, ca), DS_EAUTH);
    ds_bytes_free(&honest);
    ds_bytes_free(&lying);
    stego_capsule_free(c);
    stego_trust_free(ca);
    stego_identity_free(liar);
}

static void fewer_than_k_shares_say_how_many_are_missing(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(10, 30);
    struct stego_capsule *c = seal(&r);
    struct stego_collector *all = collector();
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    struct stego_documents d;
    struct ds_error err;
    uint32_t have = 9;
    uint32_t need = 9;
    assert_int_equal(report_status(all, &keyring), DS_ECAPACITY);
    for (uint32_t i = 0; i < 6; i++) {
        collect(all, c, 9 - i);
        collect(all, c, 9 - i); /* twice is once */
    }
    stego_collector_progress(all, &have, &need);
    assert_int_equal(have, 6);
    assert_int_equal(need, 7);
    assert_int_equal(stego_collector_open(all, &keyring, &d, &err), DS_ECAPACITY);
    assert_non_null(strstr(err.text, "1 more"));
    collect(all, c, 0);
    check_report(all, &keyring);
    stego_collector_free(all);
    stego_capsule_free(c);
}

static void parts_of_two_capsules_do_not_mix(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(2, 50);
    struct stego_capsule *a = seal(&r);
    struct stego_capsule *b = seal(&r);
    struct stego_collector *all = collector();
    collect(all, a, 0);
    struct ds_bytes bytes = make_share(b, 1);
    struct stego_part *p = open_part(&bytes, NULL);
    assert_int_equal(stego_collector_add(all, p, NULL), DS_EINVAL);
    struct ds_bytes out = DS_BYTES_INIT(4096);
    assert_int_equal(stego_part_record_with_capsule(p, a, &out, NULL), DS_EINVAL);
    assert_int_equal(stego_part_record_with_capsule(p, b, &out, NULL), DS_OK);
    assert_int_equal(out.len, strlen(RECORD));
    ds_bytes_free(&out);
    stego_part_free(p);
    /* A part that was checked and one that was not do not mix either. */
    ds_bytes_free(&bytes);
    bytes = make_share(a, 1);
    const struct stego_keyring trusting = keys_of(NULL, NULL, node_trust);
    p = open_part(&bytes, &trusting);
    assert_int_equal(stego_collector_add(all, p, NULL), DS_EINVAL);
    stego_part_free(p);
    ds_bytes_free(&bytes);
    stego_collector_free(all);
    stego_capsule_free(a);
    stego_capsule_free(b);
}

/* ---- small covers, tokens, many instances ---- */

static void an_instance_without_key_block_needs_the_capsule(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(2, 0);
    struct stego_capsule *c = seal(&r);
    struct stego_instance i = instance_of(0);
    i.with_key_block = false;
    struct ds_bytes b = make(c, &i);
    struct stego_part *p = open_part(&b, NULL);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    size_t len = 1;
    assert_null(stego_part_key_block(p, &len));
    assert_int_equal(len, 0);
    assert_int_equal(record_status(p, NULL, &keyring), DS_ECAPACITY);
    struct stego_collector *all = collector();
    assert_int_equal(stego_collector_add(all, p, NULL), DS_OK);
    assert_int_equal(record_status(p, all, &keyring), DS_ECAPACITY);
    collect(all, c, 1);
    assert_int_equal(record_status(p, all, &keyring), DS_OK);
    stego_collector_free(all);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void a_single_share_is_enough_for_its_own_instance_when_k_is_one(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(3, 90);
    struct stego_capsule *c = seal(&r);
    assert_int_equal(stego_capsule_shares_needed(c), 1);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    for (uint32_t n = 0; n < 3; n++) {
        struct stego_instance i = instance_of(n);
        i.with_key_block = false;
        struct ds_bytes b = make(c, &i);
        struct stego_part *p = open_part(&b, NULL);
        assert_int_equal(record_status(p, NULL, &keyring), DS_OK);
        stego_part_free(p);
        ds_bytes_free(&b);
    }
    stego_capsule_free(c);
}

static void an_instance_without_a_share_restores_itself(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(3, 0);
    struct stego_capsule *c = seal(&r);
    const struct stego_instance i = instance_of(STEGO_NO_SHARE);
    struct ds_bytes b = make(c, &i);
    struct stego_part *p = open_part(&b, NULL);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    assert_int_equal(stego_part_manifest(p)->share_index, STEGO_NO_SHARE);
    assert_int_equal(stego_part_manifest(p)->share_bytes, 0);
    assert_int_equal(record_status(p, NULL, &keyring), DS_OK);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void an_integrity_token_needs_no_key(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(5, 20);
    r.documents = NULL;
    r.document_count = 0;
    r.recipient_count = 0;
    struct stego_capsule *c = seal(&r);
    assert_int_equal(stego_capsule_share_bytes(c), 0);
    assert_int_equal(stego_capsule_key_block_bytes(c), 0);
    struct ds_bytes b = make_share(c, 2);
    const struct stego_keyring keyring = keys_of(NULL, NULL, node_trust);
    struct stego_part *p = open_part(&b, &keyring);
    assert_false(stego_part_manifest(p)->is_sealed);
    assert_int_equal(record_status(p, NULL, NULL), DS_OK);
    stego_part_free(p);
    ds_bytes_free(&b);
    struct stego_collector *all = collector();
    for (uint32_t i = 0; i < 4; i++) {
        collect(all, c, i);
    }
    struct ds_bytes out = DS_BYTES_INIT(64);
    assert_int_equal(report_status(all, NULL), DS_OK);
    assert_int_equal(stego_collector_sealed(all, &out, NULL), DS_ENOTHING);
    stego_collector_free(all);
    stego_capsule_free(c);
}

static void without_documents_the_shares_still_hold_the_key(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(2, 0);
    r.documents = NULL;
    r.document_count = 0;
    struct stego_capsule *c = seal(&r);
    struct stego_instance i = instance_of(0);
    i.with_key_block = false;
    struct ds_bytes b = make(c, &i);
    struct stego_part *p = open_part(&b, NULL);
    struct stego_collector *all = collector();
    collect(all, c, 0);
    collect(all, c, 1);
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    assert_int_equal(record_status(p, all, &keyring), DS_OK);
    assert_int_equal(report_status(all, &keyring), DS_OK);
    stego_collector_free(all);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

static void the_last_450_of_600_instances_are_enough(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(600, 25);
    struct stego_capsule *c = seal(&r);
    struct stego_collector *all = collector();
    for (uint32_t i = 150; i < 600; i++) {
        collect(all, c, i);
    }
    const struct stego_identity *id = peer;
    const struct stego_keyring keyring = keys_of(&id, NULL, NULL);
    check_report(all, &keyring);
    stego_collector_free(all);
    stego_capsule_free(c);
}

/* ---- the same bytes again ---- */

static void the_same_instance_is_made_of_the_same_bytes(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(5, 40);
    const struct stego_identity *const signers[] = {node, peer_rsa, peer384, NULL};
    for (size_t s = 0; s < 2 * DS_ARRAY_SIZE(signers); s++) {
        r.signer = signers[s % 2];
        r.head = s < 2 ? (struct stego_tree_head){0} : HEAD;
        struct stego_capsule *c = seal(&r);
        for (uint32_t i = 0; i < 5; i++) {
            struct ds_bytes a = make_share(c, i);
            struct ds_bytes b = make_share(c, i);
            assert_int_equal(a.len, b.len);
            assert_memory_equal(a.data, b.data, a.len);
            ds_bytes_free(&a);
            ds_bytes_free(&b);
        }
        stego_capsule_free(c);
    }
}

static struct ds_bytes save(const struct stego_capsule *c)
{
    struct ds_bytes b = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_capsule_save(c, stego_identity_certificate(node), &b, NULL), DS_OK);
    return b;
}

static enum ds_status load_status(const struct ds_bytes *saved, const struct stego_identity *owner,
                                  const struct stego_identity *signer)
{
    struct stego_capsule *c = NULL;
    const enum ds_status s = stego_capsule_load(&c, saved->data, saved->len, owner, signer, NULL);
    assert_int_equal(s == DS_OK, c != NULL);
    stego_capsule_free(c);
    return s;
}

static void a_capsule_that_was_saved_and_loaded_makes_the_same_bytes(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(9, 30);
    const struct stego_identity *const signers[] = {node, NULL};
    for (size_t s = 0; s < DS_ARRAY_SIZE(signers); s++) {
        r.signer = signers[s];
        struct stego_capsule *c = seal(&r);
        struct ds_bytes saved = save(c);
        struct stego_capsule *back = NULL;
        assert_int_equal(stego_capsule_load(&back, saved.data, saved.len, node, r.signer, NULL),
                         DS_OK);
        for (uint32_t i = 0; i < 9; i++) {
            struct stego_instance what = instance_of(i);
            what.with_certificate = true;
            struct ds_bytes a = make(c, &what);
            struct ds_bytes b = make(back, &what);
            assert_int_equal(a.len, b.len);
            assert_memory_equal(a.data, b.data, a.len);
            ds_bytes_free(&a);
            ds_bytes_free(&b);
        }
        ds_bytes_free(&saved);
        stego_capsule_free(back);
        stego_capsule_free(c);
    }
}

static void a_saved_capsule_opens_only_for_its_owner_and_as_it_was_saved(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(2, 0);
    struct stego_capsule *c = seal(&r);
    struct ds_bytes saved = save(c);
    assert_int_equal(load_status(&saved, node, node), DS_OK);
    assert_int_equal(load_status(&saved, stranger, node), DS_ENOKEY);
    assert_int_equal(load_status(&saved, node, stranger), DS_EAUTH);
    assert_int_equal(load_status(&saved, node, NULL), DS_ENOKEY);
    for (size_t at = 0; at < saved.len; at += 3) {
        saved.data[at] ^= 0x10;
        assert_int_equal(load_status(&saved, node, node), DS_EAUTH);
        saved.data[at] ^= 0x10;
    }
    for (size_t len = 0; len < saved.len; len += 50) {
        const struct ds_bytes cut = {.data = saved.data, .len = len, .capacity = len, .max = len};
        assert_int_equal(load_status(&cut, node, node), DS_EAUTH);
    }
    ds_bytes_free(&saved);
    stego_capsule_free(c);
    /* Sealing takes no secret: a capsule that nobody signed is not taken for the node's own. */
    r.signer = NULL;
    c = seal(&r);
    saved = save(c);
    assert_int_equal(load_status(&saved, node, node), DS_EAUTH);
    assert_int_equal(load_status(&saved, node, NULL), DS_OK);
    ds_bytes_free(&saved);
    stego_capsule_free(c);
}

/* The keystream of one record must not serve for another: XOR of two ciphertexts would be the XOR
 * of the plaintexts. */
static void no_two_records_share_a_keystream(void **state)
{
    (void)state;
    const struct stego_seal_request r = request_for(2, 0);
    struct stego_capsule *c = seal(&r);
    uint8_t records[2][32] = {{0}, {0}};
    records[1][31] = 1;
    struct stego_instance i = instance_of(0);
    i.record_len = sizeof(records[0]);
    struct ds_bytes made[3];
    i.record = records[0];
    made[0] = make(c, &i);
    i.record = records[1]; /* another record for the same instance */
    made[1] = make(c, &i);
    i.record = records[0]; /* the same record under another header */
    i.cell_rule = 1;
    made[2] = make(c, &i);
    const size_t end = made[0].len - 64 - 16; /* signature, tag */
    for (size_t a = 0; a < 3; a++) {
        for (size_t b = a + 1; b < 3; b++) {
            assert_memory_not_equal(made[a].data + end - 32, made[b].data + end - 32, 16);
        }
    }
    for (size_t a = 0; a < 3; a++) {
        ds_bytes_free(&made[a]);
    }
    stego_capsule_free(c);
}

/* ---- contract ---- */

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    struct stego_seal_request bad[8];
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        bad[i] = request_for(4, 25);
    }
    bad[0].share_total = 0;
    bad[1].share_total = STEGO_SHARES_MAX + 1;
    bad[2].redundancy_percent = 91;
    bad[3].origin = "SEVENTEEN_LETTERS";
    bad[4].recipient_count = 0; /* documents for nobody */
    bad[5].password = "";
    struct stego_document d = report;
    d.name = "../x";
    bad[6].documents = &d;
    bad[7].origin = NULL;
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        struct stego_capsule *c = NULL;
        assert_int_equal(stego_capsule_seal(&c, &bad[i], NULL), DS_EINVAL);
        assert_null(c);
    }
    const struct stego_seal_request r = request_for(4, 25);
    struct stego_capsule *c = seal(&r);
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    struct stego_instance i = instance_of(4);
    assert_int_equal(stego_capsule_instance(c, &i, &out, NULL), DS_EINVAL);
    i = instance_of(3);
    i.cell_rule = 4;
    assert_int_equal(stego_capsule_instance(c, &i, &out, NULL), DS_EINVAL);
    i = instance_of(3);
    i.record_len = STEGO_RECORD_MAX_BYTES + 1U;
    assert_int_equal(stego_capsule_instance(c, &i, &out, NULL), DS_EINVAL);
    assert_int_equal(out.len, 0);
    ds_bytes_free(&out);
    stego_capsule_free(c);
}

/* ---- the openssl program ---- */

static void check_file(const char *name, const char *start, size_t len)
{
    struct ds_bytes b = support_read(name);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.data, start, strlen(start));
    ds_bytes_free(&b);
}

static void the_openssl_program_opens_key_block_and_documents(void **state)
{
    (void)state;
    struct stego_seal_request r = request_for(2, 50);
    r.recipient_count = 2;
    struct stego_capsule *c = seal(&r);
    struct ds_bytes b = make_share(c, 1);
    struct stego_part *p = open_part(&b, NULL);
    struct stego_collector *all = collector();
    assert_int_equal(stego_collector_add(all, p, NULL), DS_OK);
    struct ds_bytes sealed = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_collector_sealed(all, &sealed, NULL), DS_OK);
    size_t len = 0;
    const uint8_t *block = stego_part_key_block(p, &len);
    support_write("key.cms", block, len);
    support_write("sealed.cms", sealed.data, sealed.len);
    const char *const names[][2] = {{"peer.key.pem", "peer.cert.pem"},
                                    {"peer_rsa.key.pem", "peer_rsa.cert.pem"}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        assert_int_equal(SUPPORT_RUN("openssl", "cms", "-decrypt", "-inform", "DER", "-in",
                                     "key.cms", "-inkey", names[i][0], "-recip", names[i][1],
                                     "-out", "study.key"),
                         0);
        check_file("study.key", "", 32);
        assert_int_equal(SUPPORT_RUN("openssl", "cms", "-decrypt", "-inform", "DER", "-in",
                                     "sealed.cms", "-inkey", names[i][0], "-recip", names[i][1],
                                     "-out", "opened"),
                         0);
        const char expected[] = "Content-Type: text/plain; charset=utf-8\r\n"
                                "Content-Disposition: attachment; filename=\"report.txt\"\r\n"
                                "Content-Length: 19\r\n\r\n" REPORT;
        check_file("opened", expected, sizeof(expected) - 1);
    }
    ds_bytes_free(&sealed);
    stego_collector_free(all);
    stego_part_free(p);
    ds_bytes_free(&b);
    stego_capsule_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_comes_back_at_the_recipient),
        cmocka_unit_test(the_manifest_says_what_was_put_in),
        cmocka_unit_test(a_tree_head_is_named_by_every_instance_and_costs_forty_bytes),
        cmocka_unit_test(manifest_record_and_key_block_stay_small),
        cmocka_unit_test(recipients_of_all_kinds_and_a_password_each_open_alone),
        cmocka_unit_test(a_large_pdf_travels),
        cmocka_unit_test(every_flipped_byte_is_found_without_any_key),
        cmocka_unit_test(a_mended_digest_does_not_deceive_who_checks_the_signature),
        cmocka_unit_test(a_mended_digest_of_an_unsigned_part_does_not_deceive_who_has_a_key),
        cmocka_unit_test(unknown_flags_and_impossible_numbers_are_refused),
        cmocka_unit_test(shares_that_do_not_belong_together_are_found),
        cmocka_unit_test(share_data_is_refused_when_altered_cut_or_padded_with_anything_but_zeros),
        cmocka_unit_test(a_stranger_has_no_key_and_an_empty_keyring_neither),
        cmocka_unit_test(who_is_not_trusted_is_refused_and_so_is_nobody),
        cmocka_unit_test(a_certificate_that_travels_along_counts_by_its_ca_at_its_time),
        cmocka_unit_test(a_signer_may_not_call_himself_by_another_key_id),
        cmocka_unit_test(fewer_than_k_shares_say_how_many_are_missing),
        cmocka_unit_test(parts_of_two_capsules_do_not_mix),
        cmocka_unit_test(an_instance_without_key_block_needs_the_capsule),
        cmocka_unit_test(a_single_share_is_enough_for_its_own_instance_when_k_is_one),
        cmocka_unit_test(an_instance_without_a_share_restores_itself),
        cmocka_unit_test(an_integrity_token_needs_no_key),
        cmocka_unit_test(without_documents_the_shares_still_hold_the_key),
        cmocka_unit_test(the_last_450_of_600_instances_are_enough),
        cmocka_unit_test(the_same_instance_is_made_of_the_same_bytes),
        cmocka_unit_test(a_capsule_that_was_saved_and_loaded_makes_the_same_bytes),
        cmocka_unit_test(a_saved_capsule_opens_only_for_its_owner_and_as_it_was_saved),
        cmocka_unit_test(no_two_records_share_a_keystream),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(the_openssl_program_opens_key_block_and_documents),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

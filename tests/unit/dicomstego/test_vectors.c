/* SPDX-License-Identifier: Apache-2.0 */
/* The golden files of docs/capsule-format.md: what was hidden once must open for ever. */
#include "dicomstego/capsule.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *vector(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    const char *root = getenv("DICOMSTEGO_SOURCE");
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/tests/vectors/capsule/%s", root == NULL ? "." : root,
                   name);
    return path;
}

static struct ds_bytes read_vector(const char *name)
{
    struct ds_bytes b = DS_BYTES_INIT(1U << 20);
    struct ds_error err = {0};
    if (ds_file_read(vector(name), &b, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return b;
}

struct reader {
    struct stego_identity *recipient;
    struct stego_trust *trust;
    struct stego_collector *collector;
    struct stego_part *parts[3];
};

static int setup(void **state)
{
    static struct reader r;
    if (stego_identity_load(&r.recipient, vector("recipient.key.pem"), vector("recipient.cert.pem"),
                            NULL) != DS_OK ||
        stego_trust_new(&r.trust, NULL) != DS_OK ||
        stego_trust_add(r.trust, vector("signer.cert.pem"), NULL) != DS_OK ||
        stego_collector_new(&r.collector, NULL) != DS_OK) {
        return -1;
    }
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct reader *r = *state;
    for (size_t i = 0; i < DS_ARRAY_SIZE(r->parts); i++) {
        stego_part_free(r->parts[i]);
    }
    stego_collector_free(r->collector);
    stego_trust_free(r->trust);
    stego_identity_free(r->recipient);
    return 0;
}

static void the_parts_verify_and_say_what_is_documented(void **state)
{
    struct reader *r = *state;
    const struct stego_keyring keyring = {.trust = r->trust};
    for (uint32_t i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "part-%u.bin", i);
        struct ds_bytes b = read_vector(name);
        assert_int_equal(stego_part_open(&r->parts[i], b.data, b.len, &keyring, NULL), DS_OK);
        ds_bytes_free(&b);
        const struct stego_manifest *m = stego_part_manifest(r->parts[i]);
        assert_int_equal(stego_part_origin(r->parts[i]), STEGO_ORIGIN_VERIFIED);
        assert_string_equal(stego_part_signer(r->parts[i]), "CN=test signer");
        assert_string_equal(m->origin, "CLINIC_A");
        assert_int_equal(m->created_utc_us, INT64_C(1767225600000000));
        assert_int_equal(m->share_index, i);
        assert_int_equal(m->shares_needed, 2);
        assert_int_equal(m->shares_total, 3);
        assert_int_equal(m->cell_rule, 1);
        assert_int_equal(m->pixel_hash[31], 64 * i + 31);
        assert_int_equal(m->has_key_block, i != 2);
        assert_int_equal(m->certificate_bytes > 0, i == 1);
        assert_int_equal(stego_collector_add(r->collector, r->parts[i], NULL), DS_OK);
    }
}

static void the_records_and_the_report_open_by_key_and_by_password(void **state)
{
    struct reader *r = *state;
    const struct stego_identity *id = r->recipient;
    const struct stego_keyring keyrings[] = {{.identities = &id, .identity_count = 1},
                                             {.password = "test password"}};
    struct ds_bytes report = read_vector("report.txt");
    for (size_t k = 0; k < DS_ARRAY_SIZE(keyrings); k++) {
        for (uint32_t i = 0; i < 3; i++) {
            char expected[32];
            (void)snprintf(expected, sizeof(expected), "restore record %u", i);
            struct ds_bytes out = DS_BYTES_INIT(64);
            assert_int_equal(stego_part_record(r->parts[i], r->collector, &keyrings[k], &out, NULL),
                             DS_OK);
            assert_int_equal(out.len, strlen(expected));
            assert_memory_equal(out.data, expected, out.len);
            ds_bytes_free(&out);
        }
        struct stego_documents d;
        assert_int_equal(stego_collector_open(r->collector, &keyrings[k], &d, NULL), DS_OK);
        assert_int_equal(d.count, 1);
        assert_string_equal(d.items[0].name, "report.txt");
        assert_string_equal(d.items[0].media_type, "text/plain; charset=utf-8");
        assert_int_equal(d.items[0].data.len, report.len);
        assert_memory_equal(d.items[0].data.data, report.data, report.len);
        stego_documents_free(&d);
    }
    ds_bytes_free(&report);
}

/* Part 2 carries a parity share: this fixes the coding matrix. */
static void the_report_comes_back_without_the_first_part(void **state)
{
    struct reader *r = *state;
    struct stego_collector *c = NULL;
    struct ds_bytes sealed = read_vector("sealed.cms");
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_collector_new(&c, NULL), DS_OK);
    assert_int_equal(stego_collector_add(c, r->parts[2], NULL), DS_OK);
    assert_int_equal(stego_collector_add(c, r->parts[1], NULL), DS_OK);
    assert_int_equal(stego_collector_sealed(c, &out, NULL), DS_OK);
    assert_int_equal(out.len, sealed.len);
    assert_memory_equal(out.data, sealed.data, out.len);
    ds_bytes_free(&out);
    ds_bytes_free(&sealed);
    stego_collector_free(c);
}

static void key_block_and_sealed_documents_are_the_files_of_the_document(void **state)
{
    struct reader *r = *state;
    struct ds_bytes key_block = read_vector("key-block.cms");
    struct ds_bytes sealed = read_vector("sealed.cms");
    struct ds_bytes out = DS_BYTES_INIT(1U << 20);
    size_t len = 0;
    const uint8_t *block = stego_part_key_block(r->parts[0], &len);
    assert_int_equal(len, key_block.len);
    assert_memory_equal(block, key_block.data, len);
    assert_int_equal(stego_collector_sealed(r->collector, &out, NULL), DS_OK);
    assert_int_equal(out.len, sealed.len);
    assert_memory_equal(out.data, sealed.data, out.len);
    ds_bytes_free(&out);
    ds_bytes_free(&sealed);
    ds_bytes_free(&key_block);
}

static void the_integrity_token_opens_without_a_key(void **state)
{
    (void)state;
    struct ds_bytes b = read_vector("token.bin");
    struct stego_part *p = NULL;
    struct ds_bytes out = DS_BYTES_INIT(64);
    assert_int_equal(stego_part_open(&p, b.data, b.len, NULL, NULL), DS_OK);
    assert_int_equal(stego_part_origin(p), STEGO_ORIGIN_UNSIGNED);
    assert_false(stego_part_manifest(p)->is_sealed);
    assert_int_equal(stego_part_record(p, NULL, NULL, &out, NULL), DS_OK);
    assert_int_equal(out.len, strlen("in the clear"));
    assert_memory_equal(out.data, "in the clear", out.len);
    stego_part_free(p);
    ds_bytes_free(&out);
    ds_bytes_free(&b);
}

static void the_tree_head_is_read_where_it_is_documented(void **state)
{
    const struct reader *r = *state;
    const struct stego_keyring keyring = {.trust = r->trust};
    struct ds_bytes b = read_vector("head.bin");
    struct stego_part *p = NULL;
    assert_int_equal(stego_part_open(&p, b.data, b.len, &keyring, NULL), DS_OK);
    const struct stego_manifest *m = stego_part_manifest(p);
    assert_int_equal(stego_part_origin(p), STEGO_ORIGIN_VERIFIED);
    assert_int_equal(m->version, 2);
    assert_int_equal(m->head.size, 1000000);
    for (unsigned i = 0; i < sizeof(m->head.root); i++) {
        assert_int_equal(m->head.root[i], 0x40 + i);
    }
    assert_memory_equal(b.data + 141, "\0\0\0\0\0\x0f\x42\x40\x40\x41", 10);
    stego_part_free(p);
    ds_bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_verify_and_say_what_is_documented),
        cmocka_unit_test(the_records_and_the_report_open_by_key_and_by_password),
        cmocka_unit_test(the_report_comes_back_without_the_first_part),
        cmocka_unit_test(key_block_and_sealed_documents_are_the_files_of_the_document),
        cmocka_unit_test(the_integrity_token_opens_without_a_key),
        cmocka_unit_test(the_tree_head_is_read_where_it_is_documented),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

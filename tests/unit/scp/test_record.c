/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LIFE 77U
#define HEAD 16U

static struct record record_of(enum ds_digest_kind kind, const uint8_t *file, size_t len)
{
    struct record r = {.id = "",
                       .arrival_us = 5,
                       .kind = kind,
                       .head_bytes = HEAD,
                       .file_bytes = len,
                       .extent_count = 1,
                       .extents = {{LIFE, RECORD_BLOCK_BYTES, len}}};
    (void)snprintf(r.id, sizeof(r.id), "%s", "0001790000000000-1f2e3d4c");
    assert_int_equal(ds_digest_of(kind, file + HEAD, len - HEAD, r.hash, NULL), DS_OK);
    return r;
}

/* Either hash tells each changed byte of the data set; the seal those of the head. */
static void a_record_knows_its_file_by_either_hash(void **state)
{
    (void)state;
    for (int kind = DS_DIGEST_SHA256; kind <= DS_DIGEST_BLAKE3; kind++) {
        uint8_t block[RECORD_BLOCK_BYTES];
        uint8_t file[300];
        struct record back;
        if (!ds_digest_has((enum ds_digest_kind)kind)) {
            continue;
        }
        for (size_t i = 0; i < sizeof(file); i++) {
            file[i] = (uint8_t)(i * 31);
        }
        const struct record r = record_of((enum ds_digest_kind)kind, file, sizeof(file));
        assert_int_equal(record_put(block, LIFE, &r, file, NULL), DS_OK);
        assert_true(record_get(block, LIFE, &back));
        assert_int_equal(back.kind, kind);
        assert_true(record_is_whole(block, &back, file));
        for (size_t i = 0; i < sizeof(file); i++) {
            file[i] ^= 1;
            assert_false(record_is_whole(block, &back, file));
            file[i] ^= 1;
        }
    }
}

static void a_hash_of_one_kind_is_none_of_the_other(void **state)
{
    (void)state;
    uint8_t block[RECORD_BLOCK_BYTES];
    uint8_t file[300] = {1, 2, 3};
    struct record back;
    if (!ds_digest_has(DS_DIGEST_BLAKE3)) {
        skip();
    }
    struct record r = record_of(DS_DIGEST_SHA256, file, sizeof(file));
    r.kind = DS_DIGEST_BLAKE3;
    assert_int_equal(record_put(block, LIFE, &r, file, NULL), DS_OK);
    assert_true(record_get(block, LIFE, &back));
    assert_false(record_is_whole(block, &back, file));
    block[7] = '2'; /* of no version there is */
    assert_false(record_get(block, LIFE, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_knows_its_file_by_either_hash),
        cmocka_unit_test(a_hash_of_one_kind_is_none_of_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

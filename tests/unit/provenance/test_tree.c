/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "provenance/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(call) assert_int_equal(call, DS_OK)
#define LEAVES   70U
#define MANY     200000U

static struct ds_error err;
static uint8_t leaves[MANY][DS_SHA256_BYTES];

static int make_leaves(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        OK(provenance_leaf_hash((const uint8_t *)&i, sizeof(i), leaves[i], &err));
    }
    return 0;
}

/* MTH as RFC 9162 2.1.1 defines it, without a thought for speed. */
static void definition(size_t begin, size_t end, uint8_t out[DS_SHA256_BYTES])
{
    if (end - begin == 1) {
        memcpy(out, leaves[begin], DS_SHA256_BYTES);
        return;
    }
    size_t k = 1;
    while (2 * k < end - begin) {
        k *= 2;
    }
    uint8_t left[DS_SHA256_BYTES], right[DS_SHA256_BYTES];
    definition(begin, begin + k, left);
    definition(begin + k, end, right);
    OK(provenance_node_hash(left, right, out, &err));
}

static enum ds_status get_node(void *context, unsigned level, uint64_t index,
                               uint8_t out[DS_SHA256_BYTES], struct ds_error *e)
{
    const uint64_t *size = context;
    (void)e;
    assert_true((index + 1) << level <= *size); /* only complete ones are asked for */
    definition(index << level, (index + 1) << level, out);
    return DS_OK;
}

static void roots_are_those_of_the_known_eight_leaves(void **state)
{
    static const char *const inputs[] = {"",
                                         "00",
                                         "10",
                                         "2021",
                                         "3031",
                                         "40414243",
                                         "5051525354555657",
                                         "606162636465666768696a6b6c6d6e6f"};
    static const char *const roots[] = {
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
    (void)state;
    struct provenance_tree tree = {0};
    for (size_t i = 0; i < DS_ARRAY_SIZE(inputs); i++) {
        uint8_t leaf[16], hash[DS_SHA256_BYTES], root[DS_SHA256_BYTES];
        char text[DS_SHA256_HEX_BYTES];
        const size_t len = strlen(inputs[i]) / 2;
        assert_true(ds_unhex(inputs[i], leaf, len));
        OK(provenance_leaf_hash(leaf, len, hash, &err));
        OK(provenance_tree_append(&tree, hash, NULL, NULL, &err));
        OK(provenance_tree_root(&tree, root, &err));
        ds_hex(root, sizeof(root), text);
        assert_string_equal(text, roots[i]);
    }
}

static void the_empty_tree_has_the_hash_of_nothing(void **state)
{
    (void)state;
    const struct provenance_tree tree = {0};
    uint8_t root[DS_SHA256_BYTES];
    char text[DS_SHA256_HEX_BYTES];
    OK(provenance_tree_root(&tree, root, &err));
    ds_hex(root, sizeof(root), text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void every_leaf_of_every_small_tree_is_proven_and_no_other(void **state)
{
    (void)state;
    struct provenance_tree tree = {0};
    for (uint64_t size = 1; size <= LEAVES; size++) {
        OK(provenance_tree_append(&tree, leaves[size - 1], NULL, NULL, &err));
        uint8_t root[DS_SHA256_BYTES], same[DS_SHA256_BYTES];
        OK(provenance_tree_root(&tree, root, &err));
        const struct provenance_nodes nodes = {get_node, &size};
        OK(provenance_root(&nodes, size, same, &err));
        assert_memory_equal(root, same, sizeof(root));
        for (uint64_t leaf = 0; leaf < size; leaf++) {
            struct provenance_proof p;
            OK(provenance_prove_leaf(&nodes, leaf, size, &p, &err));
            OK(provenance_verify_leaf(leaves[leaf], leaf, size, root, &p, &err));
            for (uint64_t other = 0; other < size + 2; other++) {
                if (other != leaf) {
                    assert_int_equal(
                        provenance_verify_leaf(leaves[leaf], other, size, root, &p, &err),
                        DS_EAUTH);
                    assert_int_equal(
                        provenance_verify_leaf(leaves[other], leaf, size, root, &p, &err),
                        DS_EAUTH);
                }
            }
            for (size_t at = 0; at < p.count * DS_SHA256_BYTES; at += 7) {
                p.hashes[at / DS_SHA256_BYTES][at % DS_SHA256_BYTES] ^= 1;
                assert_int_equal(provenance_verify_leaf(leaves[leaf], leaf, size, root, &p, &err),
                                 DS_EAUTH);
                p.hashes[at / DS_SHA256_BYTES][at % DS_SHA256_BYTES] ^= 1;
            }
            p.count++;
            assert_int_equal(provenance_verify_leaf(leaves[leaf], leaf, size, root, &p, &err),
                             DS_EAUTH);
        }
        struct provenance_proof p;
        assert_int_equal(provenance_prove_leaf(&nodes, size, size, &p, &err), DS_EINVAL);
    }
}

static void every_small_tree_is_proven_to_begin_every_larger_one(void **state)
{
    (void)state;
    static uint8_t roots[LEAVES + 1][DS_SHA256_BYTES];
    struct provenance_tree tree = {0};
    OK(provenance_tree_root(&tree, roots[0], &err));
    for (uint64_t size = 1; size <= LEAVES; size++) {
        OK(provenance_tree_append(&tree, leaves[size - 1], NULL, NULL, &err));
        OK(provenance_tree_root(&tree, roots[size], &err));
        const struct provenance_nodes nodes = {get_node, &size};
        for (uint64_t old = 1; old <= size; old++) {
            struct provenance_proof p;
            OK(provenance_prove_prefix(&nodes, old, size, &p, &err));
            OK(provenance_verify_prefix(old, roots[old], size, roots[size], &p, &err));
            for (uint64_t other = 0; other <= size; other++) {
                if (other != old) {
                    assert_int_equal(
                        provenance_verify_prefix(old, roots[other], size, roots[size], &p, &err),
                        DS_EAUTH);
                    assert_int_equal(
                        provenance_verify_prefix(other, roots[old], size, roots[size], &p, &err),
                        DS_EAUTH);
                }
            }
            for (size_t i = 0; i < p.count; i++) {
                p.hashes[i][i % DS_SHA256_BYTES] ^= 0x80;
                assert_int_equal(
                    provenance_verify_prefix(old, roots[old], size, roots[size], &p, &err),
                    DS_EAUTH);
                p.hashes[i][i % DS_SHA256_BYTES] ^= 0x80;
            }
        }
        struct provenance_proof p;
        assert_int_equal(provenance_prove_prefix(&nodes, 0, size, &p, &err), DS_EINVAL);
        assert_int_equal(provenance_prove_prefix(&nodes, size + 1, size, &p, &err), DS_EINVAL);
    }
}

/* The kept subtrees of a large tree, and the rest folded from the leaves, as a database has them.
 */
struct kept {
    uint64_t size;
    uint8_t level8[MANY / 256 + 1][DS_SHA256_BYTES];
    uint8_t level16[MANY / 65536 + 1][DS_SHA256_BYTES];
    unsigned count8, count16;
};

static enum ds_status keep(void *context, unsigned level, uint64_t index, const uint8_t *hash,
                           struct ds_error *e)
{
    struct kept *k = context;
    (void)e;
    assert_true(level == 8 || level == 16);
    unsigned *count = level == 8 ? &k->count8 : &k->count16;
    assert_int_equal(index, (*count)++); /* each once, in their order */
    memcpy(level == 8 ? k->level8[index] : k->level16[index], hash, DS_SHA256_BYTES);
    return DS_OK;
}

static enum ds_status get_kept(void *context, unsigned level, uint64_t index, uint8_t *out,
                               struct ds_error *e)
{
    struct kept *k = context;
    if (level % 8 == 0) {
        const uint8_t *hash = level == 0   ? leaves[index]
                              : level == 8 ? k->level8[index]
                                           : k->level16[index];
        memcpy(out, hash, DS_SHA256_BYTES);
        return DS_OK;
    }
    uint8_t left[DS_SHA256_BYTES], right[DS_SHA256_BYTES];
    OK(get_kept(k, level - 1, 2 * index, left, e));
    OK(get_kept(k, level - 1, 2 * index + 1, right, e));
    return provenance_node_hash(left, right, out, e);
}

static void proofs_of_a_large_tree_are_made_from_the_kept_subtrees(void **state)
{
    (void)state;
    static struct kept kept;
    static uint8_t roots[MANY + 1][DS_SHA256_BYTES];
    struct provenance_tree tree = {0};
    for (kept.size = 0; kept.size < MANY; kept.size++) {
        OK(provenance_tree_append(&tree, leaves[kept.size], keep, &kept, &err));
        OK(provenance_tree_root(&tree, roots[kept.size + 1], &err));
    }
    assert_int_equal(kept.count8, MANY / 256);
    assert_int_equal(kept.count16, MANY / 65536);
    const struct provenance_nodes nodes = {get_kept, &kept};
    srand(7);
    for (unsigned i = 0; i < 200; i++) {
        const uint64_t size = 1 + (uint64_t)rand() % MANY;
        const uint64_t leaf = (uint64_t)rand() % size, old = 1 + leaf;
        struct provenance_proof p;
        OK(provenance_prove_leaf(&nodes, leaf, size, &p, &err));
        OK(provenance_verify_leaf(leaves[leaf], leaf, size, roots[size], &p, &err));
        OK(provenance_prove_prefix(&nodes, old, size, &p, &err));
        OK(provenance_verify_prefix(old, roots[old], size, roots[size], &p, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_the_known_eight_leaves),
        cmocka_unit_test(the_empty_tree_has_the_hash_of_nothing),
        cmocka_unit_test(every_leaf_of_every_small_tree_is_proven_and_no_other),
        cmocka_unit_test(every_small_tree_is_proven_to_begin_every_larger_one),
        cmocka_unit_test(proofs_of_a_large_tree_are_made_from_the_kept_subtrees),
    };
    return cmocka_run_group_tests(tests, make_leaves, NULL);
}

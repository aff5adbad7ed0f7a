/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree - the Merkle tree of RFC 9162 2.1 with SHA-256: roots, proofs, and their verification.
 *
 * A leaf's hash is SHA-256(00H || bytes), a node's SHA-256(01H || left || right). Pure functions:
 * who asks for a proof gives a way to get at the hashes of complete subtrees, so that a proof over
 * millions of leaves reads as few of them as are kept. Positions and sizes are counted in leaves.
 */
#ifndef DICOMSTEGO_PROVENANCE_TREE_H
#define DICOMSTEGO_PROVENANCE_TREE_H

#include "base/error.h"
#include "base/sha256.h"

#include <stdbool.h>

#define PROVENANCE_TREE_LEVELS 63U           /* so that a size fits an int64_t */
#define PROVENANCE_TREE_MAX    (1ULL << 62U) /* leaves */
#define PROVENANCE_PROOF_MAX   66U           /* hashes */
/* Of complete subtrees those of every eighth level are kept: 256 leaves, 65536 ... */
#define PROVENANCE_TREE_STEP 8U

DS_CHECKED enum ds_status provenance_leaf_hash(const uint8_t *leaf, size_t len,
                                               uint8_t out[DS_SHA256_BYTES], struct ds_error *err);
DS_CHECKED enum ds_status provenance_node_hash(const uint8_t left[DS_SHA256_BYTES],
                                               const uint8_t right[DS_SHA256_BYTES],
                                               uint8_t out[DS_SHA256_BYTES], struct ds_error *err);

/* A tree that grows: its size, and the hash of each complete subtree of its right edge. edge[n] is
 * one of 2^n leaves, there when bit n of size is set. {0} is the empty tree. */
struct provenance_tree {
    uint64_t size;
    uint8_t edge[PROVENANCE_TREE_LEVELS][DS_SHA256_BYTES];
};

/* Called for each complete subtree of a kept level (PROVENANCE_TREE_STEP, twice that, ...) when its
 * last leaf is there: leaves index * 2^level and on. */
typedef enum ds_status (*provenance_subtree_fn)(void *context, unsigned level, uint64_t index,
                                                const uint8_t hash[DS_SHA256_BYTES],
                                                struct ds_error *err);
/* completed may be NULL. On failure the tree is as it was. */
DS_CHECKED enum ds_status provenance_tree_append(struct provenance_tree *t,
                                                 const uint8_t leaf_hash[DS_SHA256_BYTES],
                                                 provenance_subtree_fn completed, void *context,
                                                 struct ds_error *err);
/* Of the empty tree: SHA-256 of nothing. */
DS_CHECKED enum ds_status provenance_tree_root(const struct provenance_tree *t,
                                               uint8_t out[DS_SHA256_BYTES], struct ds_error *err);

/* Where hashes of complete subtrees come from: leaves index * 2^level to (index + 1) * 2^level - 1
 * (level 0: a leaf's hash). Asked only for those that are complete in the tree at hand. */
struct provenance_nodes {
    enum ds_status (*get)(void *context, unsigned level, uint64_t index,
                          uint8_t out[DS_SHA256_BYTES], struct ds_error *err);
    void *context;
};

struct provenance_proof {
    size_t count;
    uint8_t hashes[PROVENANCE_PROOF_MAX][DS_SHA256_BYTES];
};

/* The root of the first size leaves. */
DS_CHECKED enum ds_status provenance_root(const struct provenance_nodes *nodes, uint64_t size,
                                          uint8_t out[DS_SHA256_BYTES], struct ds_error *err);
/* That leaf is in the tree of size leaves (RFC 9162 2.1.3.1). */
DS_CHECKED enum ds_status provenance_prove_leaf(const struct provenance_nodes *nodes, uint64_t leaf,
                                                uint64_t size, struct provenance_proof *out,
                                                struct ds_error *err);
/* That the tree of old leaves begins the one of size leaves (RFC 9162 2.1.4.1). 0 < old <= size. */
DS_CHECKED enum ds_status provenance_prove_prefix(const struct provenance_nodes *nodes,
                                                  uint64_t old, uint64_t size,
                                                  struct provenance_proof *out,
                                                  struct ds_error *err);

/* RFC 9162 2.1.3.2: DS_EAUTH when the proof does not lead from the leaf to the root. */
DS_CHECKED enum ds_status provenance_verify_leaf(const uint8_t leaf_hash[DS_SHA256_BYTES],
                                                 uint64_t leaf, uint64_t size,
                                                 const uint8_t root[DS_SHA256_BYTES],
                                                 const struct provenance_proof *proof,
                                                 struct ds_error *err);
/* RFC 9162 2.1.4.2: DS_EAUTH when the proof does not lead to both roots. */
DS_CHECKED enum ds_status
provenance_verify_prefix(uint64_t old, const uint8_t old_root[DS_SHA256_BYTES], uint64_t size,
                         const uint8_t root[DS_SHA256_BYTES], const struct provenance_proof *proof,
                         struct ds_error *err);

#endif

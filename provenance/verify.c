/* SPDX-License-Identifier: Apache-2.0 */
/* Verification of proofs, word for word as RFC 9162 has it, so that it can be read beside it. */
#include "provenance/tree.h"

#include <string.h>

static enum ds_status refuse(struct ds_error *err, const char *what)
{
    return ds_fail(err, DS_EAUTH, "the %s proof does not verify", what);
}

enum ds_status provenance_verify_leaf(const uint8_t leaf_hash[DS_SHA256_BYTES], uint64_t leaf,
                                      uint64_t size, const uint8_t root[DS_SHA256_BYTES],
                                      const struct provenance_proof *proof, struct ds_error *err)
{
    if (leaf >= size || size > PROVENANCE_TREE_MAX || proof->count > PROVENANCE_PROOF_MAX) {
        return refuse(err, "inclusion");
    }
    uint64_t fn = leaf, sn = size - 1;
    uint8_t r[DS_SHA256_BYTES];
    memcpy(r, leaf_hash, sizeof(r));
    for (size_t i = 0; i < proof->count; i++) {
        if (sn == 0) {
            return refuse(err, "inclusion");
        }
        const bool on_left = (fn & 1U) != 0 || fn == sn;
        const enum ds_status s = on_left ? provenance_node_hash(proof->hashes[i], r, r, err)
                                         : provenance_node_hash(r, proof->hashes[i], r, err);
        if (s != DS_OK) {
            return s;
        }
        while (on_left && (fn & 1U) == 0 && fn != 0) {
            fn >>= 1U;
            sn >>= 1U;
        }
        fn >>= 1U;
        sn >>= 1U;
    }
    return sn == 0 && memcmp(r, root, sizeof(r)) == 0 ? DS_OK : refuse(err, "inclusion");
}

/* Both roots at once: fr of the old tree, sr of the new one. */
static enum ds_status climb(uint64_t old, uint64_t size, const struct provenance_proof *proof,
                            size_t at, uint8_t fr[DS_SHA256_BYTES], uint8_t sr[DS_SHA256_BYTES],
                            struct ds_error *err)
{
    uint64_t fn = old - 1, sn = size - 1;
    while ((fn & 1U) != 0) {
        fn >>= 1U;
        sn >>= 1U;
    }
    for (; at < proof->count; at++) {
        const uint8_t *c = proof->hashes[at];
        if (sn == 0) {
            return refuse(err, "consistency");
        }
        const bool in_both = (fn & 1U) != 0 || fn == sn;
        enum ds_status s = DS_OK;
        if (in_both) {
            s = provenance_node_hash(c, fr, fr, err);
            s = s == DS_OK ? provenance_node_hash(c, sr, sr, err) : s;
        } else {
            s = provenance_node_hash(sr, c, sr, err);
        }
        if (s != DS_OK) {
            return s;
        }
        while (in_both && (fn & 1U) == 0 && fn != 0) {
            fn >>= 1U;
            sn >>= 1U;
        }
        fn >>= 1U;
        sn >>= 1U;
    }
    return sn == 0 ? DS_OK : refuse(err, "consistency");
}

enum ds_status provenance_verify_prefix(uint64_t old, const uint8_t old_root[DS_SHA256_BYTES],
                                        uint64_t size, const uint8_t root[DS_SHA256_BYTES],
                                        const struct provenance_proof *proof, struct ds_error *err)
{
    if (old == 0 || old > size || size > PROVENANCE_TREE_MAX ||
        proof->count > PROVENANCE_PROOF_MAX) {
        return refuse(err, "consistency");
    }
    if (old == size) {
        return proof->count == 0 && memcmp(old_root, root, DS_SHA256_BYTES) == 0
                   ? DS_OK
                   : refuse(err, "consistency");
    }
    /* A power of two is a complete subtree of the new tree: its root is not in the proof. */
    const bool power = (old & (old - 1)) == 0;
    if (proof->count == 0) {
        return refuse(err, "consistency");
    }
    uint8_t fr[DS_SHA256_BYTES], sr[DS_SHA256_BYTES];
    memcpy(fr, power ? old_root : proof->hashes[0], sizeof(fr));
    memcpy(sr, fr, sizeof(sr));
    const enum ds_status s = climb(old, size, proof, power ? 0 : 1, fr, sr, err);
    if (s != DS_OK) {
        return s;
    }
    return memcmp(fr, old_root, sizeof(fr)) == 0 && memcmp(sr, root, sizeof(sr)) == 0
               ? DS_OK
               : refuse(err, "consistency");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Growing, roots and proofs; verify.c checks them. */
#include "provenance/tree.h"

#include <openssl/evp.h>
#include <string.h>

static enum ds_status hash_parts(uint8_t prefix, const void *first, size_t first_len,
                                 const void *second, size_t second_len,
                                 uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok =
        ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(ctx, &prefix, 1) == 1 && EVP_DigestUpdate(ctx, first, first_len) == 1 &&
        EVP_DigestUpdate(ctx, second, second_len) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? DS_OK : ds_fail(err, DS_ENOMEM, "SHA-256");
}

enum ds_status provenance_leaf_hash(const uint8_t *leaf, size_t len, uint8_t out[DS_SHA256_BYTES],
                                    struct ds_error *err)
{
    return hash_parts(0, leaf, len, "", 0, out, err);
}

enum ds_status provenance_node_hash(const uint8_t left[DS_SHA256_BYTES],
                                    const uint8_t right[DS_SHA256_BYTES],
                                    uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    return hash_parts(1, left, DS_SHA256_BYTES, right, DS_SHA256_BYTES, out, err);
}

/* ---- growing ---- */

enum ds_status provenance_tree_append(struct provenance_tree *t,
                                      const uint8_t leaf_hash[DS_SHA256_BYTES],
                                      provenance_subtree_fn completed, void *context,
                                      struct ds_error *err)
{
    if (t->size >= PROVENANCE_TREE_MAX) {
        return ds_fail(err, DS_EINVAL, "a log of more than 2^62 events");
    }
    uint8_t hash[DS_SHA256_BYTES];
    memcpy(hash, leaf_hash, sizeof(hash));
    unsigned level = 0;
    for (; (t->size >> level & 1U) != 0; level++) {
        enum ds_status s = provenance_node_hash(t->edge[level], hash, hash, err);
        const unsigned made = level + 1;
        if (s == DS_OK && completed != NULL && made % PROVENANCE_TREE_STEP == 0) {
            s = completed(context, made, t->size >> made, hash, err);
        }
        if (s != DS_OK) {
            return s;
        }
    }
    memcpy(t->edge[level], hash, sizeof(hash));
    t->size++;
    return DS_OK;
}

enum ds_status provenance_tree_root(const struct provenance_tree *t, uint8_t out[DS_SHA256_BYTES],
                                    struct ds_error *err)
{
    if (t->size == 0) {
        return ds_sha256_of("", 0, out, err);
    }
    bool any = false;
    enum ds_status s = DS_OK;
    for (unsigned level = 0; s == DS_OK && level < PROVENANCE_TREE_LEVELS; level++) {
        if ((t->size >> level & 1U) == 0) {
            continue;
        }
        if (any) {
            s = provenance_node_hash(t->edge[level], out, out, err);
        } else {
            memcpy(out, t->edge[level], DS_SHA256_BYTES);
        }
        any = true;
    }
    return s;
}

/* ---- parts of a tree ---- */

/* The largest power of two below n, n > 1. */
static uint64_t split_of(uint64_t n)
{
    uint64_t k = 1;
    while (k < n - k) {
        k *= 2;
    }
    return k;
}

static unsigned log2_of(uint64_t power)
{
    unsigned level = 0;
    while (power >> level > 1) {
        level++;
    }
    return level;
}

/* MTH of leaves begin to end - 1. What is split off on the left is always a complete subtree: begin
 * is a multiple of the power of two that spans the range. */
static enum ds_status range_hash(const struct provenance_nodes *nodes, uint64_t begin, uint64_t end,
                                 uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    struct {
        uint8_t hash[DS_SHA256_BYTES];
    } left[PROVENANCE_TREE_LEVELS];
    size_t depth = 0;
    enum ds_status s = DS_OK;
    while (s == DS_OK && ((end - begin) & (end - begin - 1)) != 0 &&
           depth < PROVENANCE_TREE_LEVELS) {
        const uint64_t k = split_of(end - begin);
        s = nodes->get(nodes->context, log2_of(k), begin / k, left[depth++].hash, err);
        begin += k;
    }
    if (s == DS_OK) {
        s = nodes->get(nodes->context, log2_of(end - begin), begin / (end - begin), out, err);
    }
    while (s == DS_OK && depth > 0) {
        s = provenance_node_hash(left[--depth].hash, out, out, err);
    }
    return s;
}

static enum ds_status check_size(uint64_t first, uint64_t size, struct ds_error *err)
{
    return first <= size && size <= PROVENANCE_TREE_MAX
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "a tree of %llu leaves has none of number %llu",
                         (unsigned long long)size, (unsigned long long)first);
}

enum ds_status provenance_root(const struct provenance_nodes *nodes, uint64_t size,
                               uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    const enum ds_status s = check_size(0, size, err);
    if (s != DS_OK) {
        return s;
    }
    return size == 0 ? ds_sha256_of("", 0, out, err) : range_hash(nodes, 0, size, out, err);
}

/* ---- proofs ---- */

static void turn_round(struct provenance_proof *p)
{
    uint8_t kept[DS_SHA256_BYTES];
    for (size_t i = 0; i < p->count / 2; i++) {
        uint8_t *other = p->hashes[p->count - 1 - i];
        memcpy(kept, p->hashes[i], sizeof(kept));
        memcpy(p->hashes[i], other, sizeof(kept));
        memcpy(other, kept, sizeof(kept));
    }
}

/* The hash of a range, added as the next one from the root. */
static enum ds_status add_range(const struct provenance_nodes *nodes, uint64_t begin, uint64_t end,
                                struct provenance_proof *p, struct ds_error *err)
{
    return p->count < PROVENANCE_PROOF_MAX
               ? range_hash(nodes, begin, end, p->hashes[p->count++], err)
               : ds_fail(err, DS_EINVAL, "a proof of more than %u hashes", PROVENANCE_PROOF_MAX);
}

enum ds_status provenance_prove_leaf(const struct provenance_nodes *nodes, uint64_t leaf,
                                     uint64_t size, struct provenance_proof *out,
                                     struct ds_error *err)
{
    out->count = 0;
    enum ds_status s = check_size(leaf + 1, size, err);
    uint64_t begin = 0, end = size;
    while (s == DS_OK && end - begin > 1) {
        const uint64_t middle = begin + split_of(end - begin);
        if (leaf < middle) {
            s = add_range(nodes, middle, end, out, err);
            end = middle;
        } else {
            s = add_range(nodes, begin, middle, out, err);
            begin = middle;
        }
    }
    turn_round(out); /* the standard's proofs begin at the leaf */
    return s;
}

enum ds_status provenance_prove_prefix(const struct provenance_nodes *nodes, uint64_t old,
                                       uint64_t size, struct provenance_proof *out,
                                       struct ds_error *err)
{
    out->count = 0;
    enum ds_status s = old == 0 ? ds_fail(err, DS_EINVAL, "nothing proves an empty tree")
                                : check_size(old, size, err);
    uint64_t begin = 0, end = size;
    bool whole = true; /* the old tree is all that is left of it: its root is known */
    while (s == DS_OK && old < end) {
        const uint64_t middle = begin + split_of(end - begin);
        if (old <= middle) {
            s = add_range(nodes, middle, end, out, err);
            end = middle;
        } else {
            s = add_range(nodes, begin, middle, out, err);
            begin = middle;
            whole = false;
        }
    }
    if (s == DS_OK && !whole) {
        s = add_range(nodes, begin, end, out, err);
    }
    turn_round(out);
    return s;
}

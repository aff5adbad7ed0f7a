/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - what happened to an instance, as the bytes that are proven: the leaf of the log.
 *
 * provenance holds the log's mathematics: event.h makes an event into bytes, tree.h bytes into a
 * Merkle tree, head.h signs the tree. It knows no database and no network, so that a bundle can be
 * checked anywhere. docs/provenance.md has the formats for other programs.
 *
 * The bytes are one line of JSON without white space, members in this order, none left out (null
 * where there is no value):
 *
 *   v 1 · log: hexadecimal · id: of the row · at: UTC with microseconds · node · kind · actor ·
 *   instance, study: row ids · sop_uid · study_uid · peer · outcome · before, after: hexadecimal ·
 *   detail: an object, as it was written
 *
 * Strings are UTF-8; only '"', '\' and characters below U+0020 are escaped, as \" \\ and \u00xx.
 * Two events that differ in any member differ in their bytes: detail comes last, and everything
 * before it ends where it must.
 */
#ifndef DICOMSTEGO_PROVENANCE_EVENT_H
#define DICOMSTEGO_PROVENANCE_EVENT_H

#include "base/bytes.h"
#include "base/sha256.h"

#define PROVENANCE_TAG_BYTES 32U

/* UTF-8, len bytes; data NULL: no value. Borrowed. */
struct provenance_text {
    const char *data;
    size_t len;
};

struct provenance_event {
    uint8_t log[DS_SHA256_BYTES]; /* SHA-256 of the node's SubjectPublicKeyInfo */
    int64_t id;                   /* of the row: no other event of the database has it */
    int64_t at_us;                /* UTC */
    struct provenance_text node, kind, actor;
    int64_t instance_id, study_id; /* 0: none */
    struct provenance_text sop_uid, study_uid, peer, outcome;
    bool has_before, has_after;
    uint8_t before[DS_SHA256_BYTES], after[DS_SHA256_BYTES]; /* file hashes */
    struct provenance_text detail;                           /* a JSON object */
};

/* Appends the canonical bytes. */
DS_CHECKED enum ds_status provenance_event_bytes(const struct provenance_event *e,
                                                 struct ds_bytes *out, struct ds_error *err);

/* From a C string; NULL and "" are no value. */
struct provenance_text provenance_text_of(const char *text);

/* HMAC-SHA256 (RFC 2104) of the canonical bytes: a row that the node did not write has none that is
 * right. */
DS_CHECKED enum ds_status provenance_event_tag(const uint8_t key[DS_SHA256_BYTES],
                                               const uint8_t *event, size_t len,
                                               uint8_t out[PROVENANCE_TAG_BYTES],
                                               struct ds_error *err);

#endif

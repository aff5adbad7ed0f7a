/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/witness.h"

#include "base/clock.h"
#include "dicomstego/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "dicomstego log witness 1\nlog %s\nsize %" PRIu64 "\nroot %s\nwitness %s\ntime %s\n"

static enum ds_status text_of(const struct provenance_head *seen, const uint8_t *public_key,
                              size_t public_key_len, char out[PROVENANCE_WITNESS_TEXT_BYTES],
                              struct ds_error *err)
{
    uint8_t id[DS_SHA256_BYTES];
    char log[DS_SHA256_HEX_BYTES];
    char root[DS_SHA256_HEX_BYTES];
    char witness[DS_SHA256_HEX_BYTES];
    char at[DS_CLOCK_TEXT_BYTES];
    const enum ds_status s = provenance_log_id(public_key, public_key_len, id, err);
    ds_hex(seen->log, sizeof(seen->log), log);
    ds_hex(seen->root, sizeof(seen->root), root);
    ds_hex(id, sizeof(id), witness);
    ds_clock_format_utc(seen->at_us, at);
    (void)snprintf(out, PROVENANCE_WITNESS_TEXT_BYTES, FORMAT, log, seen->size, root, witness, at);
    return s;
}

enum ds_status provenance_witness_sign(const struct provenance_head *seen,
                                       const struct stego_identity *by, struct ds_bytes *signature,
                                       struct ds_error *err)
{
    char text[PROVENANCE_WITNESS_TEXT_BYTES];
    DS_AUTO(ds_bytes_free) struct ds_bytes key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    enum ds_status s = stego_certificate_public_key(stego_identity_certificate(by), &key, err);
    if (s == DS_OK) {
        s = text_of(seen, key.data, key.len, text, err);
    }
    return s == DS_OK
               ? stego_statement_sign(by, (const uint8_t *)text, strlen(text), signature, err)
               : s;
}

enum ds_status provenance_witness_verify(const struct provenance_head *seen,
                                         const uint8_t *public_key, size_t public_key_len,
                                         const uint8_t *signature, size_t len, struct ds_error *err)
{
    char text[PROVENANCE_WITNESS_TEXT_BYTES];
    const enum ds_status s = text_of(seen, public_key, public_key_len, text, err);
    return s == DS_OK ? stego_statement_verify(public_key, public_key_len, (const uint8_t *)text,
                                               strlen(text), signature, len, err)
                      : s;
}

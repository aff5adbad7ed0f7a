/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timestamp - RFC 3161: a third party's word that something existed at a time.
 *
 * The node asks for a time stamp of each tree head's SHA-256 and believes the answer only when it
 * has verified it: granted, the imprint and the nonce those of the request, signed by a certificate
 * for time stamping that chains to the configured CA. What is kept is the token (CMS in DER), which
 * anybody can verify again, years later: openssl ts -verify -token_in. A chain counts at the
 * token's own time. Threads: each call stands alone.
 */
#ifndef DICOMSTEGO_PROVENANCE_TIMESTAMP_H
#define DICOMSTEGO_PROVENANCE_TIMESTAMP_H

#include "base/bytes.h"
#include "base/sha256.h"

#define PROVENANCE_STAMP_MAX_BYTES 65536U /* of a token or an answer */

/* Appends a TimeStampReq (DER) for the digest, with a nonce drawn and the certificate asked for. */
DS_CHECKED enum ds_status provenance_stamp_request(const uint8_t digest[DS_SHA256_BYTES],
                                                   struct ds_bytes *out, struct ds_error *err);

/* Checks a TimeStampResp (DER) against the request and the CA (PEM files), and appends its token.
 * DS_EAUTH: anything is not as asked, DS_ECONFIG: the CA cannot be read. */
DS_CHECKED enum ds_status provenance_stamp_accept(const struct ds_bytes *request,
                                                  const uint8_t *answer, size_t len,
                                                  const char *ca_path, struct ds_bytes *token,
                                                  struct ds_error *err);

struct provenance_stamp {
    int64_t utc_us;   /* what the time stamping authority says */
    char signer[128]; /* subject of its certificate; what does not fit is cut */
    bool trusted;     /* it chains to one of the CAs; false only where none was given */
};

/* Checks a token for the digest. ca_paths: PEM files; count 0: the signature is checked by the
 * certificate in the token, whoever that may be. DS_EAUTH as above; DS_ECONFIG: a CA cannot be
 * read. */
DS_CHECKED enum ds_status provenance_stamp_check(const uint8_t *token, size_t len,
                                                 const uint8_t digest[DS_SHA256_BYTES],
                                                 const char *const *ca_paths, size_t count,
                                                 struct provenance_stamp *out,
                                                 struct ds_error *err);

#endif

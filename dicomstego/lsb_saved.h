/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsb_saved - the bits that hiding replaces, coded so that they travel along. Private.
 *
 * First the header's bits as they are, then the slots' by adaptive binary arithmetic coding
 * (coder.h), each in the context of what hiding does not change around it: flat background and
 * saturated areas cost next to nothing, noise a bit each.
 */
#ifndef DICOMSTEGO_LSB_SAVED_H
#define DICOMSTEGO_LSB_SAVED_H

#include "dicomstego/lsb_slots.h"

#include "base/bytes.h"

/* Appends the header's bits and those of the first `count` slots. */
DS_CHECKED enum ds_status stego_saved_put(const struct stego_slots *slots, uint64_t count,
                                          struct ds_bytes *out, struct ds_error *err);
/* Writes them back. DS_EAUTH: there are no such slots. */
DS_CHECKED enum ds_status stego_saved_restore(const struct stego_slots *slots, uint64_t count,
                                              const uint8_t *saved, size_t len,
                                              struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/cipher.h"

#include "base/secret.h"
#include "base/size.h"

#include <string.h>

#define CELL_BYTES   2U
#define PADDED_CELLS (512U * 512U)
#define LABEL        "dicomstego cipher 1"

/* ---- geometry ---- */

static unsigned bits_of(uint64_t v)
{
    unsigned n = 0;
    while (v != 0) {
        v >>= 1;
        n++;
    }
    return n;
}

/* Padme: as many low bits are zero as leave the exponent's length in significant ones. */
static uint64_t padded(uint64_t len)
{
    if (len <= PADDED_CELLS) {
        return PADDED_CELLS;
    }
    const unsigned exponent = bits_of(len) - 1;
    const unsigned significant = bits_of(exponent);
    const uint64_t mask = (UINT64_C(1) << (exponent - significant)) - 1;
    return (len + mask) & ~mask;
}

static uint32_t root_up(uint64_t v)
{
    uint32_t low = 1;
    uint32_t high = STEGO_CIPHER_SIDE_MAX;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if ((uint64_t)middle * middle >= v) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* About a square that holds the ciphertext and its tag. */
static enum ds_status lay_out(struct stego_cipher_form *form, size_t packed_len,
                              struct ds_error *err)
{
    uint64_t cells = ((uint64_t)packed_len + STEGO_GCM_TAG_BYTES + CELL_BYTES - 1) / CELL_BYTES;
    cells = (form->stages & STEGO_CIPHER_PADDING) != 0 ? padded(cells) : cells;
    if (cells > (uint64_t)STEGO_CIPHER_SIDE_MAX * STEGO_CIPHER_SIDE_MAX) {
        return ds_fail(err, DS_ECAPACITY, "%zu bytes are too many for one cipher image",
                       packed_len);
    }
    form->columns = root_up(cells);
    form->rows = (uint32_t)((cells + form->columns - 1) / form->columns);
    return DS_OK;
}

static size_t bytes_of(const struct stego_cipher_form *form)
{
    return (size_t)form->columns * form->rows * CELL_BYTES;
}

/* ---- keys ---- */

static void secrets_wipe(uint8_t (*secret)[STEGO_KEY_BYTES])
{
    ds_wipe(*secret, sizeof(*secret));
}

/* The salt is new for every image, as is the ephemeral key; the context binds both points, so that
 * no two images share a key and nonce. */
static enum ds_status derive(struct stego_cipher *c, const uint8_t secret[STEGO_KEY_BYTES],
                             const uint8_t *recipient_point, struct ds_error *err)
{
    uint8_t out[STEGO_KEY_BYTES + STEGO_GCM_NONCE_BYTES + STEGO_HENON_SEED_BYTES];
    uint8_t context[sizeof(LABEL) + 2 * STEGO_POINT_BYTES];
    memcpy(context, LABEL, sizeof(LABEL));
    memcpy(context + sizeof(LABEL), c->form.ephemeral, STEGO_POINT_BYTES);
    memcpy(context + sizeof(LABEL) + STEGO_POINT_BYTES, recipient_point, STEGO_POINT_BYTES);
    const enum ds_status s = stego_hkdf(secret, c->form.salt, sizeof(c->form.salt), context,
                                        sizeof(context), out, sizeof(out), err);
    memcpy(c->key.key, out, STEGO_KEY_BYTES);
    memcpy(c->key.nonce, out + STEGO_KEY_BYTES, STEGO_GCM_NONCE_BYTES);
    memcpy(c->seed, out + STEGO_KEY_BYTES + STEGO_GCM_NONCE_BYTES, sizeof(c->seed));
    ds_wipe(out, sizeof(out));
    return s;
}

enum ds_status stego_cipher_begin(struct stego_cipher *c, const struct stego_ec_key *recipient,
                                  size_t packed_len, struct ds_error *err)
{
    DS_AUTO(secrets_wipe) uint8_t secret[STEGO_KEY_BYTES] = {0};
    enum ds_status s = lay_out(&c->form, packed_len, err);
    if (s == DS_OK) {
        s = ds_random(c->form.salt, sizeof(c->form.salt), err);
    }
    if (s == DS_OK) {
        s = stego_agree(recipient, c->form.ephemeral, secret, err);
    }
    if (s != DS_OK) {
        return s;
    }
    c->form.curve = stego_ec_key_curve(recipient);
    memcpy(c->form.recipient, stego_ec_key_id(recipient), sizeof(c->form.recipient));
    return derive(c, secret, stego_ec_key_point(recipient), err);
}

void stego_cipher_finish(struct stego_cipher *c)
{
    ds_wipe(c, sizeof(*c));
}

/* ---- sealing ---- */

static struct stego_henon_grid grid_of(const struct stego_cipher_form *form)
{
    return (struct stego_henon_grid){form->columns, form->rows, CELL_BYTES};
}

enum ds_status stego_cipher_seal(const struct stego_cipher *c, const uint8_t *aad, size_t aad_len,
                                 const uint8_t *packed, size_t len, struct ds_bytes *out,
                                 struct ds_error *err)
{
    const size_t total = bytes_of(&c->form);
    struct stego_henon orbit;
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(total);
    DS_AUTO(ds_bytes_free) struct ds_bytes sealed = DS_BYTES_INIT(total);
    enum ds_status s = stego_henon_start(&orbit, c->form.henon, c->seed, err);
    if (s == DS_OK && len > total - STEGO_GCM_TAG_BYTES) {
        s = ds_fail(err, DS_EINVAL, "more was packed than the form has room for");
    }
    if (s == DS_OK) {
        s = ds_bytes_append(&plain, packed, len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_resize(&plain, total - STEGO_GCM_TAG_BYTES, err);
    }
    if (s == DS_OK) {
        s = stego_aead_seal(c->form.aead, &c->key, aad, aad_len, plain.data, plain.len, &sealed,
                            err);
    }
    if (s != DS_OK || (c->form.stages & STEGO_CIPHER_HENON) == 0) {
        return s == DS_OK ? ds_bytes_append(out, sealed.data, sealed.len, err) : s;
    }
    const size_t begin = out->len;
    s = ds_bytes_resize(out, begin + total, err);
    return s == DS_OK
               ? stego_henon_scatter(orbit, grid_of(&c->form), sealed.data, out->data + begin, err)
               : s;
}

static enum ds_status begin_again(struct stego_cipher *c, const struct stego_ec_key *key,
                                  struct ds_error *err)
{
    DS_AUTO(secrets_wipe) uint8_t secret[STEGO_KEY_BYTES] = {0};
    if (stego_ec_key_curve(key) != c->form.curve ||
        memcmp(stego_ec_key_id(key), c->form.recipient, STEGO_KEY_ID_BYTES) != 0) {
        return ds_fail(err, DS_ENOKEY, "enciphered for another key");
    }
    const enum ds_status s = stego_agree_again(key, c->form.ephemeral, secret, err);
    return s == DS_OK ? derive(c, secret, stego_ec_key_point(key), err) : s;
}

static bool is_sound(const struct stego_cipher_form *form, size_t len)
{
    size_t total = 0;
    return form->columns > 0 && form->columns <= STEGO_CIPHER_SIDE_MAX && form->rows > 0 &&
           form->rows <= STEGO_CIPHER_SIDE_MAX &&
           ds_size_mul((size_t)form->columns * form->rows, CELL_BYTES, &total) && total == len &&
           form->stages <= STEGO_CIPHER_ALL && form->henon.a <= STEGO_HENON_A_MAX &&
           form->henon.b <= STEGO_HENON_B_MAX;
}

enum ds_status stego_cipher_open(const struct stego_cipher_form *form,
                                 const struct stego_ec_key *key, const uint8_t *aad, size_t aad_len,
                                 const uint8_t *cells, size_t len, struct ds_bytes *out,
                                 struct ds_error *err)
{
    DS_AUTO(stego_cipher_finish) struct stego_cipher c = {.form = *form};
    struct stego_henon orbit;
    if (!is_sound(form, len)) {
        return ds_fail(err, DS_EAUTH, "the image and its key file do not belong together");
    }
    enum ds_status s = begin_again(&c, key, err);
    if (s == DS_OK) {
        s = stego_henon_start(&orbit, form->henon, c.seed, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if ((form->stages & STEGO_CIPHER_HENON) == 0) {
        return stego_aead_open(form->aead, &c.key, aad, aad_len, cells, len, out, err);
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes sealed = DS_BYTES_INIT(len);
    s = ds_bytes_resize(&sealed, len, err);
    if (s == DS_OK) {
        s = stego_henon_gather(orbit, grid_of(form), cells, sealed.data, err);
    }
    return s == DS_OK
               ? stego_aead_open(form->aead, &c.key, aad, aad_len, sealed.data, len, out, err)
               : s;
}

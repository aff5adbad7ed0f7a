/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cipher.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT  "dicomstego cipher 1"
#define KDF     "HKDF-SHA256"
#define MILLION 1e6

static const char *const aead_names[] = {
    [STEGO_AES_256_GCM] = "AES-256-GCM",
    [STEGO_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
};

static void json_auto(json_t **j)
{
    json_decref(*j);
}

static bool has(unsigned stages, enum stego_cipher_stage stage)
{
    return (stages & (unsigned)stage) != 0;
}

static json_t *pack(const struct stego_cipher_form *form)
{
    char recipient[2 * STEGO_KEY_ID_BYTES + 1];
    char ephemeral[2 * STEGO_POINT_BYTES + 1];
    char salt[2 * STEGO_CIPHER_SALT_BYTES + 1];
    ds_hex(form->recipient, sizeof(form->recipient), recipient);
    ds_hex(form->ephemeral, sizeof(form->ephemeral), ephemeral);
    ds_hex(form->salt, sizeof(form->salt), salt);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b, s:b}, s:{s:f, s:f},"
        " s:{s:i, s:i, s:i}}",
        "format", FORMAT, "curve", stego_curve_name(form->curve), "kdf", KDF, "aead",
        aead_names[form->aead], "recipient", recipient, "ephemeral_key", ephemeral, "salt", salt,
        "stages", "duplicates", has(form->stages, STEGO_CIPHER_DUPLICATES), "run_lengths",
        has(form->stages, STEGO_CIPHER_RUNS), "lzma", has(form->stages, STEGO_CIPHER_LZMA),
        "padding", has(form->stages, STEGO_CIPHER_PADDING), "henon",
        has(form->stages, STEGO_CIPHER_HENON), "henon", "a", form->henon.a / MILLION, "b",
        form->henon.b / MILLION, "image", "columns", (int)form->columns, "rows", (int)form->rows,
        "bits", 16);
}

enum ds_status cipher_form_write(const struct stego_cipher_form *form, struct ds_bytes *out,
                                 struct ds_error *err)
{
    DS_AUTO(json_auto) json_t *json = pack(form);
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) : NULL;
    if (text == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the key file");
    }
    enum ds_status s = ds_bytes_append(out, text, strlen(text), err);
    /* One or two ends of line: a DICOM element would get a padding byte otherwise (PS3.5 7.1.1). */
    do {
        s = s == DS_OK ? ds_bytes_put_u8(out, '\n', err) : s;
    } while (s == DS_OK && out->len % 2 != 0);
    free(text);
    return s;
}

struct fields {
    const char *format, *curve, *kdf, *aead, *recipient, *ephemeral, *salt;
    int duplicates, runs, lzma, padding, henon;
    double a, b;
    int columns, rows, bits;
};

static bool unpack(json_t *json, struct fields *f)
{
    return json_unpack_ex(json, NULL, JSON_STRICT,
                          "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b, s:b !},"
                          " s:{s:F, s:F !}, s:{s:i, s:i, s:i !} !}",
                          "format", &f->format, "curve", &f->curve, "kdf", &f->kdf, "aead",
                          &f->aead, "recipient", &f->recipient, "ephemeral_key", &f->ephemeral,
                          "salt", &f->salt, "stages", "duplicates", &f->duplicates, "run_lengths",
                          &f->runs, "lzma", &f->lzma, "padding", &f->padding, "henon", &f->henon,
                          "henon", "a", &f->a, "b", &f->b, "image", "columns", &f->columns, "rows",
                          &f->rows, "bits", &f->bits) == 0;
}

static bool aead_named(const char *name, enum stego_aead *out)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(aead_names); i++) {
        if (strcmp(name, aead_names[i]) == 0) {
            *out = (enum stego_aead)i;
            return true;
        }
    }
    return false;
}

static bool unhex(const char *text, uint8_t *out, size_t len)
{
    return strlen(text) == 2 * len && ds_unhex(text, out, len);
}

static bool read_numbers(const struct fields *f, struct stego_cipher_form *out)
{
    if (!(f->a >= 0.0 && f->a <= 2.0 && f->b >= 0.0 && f->b <= 1.0) || f->columns <= 0 ||
        f->rows <= 0 || f->bits != 16) {
        return false;
    }
    out->henon.a = (uint32_t)lround(f->a * MILLION);
    out->henon.b = (uint32_t)lround(f->b * MILLION);
    out->columns = (uint32_t)f->columns;
    out->rows = (uint32_t)f->rows;
    out->stages =
        (f->duplicates != 0 ? STEGO_CIPHER_DUPLICATES : 0U) |
        (f->runs != 0 ? STEGO_CIPHER_RUNS : 0U) | (f->lzma != 0 ? STEGO_CIPHER_LZMA : 0U) |
        (f->padding != 0 ? STEGO_CIPHER_PADDING : 0U) | (f->henon != 0 ? STEGO_CIPHER_HENON : 0U);
    return true;
}

enum ds_status cipher_form_read(const struct ds_bytes *text, struct stego_cipher_form *out,
                                struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct fields f = {0};
    DS_AUTO(json_auto)
    json_t *json = text->len == 0 ? NULL
                                  : json_loadb((const char *)text->data, text->len,
                                               JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL || !unpack(json, &f) || strcmp(f.format, FORMAT) != 0 ||
        strcmp(f.kdf, KDF) != 0 || !stego_curve_named(f.curve, &out->curve) ||
        !aead_named(f.aead, &out->aead) ||
        !unhex(f.recipient, out->recipient, sizeof(out->recipient)) ||
        !unhex(f.ephemeral, out->ephemeral, sizeof(out->ephemeral)) ||
        !unhex(f.salt, out->salt, sizeof(out->salt)) || !read_numbers(&f, out)) {
        return ds_fail(err, DS_EAUTH, "the key file is not as 'dicomstego cipher' writes it");
    }
    return DS_OK;
}

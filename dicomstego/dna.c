/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/dna.h"

#include "base/secret.h"

#include <stdio.h>
#include <string.h>

#define BASES_PER_BYTE 4U
#define NO_BASE        0xffU

/* Letter of 00, 01, 10, 11. The first letter's complement is the last, the second's the third. */
static const char rules[STEGO_DNA_RULES][BASES_PER_BYTE + 1] = {
    "ACGT", "AGCT", "CATG", "CTAG", "GATC", "GTAC", "TCGA", "TGCA",
};

const char *stego_dna_rule(unsigned rule)
{
    return rule >= 1 && rule <= STEGO_DNA_RULES ? rules[rule - 1] : NULL;
}

static enum ds_status check_rule(unsigned rule, struct ds_error *err)
{
    return stego_dna_rule(rule) != NULL
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "DNA rule %u is none of 1 to %u", rule, STEGO_DNA_RULES);
}

/* ---- letters ---- */

enum ds_status stego_dna_encode(unsigned rule, const uint8_t *data, size_t len,
                                struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = check_rule(rule, err);
    if (s == DS_OK && len > SIZE_MAX / BASES_PER_BYTE) {
        s = ds_fail(err, DS_EINVAL, "%zu bytes are too many for a sequence", len);
    }
    if (s == DS_OK) {
        s = ds_bytes_reserve(out, BASES_PER_BYTE * len, err);
    }
    if (s != DS_OK || len == 0) { /* no letters, and perhaps no memory for them */
        return s;
    }
    const char *letters = rules[rule - 1];
    uint8_t *to = out->data + out->len;
    for (size_t i = 0; i < len; i++) {
        for (unsigned shift = 8; shift > 0; shift -= 2) {
            *to++ = (uint8_t)letters[(data[i] >> (shift - 2)) & 3U];
        }
    }
    out->len += BASES_PER_BYTE * len;
    return DS_OK;
}

static uint8_t base_of(const char *letters, uint8_t c)
{
    const uint8_t upper = c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
    for (uint8_t i = 0; i < BASES_PER_BYTE; i++) {
        if ((uint8_t)letters[i] == upper) {
            return i;
        }
    }
    return NO_BASE;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where in the text the decoder is. */
struct reading {
    size_t base, line, column;
    uint8_t byte; /* of the bases so far */
};

static enum ds_status refuse(const struct reading *r, uint8_t c, struct ds_error *err)
{
    char what[16];
    (void)snprintf(what, sizeof(what), c > ' ' && c < 0x7f ? "'%c'" : "byte %02X", c);
    return ds_fail(err, DS_EFORMAT, "%s is no base: base %zu, line %zu, column %zu", what,
                   r->base + 1, r->line, r->column);
}

static enum ds_status take(struct reading *r, const char *letters, uint8_t c, struct ds_bytes *out,
                           struct ds_error *err)
{
    const uint8_t base = base_of(letters, c);
    if (base == NO_BASE) {
        return refuse(r, c, err);
    }
    r->byte = (uint8_t)(r->byte << 2 | base);
    r->base++;
    return r->base % BASES_PER_BYTE == 0 ? ds_bytes_put_u8(out, r->byte, err) : DS_OK;
}

enum ds_status stego_dna_decode(unsigned rule, const uint8_t *text, size_t len, size_t line,
                                struct ds_bytes *out, struct ds_error *err)
{
    struct reading r = {.line = line, .column = 0};
    const size_t before = out->len;
    enum ds_status s = check_rule(rule, err);
    for (size_t i = 0; i < len && s == DS_OK; i++) {
        r.column++;
        if (text[i] == '\n') {
            r.line++;
            r.column = 0;
        }
        s = is_space(text[i]) ? DS_OK : take(&r, rules[rule - 1], text[i], out, err);
    }
    if (s == DS_OK && r.base % BASES_PER_BYTE != 0) {
        s = ds_fail(err, DS_EFORMAT, "%zu bases are no whole number of bytes: line %zu, column %zu",
                    r.base, r.line, r.column);
    }
    out->len = s == DS_OK ? out->len : before;
    return s;
}

/* ---- in bits ---- */

static void recode(const uint8_t map[BASES_PER_BYTE], uint8_t *data, size_t len)
{
    uint8_t table[256];
    for (unsigned v = 0; v < 256; v++) {
        table[v] = (uint8_t)(map[v >> 6] << 6 | map[(v >> 4) & 3U] << 4 | map[(v >> 2) & 3U] << 2 |
                             map[v & 3U]);
    }
    for (size_t i = 0; i < len; i++) {
        data[i] = table[data[i]];
    }
}

void stego_dna_to_bits(unsigned rule, uint8_t *data, size_t len)
{
    uint8_t map[BASES_PER_BYTE];
    for (unsigned v = 0; v < BASES_PER_BYTE; v++) {
        map[v] = base_of(rules[0], (uint8_t)rules[rule - 1][v]);
    }
    recode(map, data, len);
}

void stego_dna_from_bits(unsigned rule, uint8_t *data, size_t len)
{
    uint8_t map[BASES_PER_BYTE];
    for (unsigned v = 0; v < BASES_PER_BYTE; v++) {
        map[base_of(rules[0], (uint8_t)rules[rule - 1][v])] = (uint8_t)v;
    }
    recode(map, data, len);
}

/* ---- complements ---- */

#define STREAM_BYTES 4096U

static void cipher_auto(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c);
}

/* A bit of the stream for each base, doubled: four of them are the byte to exclude-or with. */
static uint8_t doubled(unsigned nibble)
{
    uint8_t v = 0;
    for (unsigned i = 0; i < BASES_PER_BYTE; i++) {
        v = (uint8_t)(v | (((nibble >> i) & 1U) * 3U) << (2 * i));
    }
    return v;
}

/* The stream is AES-256 in counter mode from zero: the key is for this one message. */
enum ds_status stego_dna_complement(const uint8_t key[STEGO_KEY_BYTES], uint8_t *data, size_t len,
                                    struct ds_error *err)
{
    static const uint8_t zeros[STREAM_BYTES] = {0};
    uint8_t stream[STREAM_BYTES];
    DS_AUTO(cipher_auto) EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    if (aes == NULL || EVP_EncryptInit_ex(aes, EVP_aes_256_ctr(), NULL, key, zeros) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "AES-256");
    }
    for (size_t at = 0; at < len; at += 2U * STREAM_BYTES) {
        int n = 0;
        if (EVP_EncryptUpdate(aes, stream, &n, zeros, (int)STREAM_BYTES) != 1) {
            return stego_crypto_fail(err, DS_ENOMEM, "AES-256");
        }
        const size_t count = len - at < 2U * STREAM_BYTES ? len - at : 2U * STREAM_BYTES;
        for (size_t i = 0; i < count; i++) {
            const unsigned two = stream[i / 2];
            data[at + i] ^= doubled(i % 2 == 0 ? two >> 4 : two & 15U);
        }
    }
    ds_wipe(stream, sizeof(stream));
    return DS_OK;
}

/* ---- FASTA ---- */

enum ds_status stego_fasta_write(const char *title, const uint8_t *letters, size_t len,
                                 unsigned width, struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_u8(out, '>', err);
    if (s == DS_OK) {
        s = ds_bytes_append(out, title, strlen(title), err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, '\n', err);
    }
    for (size_t at = 0; at < len && s == DS_OK; at += width) {
        s = ds_bytes_append(out, letters + at, len - at < width ? len - at : width, err);
        if (s == DS_OK) {
            s = ds_bytes_put_u8(out, '\n', err);
        }
    }
    return s;
}

bool stego_fasta_read(const struct ds_bytes *text, struct ds_cursor *title,
                      struct ds_cursor *letters)
{
    if (text->len == 0 || text->data[0] != '>') {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->len);
    const size_t first = end != NULL ? (size_t)(end - text->data) : text->len;
    const size_t rest = end != NULL ? first + 1 : first;
    *title = ds_cursor_over(text->data + 1, first - 1);
    *letters = ds_cursor_over(text->data + rest, text->len - rest);
    return true;
}

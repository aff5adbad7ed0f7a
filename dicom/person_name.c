/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/person_name.h"

#include <string.h>

#define SOUND_BYTES 5U

/* The next character of UTF-8 (RFC 3629); a byte that is none stands for itself. */
static uint32_t next_character(const char **text)
{
    const uint8_t *t = (const uint8_t *)*text;
    const size_t len = t[0] >= 0xf0 ? 4 : t[0] >= 0xe0 ? 3 : t[0] >= 0xc2 ? 2 : 1;
    uint32_t c = len == 1 ? t[0] : t[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((t[i] & 0xc0U) != 0x80U) { /* the terminator is none of these */
            *text += 1;
            return t[0];
        }
        c = c << 6 | (t[i] & 0x3fU);
    }
    *text += len;
    return c;
}

static enum ds_status put_character(struct ds_bytes *out, uint32_t c, struct ds_error *err)
{
    uint8_t utf8[4];
    size_t len = 0;
    if (c < 0x80) {
        utf8[len++] = (uint8_t)c;
    } else if (c < 0x800) {
        utf8[len++] = (uint8_t)(0xc0U | c >> 6);
    } else if (c < 0x10000) {
        utf8[len++] = (uint8_t)(0xe0U | c >> 12);
        utf8[len++] = (uint8_t)(0x80U | (c >> 6 & 0x3fU));
    } else {
        utf8[len++] = (uint8_t)(0xf0U | c >> 18);
        utf8[len++] = (uint8_t)(0x80U | (c >> 12 & 0x3fU));
        utf8[len++] = (uint8_t)(0x80U | (c >> 6 & 0x3fU));
    }
    if (c >= 0x80) {
        utf8[len++] = (uint8_t)(0x80U | (c & 0x3fU));
    }
    return ds_bytes_append(out, utf8, len, err);
}

/* ---- small letters ---- */

/* Ranges of capitals (Unicode 15): each is followed by its small letter (step 2), or has it at a
 * distance (step 1). Latin, Greek, Cyrillic, Armenian and full width. */
static const struct {
    uint16_t first, last;
    uint8_t step;
    int16_t distance;
} capitals[] = {
    {0x0041, 0x005a, 1, 32}, {0x00c0, 0x00d6, 1, 32},   {0x00d8, 0x00de, 1, 32},
    {0x0100, 0x012e, 2, 1},  {0x0132, 0x0136, 2, 1},    {0x0139, 0x0147, 2, 1},
    {0x014a, 0x0176, 2, 1},  {0x0178, 0x0178, 1, -121}, {0x0179, 0x017d, 2, 1},
    {0x0218, 0x021e, 2, 1},  {0x0386, 0x0386, 1, 38},   {0x0388, 0x038a, 1, 37},
    {0x038c, 0x038c, 1, 64}, {0x038e, 0x038f, 1, 63},   {0x0391, 0x03a1, 1, 32},
    {0x03a3, 0x03ab, 1, 32}, {0x0400, 0x040f, 1, 80},   {0x0410, 0x042f, 1, 32},
    {0x0460, 0x0480, 2, 1},  {0x048a, 0x04be, 2, 1},    {0x04c1, 0x04cd, 2, 1},
    {0x04d0, 0x052e, 2, 1},  {0x0531, 0x0556, 1, 48},   {0x1e00, 0x1e94, 2, 1},
    {0x1ea0, 0x1efe, 2, 1},  {0xff21, 0xff3a, 1, 32},
};

static uint32_t small_letter(uint32_t c)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(capitals); i++) {
        if (c >= capitals[i].first && c <= capitals[i].last) {
            return (c - capitals[i].first) % capitals[i].step == 0
                       ? (uint32_t)((int32_t)c + capitals[i].distance)
                       : c;
        }
    }
    return c;
}

/* ---- the key ---- */

/* Components that are empty say nothing: "A^B^^^" and "A^B" are one name. */
static void drop_end(struct ds_bytes *out, size_t from, char what)
{
    while (out->len > from && out->data[out->len - 1] == (uint8_t)what) {
        out->len--;
    }
}

enum ds_status dicom_person_name_key(const char *name, struct ds_bytes *out, struct ds_error *err)
{
    const size_t begin = out->len;
    size_t group = begin;
    enum ds_status s = DS_OK;
    while (s == DS_OK && *name != '\0') {
        const uint32_t c = next_character(&name);
        if (c == '=') {
            drop_end(out, group, '^');
            group = out->len + 1;
        }
        s = put_character(out, small_letter(c), err);
    }
    drop_end(out, group > out->len ? out->len : group, '^');
    drop_end(out, begin, '=');
    return s;
}

/* ---- words ---- */

/* From U+00C0 on: the letter without its accent; 0 where there is none. */
static const char plain_letters[] =
    "aaaaaaaceeeeiiiidnooooo\0ouuuuytsaaaaaaaceeeeiiiidnooooo\0ouuuuyty"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssss"
    "ssss"
    "ttttttuuuuuuuuuuuuwwyyyzzzzzzs";

static uint32_t plain_letter(uint32_t c)
{
    const uint32_t small = small_letter(c);
    if (small >= 0xc0 && small - 0xc0 < sizeof(plain_letters) - 1 &&
        plain_letters[small - 0xc0] != '\0') {
        return (uint8_t)plain_letters[small - 0xc0];
    }
    if (small >= 0x218 && small <= 0x21b) {
        return small < 0x21a ? 's' : 't';
    }
    return small;
}

static bool is_between_words(uint32_t c)
{
    return c == '^' || c == '=' || c == ' ' || c == '-' || c == ',' || c == '.' || c == '\'' ||
           c == '~' || c == 0x3000;
}

/* Soundex as the National Archives of the USA have it: the first letter, and three digits for what
 * follows. "": not in Latin letters. */
static void sound_of(const char *word, size_t len, char out[SOUND_BYTES])
{
    static const char digits[] = "01230120022455012623010202"; /* of a to z; h and w say nothing */
    size_t n = 0;
    char last = '0';
    for (size_t i = 0; i < len && n < SOUND_BYTES - 1; i++) {
        if (word[i] < 'a' || word[i] > 'z') {
            out[0] = '\0';
            return;
        }
        const char digit = digits[word[i] - 'a'];
        if (i == 0) {
            out[n++] = (char)(word[i] - 'a' + 'A');
        } else if (digit != '0' && digit != last) {
            out[n++] = digit;
        }
        last = word[i] == 'h' || word[i] == 'w' ? last : digit;
    }
    while (n < SOUND_BYTES - 1) {
        out[n++] = '0';
    }
    out[n] = '\0';
}

static enum ds_status put_sound(struct ds_bytes *out, size_t word_at, struct ds_error *err)
{
    char sound[SOUND_BYTES];
    sound_of((const char *)out->data + word_at, out->len - word_at, sound);
    enum ds_status s = sound[0] == '\0' ? DS_OK : ds_bytes_append(out, " ~", 2, err);
    if (s == DS_OK && sound[0] != '\0') {
        s = ds_bytes_append(out, sound, strlen(sound), err);
    }
    return s == DS_OK ? ds_bytes_put_u8(out, ' ', err) : s;
}

enum ds_status dicom_person_name_words(const char *name, struct ds_bytes *out, struct ds_error *err)
{
    const size_t begin = out->len;
    enum ds_status s = ds_bytes_put_u8(out, ' ', err);
    size_t word = out->len;
    while (s == DS_OK && *name != '\0') {
        const uint32_t c = next_character(&name);
        if (!is_between_words(c)) {
            s = put_character(out, plain_letter(c), err);
        } else if (out->len > word) {
            s = put_sound(out, word, err);
            word = out->len;
        }
    }
    if (s == DS_OK && out->len > word) {
        s = put_sound(out, word, err);
    }
    if (s == DS_OK && out->len == begin + 1) {
        out->len = begin;
    }
    return s;
}

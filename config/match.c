/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses against CIDR blocks, texts against wildcards. */
#include "config/read.h"

#include <arpa/inet.h>
#include <strings.h>

struct address {
    uint8_t bytes[16];
    unsigned bits; /* 32 or 128 */
};

/* An IPv4 address that came over an IPv6 socket (::ffff:10.1.2.3) is the IPv4 address. */
static bool parse_address(const char *text, struct address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET, text, out->bytes) == 1) {
        out->bits = 32;
        return true;
    }
    if (inet_pton(AF_INET6, text, out->bytes) != 1) {
        return false;
    }
    out->bits = 128;
    if (memcmp(out->bytes, mapped, sizeof(mapped)) == 0) {
        memmove(out->bytes, out->bytes + 12, 4);
        out->bits = 32;
    }
    return true;
}

static bool parse_network(const char *text, struct address *out, unsigned *prefix)
{
    char copy[INET6_ADDRSTRLEN + 4];
    if (strlen(text) >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, strlen(text) + 1);
    char *slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (!parse_address(copy, out)) {
        return false;
    }
    *prefix = out->bits;
    if (slash == NULL) {
        return true;
    }
    const char *digits = slash + 1;
    const size_t len = strlen(digits);
    if (len == 0 || len > 3 || digits[strspn(digits, "0123456789")] != '\0') {
        return false;
    }
    *prefix = (unsigned)strtoul(digits, NULL, 10);
    return *prefix <= out->bits;
}

bool config_network_is_valid(const char *text)
{
    struct address a;
    unsigned prefix;
    return parse_network(text, &a, &prefix);
}

bool config_network_holds(const char *network, const char *address)
{
    struct address net;
    struct address a;
    unsigned prefix;
    if (!parse_network(network, &net, &prefix) || !parse_address(address, &a) ||
        net.bits != a.bits) {
        return false;
    }
    const unsigned whole = prefix / 8;
    const unsigned rest = prefix % 8;
    if (memcmp(net.bytes, a.bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (net.bytes[whole] ^ a.bytes[whole]) >> (8 - rest) == 0;
}

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* '?' stands for one character, so it steps over a whole UTF-8 sequence. */
static const unsigned char *next_character(const unsigned char *t)
{
    t++;
    while ((*t & 0xc0U) == 0x80U) {
        t++;
    }
    return t;
}

/* Only the last '*' is ever tried again: whatever an earlier one could take, the last one can take
 * as well. So the work is at most the product of the two lengths. Letters of ASCII match in either
 * case. */
bool config_wildcard_matches(const char *pattern, const char *text)
{
    const unsigned char *p = (const unsigned char *)pattern;
    const unsigned char *t = (const unsigned char *)text;
    const unsigned char *after_star = NULL;
    const unsigned char *star_text = NULL;
    while (*t != '\0') {
        if (*p == '*') {
            after_star = ++p;
            star_text = t;
        } else if (*p == '?') {
            p++;
            t = next_character(t);
        } else if (lower(*p) == lower(*t)) {
            p++;
            t++;
        } else if (after_star != NULL) {
            p = after_star;
            star_text = next_character(star_text);
            t = star_text;
        } else {
            return false;
        }
    }
    while (*p == '*') {
        p++;
    }
    return *p == '\0';
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/xml.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct xml *x, const char *text, size_t len)
{
    if (x->status == DS_OK) {
        x->status = ds_bytes_append(x->out, text, len, NULL);
    }
}

static void put_text(struct xml *x, const char *text)
{
    put(x, text, strlen(text));
}

/* The length of the UTF-8 sequence (RFC 3629) at text that XML 1.0 can hold (its section 2.2); 0:
 * none. A terminator ends every sequence that is cut short. */
static size_t character_at(const char *text)
{
    const uint8_t *t = (const uint8_t *)text;
    if (t[0] < 0x80) {
        return t[0] >= 0x20 || t[0] == '\t' || t[0] == '\n' || t[0] == '\r' ? 1 : 0;
    }
    const size_t len = t[0] >= 0xc2 && t[0] <= 0xdf   ? 2
                       : t[0] >= 0xe0 && t[0] <= 0xef ? 3
                       : t[0] >= 0xf0 && t[0] <= 0xf4 ? 4
                                                      : 0;
    uint32_t code = len == 0 ? 0 : t[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((t[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (t[i] & 0x3fU);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool fits = len > 0 && code >= smallest[len] && code <= 0x10ffff &&
                      !(code >= 0xd800 && code <= 0xdfff) && code != 0xfffe && code != 0xffff;
    return fits ? len : 0;
}

/* White space other than a blank is written as a reference: a parser makes blanks of the others in
 * an attribute (XML 1.0, 3.3.3). */
static const char *escape_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

static void put_value(struct xml *x, const char *value)
{
    while (*value != '\0') {
        const size_t len = character_at(value);
        const char *escape = escape_of(*value);
        if (len == 0) {
            put(x, "?", 1);
        } else if (escape != NULL) {
            put_text(x, escape);
        } else {
            put(x, value, len);
        }
        value += len == 0 ? 1 : len;
    }
}

static void end_tag(struct xml *x)
{
    if (x->in_tag) {
        put(x, ">", 1);
        x->in_tag = false;
    }
}

struct xml xml_begin(struct ds_bytes *out)
{
    struct xml x = {.out = out};
    put_text(&x, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    return x;
}

void xml_open(struct xml *x, const char *name)
{
    end_tag(x);
    if (x->depth == XML_DEPTH_MAX) {
        x->status = x->status == DS_OK ? DS_EINVAL : x->status;
        return;
    }
    x->open[x->depth++] = name;
    put(x, "<", 1);
    put_text(x, name);
    x->in_tag = true;
}

void xml_attribute(struct xml *x, const char *name, const char *value)
{
    if (value == NULL) {
        return;
    }
    if (!x->in_tag) {
        x->status = x->status == DS_OK ? DS_EINVAL : x->status;
        return;
    }
    put(x, " ", 1);
    put_text(x, name);
    put(x, "=\"", 2);
    put_value(x, value);
    put(x, "\"", 1);
}

void xml_attribute_int(struct xml *x, const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    xml_attribute(x, name, text);
}

void xml_text(struct xml *x, const char *value)
{
    end_tag(x);
    put_value(x, value);
}

void xml_close(struct xml *x)
{
    if (x->depth == 0) {
        x->status = x->status == DS_OK ? DS_EINVAL : x->status;
        return;
    }
    const char *name = x->open[--x->depth];
    if (x->in_tag) {
        put(x, "/>", 2);
        x->in_tag = false;
        return;
    }
    put(x, "</", 2);
    put_text(x, name);
    put(x, ">", 1);
}

enum ds_status xml_end(struct xml *x, struct ds_error *err)
{
    if (x->status == DS_OK && x->depth > 0) {
        x->status = DS_EINVAL;
    }
    return x->status == DS_OK ? DS_OK : ds_fail(err, x->status, "cannot write an XML document");
}

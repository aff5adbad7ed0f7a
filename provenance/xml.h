/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml - writes an XML 1.0 document, element by element, into a buffer.
 *
 * Values may be anything: what XML gives a meaning is escaped, and what it cannot hold (characters
 * below U+0020, U+FFFE and U+FFFF, bytes that are no UTF-8) becomes '?', so that no value can end
 * its place or make the document unreadable. Names are the program's own and are written as they
 * are. The first failure sticks and is reported by xml_end.
 */
#ifndef DICOMSTEGO_PROVENANCE_XML_H
#define DICOMSTEGO_PROVENANCE_XML_H

#include "base/bytes.h"

#define XML_DEPTH_MAX 8U

struct xml {
    struct ds_bytes *out;
    const char *open[XML_DEPTH_MAX];
    unsigned depth;
    bool in_tag; /* "<name" without its '>' */
    enum ds_status status;
};

/* Appends to out, beginning with the declaration. */
struct xml xml_begin(struct ds_bytes *out);
void xml_open(struct xml *x, const char *name);
/* Of the element that was opened last, before it has any content. value NULL: nothing. */
void xml_attribute(struct xml *x, const char *name, const char *value);
void xml_attribute_int(struct xml *x, const char *name, int64_t value);
void xml_text(struct xml *x, const char *value);
void xml_close(struct xml *x);
/* DS_EINVAL: something is still open, or was closed once too often. */
DS_CHECKED enum ds_status xml_end(struct xml *x, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax - in which transfer syntaxes a delivery may be sent.
 *
 * Pure; any thread.
 */
#ifndef DICOMSTEGO_NODE_SYNTAX_H
#define DICOMSTEGO_NODE_SYNTAX_H

#include "config/config.h"
#include "db/db.h"

#define SYNTAX_CHOICES_MAX 16U

/* Best first; each once; borrowed from d, carrier or static. carrier: the rule's carrier_syntax, or
 * NULL. Explicit and Implicit VR Little Endian are the last resort of everything that can be
 * written in them, because every peer takes the latter (PS3.5 10.1). What cannot be decoded here
 * goes in its own syntax or not at all. */
size_t syntax_choices(const struct db_delivery *d, const struct config_list *carrier,
                      const char *out[SYNTAX_CHOICES_MAX]);

#endif

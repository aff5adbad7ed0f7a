/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendering - which events of the provenance are told to an audit repository, and as what.
 *
 * The table is in rendering.c, docs/audit-messages.md has it for people. Events of one kind, study,
 * peer, actor and outcome become one message, as PS3.15 A.5.3 wants it of the instances of a
 * transfer. Pure.
 */
#ifndef DICOMSTEGO_NODE_RENDERING_H
#define DICOMSTEGO_NODE_RENDERING_H

#include "config/config.h"
#include "db/telling.h"
#include "provenance/message.h"

struct rendering {
    const struct config *config;
    const char *machine; /* our host name */
};

/* Is it told at all? */
bool rendering_tells(const struct db_told *event);
/* Should it not wait for others that could join it? */
bool rendering_is_urgent(const struct db_told *event);
/* Appends the message of events[first], which is told, and of all later ones that join it; marks
 * them in done. */
DS_CHECKED enum ds_status rendering_message(const struct rendering *r, const struct db_told *events,
                                            size_t count, size_t first, bool *done,
                                            struct ds_bytes *out, struct ds_error *err);

#endif

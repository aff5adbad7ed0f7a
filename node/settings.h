/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings - one configuration with the keys and certificates that it names, loaded and immutable.
 *
 * Threads hold the settings while they work with them. A reload puts new settings in force; the old
 * ones go when the last holder releases them. A file that cannot be loaded whole (a rule, a key, a
 * certificate) changes nothing.
 */
#ifndef DICOMSTEGO_NODE_SETTINGS_H
#define DICOMSTEGO_NODE_SETTINGS_H

#include "config/config.h"
#include "dicom/association.h"
#include "dicomstego/key.h"

struct settings;

DS_CHECKED enum ds_status settings_load(struct settings **out, const char *path,
                                        struct ds_error *err);
struct settings *settings_hold(struct settings *s);
void settings_release(struct settings *s); /* NULL is fine */
void settings_auto(struct settings **s);

const struct config *settings_config(const struct settings *s);
/* Our key and certificate; NULL when the configuration names none. */
const struct stego_identity *settings_identity(const struct settings *s);
/* Every certificate of a peer. Never NULL: without any, no signature is believed. */
const struct stego_trust *settings_trust(const struct settings *s);
/* A peer's certificate; NULL when it has none. */
const struct stego_certificate *settings_certificate(const struct settings *s, const char *peer);

/* TLS for the listener: trusted are the peers that call over mutual TLS. *paths (free) holds what
 * *out points to. */
DS_CHECKED enum ds_status settings_listener_tls(const struct settings *s, struct dicom_tls *out,
                                                const char ***paths, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calling - how we call a peer of the configuration.
 */
#ifndef DICOMSTEGO_NODE_CALLING_H
#define DICOMSTEGO_NODE_CALLING_H

#include "dicom/association.h"
#include "node/settings.h"

struct calling {
    struct dicom_requestor_options options; /* points into this struct and into the settings */
    struct dicom_tls tls;
    const char *trusted;
};

/* peer has a host. Borrows from the settings, which must be held as long. */
void calling_init(struct calling *c, const struct settings *settings,
                  const struct config_peer *peer);

#endif

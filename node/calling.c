/* SPDX-License-Identifier: Apache-2.0 */
#include "node/calling.h"

void calling_init(struct calling *c, const struct settings *settings,
                  const struct config_peer *peer)
{
    const struct config *own = settings_config(settings);
    const bool mutual = peer->tls == CONFIG_TLS_MUTUAL;
    c->trusted = peer->certificate;
    c->tls = (struct dicom_tls){.key_path = mutual ? own->key : NULL,
                                .certificate_path = mutual ? own->certificate : NULL,
                                .trusted_paths = &c->trusted,
                                .trusted_count = 1,
                                .require_peer_certificate = true};
    c->options = (struct dicom_requestor_options){
        .host = peer->host,
        .port = peer->port,
        .calling_ae = own->ae_title,
        .called_ae = peer->ae_title,
        .timeout_s = (unsigned)(peer->timeout_ms / 1000),
        .tls = peer->tls == CONFIG_TLS_NONE ? NULL : &c->tls,
    };
}

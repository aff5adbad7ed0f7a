/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/options.h"

#include <stdlib.h>
#include <string.h>

/* NULL stays NULL. false: out of memory. */
static bool copy_text(char **out, const char *text)
{
    *out = text == NULL ? NULL : strdup(text);
    return text == NULL || *out != NULL;
}

static bool copy_tls(struct scu_options *out, const struct dicom_tls *from)
{
    if (!copy_text(&out->key_path, from->key_path) ||
        !copy_text(&out->certificate_path, from->certificate_path)) {
        return false;
    }
    out->tls.key_path = out->key_path;
    out->tls.certificate_path = out->certificate_path;
    out->tls.require_peer_certificate = from->require_peer_certificate;
    if (from->trusted_count == 0) {
        return true;
    }
    out->trusted_paths = calloc(from->trusted_count, sizeof(*out->trusted_paths));
    if (out->trusted_paths == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->trusted_count; i++) {
        if (!copy_text(&out->trusted_paths[i], from->trusted_paths[i])) {
            return false;
        }
        out->tls.trusted_count = i + 1;
    }
    out->tls.trusted_paths = (const char *const *)out->trusted_paths;
    return true;
}

enum ds_status scu_options_copy(struct scu_options *out, const struct dicom_requestor_options *from,
                                struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    out->view = *from;
    out->view.tls = NULL;
    if (!copy_text(&out->host, from->host) || !copy_text(&out->calling_ae, from->calling_ae) ||
        !copy_text(&out->called_ae, from->called_ae) ||
        !copy_text(&out->move_originator, from->move_originator) ||
        (from->tls != NULL && !copy_tls(out, from->tls))) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a link");
    }
    out->view.host = out->host;
    out->view.calling_ae = out->calling_ae;
    out->view.called_ae = out->called_ae;
    out->view.move_originator = out->move_originator;
    out->view.tls = from->tls != NULL ? &out->tls : NULL;
    return DS_OK;
}

void scu_options_free(struct scu_options *o)
{
    for (size_t i = 0; i < o->tls.trusted_count; i++) {
        free(o->trusted_paths[i]);
    }
    free(o->trusted_paths);
    free(o->key_path);
    free(o->certificate_path);
    free(o->host);
    free(o->calling_ae);
    free(o->called_ae);
    free(o->move_originator);
    memset(o, 0, sizeof(*o));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options - a deep copy of a requestor's options; private to scu/.
 */
#ifndef DICOMSTEGO_SCU_OPTIONS_H
#define DICOMSTEGO_SCU_OPTIONS_H

#include "dicom/association.h"

struct scu_options {
    struct dicom_requestor_options view; /* points into what follows */
    struct dicom_tls tls;
    char *host, *calling_ae, *called_ae, *move_originator, *key_path, *certificate_path;
    char **trusted_paths;
};

/* *out is zeroed first; free it in either case. */
DS_CHECKED enum ds_status scu_options_copy(struct scu_options *out,
                                           const struct dicom_requestor_options *from,
                                           struct ds_error *err);
void scu_options_free(struct scu_options *o); /* zeroed is fine */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairs - sidecars among the inputs, and the files that they belong to.
 *
 * A sidecar names its instance by SOP Instance UID, whatever the files are called; nothing is
 * proven before the two are joined.
 */
#ifndef DICOMSTEGO_CLI_PAIRS_H
#define DICOMSTEGO_CLI_PAIRS_H

#include "cli/cli.h"

#define CLI_NO_INPUT SIZE_MAX

struct cli_pair {
    bool is_sidecar;
    size_t other;                     /* position of the other one, or CLI_NO_INPUT */
    char belongs_to[DICOM_UID_BYTES]; /* of a sidecar: what it names */
};

struct cli_pairs {
    struct cli_pair *items; /* one for each input */
    size_t count;
};

/* What cannot be read is nobody's pair here: the verb says why when it comes to it. */
DS_CHECKED enum ds_status cli_pairs_find(struct cli_pairs *out, const struct cli_inputs *in,
                                         struct ds_error *err);
void cli_pairs_free(struct cli_pairs *p); /* zeroed is fine */

/* Is this input an original with a sidecar among the inputs? */
bool cli_pairs_is_beside(const struct cli_pairs *p, size_t input);
/* Gives a sidecar its instance; nothing to do for other carriers. DS_ENOTFOUND and which, when it
 * is not among the inputs. */
DS_CHECKED enum ds_status cli_pairs_join(const struct cli_pairs *p, const struct cli_inputs *in,
                                         size_t input, struct cli_carried *carried,
                                         struct ds_error *err);

#endif

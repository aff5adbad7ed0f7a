/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renamed - the UIDs that the files of one run have, and those that they get as carriers.
 */
#ifndef DICOMSTEGO_CLI_RENAMED_H
#define DICOMSTEGO_CLI_RENAMED_H

#include "cli/cli.h"

/* Of DICOM files: old to new UIDs of their instances and series. slots says which become carriers,
 * one for each input; NULL: all may. One that cannot be read, or has no UID, has no name that
 * others could refer to. */
DS_CHECKED enum ds_status cli_renamed(const struct cli_inputs *inputs,
                                      const struct carrier_slot *slots, const char *site,
                                      struct carrier_uid_map **out, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports - ports.json in the state folder: which ports are in force, for whoever started us and does
 * not want to read the log. 0 is a listener that is not there.
 */
#ifndef DICOMSTEGO_NODE_PORTS_H
#define DICOMSTEGO_NODE_PORTS_H

#include "base/error.h"

#include <stdint.h>

struct ports {
    uint16_t dicom, tls, web;
};

DS_CHECKED enum ds_status ports_write(const char *state_dir, const struct ports *p,
                                      struct ds_error *err);

#endif

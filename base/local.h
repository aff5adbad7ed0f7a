/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local - Unix stream sockets at a path, however long the path is (sun_path holds 107 bytes).
 */
#ifndef DICOMSTEGO_BASE_LOCAL_H
#define DICOMSTEGO_BASE_LOCAL_H

#include "base/error.h"

/* A listening, non-blocking socket. A socket that is there already is removed: whoever calls knows
 * that nobody listens on it. Until the caller changes it, only the process's own user may connect.
 */
DS_CHECKED enum ds_status ds_local_listen(const char *path, int *out, struct ds_error *err);

/* DS_ENOTFOUND: nobody listens there. DS_EREFUSED: we may not connect. DS_EIO: anything else. */
DS_CHECKED enum ds_status ds_local_connect(const char *path, int *out, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_name - by what an archive is known in a database that several nodes share.
 *
 * Drawn once and kept in state_dir/archive.name, so that it stays the same whatever the node is
 * called, and no two nodes have the same by accident. Nodes that see one archive folder under the
 * same path say so with node.shared_archive.
 */
#ifndef DICOMSTEGO_NODE_ARCHIVE_NAME_H
#define DICOMSTEGO_NODE_ARCHIVE_NAME_H

#include "base/error.h"

#define ARCHIVE_HOME_BYTES 33U /* 32 hexadecimal digits */
#define ARCHIVE_NAME_BYTES 80U

/* What was drawn. DS_EFORMAT: the file holds something else. */
DS_CHECKED enum ds_status archive_home(const char *state_dir, char out[ARCHIVE_HOME_BYTES],
                                       struct ds_error *err);
/* shared: node.shared_archive, or NULL. */
void archive_name(const char *home, const char *shared, char out[ARCHIVE_NAME_BYTES]);

#endif

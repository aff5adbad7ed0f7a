/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vitals - what the process and its disk are like now, as metrics.
 */
#ifndef DICOMSTEGO_NODE_VITALS_H
#define DICOMSTEGO_NODE_VITALS_H

#include <stdbool.h>
#include <stdint.h>

/* Once, when the node starts. */
void vitals_begin(void);
/* Memory, processor time and file descriptors of this process, without a private PostgreSQL's. */
void vitals_measure(void);

/* False: folder's file system cannot be asked, or takes no writes. */
bool vitals_disk(const char *folder, uint64_t *free_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffers - a bounded number of aligned buffers for instances on their way to the disk; private to
 * scp/.
 *
 * A buffer is address space; memory is only what was written to. What is given back keeps
 * BUFFERS_KEEP_BYTES of it, so that ordinary slices find their pages where they left them.
 */
#ifndef DICOMSTEGO_SCP_BUFFERS_H
#define DICOMSTEGO_SCP_BUFFERS_H

#include "scp/record.h"

#define BUFFERS_MAX        32U
#define BUFFERS_KEEP_BYTES (1024U * 1024U)
/* The largest file, its padding and its record. */
#define BUFFERS_EACH_BYTES (RECORD_FILE_MAX_BYTES + 2U * RECORD_BLOCK_BYTES)

struct buffers;

DS_CHECKED enum ds_status buffers_new(struct buffers **out, struct ds_error *err);
void buffers_free(struct buffers *b); /* all were given back; NULL is fine */

/* BUFFERS_EACH_BYTES, page aligned, with whatever is in it; NULL: all are in use. Any thread. */
uint8_t *buffers_take(struct buffers *b);
void buffers_give(struct buffers *b, uint8_t *buffer, size_t touched_bytes);

#endif

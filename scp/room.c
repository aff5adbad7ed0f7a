/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/room.h"

#include "base/log.h"
#include "base/size.h"

#include <inttypes.h>
#include <sys/statvfs.h>

/* How far above the watermark it has to come back: a part of it, and not more than so much. */
#define MARGIN_PART      16U
#define MARGIN_MAX_BYTES (64ULL * 1024 * 1024)

void room_init(struct room *r, int fd, uint64_t watermark_bytes)
{
    r->fd = fd;
    r->watermark_bytes = watermark_bytes;
    atomic_init(&r->low, false);
}

/* A file system that cannot be asked has none. */
static uint64_t free_bytes(const struct room *r)
{
    struct statvfs fs;
    size_t bytes = 0;
    if (fstatvfs(r->fd, &fs) != 0) {
        return 0;
    }
    return ds_size_mul(fs.f_bavail, fs.f_frsize, &bytes) ? bytes : UINT64_MAX;
}

static uint64_t margin_of(const struct room *r)
{
    const uint64_t part = r->watermark_bytes / MARGIN_PART;
    return part < MARGIN_MAX_BYTES ? part : MARGIN_MAX_BYTES;
}

static void note(struct room *r, bool low, uint64_t bytes)
{
    if (atomic_exchange(&r->low, low) == low) {
        return;
    }
    if (low) {
        ds_log(DS_LOG_WARNING, "spool",
               "free=%" PRIu64 " below the watermark of %" PRIu64 " bytes: nothing is accepted",
               bytes, r->watermark_bytes);
    } else {
        ds_log(DS_LOG_INFO, "spool", "free=%" PRIu64 " bytes: instances are accepted again", bytes);
    }
}

bool room_is_enough(struct room *r)
{
    const uint64_t bytes = free_bytes(r);
    const uint64_t margin = atomic_load(&r->low) ? margin_of(r) : 0;
    const bool enough =
        bytes >= r->watermark_bytes && bytes - r->watermark_bytes >= margin && bytes > 0;
    note(r, !enough, bytes);
    return enough;
}

bool room_is_enough_without(const struct room *r, uint64_t bytes)
{
    const uint64_t now = free_bytes(r);
    return now >= r->watermark_bytes && now - r->watermark_bytes >= bytes;
}

void room_ran_out(struct room *r)
{
    note(r, true, free_bytes(r));
}

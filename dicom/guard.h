/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - what every C++ file of this folder includes first; private to dicom/.
 *
 * The border to C holds in one place: guarded() runs an entry point's body and lets no exception
 * out, from_dcmtk() turns an OFCondition into one of our statuses. The headers of base are C; they
 * are included here under C linkage, therefore before any other header of ours.
 */
#ifndef DICOMSTEGO_DICOM_GUARD_H
#define DICOMSTEGO_DICOM_GUARD_H

#include "dcmtk/config/osconfig.h"

#include "dcmtk/dcmdata/dctk.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>

extern "C" {
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/size.h"
}

namespace dicom
{

/* Runs body and answers its status. DCMTK throws only what the standard library throws; whatever it
 * is, it stops here. */
template <class Body> ds_status guarded(ds_error *err, Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return ds_fail(err, DS_ENOMEM, "out of memory in the DICOM toolkit");
    } catch (const std::exception &) {
        return ds_fail(err, DS_EINVAL, "the DICOM toolkit threw a standard exception");
    } catch (...) {
        return ds_fail(err, DS_EINVAL, "the DICOM toolkit threw an unknown exception");
    }
}

/* The same for entry points that answer no status. */
template <class T, class Body> T guarded_or(T fallback, Body body) noexcept
{
    try {
        return body();
    } catch (...) {
        return fallback;
    }
}

/* What the caller can do about a condition: see the table in guard.cc. */
ds_status status_of(const OFCondition &condition) noexcept;

/* DS_OK for a good condition; else fills *err with "what: text of the condition". */
ds_status from_dcmtk(const OFCondition &condition, const char *what, ds_error *err) noexcept;

/* unique_ptr for memory of malloc. */
struct free_memory {
    void operator()(void *memory) const noexcept
    {
        std::free(memory);
    }
};

/* A ds_bytes or ds_sha256 that ends with its scope. */
struct bytes_owner {
    ds_bytes bytes;
    explicit bytes_owner(std::size_t max = SIZE_MAX, bool large = false)
        : bytes{nullptr, 0, 0, max, large, {-1, nullptr, 0}}
    {
    }
    bytes_owner(const bytes_owner &) = delete;
    bytes_owner &operator=(const bytes_owner &) = delete;
    ~bytes_owner()
    {
        ds_bytes_free(&bytes);
    }
};

struct free_digest {
    void operator()(ds_sha256 *digest) const noexcept
    {
        ds_sha256_free(digest);
    }
};
using digest_owner = std::unique_ptr<ds_sha256, free_digest>;

} // namespace dicom

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base - what every room stands on: statuses, sizes, bytes, files, digests, secrets, time, log.
 *
 * base includes nothing of ours. Everything here may be called from any thread unless a
 * declaration says otherwise.
 */
#ifndef DICOMSTEGO_BASE_BASE_H
#define DICOMSTEGO_BASE_BASE_H

#define DS_CHECKED           __attribute__((warn_unused_result))
#define DS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Runs function(&variable) when the variable leaves its scope. The one cleanup idiom of the C
 * code: initialise at the declaration, hand over by setting the variable to NULL. */
#define DS_AUTO(function) __attribute__((cleanup(function)))

#define DS_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif

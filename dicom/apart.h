/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apart - a computation in a process of its own; private to dicom/.
 *
 * For libraries that end the process where a stream is damaged: OpenJPEG and OpenJPH check HTJ2K
 * with assert(), and Debian builds them so. One such frame would end a node with all that it is
 * about to do, and again after each restart.
 */
#ifndef DICOMSTEGO_DICOM_APART_H
#define DICOMSTEGO_DICOM_APART_H

#include "base/base.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Computes out, at most len bytes. Runs in a child that has this thread only: it may use memory and
 * what context points to, and nothing that another thread may hold, such as the log. */
typedef enum ds_status dicom_apart_fn(void *context, uint8_t *out, size_t len,
                                      struct ds_error *err);

/* Any thread. What fn says, or DS_EFORMAT when the child ended otherwise or computed for more than
 * a minute. A child that stands still is replaced; DS_EIO when the third does. */
DS_CHECKED enum ds_status dicom_apart_run(dicom_apart_fn *fn, void *context, uint8_t *out,
                                          size_t len, struct ds_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dropfolder - reports that come as files.
 *
 *   FOLDER/A12345.txt, FOLDER/A12345--addendum.pdf, FOLDER/1.2.840.99.pdf
 *
 * The name without its extension, up to "--" or "__", is the AccessionNumber or the
 * StudyInstanceUID. A file is taken when its size stood still for two looks; it then lies in
 * taken/. A report whose study is not known yet stays. What cannot be a report lies in refused/,
 * with the reason beside it.
 */
#ifndef DICOMSTEGO_NODE_DROPFOLDER_H
#define DICOMSTEGO_NODE_DROPFOLDER_H

#include "node/services.h"

#include <sys/types.h>

#define DROP_NAME_BYTES 256U

struct dropfolder;

DS_CHECKED enum ds_status dropfolder_start(struct dropfolder **out, struct services *services,
                                           struct ds_error *err);
/* After services_stop. False when it did not end in time. */
DS_CHECKED bool dropfolder_stop(struct dropfolder *d, int64_t until_ms);

/* Pure: the study that a file name stands for; false when the name is not one of a report (hidden,
 * half-written, nothing before the suffix). */
bool dropfolder_study_of(const char *name, char out[DROP_NAME_BYTES]);
/* Pure: the media type by content where it says so, else by extension. Static text. */
const char *dropfolder_media_type(const char *name, const uint8_t *data, size_t len);

#endif

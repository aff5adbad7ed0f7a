/* SPDX-License-Identifier: Apache-2.0 */
/*
 * banned - calls that have cost others dearly, made compile errors. Included before every C file.
 */
#ifndef DICOMSTEGO_BASE_BANNED_H
#define DICOMSTEGO_BASE_BANNED_H

/* The headers that declare them come first, so that only uses are hit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison system popen tmpnam tempnam mktemp atoi atol atof
#pragma GCC poison gmtime localtime ctime asctime

#endif

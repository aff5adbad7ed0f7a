/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the folders of a spool. */
#ifndef DICOMSTEGO_TESTS_UNIT_SCP_FOLDER_H
#define DICOMSTEGO_TESTS_UNIT_SCP_FOLDER_H

#include "base/file.h"

#include <dirent.h>
#include <stdlib.h>

/* Files in folder/name, hidden ones left out. */
static inline unsigned files_in(const char *folder, const char *name)
{
    char *path = ds_file_join(folder, name);
    DIR *d = opendir(path);
    unsigned count = 0;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        count += e->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(d);
    free(path);
    return count;
}

#endif

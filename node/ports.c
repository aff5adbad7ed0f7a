/* SPDX-License-Identifier: Apache-2.0 */
#include "node/ports.h"

#include "base/file.h"

#include <stdio.h>

enum ds_status ports_write(const char *state_dir, const struct ports *p, struct ds_error *err)
{
    char text[96];
    const int len = snprintf(text, sizeof(text), "{\"dicom\":%u,\"tls\":%u,\"web\":%u}\n", p->dicom,
                             p->tls, p->web);
    DS_AUTO(ds_string_free) char *path = ds_file_join(state_dir, "ports.json");
    if (path == NULL || len < 0) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    return ds_file_write(path, text, (size_t)len, DS_FILE_REPLACE, 0600, err);
}

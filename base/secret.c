/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

void ds_wipe(void *data, size_t len)
{
    if (data != NULL && len > 0) {
        explicit_bzero(data, len);
    }
}

bool ds_equal(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < len; i++) {
        difference |= (uint8_t)(x[i] ^ y[i]);
    }
    return difference == 0;
}

enum ds_status ds_random(void *out, size_t len, struct ds_error *err)
{
    uint8_t *at = out;
    while (len > 0) {
        const ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return ds_fail(err, DS_EIO, "the system's random generator failed: %s",
                           strerror(errno));
        }
        at += got;
        len -= (size_t)got;
    }
    return DS_OK;
}

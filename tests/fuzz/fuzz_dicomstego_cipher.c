/* SPDX-License-Identifier: Apache-2.0 */
/* What comes out of a cipher image: anybody may have sealed it, so it is a stranger's. */
#include "dicomstego/cipher.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was unpacked can be packed and unpacked again, by every choice of stages. */
static void check_again(const struct stego_cipher_unpacked *u, unsigned stages)
{
    const struct stego_cipher_source source = {.kind = u->kind,
                                               .head = u->head.data,
                                               .head_len = u->head.len,
                                               .grid = u->grid,
                                               .cells = u->cells.data};
    struct ds_bytes packed = DS_BYTES_INIT(16U * MAX_BYTES);
    struct stego_cipher_sizes sizes;
    struct stego_cipher_unpacked again;
    if (stego_cipher_pack(&source, stages, &packed, &sizes, NULL) != DS_OK ||
        stego_cipher_unpack(packed.data, packed.len, MAX_BYTES, &again, NULL) != DS_OK ||
        again.cells.len != u->cells.len ||
        memcmp(again.cells.data, u->cells.data, u->cells.len) != 0) {
        abort();
    }
    stego_cipher_unpacked_free(&again);
    ds_bytes_free(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct stego_cipher_unpacked u;
    if (len == 0 || stego_cipher_unpack(data + 1, len - 1, MAX_BYTES, &u, NULL) != DS_OK) {
        return 0;
    }
    check_again(&u, data[0] % (STEGO_CIPHER_ALL + 1U));
    stego_cipher_unpacked_free(&u);
    return 0;
}

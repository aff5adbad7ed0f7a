/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicomstego_dna - letters of any kind, as text and FASTA: what is read as bases is written as
 * the same bases again, in capital letters without white space.
 */
#include "dicomstego/dna.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const unsigned rule = data[0] % STEGO_DNA_RULES + 1;
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(size);
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(size);
    DS_AUTO(ds_bytes_free) struct ds_bytes again = DS_BYTES_INIT(size);
    struct ds_cursor title = {0};
    struct ds_cursor letters = ds_cursor_over(data + 1, size - 1);
    must(ds_bytes_append(&text, data + 1, size - 1, NULL) == DS_OK);
    if (stego_fasta_read(&text, &title, &letters)) {
        must(title.len + letters.len + 1 <= text.len);
    }
    if (stego_dna_decode(rule, letters.data, letters.len, 1, &bytes, NULL) != DS_OK) {
        must(bytes.len == 0);
        return 0;
    }
    must(stego_dna_encode(rule, bytes.data, bytes.len, &again, NULL) == DS_OK);
    size_t at = 0;
    for (size_t i = 0; i < letters.len; i++) {
        if (isspace(letters.data[i]) == 0) {
            must(at < again.len && again.data[at] == toupper(letters.data[i]));
            at++;
        }
    }
    must(at == again.len);
    return 0;
}

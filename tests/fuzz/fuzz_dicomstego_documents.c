/* SPDX-License-Identifier: Apache-2.0 */
/* The documents inside the seal: headers and xz. What comes out must be safe to write to a disk. */
#include "dicomstego/documents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_name(const char *name)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strpbrk(name, "/\\\r\n") != NULL) {
        abort();
    }
}

/* Documents that were read can be written again: the two sides agree about what is allowed. */
static void check_again(const struct stego_documents *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct stego_opened_document *o = &d->items[i];
        const struct stego_document again = {o->name, o->media_type, o->data.data, o->data.len};
        struct ds_bytes packed = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES);
        check_name(o->name);
        if (o->data.len < 4096 && stego_documents_pack(&again, 1, &packed, NULL) != DS_OK) {
            abort();
        }
        ds_bytes_free(&packed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct stego_documents d;
    if (stego_documents_unpack(data, len, &d, NULL) == DS_OK) {
        check_again(&d);
    }
    stego_documents_free(&d);
    return 0;
}

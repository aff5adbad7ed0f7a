/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came out of an image, as an enemy would write it: parts, the shares gathered from them, the
 * key block, the sealed documents.
 *
 * Input: a mode byte, then parts, each with a 16-bit length before it; the last one may be cut
 * short. Mode bit 0 leaves the digest as it is (otherwise it is mended, or nothing would ever get
 * past it), bit 1 asks for a trusted signer. The reader's identity and the trusted signer are those
 * of tests/vectors/capsule, so that the files there serve as seeds; DICOMSTEGO_SOURCE says where
 * that is.
 */
#include "dicomstego/capsule.h"
#include "dicomstego/manifest.h"

#define PARTS_MAX        8U
#define MODE_KEEP_DIGEST 1U
#define MODE_TRUST       2U

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct stego_identity *identity;
static struct stego_trust *trust;

static const char *vector(char path[512], const char *name)
{
    const char *root = getenv("DICOMSTEGO_SOURCE");
    (void)snprintf(path, 512, "%s/tests/vectors/capsule/%s", root == NULL ? "." : root, name);
    return path;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    char key[512];
    char certificate[512];
    struct ds_error err;
    if (stego_identity_load(&identity, vector(key, "recipient.key.pem"),
                            vector(certificate, "recipient.cert.pem"), &err) != DS_OK ||
        stego_trust_new(&trust, &err) != DS_OK ||
        stego_trust_add(trust, vector(certificate, "signer.cert.pem"), &err) != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return 0;
}

static void open_record(const struct stego_part *p, struct stego_collector *c,
                        const struct stego_keyring *keyring)
{
    struct ds_bytes out = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    if (stego_part_record(p, c, keyring, &out, NULL) != DS_OK && out.len != 0) {
        abort();
    }
    ds_bytes_free(&out);
}

static void try_part(struct ds_bytes *b, unsigned mode, struct stego_collector *c)
{
    const struct stego_identity *id = identity;
    const struct stego_keyring keyring = {
        .identities = &id, .identity_count = 1, .trust = (mode & MODE_TRUST) != 0 ? trust : NULL};
    if ((mode & MODE_KEEP_DIGEST) == 0 && b->len > STEGO_DIGEST_BYTES &&
        stego_container_digest(b->data + STEGO_DIGEST_BYTES, b->len - STEGO_DIGEST_BYTES, b->data,
                               NULL) != DS_OK) {
        return;
    }
    struct stego_part *p = NULL;
    const enum ds_status s = stego_part_open(&p, b->data, b->len, &keyring, NULL);
    if (s == DS_EFORMAT || (s == DS_OK) != (p != NULL)) {
        abort();
    }
    if (p != NULL) {
        open_record(p, NULL, &keyring);
        if (stego_collector_add(c, p, NULL) == DS_OK) {
            open_record(p, c, &keyring);
        }
    }
    stego_part_free(p);
}

static void open_documents(struct stego_collector *c)
{
    const struct stego_identity *id = identity;
    const struct stego_keyring keyring = {.identities = &id, .identity_count = 1};
    struct stego_documents d;
    struct ds_bytes sealed = DS_BYTES_INIT(1U << 24);
    (void)!stego_collector_sealed(c, &sealed, NULL);
    (void)!stego_collector_open(c, &keyring, &d, NULL);
    stego_documents_free(&d);
    ds_bytes_free(&sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ds_cursor in = ds_cursor_over(data, len);
    const unsigned mode = (unsigned)ds_cursor_be(&in, 1);
    struct stego_collector *c = NULL;
    if (stego_collector_new(&c, NULL) != DS_OK) {
        return 0;
    }
    for (unsigned i = 0; i < PARTS_MAX && ds_cursor_left(&in) > 2; i++) {
        size_t part_len = (size_t)ds_cursor_be(&in, 2);
        if (part_len > ds_cursor_left(&in)) {
            part_len = ds_cursor_left(&in);
        }
        struct ds_bytes b = DS_BYTES_INIT(UINT16_MAX);
        if (ds_bytes_append(&b, ds_cursor_bytes(&in, part_len), part_len, NULL) == DS_OK) {
            try_part(&b, mode, c);
        }
        ds_bytes_free(&b);
    }
    open_documents(c);
    stego_collector_free(c);
    return 0;
}

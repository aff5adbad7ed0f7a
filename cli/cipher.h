/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cipher - what the verbs cipher, decipher and stats share: cipher.c and decipher.c are the verbs,
 * cipher_form.c the key file, cipher_source.c what a file is packed from and made of again,
 * cipher_image.c the cipher image as PNG and DICOM.
 */
#ifndef DICOMSTEGO_CLI_CIPHER_H
#define DICOMSTEGO_CLI_CIPHER_H

#include "cli/cli.h"
#include "dicomstego/cipher.h"

/* ---- cipher_form.c ---- */

#define CIPHER_FORM_MAX_BYTES 65536U

/* The key file, JSON, of an even length: its very bytes are the cipher's additional data. */
DS_CHECKED enum ds_status cipher_form_write(const struct stego_cipher_form *form,
                                            struct ds_bytes *out, struct ds_error *err);
/* DS_EAUTH: not a key file that cipher_form_write could have written. */
DS_CHECKED enum ds_status cipher_form_read(const struct ds_bytes *text,
                                           struct stego_cipher_form *out, struct ds_error *err);

/* ---- cipher_source.c ---- */

/* How a file is packed; the kind in the packing. */
enum cipher_kind {
    CIPHER_KIND_FILE = 'F',  /* DICOM without native pixels: its bytes as one row of cells */
    CIPHER_KIND_DICOM = 'D', /* the file around its pixels is the head, the pixels are the cells */
    CIPHER_KIND_PNG = 'P',   /* the geometry is the head, the samples are the cells */
};

struct cipher_source {
    struct stego_cipher_source source; /* borrows from the file and from what follows */
    struct ds_bytes head, cells;
};

/* file outlives the source. DS_EUNSUPPORTED: neither DICOM nor a PNG that is read here. */
DS_CHECKED enum ds_status cipher_source_load(struct cipher_source *out, const struct ds_bytes *file,
                                             struct ds_error *err);
void cipher_source_free(struct cipher_source *s);
/* Appends the file again: the very bytes of a DICOM file, a PNG with the same samples. DS_EAUTH
 * when its hash is not the one that was packed. */
DS_CHECKED enum ds_status cipher_source_restore(const struct stego_cipher_unpacked *u,
                                                struct ds_bytes *out, struct ds_error *err);

/* ---- cipher_image.c ---- */

/* cells: 16 bits, most significant byte first. A name that ends with .png gives a PNG; else a
 * Secondary Capture instance without patient data, in which key_file travels as well. */
DS_CHECKED enum ds_status cipher_image_write(const char *name, const struct stego_cipher_form *form,
                                             const struct ds_bytes *cells,
                                             const struct ds_bytes *key_file, struct ds_bytes *out,
                                             struct ds_error *err);
/* Appends the cells, and the key file where one travels in it. DS_EAUTH: no cipher image. */
DS_CHECKED enum ds_status cipher_image_read(const struct ds_bytes *file, struct ds_bytes *cells,
                                            struct ds_bytes *key_file, struct ds_error *err);

#endif

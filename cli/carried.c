/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/secret.h"

#include <string.h>

static enum ds_status load_png(struct cli_carried *c, const struct ds_bytes *file,
                               const struct stego_keyring *ring, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    uint8_t pixel[DS_SHA256_BYTES];
    uint8_t dataset[DS_SHA256_BYTES];
    struct stego_secret secret;
    const struct stego_method_reader reader = carrier_reader_of(ring, cli_pool(), &secret);
    enum ds_status s = cli_png_read(file, &c->image, err);
    if (s == DS_OK) {
        s = stego_method_recover(&c->image, &reader, &payload, &c->method, err);
    }
    if (s == DS_OK) {
        s = stego_part_open(&c->part, payload.data, payload.len, ring, err);
    }
    if (s == DS_OK && c->method.is_restored) {
        s = cli_png_hashes(&c->image, pixel, dataset, err);
    }
    if (s != DS_OK || !c->method.is_restored) {
        return s;
    }
    const struct stego_manifest *m = stego_part_manifest(c->part);
    if (!ds_equal(pixel, m->pixel_hash, sizeof(pixel)) ||
        !ds_equal(dataset, m->dataset_hash, sizeof(dataset))) {
        return ds_fail(err, DS_EAUTH, "the restored pixels are not those of the original");
    }
    return DS_OK;
}

enum ds_status cli_carried_load(struct cli_carried *out, const struct ds_bytes *file,
                                const struct stego_keyring *ring, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    const enum ds_status s =
        cli_is_png(file)
            ? load_png(out, file, ring, err)
            : carrier_found_load(&out->found, file->data, file->len, ring, cli_pool(), err);
    if (s != DS_OK) {
        cli_carried_free(out);
    }
    return s;
}

void cli_carried_free(struct cli_carried *c)
{
    carrier_found_free(c->found);
    stego_image_free(&c->image);
    stego_part_free(c->part);
    memset(c, 0, sizeof(*c));
}

const struct stego_part *cli_carried_part(const struct cli_carried *c)
{
    return c->found != NULL ? carrier_found_part(c->found) : c->part;
}

const struct stego_method_facts *cli_carried_method(const struct cli_carried *c)
{
    return c->found != NULL ? carrier_found_method(c->found) : &c->method;
}

bool cli_carried_is_restorable(const struct cli_carried *c)
{
    const struct stego_method_facts *facts = cli_carried_method(c);
    return facts->method == NULL || facts->is_restored;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* PNG carriers: no attributes, so the restore record is one byte that says so. */
#include "cli/protect.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t png_record[1] = {'P'};

static enum ds_status hide_in(const struct protection *p, const struct stego_capsule *capsule,
                              uint32_t share, struct stego_image *image, struct ds_error *err)
{
    struct stego_instance instance = {
        .share_index = share,
        .with_key_block = stego_capsule_key_block_bytes(capsule) > 0,
        .record = png_record,
        .record_len = sizeof(png_record),
    };
    DS_AUTO(ds_bytes_free) struct ds_bytes hidden = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    enum ds_status s = cli_png_hashes(image, instance.pixel_hash, instance.dataset_hash, err);
    if (s == DS_OK) {
        s = stego_capsule_instance(capsule, &instance, &hidden, err);
    }
    return s == DS_OK ? carrier_hide(&p->options.hiding.how, image, NULL, hidden.data,
                                     8 * hidden.len, NULL, err)
                      : s;
}

/* From the bytes of the finished file, as the reader will do it; the manifest's hashes were taken
 * from the original. */
static enum ds_status prove(const struct protection *p, const struct ds_bytes *file,
                            struct ds_error *err)
{
    struct cli_carried back = {0};
    const struct carrier_hiding *how = &p->options.hiding.how;
    const struct stego_secret secret = {.key = how->lsb.key};
    const struct stego_keyring ring = {.secret = &secret};
    enum ds_status s = cli_carried_load(&back, file, &ring, err);
    if (s == DS_OK && carrier_hiding_reverses(how) && !cli_carried_is_restorable(&back)) {
        s = ds_fail(err, DS_EAUTH, "the original does not come back");
    }
    cli_carried_free(&back);
    return s == DS_OK || s == DS_ENOMEM ? s : ds_fail_context(err, DS_EAUTH, "proof failed");
}

static enum ds_status make_png(const struct protection *p, const struct stego_capsule *capsule,
                               size_t i, struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    struct stego_image image = {0};
    enum ds_status s = ds_file_read(p->inputs.items[i].path, &file, err);
    if (s == DS_OK) {
        s = cli_png_read(&file, &image, err);
    }
    if (s == DS_OK && stego_is_carrier(&image)) {
        s = ds_fail(err, DS_EUNSUPPORTED, "is a carrier already");
    }
    if (s == DS_OK) {
        s = hide_in(p, capsule, (uint32_t)i, &image, err);
    }
    if (s == DS_OK) {
        s = cli_png_write(&image, out, err);
    }
    stego_image_free(&image);
    return s == DS_OK ? prove(p, out, err) : s;
}

static int make_one(struct protection *p, const struct stego_capsule *capsule, size_t i)
{
    struct ds_error err = {0};
    const struct cli_input *in = &p->inputs.items[i];
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_string_free) char *name = NULL;
    enum ds_status s =
        cli_stopped() ? ds_fail(&err, DS_EIO, "stopped") : make_png(p, capsule, i, &bytes, &err);
    if (s == DS_OK) {
        s = cli_output_name(&p->outputs, &p->inputs, in, p->options.out, &name, &err);
    }
    if (s == DS_OK) {
        s = cli_outputs_stage(&p->outputs, name, &bytes, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(in->path, &err);
}

int protect_png(struct protection *p)
{
    struct ds_error err = {0};
    DS_AUTO(stego_capsule_auto) struct stego_capsule *capsule = NULL;
    if (p->options.region_count > 0 || p->options.region_source != NULL ||
        p->options.unsuitable == CARRIER_SIDECAR) {
        return cli_usage("protect", "--region and --unsuitable sidecar are for DICOM");
    }
    p->request.share_total = (uint32_t)p->inputs.count;
    if (stego_capsule_seal(&capsule, &p->request, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    for (size_t i = 0; i < p->inputs.count; i++) {
        cli_progress("protecting", i, p->inputs.count);
        const int code = make_one(p, capsule, i);
        if (code != CLI_DONE) {
            return code;
        }
    }
    if (cli_outputs_commit(&p->outputs, &err) != DS_OK) {
        return cli_complain("", &err);
    }
    (void)printf("%zu PNG protected; any %u of %u shares give the documents back\n",
                 p->inputs.count, stego_capsule_shares_needed(capsule),
                 stego_capsule_shares_total(capsule));
    return CLI_DONE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/syntax.h"

#include "dicom/dataset.h"
#include "dicom/transfer_syntax.h"

#include <string.h>

/* By what images usually take in them. */
static const char *const by_size[] = {
    "1.2.840.10008.1.2.4.80",  /* JPEG-LS */
    "1.2.840.10008.1.2.4.90",  /* JPEG 2000 */
    "1.2.840.10008.1.2.4.201", /* HTJ2K */
    "1.2.840.10008.1.2.4.70",  /* JPEG Lossless */
    DICOM_DEFLATED_LE,
};

struct choices {
    const char **uids;
    size_t count;
};

static void add(struct choices *c, const char *uid)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->uids[i], uid) == 0) {
            return;
        }
    }
    if (c->count < SYNTAX_CHOICES_MAX) {
        c->uids[c->count++] = uid;
    }
}

/* Never in a syntax that may lose, also where a lossless stream would fit into it: whoever receives
 * it could only take it for lossy. */
static bool is_writable(const char *uid)
{
    return dicom_dataset_encodes(uid) && !dicom_transfer_syntax_may_lose(uid);
}

static void add_writable(struct choices *c, const char *uid)
{
    if (is_writable(uid)) {
        add(c, uid);
    }
}

static void add_for_carrier(struct choices *c, const struct config_list *wanted, const char *own)
{
    if (wanted == NULL || wanted->count == 0) {
        return;
    }
    if (strcmp(wanted->items[0], "same") == 0) {
        add_writable(c, own);
        return;
    }
    if (strcmp(wanted->items[0], "smallest") == 0) {
        for (size_t i = 0; i < DS_ARRAY_SIZE(by_size); i++) {
            add_writable(c, by_size[i]);
        }
        return;
    }
    /* Two places are the last resort's. */
    for (size_t i = 0; i < wanted->count && c->count < SYNTAX_CHOICES_MAX - 2; i++) {
        add_writable(c, wanted->items[i]);
    }
}

size_t syntax_choices(const struct db_delivery *d, const struct config_list *carrier,
                      const char *out[SYNTAX_CHOICES_MAX])
{
    const char *own = d->instance.transfer_syntax;
    struct choices c = {out, 0};
    if (d->action == DB_SEND_CARRIER) {
        add_for_carrier(&c, carrier, own);
    } else {
        add(&c, own);
    }
    if (d->action == DB_SEND_CARRIER || dicom_dataset_decodes(own)) {
        add(&c, DICOM_EXPLICIT_LE);
        add(&c, DICOM_IMPLICIT_LE);
    }
    return c.count;
}

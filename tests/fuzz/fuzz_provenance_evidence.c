/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence as whoever hands it over may have written it: taken apart, and every step of its check. */
#include "provenance/evidence_check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look(void *context, const struct evidence_step *step)
{
    (void)context;
    if (step->name == NULL || step->item == NULL || step->text == NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct evidence_trust nobody;
    struct evidence e;
    struct ds_error err;
    const enum ds_status parsed = evidence_parse(data, len, &e, &err);
    if (parsed == DS_OK) {
        const enum ds_status s = evidence_check(&e, &nobody, look, NULL, &err);
        if (s != DS_OK && s != DS_EAUTH && s != DS_ENOMEM) {
            abort();
        }
        (void)evidence_head_of(&e, NULL);
    } else if (parsed != DS_EFORMAT && parsed != DS_ENOMEM) {
        abort();
    }
    evidence_free(&e);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/scu.h"

#include <stddef.h>

struct verdict_row {
    uint16_t mask, value;
    enum scu_verdict verdict;
};

/* PS3.4 B.2.3 for C-STORE, PS3.7 annex C for the general ones. The first row that fits decides;
 * what fits none is permanent, because an unknown answer repeated is still unknown. */
static const struct verdict_row table[] = {
    {0xffff, 0x0000, SCU_DELIVERED},
    {0xffff, 0x0001, SCU_WARNING},   /* requested optional attributes not supported */
    {0xffff, 0x0107, SCU_WARNING},   /* attribute list error */
    {0xffff, 0x0116, SCU_WARNING},   /* attribute value out of range */
    {0xff00, 0xa700, SCU_TRANSIENT}, /* out of resources */
    {0xf000, 0xb000, SCU_WARNING},   /* coerced, elements discarded, class not matched */
};

enum scu_verdict scu_verdict_of(uint16_t dimse_status)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(table); i++) {
        if ((dimse_status & table[i].mask) == table[i].value) {
            return table[i].verdict;
        }
    }
    return SCU_PERMANENT;
}

/* What kept us from an answer. docs/operation.md shows both tables to operators. */
static const struct {
    enum ds_status status;
    enum scu_verdict verdict;
} failures[] = {
    /* No connection, TLS broken off, A-ABORT, a time-out, rejected-transient (PS3.8 9.3.4: result
     * 2, such as temporary congestion and local limit exceeded). */
    {DS_EIO, SCU_TRANSIENT},
    {DS_ENOMEM, SCU_TRANSIENT}, /* ours */
    /* Rejected-permanent (PS3.8 9.3.4: result 1, such as an AE title that is not recognised), or no
     * presentation context. */
    {DS_EREFUSED, SCU_PERMANENT},
    {DS_EAUTH, SCU_PERMANENT},   /* the certificate is not the peer's */
    {DS_ECONFIG, SCU_PERMANENT}, /* our own cannot be read */
};

enum scu_verdict scu_verdict_of_failure(enum ds_status status)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(failures); i++) {
        if (failures[i].status == status) {
            return failures[i].verdict;
        }
    }
    return SCU_PERMANENT;
}

bool scu_was_delivered(const struct scu_outcome *o)
{
    return o->verdict == SCU_DELIVERED || o->verdict == SCU_WARNING;
}

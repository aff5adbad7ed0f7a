/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dicom_facts - the tables that decide what this software does with DICOM, as JSON: what
 * docs/dicom-conformance-statement.md is made from and compared with.
 */
#include "dicom/association.h"
#include "dicom/dataset.h"
#include "dicom/implementation.h"
#include "dicom/query_key.h"
#include "dicom/sop_class.h"
#include "dicom/transfer_syntax.h"
#include "scu/scu.h"

#include <inttypes.h>
#include <stdio.h>

/* No text of these tables has a character that JSON would have to escape. */
static void print_syntaxes(void)
{
    static const char *const codings[] = {"native", "encapsulated", "video", "referenced"};
    size_t count = 0;
    const struct dicom_transfer_syntax *t = dicom_transfer_syntaxes(&count);
    (void)printf("\"transfer_syntaxes\": [");
    for (size_t i = 0; i < count; i++) {
        const bool decodes = dicom_dataset_decodes(t[i].uid);
        const bool encodes = dicom_dataset_encodes(t[i].uid);
        (void)printf(
            "%s\n  {\"uid\": \"%s\", \"name\": \"%s\", \"keyword\": \"%s\", \"coding\": \"%s\", "
            "\"lossy\": %s, \"decodes\": %s, \"encodes\": %s}",
            i > 0 ? "," : "", t[i].uid, t[i].name, t[i].keyword, codings[t[i].coding],
            t[i].may_lose ? "true" : "false", decodes ? "true" : "false",
            encodes ? "true" : "false");
    }
    (void)puts("],");
}

static void print_classes(void)
{
    static const char *const kinds[] = {"image", "measurement", "report", "object"};
    size_t count = 0;
    const struct dicom_sop_class *c = dicom_sop_classes(&count);
    (void)printf("\"sop_classes\": [");
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s\n  {\"uid\": \"%s\", \"name\": \"%s\", \"kind\": \"%s\"}",
                     i > 0 ? "," : "", c[i].uid, c[i].name, kinds[c[i].kind]);
    }
    (void)puts("],");
}

static void print_answers(void)
{
    static const struct {
        unsigned status;
        const char *name;
    } answers[] = {
        {DICOM_STATUS_SUCCESS, "Success"},
        {DICOM_STATUS_OUT_OF_RESOURCES, "Refused: Out of Resources"},
        {DICOM_STATUS_MISMATCH, "Error: Data Set does not match SOP Class"},
        {DICOM_STATUS_CANNOT_UNDERSTAND, "Error: Cannot understand"},
        {DICOM_STATUS_CLASS_NOT_SUPPORTED, "Refused: SOP Class not supported"},
        {DICOM_STATUS_NOT_AUTHORIZED, "Refused: Not authorized"},
        {DICOM_STATUS_UNKNOWN_OPERATION, "Unrecognized Operation"},
    };
    (void)printf("\"answers\": [");
    for (size_t i = 0; i < DS_ARRAY_SIZE(answers); i++) {
        (void)printf("%s\n  {\"status\": \"%04X\", \"name\": \"%s\"}", i > 0 ? "," : "",
                     answers[i].status, answers[i].name);
    }
    (void)puts("],");
}

/* Every status that a peer can answer, in ranges that are judged alike. */
static void print_verdicts(void)
{
    static const char *const names[] = {
        [SCU_DELIVERED] = "delivered",
        [SCU_WARNING] = "delivered with a warning",
        [SCU_TRANSIENT] = "tried again later",
        [SCU_PERMANENT] = "failed for good",
    };
    uint32_t from = 0;
    (void)printf("\"verdicts\": [");
    for (uint32_t status = 1; status <= 0x10000; status++) {
        const enum scu_verdict was = scu_verdict_of((uint16_t)from);
        if (status == 0x10000 || scu_verdict_of((uint16_t)status) != was) {
            (void)printf("%s\n  {\"from\": \"%04" PRIX32 "\", \"to\": \"%04" PRIX32
                         "\", \"verdict\": \"%s\"}",
                         from > 0 ? "," : "", from, status - 1, names[was]);
            from = status;
        }
    }
    (void)puts("],");
}

static void print_query_keys(void)
{
    static const char *const sources[] = {"matched", "returned", "matched", "returned"};
    size_t count = 0;
    const struct dicom_query_key *k = dicom_query_keys(&count);
    (void)printf("\"query_keys\": [");
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s\n  {\"tag\": \"%04X,%04X\", \"sequence\": \"%08X\", \"vr\": \"%s\", "
                     "\"level\": \"%s\", \"use\": \"%s\", \"name\": \"%s\"}",
                     i > 0 ? "," : "", (unsigned)(k[i].tag >> 16), (unsigned)(k[i].tag & 0xffffU),
                     (unsigned)k[i].sequence, k[i].vr, dicom_level_name(k[i].level),
                     sources[k[i].source], k[i].name);
    }
    (void)puts("],");
}

int main(void)
{
    (void)puts("{");
    print_syntaxes();
    print_classes();
    print_answers();
    print_verdicts();
    print_query_keys();
    (void)printf("\"implementation\": {\"class_uid\": \"%s\", \"version_name\": \"%s\"}\n}\n",
                 DICOM_IMPLEMENTATION_CLASS_UID, DICOM_IMPLEMENTATION_VERSION_NAME);
    return 0;
}

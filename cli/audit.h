/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - the commands of the verb audit: what a node's provenance log says, and whether it is
 * true.
 *
 * check works on files alone. The others ask the running node (cli/operate.h); what it hands out as
 * evidence is checked before it is written.
 */
#ifndef DICOMSTEGO_CLI_AUDIT_H
#define DICOMSTEGO_CLI_AUDIT_H

#include "cli/operate.h"
#include "provenance/evidence_check.h"

struct audit_request {
    const char *command; /* "log" */
    const char *socket, *config, *output;
    bool json, csv, force, show;
    json_t *arguments; /* filters, for the node */
    char **operands;
    size_t operand_count;
    const char **trust_paths, **stamp_paths; /* --trust, --tsa */
    size_t trust_count, stamp_count;
    struct stego_trust *trust; /* of trust_paths; NULL without */
};

/* One command; options are parsed, operands counted, trust loaded. The exit code. */
typedef int audit_run(struct audit_request *r);
audit_run audit_log, audit_export, audit_prove, audit_head, audit_seen, audit_check,
    audit_consistency, audit_verify, audit_witness, audit_read_back;

/* Asks the node for r->command with r->arguments. */
DS_CHECKED enum ds_status audit_ask(const struct audit_request *r, cli_row_fn *take, void *context,
                                    struct ds_error *err);

/* A file of evidence, read and taken apart; lent to *e. Free with audit_file_free. */
struct audit_file {
    struct ds_bytes text;
    struct evidence evidence;
};
DS_CHECKED enum ds_status audit_file_read(struct audit_file *f, const char *path,
                                          struct ds_error *err);
void audit_file_free(struct audit_file *f);
/* Checks all steps without printing; DS_EAUTH with the first that fails. */
DS_CHECKED enum ds_status audit_file_check(const struct audit_request *r,
                                           const struct audit_file *f, struct ds_error *err);

#endif

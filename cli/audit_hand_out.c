/* SPDX-License-Identifier: Apache-2.0 */
/* prove, head and seen: evidence from the node, line by line, into a file; and verify. */
#include "cli/audit.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* A row is one line of the file. */
static enum ds_status take_line(void *text, json_t *row, struct ds_error *err)
{
    const json_t *line = json_object_get(row, "line");
    if (!json_is_string(line)) {
        return ds_fail(err, DS_EFORMAT, "the node's answer cannot be read");
    }
    const enum ds_status s =
        ds_bytes_append(text, json_string_value(line), json_string_length(line), err);
    return s == DS_OK ? ds_bytes_append(text, "\n", 1, err) : s;
}

/* What the node hands out and cannot be verified is not written. */
static enum ds_status check(const struct audit_request *r, const struct ds_bytes *text,
                            struct ds_error *err)
{
    struct audit_file f = {.text = *text}; /* lent */
    enum ds_status s = evidence_parse(text->data, text->len, &f.evidence, err);
    if (s == DS_OK) {
        s = audit_file_check(r, &f, err);
    }
    evidence_free(&f.evidence);
    return s;
}

static int hand_out(struct audit_request *r)
{
    struct ds_error err = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    if (r->output == NULL) {
        return cli_usage("audit", "'%s' wants -o FILE", r->command);
    }
    enum ds_status s = audit_ask(r, take_line, &text, &err);
    if (s == DS_OK) {
        s = check(r, &text, &err);
    }
    if (s == DS_OK) {
        s = ds_file_write(r->output, text.data, text.len, r->force ? DS_FILE_REPLACE : DS_FILE_NEW,
                          0644, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(r->command, &err);
}

static int hand_out_of(struct audit_request *r, const char *member)
{
    return json_object_set_new(r->arguments, member, json_string(r->operands[0])) == 0
               ? hand_out(r)
               : cli_usage("audit", "'%s' is not UTF-8 text", r->operands[0]);
}

int audit_prove(struct audit_request *r)
{
    return hand_out_of(r, "instance");
}

int audit_head(struct audit_request *r)
{
    return hand_out(r);
}

int audit_seen(struct audit_request *r)
{
    return hand_out_of(r, "peer");
}

/* ---- witness ---- */

static json_t *hex_of(const uint8_t *data, size_t len)
{
    char *text = malloc(2 * len + 1);
    if (text == NULL) {
        return NULL;
    }
    ds_hex(data, len, text);
    json_t *out = json_string(text);
    free(text);
    return out;
}

/* The newest line stands for those before it: what it covers began with them. */
static enum ds_status describe_seen(const struct evidence *e, json_t *arguments,
                                    struct ds_error *err)
{
    const struct evidence_item *newest = NULL;
    int failed = 0;
    for (size_t i = 0; i < e->count; i++) {
        const struct evidence_item *item = &e->items[i];
        const bool is_key = item->word == EVIDENCE_KEY;
        if (is_key || item->word == EVIDENCE_CERTIFICATE) {
            failed |= json_object_set_new(arguments, is_key ? "key" : "certificate",
                                          hex_of(item->bytes.data, item->bytes.len));
        }
        if (item->word == EVIDENCE_SEEN_LINE &&
            (newest == NULL || item->head.size >= newest->head.size)) {
            newest = item;
        }
    }
    if (e->kind != EVIDENCE_SEEN || newest == NULL) {
        return ds_fail(err, DS_EINVAL, "the file is not what a peer has seen (audit seen)");
    }
    const struct provenance_head *h = &newest->head;
    failed |= json_object_set_new(arguments, "log", hex_of(h->log, sizeof(h->log)));
    failed |= json_object_set_new(arguments, "root", hex_of(h->root, sizeof(h->root)));
    failed |= json_object_set_new(arguments, "size", json_integer((json_int_t)h->size));
    failed |= json_object_set_new(arguments, "at", json_integer(h->at_us));
    failed |=
        json_object_set_new(arguments, "signature", hex_of(newest->bytes.data, newest->bytes.len));
    return failed == 0 ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

static enum ds_status take_size(void *context, json_t *row, struct ds_error *err)
{
    (void)err;
    *(json_int_t *)context = json_integer_value(json_object_get(row, "size"));
    return DS_OK;
}

int audit_witness(struct audit_request *r)
{
    struct ds_error err = {0};
    json_int_t size = 0;
    DS_AUTO(audit_file_free) struct audit_file f = {0};
    enum ds_status s = audit_file_read(&f, r->operands[0], &err);
    if (s == DS_EFORMAT) {
        s = ds_fail_context(&err, DS_EAUTH, "%s", r->operands[0]);
    }
    if (s == DS_OK) {
        s = audit_file_check(r, &f, &err);
    }
    if (s == DS_OK) {
        s = describe_seen(&f.evidence, r->arguments, &err);
    }
    if (s == DS_OK) {
        s = audit_ask(r, take_size, &size, &err);
    }
    if (s != DS_OK) {
        return cli_complain("audit witness", &err);
    }
    (void)printf("kept: the first %lld events were seen\n", (long long)size);
    return CLI_DONE;
}

/* ---- verify ---- */

/* Rows: {"finding": "event 17 was changed"}, and one with "summary". */
struct findings {
    json_t *rows;
    size_t count;
    bool print;
};

static enum ds_status take_finding(void *context, json_t *row, struct ds_error *err)
{
    struct findings *f = context;
    const char *finding = json_string_value(json_object_get(row, "finding"));
    f->count += finding != NULL ? 1 : 0;
    if (f->print && finding != NULL) {
        (void)printf("FAIL  %s\n", finding);
    } else if (f->print) {
        cli_facts(row);
    }
    return json_array_append(f->rows, row) == 0 ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

int audit_verify(struct audit_request *r)
{
    struct ds_error err = {0};
    struct findings f = {.rows = json_array(), .print = !r->json};
    const enum ds_status s = audit_ask(r, take_finding, &f, &err);
    if (s == DS_OK && r->json) {
        char *text = json_dumps(f.rows, JSON_INDENT(2));
        (void)puts(text != NULL ? text : "[]");
        free(text);
    }
    json_decref(f.rows);
    if (s != DS_OK) {
        return cli_complain("audit verify", &err);
    }
    return f.count > 0 ? CLI_ALTERED : CLI_DONE;
}

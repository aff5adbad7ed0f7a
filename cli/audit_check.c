/* SPDX-License-Identifier: Apache-2.0 */
/* check: evidence by itself, step by step. */
#include "cli/audit.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum ds_status audit_file_read(struct audit_file *f, const char *path, struct ds_error *err)
{
    f->text = DS_BYTES_INIT(EVIDENCE_MAX_BYTES);
    const enum ds_status s = ds_file_read(path, &f->text, err);
    return s == DS_OK ? evidence_parse(f->text.data, f->text.len, &f->evidence, err) : s;
}

void audit_file_free(struct audit_file *f)
{
    evidence_free(&f->evidence);
    ds_bytes_free(&f->text);
}

static struct evidence_trust trust_of(const struct audit_request *r)
{
    return (struct evidence_trust){r->trust, r->stamp_paths, r->stamp_count};
}

static void say_nothing(void *context, const struct evidence_step *step)
{
    (void)context;
    (void)step;
}

enum ds_status audit_file_check(const struct audit_request *r, const struct audit_file *f,
                                struct ds_error *err)
{
    const struct evidence_trust trust = trust_of(r);
    return evidence_check(&f->evidence, &trust, say_nothing, NULL, err);
}

/* ---- what a step is about, in words ---- */

static const char *member(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));
    return text != NULL ? text : "";
}

/* Only of an event that has verified. */
static void describe_event(const struct evidence_item *item, char *out, size_t room)
{
    json_t *event = json_loadb(item->text.data, item->text.len, 0, NULL);
    const char *peer = member(event, "peer");
    const char *outcome = member(event, "outcome");
    (void)snprintf(out, room, "%" PRIu64 " %s %s%s%s%s%s", item->leaf, member(event, "at"),
                   member(event, "kind"), peer[0] != '\0' ? ", peer " : "", peer,
                   outcome[0] != '\0' ? ", " : "", outcome);
    json_decref(event);
}

static void describe(const struct evidence_step *step, char *out, size_t room)
{
    const struct evidence_item *item = step->item;
    char id[DS_SHA256_HEX_BYTES];
    out[0] = '\0';
    if (item->word == EVIDENCE_EVENT && step->status == DS_OK) {
        describe_event(item, out, room);
    } else if (item->word == EVIDENCE_EVENT) {
        (void)snprintf(out, room, "%" PRIu64, item->leaf);
    } else if (strcmp(step->name, "head") == 0) {
        (void)snprintf(out, room, "%" PRIu64 " events", item->head.size);
    } else if (strcmp(step->name, "witness") == 0) {
        ds_hex(item->head.log, sizeof(item->head.log), id);
        (void)snprintf(out, room, "%" PRIu64 " events of %.16s", item->head.size, id);
    }
}

/* ---- printing ---- */

struct printing {
    bool json;
    json_t *steps;
    size_t count, failed;
};

static void print_step(struct printing *p, const char *name, bool ok, const char *what,
                       const char *text)
{
    p->count++;
    p->failed += ok ? 0 : 1;
    if (p->json) {
        (void)json_array_append_new(p->steps, json_pack("{s:s, s:b, s:s, s:s}", "step", name, "ok",
                                                        ok, "about", what, "text", text));
        return;
    }
    (void)printf("%-4s  %s%s%s%s%s\n", ok ? "ok" : "FAIL", name, what[0] != '\0' ? " " : "", what,
                 text[0] != '\0' ? ": " : "", text);
}

static void take_step(void *context, const struct evidence_step *step)
{
    char what[DS_ERROR_TEXT_BYTES];
    describe(step, what, sizeof(what));
    print_step(context, step->name, step->status == DS_OK, what, step->text);
}

static int conclude(struct printing *p)
{
    if (p->json) {
        char *text = json_dumps(p->steps, JSON_INDENT(2));
        (void)puts(text != NULL ? text : "");
        free(text);
    } else if (p->failed > 0) {
        (void)printf("does not verify: %zu of %zu steps failed\n", p->failed, p->count);
    } else {
        (void)printf("verifies: %zu steps\n", p->count);
    }
    json_decref(p->steps);
    return p->failed > 0 ? CLI_ALTERED : CLI_DONE;
}

int audit_check(struct audit_request *r)
{
    struct ds_error err = {0};
    struct printing p = {.json = r->json, .steps = json_array()};
    const struct evidence_trust trust = trust_of(r);
    DS_AUTO(audit_file_free) struct audit_file f = {0};
    enum ds_status s = audit_file_read(&f, r->operands[0], &err);
    if (s != DS_OK && s != DS_EFORMAT) {
        json_decref(p.steps);
        return cli_complain(r->operands[0], &err);
    }
    print_step(&p, "form", s == DS_OK, "", s == DS_OK ? "" : err.text);
    if (s == DS_OK) {
        s = evidence_check(&f.evidence, &trust, take_step, &p, &err);
    }
    const int code = conclude(&p);
    /* What could not be checked (memory, a CA's file) is no verdict on the evidence. */
    return s == DS_OK || s == DS_EAUTH || s == DS_EFORMAT ? code
                                                          : cli_complain(r->operands[0], &err);
}

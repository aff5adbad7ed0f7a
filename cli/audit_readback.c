/* SPDX-License-Identifier: Apache-2.0 */
/* read-back: what a peer still has of what it was sent, as the node finds it. */
#include "cli/audit.h"

#include <stdlib.h>
#include <string.h>

#define FINDINGS_MAX 100000U

/* ---- one finding in a few words ---- */

static void add_word(char *out, size_t room, const char *word)
{
    const size_t len = strlen(out);
    if (len < room) {
        (void)snprintf(out + len, room - len, "%s%s", len > 0 ? ", " : "", word);
    }
}

static void say_changes(const json_t *detail, char *out, size_t room)
{
    const json_t *changed = json_object_get(detail, "changed");
    char text[64];
    for (size_t i = 0; i < json_array_size(changed); i++) {
        const json_t *c = json_array_get(changed, i);
        const char *keyword = json_string_value(json_object_get(c, "keyword"));
        const char *tag = json_string_value(json_object_get(c, "tag"));
        const char *how = json_string_value(json_object_get(c, "change"));
        if (keyword == NULL || tag == NULL || how == NULL) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "%.40s %.8s", keyword[0] != '\0' ? keyword : tag, how);
        add_word(out, room, text);
    }
}

static void say_pixels(const json_t *pixels, char *out, size_t room)
{
    char text[96];
    const char *cause = json_string_value(json_object_get(pixels, "cause"));
    if (cause != NULL) {
        add_word(out, room, cause);
    } else if (pixels != NULL) {
        (void)snprintf(text, sizeof(text), "%lld of %lld pixels, by at most %lld",
                       (long long)json_integer_value(json_object_get(pixels, "changed")),
                       (long long)json_integer_value(json_object_get(pixels, "total")),
                       (long long)json_integer_value(json_object_get(pixels, "greatest")));
        add_word(out, room, text);
    }
}

/* Adds the member "what", which the table shows. */
static void summarise(json_t *finding)
{
    char what[1024] = "";
    const json_t *detail = json_object_get(finding, "detail");
    const char *cause = json_string_value(json_object_get(detail, "cause"));
    const char *carrier = json_string_value(json_object_get(detail, "carrier"));
    say_pixels(json_object_get(detail, "pixels"), what, sizeof(what));
    if (carrier != NULL && strcmp(carrier, "lost") == 0) {
        add_word(what, sizeof(what), "carries nothing that verifies");
    }
    say_changes(detail, what, sizeof(what));
    if (cause != NULL) {
        add_word(what, sizeof(what), cause);
    }
    (void)json_object_set_new(finding, "what", json_string(what));
}

/* ---- the answer ---- */

struct answer {
    json_t *findings;
    json_t *run; /* the last row */
};

static enum ds_status take_row(void *context, json_t *row, struct ds_error *err)
{
    struct answer *a = context;
    if (json_object_get(row, "run") != NULL) {
        json_decref(a->run);
        a->run = json_incref(row);
        return DS_OK;
    }
    if (json_array_size(a->findings) == FINDINGS_MAX) {
        return DS_OK; /* the run has the numbers */
    }
    return json_array_append(a->findings, row) == 0 ? DS_OK
                                                    : ds_fail(err, DS_ENOMEM, "out of memory");
}

static long long outcome(const json_t *run, const char *name)
{
    return (long long)json_integer_value(json_object_get(json_object_get(run, "outcomes"), name));
}

/* What differs matters more than what is not known. */
static int code_of(const json_t *run)
{
    static const char *const altered[] = {"attributes-changed", "pixels-changed", "lossy",
                                          "missing", "extra"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(altered); i++) {
        if (outcome(run, altered[i]) > 0) {
            return CLI_ALTERED;
        }
    }
    const char *state = json_string_value(json_object_get(run, "state"));
    const bool is_done = state != NULL && strcmp(state, "done") == 0;
    return is_done && outcome(run, "unread") == 0 ? CLI_DONE : CLI_FAILED;
}

static int print_json(const struct answer *a)
{
    json_t *all = json_pack("{s:O, s:O}", "run", a->run, "findings", a->findings);
    char *text = all != NULL ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    if (text == NULL) {
        return CLI_FAILED;
    }
    (void)puts(text);
    free(text);
    return CLI_DONE;
}

static void print_table(const struct answer *a)
{
    static const struct cli_column columns[] = {{"OUTCOME", "outcome", false, 0},
                                                {"DELIVERY", "delivery", true, 0},
                                                {"WHAT", "what", false, 0},
                                                {NULL, NULL, false, 0}};
    for (size_t i = 0; i < json_array_size(a->findings); i++) {
        summarise(json_array_get(a->findings, i));
    }
    if (json_array_size(a->findings) > 0) {
        cli_table(a->findings, columns);
        (void)puts("");
    }
    cli_facts(a->run);
}

static int show(const struct audit_request *r, const struct answer *a)
{
    if (a->run == NULL) {
        const struct ds_error err = {DS_EFORMAT, "the node's answer has no run"};
        return cli_complain("audit read-back", &err);
    }
    if (!r->json) {
        print_table(a);
    } else if (print_json(a) != CLI_DONE) {
        return CLI_FAILED;
    }
    return code_of(a->run);
}

int audit_read_back(struct audit_request *r)
{
    struct ds_error err = {0};
    struct answer a = {.findings = json_array()};
    if (a.findings == NULL ||
        json_object_set_new(r->arguments, "peer", json_string(r->operands[0])) != 0) {
        json_decref(a.findings);
        return cli_usage("audit", "'%s' is not UTF-8 text", r->operands[0]);
    }
    const bool has_run = json_object_get(r->arguments, "run") != NULL;
    const bool has_range = json_object_size(r->arguments) > (has_run ? 2U : 1U);
    if (r->show ? has_range : has_run) {
        json_decref(a.findings);
        return cli_usage("audit", "%s",
                         r->show ? "--show takes --run alone" : "--run belongs to --show");
    }
    r->command = r->show ? "read-back-show" : "read-back";
    const enum ds_status s = audit_ask(r, take_row, &a, &err);
    cli_progress("", 0, 0);
    const int code = s == DS_OK ? show(r, &a) : cli_complain("audit read-back", &err);
    json_decref(a.findings);
    json_decref(a.run);
    return code;
}

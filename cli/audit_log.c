/* SPDX-License-Identifier: Apache-2.0 */
/* log and export: events as rows of the node, each {"leaf": 17, "event": "the very bytes"}. */
#include "cli/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The event of a row as an object, with its leaf; NULL when it cannot be read. */
static json_t *event_of(json_t *row)
{
    const char *text = json_string_value(json_object_get(row, "event"));
    json_t *event = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (event != NULL && json_object_set(event, "leaf", json_object_get(row, "leaf")) != 0) {
        json_decref(event);
        return NULL;
    }
    return event;
}

/* ---- log ---- */

static enum ds_status keep_event(void *events, json_t *row, struct ds_error *err)
{
    json_t *event = event_of(row);
    return event != NULL && json_array_append_new(events, event) == 0
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "an event of the node cannot be read");
}

int audit_log(struct audit_request *r)
{
    static const struct cli_column columns[] = {{"LEAF", "leaf", true, 0},
                                                {"TIME (UTC)", "at", false, 19},
                                                {"KIND", "kind", false, 16},
                                                {"PEER", "peer", false, 16},
                                                {"OUTCOME", "outcome", false, 10},
                                                {"INSTANCE", "sop_uid", false, 0},
                                                {NULL, NULL, false, 0}};
    struct ds_error err = {0};
    json_t *events = json_array();
    const enum ds_status s = audit_ask(r, keep_event, events, &err);
    if (s == DS_OK && r->json) {
        char *text = json_dumps(events, JSON_INDENT(2));
        (void)puts(text != NULL ? text : "[]");
        free(text);
    } else if (s == DS_OK) {
        cli_table(events, columns);
    }
    json_decref(events);
    return s == DS_OK ? CLI_DONE : cli_complain("audit log", &err);
}

/* ---- export ---- */

struct exporting {
    FILE *to;
    bool csv;
};

static const char *const fields[] = {"leaf",    "log",      "id",    "at",      "node",      "kind",
                                     "actor",   "instance", "study", "sop_uid", "study_uid", "peer",
                                     "outcome", "before",   "after", "detail"};

/* RFC 4180 2.5 to 2.7: quoted where it must be, a quote doubled. */
static void put_field(FILE *to, const char *text)
{
    if (strpbrk(text, "\",\r\n") == NULL) {
        (void)fputs(text, to);
        return;
    }
    (void)fputc('"', to);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            (void)fputc('"', to);
        }
        (void)fputc(*text, to);
    }
    (void)fputc('"', to);
}

/* A text as it is, nothing for null, all else as JSON. */
static void put_value(FILE *to, const json_t *value)
{
    if (value == NULL || json_is_null(value)) {
        return;
    }
    if (json_is_string(value)) {
        put_field(to, json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    put_field(to, text != NULL ? text : "");
    free(text);
}

static enum ds_status put_csv(FILE *to, json_t *row, struct ds_error *err)
{
    json_t *event = event_of(row);
    if (event == NULL) {
        return ds_fail(err, DS_EFORMAT, "an event of the node cannot be read");
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(fields); i++) {
        (void)fputs(i > 0 ? "," : "", to);
        put_value(to, json_object_get(event, fields[i]));
    }
    (void)fputs("\r\n", to);
    json_decref(event);
    return DS_OK;
}

/* The event's own bytes stand in the line, so that its leaf can be computed from it. */
static void put_jsonl(FILE *to, json_t *row)
{
    const json_t *leaf = json_object_get(row, "leaf");
    const char *event = json_string_value(json_object_get(row, "event"));
    if (json_is_integer(leaf)) {
        (void)fprintf(to, "{\"leaf\":%lld", (long long)json_integer_value(leaf));
    } else {
        (void)fputs("{\"leaf\":null", to);
    }
    (void)fprintf(to, ",\"event\":%s}\n", event != NULL ? event : "null");
}

static enum ds_status export_row(void *context, json_t *row, struct ds_error *err)
{
    const struct exporting *e = context;
    enum ds_status s = DS_OK;
    if (e->csv) {
        s = put_csv(e->to, row, err);
    } else {
        put_jsonl(e->to, row);
    }
    return s == DS_OK && ferror(e->to) ? ds_fail(err, DS_EIO, "cannot write: %m") : s;
}

static enum ds_status export_to(const struct audit_request *r, FILE *to, struct ds_error *err)
{
    struct exporting e = {to, r->csv};
    for (size_t i = 0; e.csv && i < DS_ARRAY_SIZE(fields); i++) {
        (void)fprintf(to, "%s%s", fields[i], i + 1 < DS_ARRAY_SIZE(fields) ? "," : "\r\n");
    }
    enum ds_status s = audit_ask(r, export_row, &e, err);
    if (s == DS_OK && fflush(to) != 0) {
        s = ds_fail(err, DS_EIO, "cannot write: %m");
    }
    return s;
}

/* Beside its final name first: a log cut short must not pass for the whole one. */
static enum ds_status export_to_file(const struct audit_request *r, struct ds_error *err)
{
    char name[4096];
    const int n = snprintf(name, sizeof(name), "%s.part", r->output);
    if (n < 0 || (size_t)n >= sizeof(name)) {
        return ds_fail(err, DS_EINVAL, "the name is too long");
    }
    if (!r->force && access(r->output, F_OK) == 0) {
        return ds_fail(err, DS_EEXIST, "%s is there already; --force writes over it", r->output);
    }
    FILE *to = fopen(name, "wxe");
    if (to == NULL) {
        return ds_fail(err, DS_EIO, "cannot write %s: %m", name);
    }
    enum ds_status s = export_to(r, to, err);
    if (s == DS_OK && fsync(fileno(to)) != 0) {
        s = ds_fail(err, DS_EIO, "cannot write %s: %m", name);
    }
    if (fclose(to) != 0 && s == DS_OK) {
        s = ds_fail(err, DS_EIO, "cannot write %s: %m", name);
    }
    if (s == DS_OK && rename(name, r->output) != 0) {
        s = ds_fail(err, DS_EIO, "cannot name %s: %m", r->output);
    }
    if (s != DS_OK) {
        (void)unlink(name);
    }
    return s;
}

int audit_export(struct audit_request *r)
{
    struct ds_error err = {0};
    const enum ds_status s =
        r->output != NULL ? export_to_file(r, &err) : export_to(r, stdout, &err);
    return s == DS_OK ? CLI_DONE : cli_complain("audit export", &err);
}

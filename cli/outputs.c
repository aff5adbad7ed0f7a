/* SPDX-License-Identifier: Apache-2.0 */
/* Results get their final names together, at the end, or not at all. */
#include "cli/cli.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum ds_status check_free(const struct cli_outputs *outs, const char *path,
                                 struct ds_error *err)
{
    if (!outs->force && ds_file_exists(path)) {
        return ds_fail(err, DS_EEXIST, "%.150s exists; --force overwrites it", path);
    }
    return cli_outputs_has(outs, path)
               ? ds_fail(err, DS_EEXIST, "%.150s would be written twice", path)
               : DS_OK;
}

enum ds_status cli_output_name(const struct cli_outputs *outs, const struct cli_inputs *ins,
                               const struct cli_input *in, const char *out, char **name,
                               struct ds_error *err)
{
    *name = ins->is_many || is_folder(out) ? ds_file_join(out, in->relative) : strdup(out);
    if (*name == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    return check_free(outs, *name, err);
}

enum ds_status cli_output_sidecar(const struct cli_outputs *outs, const char *name, char **out,
                                  struct ds_error *err)
{
    const size_t len = strlen(name);
    const bool has_end = len > 4 && strcasecmp(name + len - 4, ".dcm") == 0;
    if (asprintf(out, "%.*s.sidecar.dcm", (int)(has_end ? len - 4 : len), name) < 0) {
        *out = NULL;
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    return check_free(outs, *out, err);
}

bool cli_outputs_has(const struct cli_outputs *outs, const char *path)
{
    for (size_t i = 0; i < outs->count; i++) {
        if (strcmp(outs->items[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static enum ds_status next_output(struct cli_outputs *outs, struct cli_output **out,
                                  struct ds_error *err)
{
    if (outs->count == outs->room) {
        const size_t room = outs->room == 0 ? 64 : 2 * outs->room;
        struct cli_output *items = reallocarray(outs->items, room, sizeof(*items));
        if (items == NULL) {
            return ds_fail(err, DS_ENOMEM, "no memory for %zu file names", room);
        }
        outs->items = items;
        outs->room = room;
    }
    *out = &outs->items[outs->count];
    memset(*out, 0, sizeof(**out));
    return DS_OK;
}

static enum ds_status make_parent(const char *path, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *folder = strdup(path);
    char *slash = folder == NULL ? NULL : strrchr(folder, '/');
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    if (slash == NULL || slash == folder) {
        return DS_OK;
    }
    *slash = '\0';
    return ds_file_make_folders(folder, 0777, err);
}

enum ds_status cli_outputs_stage(struct cli_outputs *outs, const char *path,
                                 const struct ds_bytes *data, struct ds_error *err)
{
    struct cli_output *o = NULL;
    enum ds_status s = next_output(outs, &o, err);
    if (s == DS_OK) {
        s = make_parent(path, err);
    }
    if (s != DS_OK) {
        return s;
    }
    o->path = strdup(path);
    if (o->path == NULL ||
        asprintf(&o->temporary, "%s.dicomstego-%ld-%zu", path, (long)getpid(), outs->count) < 0) {
        free(o->path);
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    s = ds_file_write(o->temporary, data->data, data->len, DS_FILE_NEW, 0666, err);
    if (s != DS_OK) {
        free(o->path);
        free(o->temporary);
        return s;
    }
    outs->count++;
    return DS_OK;
}

static enum ds_status commit_one(const struct cli_outputs *outs, struct cli_output *o,
                                 struct ds_error *err)
{
    if (outs->force) {
        if (rename(o->temporary, o->path) != 0) {
            return ds_fail(err, DS_EIO, "%.150s: %m", o->path);
        }
    } else {
        /* link(2) never replaces: whoever was faster keeps the name. */
        if (link(o->temporary, o->path) != 0) {
            return errno == EEXIST
                       ? ds_fail(err, DS_EEXIST, "%.150s exists; --force overwrites it", o->path)
                       : ds_fail(err, DS_EIO, "%.150s: %m", o->path);
        }
        (void)unlink(o->temporary);
    }
    free(o->temporary);
    o->temporary = NULL;
    return DS_OK;
}

enum ds_status cli_outputs_commit(struct cli_outputs *outs, struct ds_error *err)
{
    for (size_t i = 0; i < outs->count; i++) {
        const enum ds_status s = commit_one(outs, &outs->items[i], err);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

void cli_outputs_free(struct cli_outputs *outs)
{
    for (size_t i = 0; i < outs->count; i++) {
        if (outs->items[i].temporary != NULL) {
            (void)unlink(outs->items[i].temporary);
            free(outs->items[i].temporary);
        }
        free(outs->items[i].path);
    }
    free(outs->items);
}

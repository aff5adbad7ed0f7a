/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDERS_DEEP_MAX 64U

static enum ds_status add(struct cli_inputs *in, const char *path, const char *relative,
                          bool from_folder, struct ds_error *err)
{
    if (in->count == in->room) {
        const size_t room = in->room == 0 ? 64 : 2 * in->room;
        struct cli_input *items = reallocarray(in->items, room, sizeof(*items));
        if (items == NULL) {
            return ds_fail(err, DS_ENOMEM, "no memory for %zu file names", room);
        }
        in->items = items;
        in->room = room;
    }
    struct cli_input *item = &in->items[in->count];
    item->path = strdup(path);
    item->relative = strdup(relative);
    item->from_folder = from_folder;
    in->count++;
    return item->path != NULL && item->relative != NULL
               ? DS_OK
               : ds_fail(err, DS_ENOMEM, "no memory for a file name");
}

static enum ds_status add_folder(struct cli_inputs *in, const char *path, const char *relative,
                                 unsigned depth, struct ds_error *err);

static enum ds_status add_entry(struct cli_inputs *in, const char *folder, const char *relative,
                                const char *name, unsigned depth, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = ds_file_join(folder, name);
    DS_AUTO(ds_string_free)
    char *below = relative[0] == '\0' ? strdup(name) : ds_file_join(relative, name);
    struct stat st;
    if (path == NULL || below == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a file name");
    }
    if (lstat(path, &st) != 0) {
        return ds_fail(err, DS_EIO, "%.150s: %m", path);
    }
    if (S_ISDIR(st.st_mode)) {
        return add_folder(in, path, below, depth + 1, err);
    }
    return S_ISREG(st.st_mode) ? add(in, path, below, true, err) : DS_OK;
}

static int skip_dots(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static enum ds_status add_folder(struct cli_inputs *in, const char *path, const char *relative,
                                 unsigned depth, struct ds_error *err)
{
    if (depth > FOLDERS_DEEP_MAX) {
        return ds_fail(err, DS_EINVAL, "%.150s: folders are nested too deeply", path);
    }
    struct dirent **names = NULL;
    const int n = scandir(path, &names, skip_dots, alphasort);
    if (n < 0) {
        return ds_fail(err, DS_EIO, "%.150s: %m", path);
    }
    enum ds_status s = DS_OK;
    for (int i = 0; i < n; i++) {
        if (s == DS_OK) {
            s = add_entry(in, path, relative, names[i]->d_name, depth, err);
        }
        free(names[i]);
    }
    free(names);
    return s;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

enum ds_status cli_inputs_gather(struct cli_inputs *out, char *const *names, size_t count,
                                 struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    out->is_many = count > 1;
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        if (stat(names[i], &st) != 0) {
            return ds_fail(err, errno == ENOENT ? DS_ENOTFOUND : DS_EIO, "%.150s: %m", names[i]);
        }
        const bool is_folder = S_ISDIR(st.st_mode);
        out->is_many = out->is_many || is_folder;
        const enum ds_status s = is_folder ? add_folder(out, names[i], "", 0, err)
                                           : add(out, names[i], base_name(names[i]), false, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return out->count > 0 ? DS_OK : ds_fail(err, DS_ENOTFOUND, "no files there");
}

void cli_inputs_drop(struct cli_inputs *in, size_t i)
{
    free(in->items[i].path);
    free(in->items[i].relative);
    in->count--;
    memmove(&in->items[i], &in->items[i + 1], (in->count - i) * sizeof(*in->items));
}

void cli_inputs_free(struct cli_inputs *in)
{
    for (size_t i = 0; i < in->count; i++) {
        free(in->items[i].path);
        free(in->items[i].relative);
    }
    free(in->items);
}

bool cli_is_png(const struct ds_bytes *file)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    return file->len >= sizeof(signature) && memcmp(file->data, signature, sizeof(signature)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text);
    const size_t b = strlen(end);
    return a >= b && strcasecmp(text + a - b, end) == 0;
}

bool cli_is_foreign(const struct cli_input *in, const struct ds_bytes *file)
{
    if (!in->from_folder || cli_is_png(file) || ends_with(in->path, ".dcm") ||
        ends_with(in->path, ".png")) {
        return false;
    }
    return file->len < 132 || memcmp(file->data + 128, "DICM", 4) != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dropfolder.h"

#include "base/file.h"
#include "base/log.h"
#include "node/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EVERY_MS    500
#define REPORT_MAX_BYTES (32U * 1024U * 1024U)
#define WATCHED_MAX      1024U /* files seen at once; more wait until these are gone */
#define COLLISIONS_MAX   1000U

/* A file that lies in the folder, from one look to the next. */
struct watched {
    char name[DROP_NAME_BYTES];
    off_t size;
    struct timespec changed;
    bool here;  /* seen in this look */
    bool still; /* as it was in the last look */
    bool said;  /* that its study is not known */
};

struct dropfolder {
    struct services *services;
    struct thread thread;
    struct watched *watched;
    size_t count;
};

/* Where a look is at. */
struct look {
    struct dropfolder *d;
    struct db *db;
    const char *folder;
};

static struct watched *watch(struct dropfolder *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->watched[i].name, name) == 0) {
            return &d->watched[i];
        }
    }
    if (d->count == WATCHED_MAX) {
        return NULL;
    }
    struct watched *w = &d->watched[d->count++];
    memset(w, 0, sizeof(*w));
    (void)snprintf(w->name, sizeof(w->name), "%s", name);
    w->size = -1;
    return w;
}

/* One file by a name of readdir. Links and folders are not reports. */
static void see(struct dropfolder *d, int folder, const char *name)
{
    char study[DROP_NAME_BYTES];
    struct stat st;
    if (strlen(name) >= DROP_NAME_BYTES || !dropfolder_study_of(name, study) ||
        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    struct watched *w = watch(d, name);
    if (w == NULL) {
        return;
    }
    w->here = true;
    w->still = w->size == st.st_size && w->changed.tv_sec == st.st_mtim.tv_sec &&
               w->changed.tv_nsec == st.st_mtim.tv_nsec;
    w->size = st.st_size;
    w->changed = st.st_mtim;
}

static void forget_gone(struct dropfolder *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (d->watched[i].here) {
            d->watched[kept++] = d->watched[i];
        }
    }
    d->count = kept;
}

/* A folder that is not there yet is made, so that a fresh installation has one to drop into. */
static DIR *open_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL && errno == ENOENT && mkdir(path, 0770) == 0) {
        folder = opendir(path);
    }
    return folder;
}

static enum ds_status look_around(struct look *l, struct ds_error *err)
{
    DIR *folder = open_folder(l->folder);
    if (folder == NULL) {
        return ds_fail(err, DS_EIO, "node.reports_folder '%s' cannot be read: %s", l->folder,
                       strerror(errno));
    }
    for (size_t i = 0; i < l->d->count; i++) {
        l->d->watched[i].here = false;
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        see(l->d, dirfd(folder), e->d_name);
    }
    (void)closedir(folder);
    forget_gone(l->d);
    return DS_OK;
}

/* Moves a file to FOLDER/SUB/NAME, or NAME.1 and so on where that is taken. *place: where it went.
 */
static enum ds_status move_to(const struct look *l, const char *name, const char *sub, char *place,
                              size_t place_size, struct ds_error *err)
{
    char from[4096];
    char target[4096];
    (void)snprintf(target, sizeof(target), "%s/%s", l->folder, sub);
    const enum ds_status s = ds_file_make_folders(target, 0700, err);
    if (s != DS_OK) {
        return s;
    }
    (void)snprintf(from, sizeof(from), "%s/%s", l->folder, name);
    for (unsigned i = 0; i < COLLISIONS_MAX; i++) {
        int n = snprintf(place, place_size, i == 0 ? "%s/%s/%s" : "%s/%s/%s.%u", l->folder, sub,
                         name, i);
        if (n < 0 || (size_t)n >= place_size) {
            break;
        }
        if (renameat2(AT_FDCWD, from, AT_FDCWD, place, RENAME_NOREPLACE) == 0) {
            return DS_OK;
        }
        if (errno != EEXIST) {
            return ds_fail(err, DS_EIO, "a report cannot be moved: %s", strerror(errno));
        }
    }
    return ds_fail(err, DS_EIO, "no free name for a report in %s/", sub);
}

static void refuse(const struct look *l, const char *name, const char *reason)
{
    struct ds_error err = {0};
    char place[4000];
    char beside[4096];
    enum ds_status s = move_to(l, name, "refused", place, sizeof(place), &err);
    if (s == DS_OK) {
        (void)snprintf(beside, sizeof(beside), "%s.reason", place);
        s = ds_file_write(beside, reason, strlen(reason), DS_FILE_REPLACE, 0600, &err);
    }
    ds_log(DS_LOG_WARNING, "node", "a report in the drop folder is refused: %s", reason);
    if (s != DS_OK) {
        /* The text may name the file, and that is the study's. */
        ds_log(DS_LOG_ERROR, "node", "status=%s its reason cannot be kept", ds_status_name(s));
    }
}

/* Reads without following a link that took the file's place. */
static enum ds_status read_report(const struct look *l, const char *name, struct ds_bytes *out,
                                  struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = ds_file_join(l->folder, name);
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    DS_AUTO(ds_file_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return ds_fail(err, DS_EFORMAT, "cannot be read");
    }
    if (st.st_size > (off_t)REPORT_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "larger than %u MiB", REPORT_MAX_BYTES >> 20);
    }
    enum ds_status s = ds_bytes_resize(out, (size_t)st.st_size, err);
    size_t at = 0;
    while (s == DS_OK && at < out->len) {
        const ssize_t n = read(fd, out->data + at, out->len - at);
        if (n <= 0) {
            return ds_fail(err, DS_EIO, "it became shorter while it was read");
        }
        at += (size_t)n;
    }
    return s;
}

/* A report that no instance waits for travels by itself, if the rule seals reports. */
static void say_if_late(const struct look *l, int64_t study_id)
{
    struct db_instance *pending = NULL;
    size_t count = 0;
    if (db_study_pending_instances(l->db, study_id, &pending, &count, NULL) == DS_OK &&
        count == 0) {
        ds_log(DS_LOG_INFO, "node",
               "study=%lld its images were sent before this report came: one of them carries it "
               "after them, if the rule seals reports",
               (long long)study_id);
    }
    free(pending);
}

static enum ds_status take(const struct look *l, struct watched *w, struct ds_error *err)
{
    char study[DROP_NAME_BYTES];
    int64_t study_id = 0;
    if (!dropfolder_study_of(w->name, study)) {
        return DS_OK;
    }
    enum ds_status s = db_study_find(l->db, study, &study_id, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes data = DS_BYTES_INIT(REPORT_MAX_BYTES);
    s = read_report(l, w->name, &data, err);
    if (s == DS_OK && data.len == 0) {
        return ds_fail(err, DS_EFORMAT, "the file is empty");
    }
    int64_t id = 0;
    if (s == DS_OK) {
        s = db_report_add(l->db, study_id, w->name,
                          dropfolder_media_type(w->name, data.data, data.len), "drop", data.data,
                          data.len, false, &id, err);
    }
    char place[4096];
    if (s == DS_OK) {
        s = move_to(l, w->name, "taken", place, sizeof(place), err);
    }
    if (s == DS_OK) {
        ds_log(DS_LOG_INFO, "node", "study=%lld report=%lld taken from the drop folder, %zu bytes",
               (long long)study_id, (long long)id, data.len);
        say_if_late(l, study_id);
    }
    return s;
}

static void handle(const struct look *l, struct watched *w)
{
    struct ds_error err = {0};
    const enum ds_status s = take(l, w, &err);
    if (s == DS_ENOTFOUND && !w->said) {
        w->said = true;
        ds_log(DS_LOG_INFO, "node", "a report in the drop folder waits for its study");
    } else if (s == DS_EFORMAT || s == DS_EUNSUPPORTED) {
        refuse(l, w->name, err.text);
    } else if (s != DS_OK && s != DS_ENOTFOUND && !w->said) {
        w->said = true;
        ds_log(DS_LOG_WARNING, "node", "status=%s a report waits: %s", ds_status_name(s), err.text);
    }
}

static void look(struct dropfolder *d, bool *complained)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(d->services);
    struct look l = {.d = d,
                     .db = services_db(d->services),
                     .folder = settings_config(settings)->reports_folder};
    if (l.folder == NULL || l.db == NULL) {
        return;
    }
    struct ds_error err = {0};
    if (look_around(&l, &err) != DS_OK) {
        if (!*complained) {
            ds_log(DS_LOG_WARNING, "node", "%s", err.text);
        }
        *complained = true;
        return;
    }
    *complained = false;
    for (size_t i = 0; i < d->count && !services_stopping(d->services); i++) {
        if (d->watched[i].still) {
            handle(&l, &d->watched[i]);
        }
    }
}

static void run(void *context)
{
    struct dropfolder *d = context;
    bool complained = false;
    while (!services_stopping(d->services)) {
        look(d, &complained);
        services_sleep(d->services, LOOK_EVERY_MS);
    }
}

enum ds_status dropfolder_start(struct dropfolder **out, struct services *services,
                                struct ds_error *err)
{
    *out = NULL;
    struct dropfolder *d = calloc(1, sizeof(*d));
    struct watched *watched = calloc(WATCHED_MAX, sizeof(*watched));
    enum ds_status s = DS_OK;
    if (d == NULL || watched == NULL) {
        s = ds_fail(err, DS_ENOMEM, "out of memory");
    } else {
        d->services = services;
        d->watched = watched;
        s = thread_start(&d->thread, run, d, err);
    }
    if (s != DS_OK) {
        free(watched);
        free(d);
        return s;
    }
    *out = d;
    return DS_OK;
}

bool dropfolder_stop(struct dropfolder *d, int64_t until_ms)
{
    if (d == NULL) {
        return true;
    }
    if (!thread_join(&d->thread, until_ms)) {
        return false;
    }
    free(d->watched);
    free(d);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/control.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/local.h"
#include "base/log.h"
#include "config/control.h"
#include "node/control_client.h"
#include "node/thread.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    struct control_client client;
    struct thread thread;
    bool started;     /* of the accepting thread: to be joined */
    atomic_bool busy; /* until its thread has nothing more to do */
};

struct control {
    const struct control_verb *verbs;
    void *context;
    char *path;
    int listening;
    int stopping; /* an eventfd: readable from the stop on */
    struct thread thread;
    bool started;
    struct place places[CONTROL_CLIENTS_MAX];
};

static void serve(void *context)
{
    struct place *p = context;
    control_client_serve(&p->client);
    atomic_store(&p->busy, false);
}

static struct place *free_place(struct control *c)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct place *p = &c->places[i];
        if (p->started && !atomic_load(&p->busy)) {
            p->started = !thread_join(&p->thread, ds_clock_monotonic_ms() + 1000);
        }
        if (!p->started) {
            return p;
        }
    }
    return NULL;
}

static void refuse(int fd)
{
    static const char full[] =
        "{\"error\": {\"status\": \"io\", \"text\": \"too many operators at once\"}}\n";
    (void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    ds_file_close(&fd);
}

static void take(struct control *c, int fd)
{
    struct place *p = free_place(c);
    struct ds_error err = {0};
    if (p == NULL) {
        ds_log(DS_LOG_WARNING, "node", "control: more than %u clients", CONTROL_CLIENTS_MAX);
        refuse(fd);
        return;
    }
    p->client = (struct control_client){
        .fd = fd, .stopping = c->stopping, .verbs = c->verbs, .context = c->context};
    atomic_store(&p->busy, true);
    if (thread_start(&p->thread, serve, p, &err) != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "control: %s", err.text);
        refuse(fd);
        return;
    }
    p->started = true;
}

static void run(void *context)
{
    struct control *c = context;
    for (;;) {
        struct pollfd waits[] = {{.fd = c->listening, .events = POLLIN},
                                 {.fd = c->stopping, .events = POLLIN}};
        (void)poll(waits, DS_ARRAY_SIZE(waits), -1);
        if (waits[1].revents != 0) {
            return;
        }
        const int fd = accept4(c->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take(c, fd);
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            ds_log(DS_LOG_ERROR, "node", "control: cannot accept: %s", strerror(errno));
            (void)poll(&waits[1], 1, 1000); /* the caller stays in the backlog */
        }
    }
}

/* ---- who may ---- */

static enum ds_status group_id(const char *name, gid_t *out, struct ds_error *err)
{
    struct group record;
    struct group *found = NULL;
    char buffer[16384];
    if (getgrnam_r(name, &record, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
        return ds_fail(err, DS_ECONFIG, "node.control_group: there is no group '%s'", name);
    }
    *out = found->gr_gid;
    return DS_OK;
}

/* The folder is the node's alone (0700); the group may pass through it and no more. */
static enum ds_status let_group_in(const char *path, const char *name, struct ds_error *err)
{
    gid_t group = 0;
    struct stat st;
    enum ds_status s = group_id(name, &group, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(ds_string_free)
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    if (stat(folder, &st) != 0 || chown(folder, (uid_t)-1, group) != 0 ||
        chmod(folder, (st.st_mode & 07777) | S_IXGRP) != 0 || chown(path, (uid_t)-1, group) != 0) {
        return ds_fail(err, DS_ECONFIG,
                       "node.control_group: the node's user may not give '%s' to '%s' (%s); "
                       "expected a group that it is a member of",
                       folder, name, strerror(errno));
    }
    return DS_OK;
}

static enum ds_status open_socket(struct control *c, const char *group, struct ds_error *err)
{
    enum ds_status s = ds_local_listen(c->path, &c->listening, err);
    if (s == DS_OK && group != NULL) {
        s = let_group_in(c->path, group, err);
    }
    if (s == DS_OK && chmod(c->path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) != 0) {
        s = ds_fail(err, DS_EIO, "'%s': %s", c->path, strerror(errno));
    }
    return s;
}

/* ---- life ---- */

static void control_free(struct control *c)
{
    if (c->listening >= 0) {
        (void)unlink(c->path);
    }
    ds_file_close(&c->listening);
    ds_file_close(&c->stopping);
    ds_string_free(&c->path);
    free(c);
}

enum ds_status control_start(struct control **out, const char *path, const char *group,
                             const struct control_verb *verbs, void *context, struct ds_error *err)
{
    *out = NULL;
    if (strchr(path, '/') == NULL) {
        return ds_fail(err, DS_EINVAL, "the socket's path has no folder");
    }
    struct control *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    c->verbs = verbs;
    c->context = context;
    c->listening = -1;
    c->stopping = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->path = strdup(path);
    enum ds_status s = c->path != NULL && c->stopping >= 0
                           ? DS_OK
                           : ds_fail(err, DS_ENOMEM, "no control socket: out of memory");
    if (s == DS_OK) {
        s = open_socket(c, group, err);
    }
    if (s == DS_OK) {
        s = thread_start(&c->thread, run, c, err);
    }
    if (s != DS_OK) {
        control_free(c);
        return s;
    }
    *out = c;
    return DS_OK;
}

bool control_stop(struct control *c, int64_t until_ms)
{
    if (c == NULL) {
        return true;
    }
    const uint64_t one = 1;
    (void)!write(c->stopping, &one, sizeof(one));
    bool all = thread_join(&c->thread, until_ms);
    for (size_t i = 0; all && i < CONTROL_CLIENTS_MAX; i++) {
        all = !c->places[i].started || thread_join(&c->places[i].thread, until_ms);
    }
    if (all) {
        control_free(c);
    }
    return all;
}

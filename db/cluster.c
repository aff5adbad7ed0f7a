/* SPDX-License-Identifier: Apache-2.0 */
/* The private PostgreSQL: made when it is new, started, spoken to, stopped. */
#include "base/clock.h"
#include "base/file.h"
#include "db/cluster_folder.h"
#include "db/db.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libpq-fe.h>

#define INITDB_MS     120000
#define START_MS      180000 /* repairing after a crash may take long */
#define STOP_FAST_MS  7000   /* a node has 10 s to end in */
#define STOP_HARD_MS  2000
#define START_TRIES   5
#define URL_BYTES     256
#define SETTING_BYTES 160

static const char sql_has_role[] = "SELECT 1 FROM pg_roles WHERE rolname = 'dicomstego'";
static const char sql_make_role[] = "CREATE ROLE dicomstego LOGIN";
static const char sql_has_node_role[] = "SELECT 1 FROM pg_roles WHERE rolname = 'dicomstego_node'";
static const char sql_make_node_role[] = "CREATE ROLE dicomstego_node LOGIN";
static const char sql_has_database[] = "SELECT 1 FROM pg_database WHERE datname = 'dicomstego'";
static const char sql_make_database[] = "CREATE DATABASE dicomstego OWNER dicomstego";

struct db_cluster {
    struct db_cluster_folder folder;
    struct db_server *server;
};

static void cluster_auto(struct db_cluster **c)
{
    db_cluster_stop(*c);
}

static void server_auto(struct db_server **s)
{
    db_server_free(*s);
}

static void connection_auto(PGconn **c)
{
    PQfinish(*c);
}

/* ---- a new one ---- */

static enum ds_status make_fresh(const struct db_cluster_folder *f, struct ds_error *err)
{
    if (mkdir(f->fresh, 0700) != 0 ||
        (f->identity.switching && lchown(f->fresh, f->identity.uid, f->identity.gid) != 0)) {
        return ds_fail(err, DS_EIO, "unable to make the folder '%s': %s", f->fresh,
                       strerror(errno));
    }
    return DS_OK;
}

static enum ds_status run_initdb(const struct db_cluster_folder *f, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = NULL;
    enum ds_status s = db_cluster_program(f, "initdb", &path, err);
    if (s != DS_OK) {
        return s;
    }
    char d[] = "-D", user[] = "--username=postgres", encoding[] = "-EUTF8", locale[] = "--locale=C",
         sums[] = "--data-checksums", access[] = "--auth=reject";
    /* The first word is the whole path: both programs look for their files from there. */
    char *const argv[] = {path, d, f->fresh, user, encoding, locale, sums, access, NULL};
    const struct db_program program = {path, argv, f->identity, f->log_fd};
    DS_AUTO(server_auto) struct db_server *run = NULL;
    s = db_server_start(&run, &program, err);
    if (s != DS_OK) {
        return s;
    }
    int status = 0;
    if (!db_server_wait(run, INITDB_MS, &status) || status != 0) {
        return ds_fail(err, DS_EIO, "initdb failed; '%.150s/server.log' says why", f->root);
    }
    return DS_OK;
}

/* initdb works beside the final place: a start that was killed half way leaves no half database. */
static enum ds_status make_when_new(const struct db_cluster_folder *f, struct ds_error *err)
{
    if (ds_file_exists(f->data)) {
        return DS_OK;
    }
    enum ds_status s = make_fresh(f, err);
    if (s == DS_OK) {
        s = run_initdb(f, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (rename(f->fresh, f->data) != 0) {
        return ds_fail(err, DS_EIO, "unable to make '%s': %s", f->data, strerror(errno));
    }
    return ds_file_sync_folder(f->root, err);
}

/* ---- start ---- */

/* Settings are given here and not in postgresql.conf, so that a newer version of the node brings
 * its own. The log leaves out details, which quote rows. */
static const char *const fixed_settings[] = {
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "shared_buffers=64MB",
    "max_connections=64",
    "wal_level=minimal",
    "max_wal_senders=0",
    "wal_compression=on",
    "jit=off",
    "password_encryption=scram-sha-256",
    "log_destination=stderr",
    "logging_collector=off",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_statement=none",
    "log_checkpoints=off",
    "log_timezone=UTC",
    "timezone=UTC",
};

#define FIXED_COUNT DS_ARRAY_SIZE(fixed_settings)
#define ARGV_COUNT  (3 + 2 * FIXED_COUNT + 6 + 1)

struct command {
    char *argv[ARGV_COUNT];
    size_t count;
    bool out_of_memory;
};

static void command_auto(struct command *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->argv[i]);
    }
}

static void add(struct command *c, const char *prefix, const char *text)
{
    const size_t size = strlen(prefix) + strlen(text) + 1;
    char *word = malloc(size);
    c->out_of_memory = c->out_of_memory || word == NULL;
    if (word != NULL) {
        (void)snprintf(word, size, "%s%s", prefix, text);
        c->argv[c->count++] = word; /* ARGV_COUNT counts what server_command adds */
    }
}

static void server_command(struct command *c, const char *path, const struct db_cluster_folder *f)
{
    add(c, "", path);
    add(c, "", "-D");
    add(c, "", f->data);
    for (size_t i = 0; i < FIXED_COUNT; i++) {
        add(c, "", "-c");
        add(c, "", fixed_settings[i]);
    }
    add(c, "", "-c");
    add(c, "unix_socket_directories=", f->socket);
    add(c, "", "-c");
    add(c, "hba_file=", f->hba);
    add(c, "", "-c");
    add(c, "ident_file=", f->ident);
}

static enum ds_status launch(struct db_cluster *c, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = NULL;
    enum ds_status s = db_cluster_program(&c->folder, "postgres", &path, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(command_auto) struct command command = {{NULL}, 0, false};
    server_command(&command, path, &c->folder);
    if (command.out_of_memory) {
        return ds_fail(err, DS_ENOMEM, "no memory to start PostgreSQL");
    }
    const struct db_program program = {path, command.argv, c->folder.identity, c->folder.log_fd};
    return db_server_start(&c->server, &program, err);
}

static void make_url(const struct db_cluster *c, const char *database, const char *user,
                     char out[URL_BYTES])
{
    (void)snprintf(out, URL_BYTES, "postgresql:///%s?host=%s&port=5432&user=%s", database,
                   c->folder.socket, user);
}

static enum ds_status wait_ready(struct db_cluster *c, struct ds_error *err)
{
    char url[URL_BYTES];
    make_url(c, "postgres", "postgres", url);
    const int64_t until = ds_clock_monotonic_ms() + START_MS;
    while (ds_clock_monotonic_ms() < until) {
        if (PQping(url) == PQPING_OK) {
            return DS_OK;
        }
        if (db_server_wait(c->server, 50, NULL)) {
            return ds_fail(err, DS_EIO,
                           "PostgreSQL ended while it started; '%.150s/server.log' "
                           "says why",
                           c->folder.root);
        }
    }
    return ds_fail(err, DS_EIO,
                   "PostgreSQL did not get ready within %d s; '%.150s/server.log' "
                   "says why",
                   START_MS / 1000, c->folder.root);
}

/* Children of a postmaster that was killed take a moment to notice, and hold the shared memory. */
static enum ds_status start(struct db_cluster *c, struct ds_error *err)
{
    enum ds_status s = DS_EIO;
    for (int i = 0; i < START_TRIES; i++) {
        if (i > 0) {
            (void)usleep(500000);
        }
        s = db_cluster_clear(&c->folder, err);
        if (s == DS_OK) {
            s = launch(c, err);
        }
        if (s != DS_OK) {
            return s;
        }
        s = wait_ready(c, err);
        if (s == DS_OK || db_server_is_alive(c->server)) {
            return s;
        }
        db_server_free(c->server);
        c->server = NULL;
    }
    return s;
}

/* ---- the database in it ---- */

static enum ds_status make_missing(PGconn *conn, const char *question, const char *statement,
                                   struct ds_error *err)
{
    PGresult *r = PQexec(conn, question);
    const bool asked = PQresultStatus(r) == PGRES_TUPLES_OK;
    const bool there = asked && PQntuples(r) > 0;
    PQclear(r);
    if (there) {
        return DS_OK;
    }
    r = PQexec(conn, statement);
    const bool made = asked && PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return made ? DS_OK
                : ds_fail(err, DS_EIO, "unable to prepare the private database: %.150s",
                          PQerrorMessage(conn));
}

/* Neither role is a superuser: one owns the tables, as the other the node works. */
static enum ds_status prepare_database(struct db_cluster *c, struct ds_error *err)
{
    char url[URL_BYTES];
    make_url(c, "postgres", "postgres", url);
    DS_AUTO(connection_auto) PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) != CONNECTION_OK) {
        return ds_fail(err, DS_EIO, "unable to reach the private database: %.170s",
                       PQerrorMessage(conn));
    }
    enum ds_status s = make_missing(conn, sql_has_role, sql_make_role, err);
    if (s == DS_OK) {
        s = make_missing(conn, sql_has_node_role, sql_make_node_role, err);
    }
    return s == DS_OK ? make_missing(conn, sql_has_database, sql_make_database, err) : s;
}

/* ---- callers ---- */

enum ds_status db_cluster_start(struct db_cluster **out, const char *folder, char **url,
                                struct ds_error *err)
{
    *out = NULL;
    *url = NULL;
    DS_AUTO(cluster_auto) struct db_cluster *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the private database");
    }
    c->folder = DB_CLUSTER_FOLDER_INIT;
    enum ds_status s = db_cluster_folder_prepare(&c->folder, folder, err);
    if (s == DS_OK) {
        s = db_cluster_clear(&c->folder, err);
    }
    if (s == DS_OK) {
        s = make_when_new(&c->folder, err);
    }
    if (s == DS_OK) {
        s = start(c, err);
    }
    if (s == DS_OK) {
        s = prepare_database(c, err);
    }
    if (s != DS_OK) {
        return s;
    }
    char text[URL_BYTES];
    make_url(c, "dicomstego", "dicomstego", text);
    *url = strdup(text);
    if (*url == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the database address");
    }
    *out = c;
    c = NULL;
    return DS_OK;
}

enum ds_status db_cluster_node_url(const struct db_cluster *c, char **url, struct ds_error *err)
{
    char text[URL_BYTES];
    make_url(c, "dicomstego", "dicomstego_node", text);
    *url = strdup(text);
    return *url != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "no memory for the database address");
}

void db_cluster_stop(struct db_cluster *c)
{
    if (c == NULL) {
        return;
    }
    if (c->server != NULL) {
        db_server_signal(c->server, SIGINT);
        if (!db_server_wait(c->server, STOP_FAST_MS, NULL)) {
            db_server_signal(c->server, SIGQUIT);
            (void)db_server_wait(c->server, STOP_HARD_MS, NULL);
        }
        db_server_free(c->server);
    }
    db_cluster_folder_finish(&c->folder);
    free(c);
}

bool db_cluster_is_alive(const struct db_cluster *c)
{
    return db_server_is_alive(c->server);
}

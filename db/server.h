/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - a program that may not outlive us, run by a user that may do little.
 *
 * PR_SET_PDEATHSIG fires when the thread that forked ends, not when the process does. So each
 * program has a keeper: a thread that forks it, waits for its end and lives exactly as long. The
 * caller may be any thread. When we are killed the keeper dies too, and the program gets SIGINT.
 */
#ifndef DICOMSTEGO_DB_SERVER_H
#define DICOMSTEGO_DB_SERVER_H

#include "base/base.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct db_identity {
    bool switching; /* we are root, and become this user */
    uid_t uid;
    gid_t gid;
    char name[64];
};

struct db_program {
    const char *path; /* absolute */
    char *const *argv;
    struct db_identity identity;
    int log_fd; /* standard output and error */
};

struct db_server;

/* Returns when the program has been forked; the program's strings are borrowed until then. */
DS_CHECKED enum ds_status db_server_start(struct db_server **out, const struct db_program *program,
                                          struct ds_error *err);
bool db_server_is_alive(struct db_server *s);
/* Waits for its end; true when it came in time. *exit_status as waitpid(2) reports it; may be NULL.
 */
bool db_server_wait(struct db_server *s, unsigned timeout_ms, int *exit_status);
/* Does nothing once it has ended, so never hits another process that got its number. */
void db_server_signal(struct db_server *s, int number);
/* It must have ended, or is killed. NULL is fine. */
void db_server_free(struct db_server *s);

#endif

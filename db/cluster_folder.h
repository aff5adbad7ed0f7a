/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_folder - where the private PostgreSQL lives, and as whom.
 *
 *   FOLDER/postgresql/            ours; 0711 when the server is another user, else 0700
 *       data/                     the server's, 0700
 *       socket/                   the server's, 0700, where the path is short enough (below)
 *       pg_hba.conf pg_ident.conf ours: who may connect is not for the server to change
 *       server.log                ours, 0600; the server only holds it open
 *       lock                      held by the node that runs the server
 *
 * A Unix socket's path has at most 107 bytes. Where FOLDER is longer, or has characters that a
 * connection address would have to escape, the socket lies in a private folder under /run or /tmp,
 * whose name is kept in FOLDER/postgresql/socket_folder, so that the next start removes it.
 *
 * When we are root the server's user has to reach its data. FOLDER itself is ours to manage: it
 * gets the permission to be passed through (o+x), which lets nobody list or read it. The folders
 * above it are the operator's: one that cannot be passed through is named in the error.
 */
#ifndef DICOMSTEGO_DB_CLUSTER_FOLDER_H
#define DICOMSTEGO_DB_CLUSTER_FOLDER_H

#include "db/server.h"

struct db_cluster_folder {
    char *root; /* FOLDER/postgresql, absolute */
    char *data;
    char *fresh; /* where initdb works, before it is renamed to data */
    char *socket;
    bool socket_is_temporary;
    char *hba;
    char *ident;
    struct db_identity identity;
    int lock_fd;
    int log_fd;
};

#define DB_CLUSTER_FOLDER_INIT ((struct db_cluster_folder){.lock_fd = -1, .log_fd = -1})

/* Finds the user, makes the folders, takes the lock, writes the access rules, opens the log. */
DS_CHECKED enum ds_status db_cluster_folder_prepare(struct db_cluster_folder *f, const char *folder,
                                                    struct ds_error *err);
/* Gives up the lock and removes a temporary socket folder. */
void db_cluster_folder_finish(struct db_cluster_folder *f);

/* Where the program is, as a new string; free(). */
DS_CHECKED enum ds_status db_cluster_program(const struct db_cluster_folder *f, const char *name,
                                             char **out, struct ds_error *err);

/* Ends a server that a killed node left behind, and removes what it left in the way. */
DS_CHECKED enum ds_status db_cluster_clear(const struct db_cluster_folder *f, struct ds_error *err);

#endif

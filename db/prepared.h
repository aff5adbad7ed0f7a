/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepared - the statements that a connection has prepared: parsed once, not each time they run.
 *
 * The room's statements are constants, so their address names them; a copy of the text makes sure.
 * Those that are put together for a question are named by their text, in a table of their own:
 * there are few shapes of questions. A connection that is opened again begins anew. One thread at a
 * time, like the connection.
 */
#ifndef DICOMSTEGO_DB_PREPARED_H
#define DICOMSTEGO_DB_PREPARED_H

#include "db/query.h"

#define DB_PREPARED_ROOM 128U

struct db_prepared {
    bool by_text; /* else by address */
    struct {
        const char *sql; /* NULL: free */
        char *text;
    } rows[DB_PREPARED_ROOM];
};

/* As PQexecParams with values and results in binary; a statement for which there is no room, or
 * that is too short to be worth it, runs unprepared. */
PGresult *db_prepared_run(struct db_prepared *p, PGconn *pg, const char *sql,
                          const struct db_args *a, const char *const *values, const int *formats);
void db_prepared_forget(struct db_prepared *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database - keeps the database there: starts the private PostgreSQL where the configuration names
 * none, opens the pool, brings the schema up to date, and starts the server again when it has
 * ended.
 *
 * One thread, which lives as long as the node: the private server is told to end when the thread
 * that started it ends. Everything else works on while the database is away.
 */
#ifndef DICOMSTEGO_NODE_DATABASE_H
#define DICOMSTEGO_NODE_DATABASE_H

#include "node/services.h"

struct database;

DS_CHECKED enum ds_status database_start(struct database **out, struct services *services,
                                         struct ds_error *err);
/* After every other thread that uses the database. Stops the private server. NULL is fine. */
void database_stop(struct database *d);
/* Stops the private server without closing the pool: threads that are stuck elsewhere may still
 * hold its connections. The process ends next. */
void database_abandon(struct database *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roles - who may do what in the database: the owner makes the tables, the node works in them and
 * cannot change what was logged.
 */
#ifndef DICOMSTEGO_DB_ROLES_H
#define DICOMSTEGO_DB_ROLES_H

#include "db/db.h"

#define DB_ROLE_BYTES 64U

/* The role that this pool works as. */
DS_CHECKED enum ds_status db_role(struct db *d, char out[DB_ROLE_BYTES], struct ds_error *err);
/* By the owner, after db_migrate: role may read and write all tables of the schema, but of the log
 * only read and add. */
DS_CHECKED enum ds_status db_grant(struct db *owner, const char *role, struct ds_error *err);
/* Could this pool's role change or delete what was logged? */
DS_CHECKED enum ds_status db_may_change_log(struct db *d, bool *may, struct ds_error *err);

#endif

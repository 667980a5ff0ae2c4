#pragma once
/* What every statement of this room needs: the connection, the pool, and the arrays of the statement that is
 * being put together. db_send() copies the arrays, so one set of them serves all statements, one after the
 * other. */

#include "common/db/db.h"
#include "common/db/pg_rows.h"

struct records {
    struct db *db;
    const char *pool;
    struct pg_rows rows;
};

/* `db` and `pool` must outlive it; records_done() does not use the connection. */
void records_init(struct records *records, struct db *db, const char *pool);
void records_done(struct records *records);

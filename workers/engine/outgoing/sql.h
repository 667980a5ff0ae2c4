#pragma once
/* The statements over lanes; those of a kind are put together here. */

#include "common/db/db.h"
#include "workers/engine/outgoing/kind.h"

struct outgoing_sql {
    struct db_statement due, record;
    char *due_sql, *record_sql;
};

void outgoing_sql_init(struct outgoing_sql *sql, const struct outgoing_kind *kind);
void outgoing_sql_done(struct outgoing_sql *sql); /* after the connection that has used it */

/* $1 the pool, $2 the number of partitions, $3 those of ours, $4 who we are, $5 seconds of the lease, $6 most, $7 whether
 * those of holders that are gone count, too → company, lane, lease: what should be looked at, and is ours from now on. */
extern const struct db_statement outgoing_look;
/* $1 companies, $2 lanes, $3 leases, $4 an array of the seconds → lane: those that are still ours. */
extern const struct db_statement outgoing_renew;
/* $1 companies, $2 lanes, $3 leases, $4 seconds until each should be looked at again, or NULL. */
extern const struct db_statement outgoing_release;
/* $1 companies, $2 lanes, $3 leases → lane: those that are ours until the end of the transaction. */
extern const struct db_statement outgoing_lock;

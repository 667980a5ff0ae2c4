#pragma once
/* What a worker does for operators: a request is one SQL statement in a transaction of its own, its result the reply.
 *
 *   control.<pool> ─▶ admin_take ─▶ statement ─ committed ─▶ reply, ack
 *
 * The queue is shared by the pool's workers. A request that dies with one of them is asked again by the broker or by the
 * operator; every statement may run twice. */

#include "common/broker/broker.h"
#include "common/db/db.h"

/* A row of the table: what is asked, and the statement that does it. $1: {"subject":…,"body":{…},"actor":…} as jsonb.
 * One row comes back: status (a slug of err.def), http status, JSON (of a refusal {"detail", "errors"}). */
struct admin_request {
    const char *ask; /* "dead.replay" */
    struct db_statement statement;
};

/* Tables, each in its own file; NULL-terminated. */
extern const struct admin_request admin_dead_requests[];
extern const struct admin_request admin_schedule_requests[];

struct admin;

/* `broker` brings the requests and takes the replies. */
struct admin *admin_new(struct db *db, struct broker *broker);
void admin_free(struct admin *admin); /* after its db */

void admin_take(struct admin *admin, const struct broker_delivery *delivery);
size_t admin_open(const struct admin *admin); /* requests not yet answered */

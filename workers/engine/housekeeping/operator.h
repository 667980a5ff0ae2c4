#pragma once
/* What a worker does for operators. A request is one SQL statement in a transaction of its own, with the record of
 * the act (acts.h), and its row is the reply.
 *
 *   control.<pool> ─▶ operator_take ─▶ statement ─ committed ─▶ reply, ack
 *
 * The workers of a pool share the queue. When a worker dies with a request, the broker delivers it to another
 * one. A gateway sends a request again when the reply may have been lost with a node of the broker. Both come with the
 * same correlation id and timestamp, from which the record of the act has its id: the transaction of a request that was
 * carried out before fails by it, and the reply is what the record says. An operator who sends a request again makes a new
 * one: every statement may run twice. */

#include "common/broker/broker.h"
#include "common/db/db.h"

/* A row of a table: the name of a request and its statement. $1 is {"subject": …, "body": {…}, "actor": …, …} as
 * jsonb. The statement returns one row: status (a slug of err.def), HTTP status, JSON (of a refusal
 * {"detail", "errors"}). */
struct operator_request {
    const char *name; /* "dead.replay" */
    struct db_statement statement;
};

/* Tables, each in a file of its own; a row without a name ends each of them. */
extern const struct operator_request operator_dead_requests[];
extern const struct operator_request operator_schedule_requests[];

struct operator;

/* `broker` brings the requests and takes the replies. */
struct operator* operator_new(struct ev_loop *loop, struct db *db, struct broker *broker);
void operator_free(struct operator* operator); /* after its db */

void operator_take(struct operator* operator, const struct broker_delivery * delivery);
size_t operator_open(const struct operator* operator); /* requests that have no reply yet */

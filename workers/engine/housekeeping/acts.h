#pragma once
/* What operators do is recorded in the table `operator_act`: who, when, what, on which, and in whose name.
 *
 *   a request to this worker (operator.h)
 *     record "begun" and the request, one transaction ─▶ the outcome, in a second one ─▶ reply
 *   a request to a manager, which has no database (the size of a pool)
 *     the gateway says so on the queue TOPOLOGY_ACTS_QUEUE, before and after ─▶ acts_take ─▶ a row ─▶ ack
 *
 * A row whose outcome is "begun" is of an act whose outcome nobody has heard. A revocation is recorded by the
 * trigger of its table. */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/db/db.h"

struct acts;

#define ACTS_TAG      "acts" /* of the consumer */
#define OUTCOME_BEGUN "begun"

/* Sends the statement that records an act, or its outcome when it is recorded already. `id` and `request` are
 * as in operator.h; without an actor in the request nothing is recorded. */
void act_record(struct db *db, struct slice id, struct slice act, struct slice request, struct slice outcome,
                db_on_result *on_done, void *arg);

struct acts *acts_new(struct ev_loop *loop, struct broker *broker, struct db *db);
void acts_free(struct acts *acts); /* after the broker and the db */

void acts_consume(struct acts *acts); /* when the broker is up */
void acts_take(struct acts *acts, const struct broker_delivery *delivery);

#pragma once
/* What operators do is recorded in the table `operator_act`: who, when, what, on which, and in whose name.
 *
 *   a request to this worker (operator.h)
 *     record "begun" and the request, one transaction ─▶ the outcome and the answer, in a second one ─▶ reply
 *     the same request again ─▶ the record is there already ─▶ the same reply
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

struct act {
    struct slice id, name,
        request; /* as in operator.h; without an actor in the request nothing is recorded */
};

struct act_outcome {
    struct slice status; /* a slug of err.def, or OUTCOME_BEGUN */
    int64_t http_status; /* 0: no worker has answered */
    struct slice body;   /* JSON; SLICE_NONE: likewise */
};

/* Each sends one statement.
 * act_begin records that the act begins. It fails, and the transaction with it, when that is recorded already; of its
 * result act_was_begun says so, and also when another transaction that records it still runs. */
void act_begin(struct db *db, const struct act *act, db_on_result *on_done, void *arg);
bool act_was_begun(const struct db_result *result);
/* Records the outcome, and the act where it is not recorded yet. */
void act_record(struct db *db, const struct act *act, const struct act_outcome *outcome,
                db_on_result *on_done, void *arg);
/* Asks for the outcome. act_read_outcome takes it from the result, in which it points; false: it is not known. */
void act_ask_outcome(struct db *db, struct slice id, db_on_result *on_done, void *arg);
bool act_read_outcome(const struct db_result *result, struct act_outcome *ret_outcome) MUST_CHECK;

/* `pool`: of the dead letters that messages become which cannot be read. It must outlive it. */
struct acts *acts_new(struct ev_loop *loop, struct broker *broker, struct db *db, const char *pool);
void acts_free(struct acts *acts); /* after the broker and the db */

void acts_consume(struct acts *acts); /* when the broker is up */
void acts_take(struct acts *acts, const struct broker_delivery *delivery);

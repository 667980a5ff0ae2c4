#pragma once
/* Questions to the workers and managers of a pool over the exchange `control`: what operators ask for is done
 * there, and whoever did it answers to this process's reply key on `events`.
 *
 *   control_ask ─▶ WAITING ─ reply ─▶ answer
 *                     └─ nobody listens, the broker's refusal, time ─▶ a failure; client gone ─▶ forgotten
 *
 * A request:  JSON · type = what is asked · correlation_id, reply_to · header actor. Not kept by the broker: who got no
 * answer asks again, and everything that can be asked may be asked twice.
 * A reply:  the correlation_id · JSON · headers status (a slug of err.def; absent: ok) and http-status (absent:
 * 200). */

#include "common/broker/broker.h"
#include "gateway/http/call.h"

struct control;

struct control *control_new(struct gateway *gateway);
void control_free(struct control *control); /* after `commands`, whose connection it uses */

struct control_answer {
    enum err err;       /* the reply's, or why there is none */
    const char *detail; /* of a failure without a reply; NULL: none */
    int http_status;
    struct slice body; /* of the reply; SLICE_NONE: there is none. Valid during the callback */
};

/* The call is to be answered, or asks somebody else. `context` lives in the call's arena. */
typedef void control_on_answer(struct call *call, const struct control_answer *answer, void *context);

/* Publishes `body` under `key` ("admin.projects": control.<pool>, one of its workers) and makes the call
 * wait. on_answer comes once, unless the client goes first; perhaps from inside. type may be SLICE_NONE. */
void control_ask(struct call *call, const char *key, struct slice type, struct slice body,
                 control_on_answer *on_answer, void *context);
/* An on_answer: the call gets what came. */
void control_answer_call(struct call *call, const struct control_answer *answer, void *context);

/* false: the delivery is not the answer to a question of ours. */
bool control_on_reply(struct control *control, const struct broker_delivery *delivery);

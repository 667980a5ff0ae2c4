#pragma once
/* Requests to the workers and managers of a pool over the exchange `control`. They carry out what operators
 * want, and reply to this process's reply key on the exchange `events`.
 *
 *   control_request ─▶ WAITING ─ reply ─▶ answer
 *                         ├─ no queue, or refused ─▶ again for a moment ─▶ answer with an error
 *                         ├─ time ─▶ answer with an error
 *                         └─ client gone ─▶ forgotten
 *
 * A request: a JSON body · type: the action · correlation_id, reply_to · headers actor, company, request-id. The
 * broker may lose it, or its reply: an operator who gets no answer sends the request again, so an action may be carried
 * out twice without harm. What this process sends again has the same correlation_id and timestamp: a worker that has
 * carried it out gives the same answer. A reply: the correlation_id · a JSON body · headers status (a slug of err.def; absent: ok)
 * and http-status (absent: 200).
 */

#include <jansson.h>

#include "common/broker/broker.h"
#include "gateway/http/call.h"

struct control;

struct control *control_new(struct gateway *gateway);
void control_free(struct control *control); /* after `commands`, whose connection it uses */

struct control_answer {
    enum err err;       /* of the reply, or why there is none */
    const char *detail; /* of an error without a reply; NULL: none */
    int http_status;
    struct slice body; /* of the reply; SLICE_NONE: there is no reply. Valid during the callback */
};

/* The callback answers the call or sends another request for it. `context` lives in the call's arena. */
typedef void control_on_answer(struct call *call, const struct control_answer *answer, void *context);

/* Publishes `body` under `key` ("admin.projects": one worker of the pool, "manager.projects": all its
 * managers, of which the first reply counts) and makes the call wait. on_answer is called once, perhaps
 * before this returns, unless the client goes away first. type may be SLICE_NONE. */
void control_request(struct call *call, const char *key, struct slice type, struct slice body,
                     control_on_answer *on_answer, void *context);
/* A control_on_answer that gives the reply to the call. */
void control_answer_call(struct call *call, const struct control_answer *answer, void *context);

/* Has a worker record what the caller of `call` asks of a manager, which has no database (workers/engine/
 * housekeeping/acts.h): once with the outcome "begun", and with the same id again when the outcome is known. The
 * broker keeps it. `request` is {"subject", "body"} and gets more members. */
void control_record_act(struct call *call, const struct uuid *id, struct slice act, json_t *request,
                        struct slice outcome);

/* false: the delivery answers no request of ours. A reply that comes after another one, or too late, is
 * dropped. */
bool control_on_reply(struct control *control, const struct broker_delivery *delivery);

/* Sends what waits for a reply once more: replies may have been lost with the connection that brings them, which is back. */
void control_resend(struct control *control);

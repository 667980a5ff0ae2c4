#pragma once
/* Questions of one gateway process to another, over the exchange `events`.
 *
 *   peers_ask ─▶ WAITING ─ reply ─▶ its status
 *                   ├─ no such process (the broker returns the question) ─▶ NOT_FOUND
 *                   ├─ no connection to the broker, or a full one ─▶ that error
 *                   ├─ PEERS_WAIT_MS ─▶ TIMEOUT
 *                   └─ client gone ─▶ forgotten
 *
 * A question: the key is the process's peer key · type · correlation_id, reply_to · a body. Who hears it is named among the
 * announcements of events.h. It may come twice when the connection breaks, so the body says which question it is where
 * that matters. A reply: the correlation_id · header status (a slug of err.def). */

#include "common/broker/broker.h"
#include "gateway/http/call.h"

enum { PEERS_WAIT_MS = 5000 };

struct peers;

struct peers *peers_new(struct gateway *gateway);
void peers_free(struct peers *peers); /* after `commands`, whose connection it uses */

bool peers_is_self(const struct gateway *gateway, const struct uuid *process);

/* Makes the call wait. on_answer answers it; it is called once, perhaps before this returns, unless the client goes
 * away first. The detail may be NULL. */
typedef void peers_on_answer(struct call *call, enum err err, const char *detail);
void peers_ask(struct call *call, const struct uuid *process, struct slice type, struct slice body,
               peers_on_answer *on_answer);

/* Tells who asked what has become of it. */
void peers_reply(struct gateway *gateway, const struct broker_delivery *question, enum err err);
/* False: the delivery answers no question of ours. A reply that comes too late is dropped. */
bool peers_on_reply(struct peers *peers, const struct broker_delivery *delivery);

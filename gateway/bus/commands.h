#pragma once
/* Publishes commands, and keeps the calls that wait for their results.
 *
 *   published ─▶ WAITING ─ confirmed by the broker ─▶ ACCEPTED ─ reply ─▶ answered
 *                                                        └─ respond-async ─▶ answered with 202
 *
 * A waiting call ends with the first of these: its reply, which events.h brings; a refusal of the broker or a
 * full window (503); the end of its time, when the inbox is asked (the result if there is one, else 202 with
 * Location if the broker has confirmed the command, else 503); or its client going away.
 */

#include "common/broker/envelope.h"
#include "gateway/http/call.h"

struct commands;

enum err commands_new(struct gateway *gateway, struct commands **ret_commands) MUST_CHECK;
void commands_free(struct commands *commands);
/* The connection to the broker is up, and the broker accepts messages. */
bool commands_ready(const struct commands *commands);
/* The queues refuse whatever is sent, although they are not full. */
bool commands_are_refused(const struct commands *commands);
size_t commands_waiting(const struct commands *commands); /* calls that wait for a result */
/* The connection, for messages that are no commands. */
struct broker *commands_publisher(const struct commands *commands);
struct refusals *commands_refusals(const struct commands *commands); /* of that connection */
/* Told by `events` what workers say. */
struct parcel_readers *commands_parcel_readers(const struct commands *commands);

/* Publishes the command and makes the call wait for its result, wait_ms at most; 0: the client prefers
 * respond-async. The call is answered in every case. */
void commands_submit(struct commands *commands, struct call *call, const struct envelope *envelope,
                     int64_t wait_ms);

/* Sends a message to all gateway processes, on the exchange `events`. It is not persistent, and a process
 * that is not connected misses it. ERR_BROKER_BUSY when too many messages wait already. */
enum err commands_announce(struct commands *commands, struct slice key, struct slice cc, struct slice type,
                           struct slice body) MUST_CHECK;

/* An event or a refusal of a worker: answers the call that waits for it, if there is one. */
void commands_on_event(struct commands *commands, const struct event *event);

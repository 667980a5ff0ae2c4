#pragma once
/* Publishes commands and keeps the calls that wait for their results. Replies come by events.h.
 *
 * A waiting call ends by the first of: its reply; a nack, return or full window (503); its time (then the
 * inbox is asked: the result, or 202 with Location when the broker confirmed, or 503 when it did not); the
 * client going away.
 *
 *   WAITING ─ confirmed ─▶ ACCEPTED ─ reply ─▶ answered          (respond-async answers 202 at ACCEPTED)
 */

#include "common/broker/envelope.h"
#include "gateway/http/call.h"

struct commands;

enum err commands_new(struct gateway *gateway, struct commands **ret_commands) MUST_CHECK;
void commands_free(struct commands *commands);
bool commands_ready(const struct commands *commands); /* the connection is up and not blocked */
size_t commands_waiting(const struct commands *commands);
struct broker *commands_publisher(const struct commands *commands); /* for messages that are no commands */

/* Publishes and makes the call wait: wait_ms 0 is respond-async. Answers the call itself in every case. */
void commands_submit(struct commands *commands, struct call *call, const struct envelope *envelope,
                     int64_t wait_ms);

/* Says something to other gateway processes, on exchange `events`: not persistent, kept by nobody who is
 * away. BROKER_BUSY when too much waits already. */
enum err commands_announce(struct commands *commands, struct slice key, struct slice type,
                           struct slice body) MUST_CHECK;

/* An event or a refusal of a worker: answers the call that waits for it, if there is one. */
void commands_on_event(struct commands *commands, const struct event *event);

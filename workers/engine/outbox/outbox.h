#pragma once
/* Tells the world what has been committed: events, with the reply riding on the first, or the reply of a
 * refusal.
 *
 *   outbox_send ─▶ broker_publish ─▶ confirmed ─▶ on_told: the command may be acked
 *        └ window full ─▶ waiting ─┘
 *
 * What must hold: commands are published in the order of outbox_send; each comes back in exactly one on_told
 * call, after the broker has confirmed everything of it (at once when there is nothing to tell). Until then
 * the outbox owns it. */

#include "common/broker/broker.h"
#include "workers/engine/command/command.h"

struct outbox;

struct outbox *outbox_new(struct ev_loop *loop, struct broker *broker,
                          void (*on_published)(void *ctx, struct command *command), void *ctx);
/* After its broker; frees the commands it still has. */
void outbox_free(struct outbox *outbox);

void outbox_send(struct outbox *outbox, struct command *command);

size_t outbox_waiting(const struct outbox *outbox); /* not yet handed to the broker: take no more work on */
size_t outbox_unpublished(const struct outbox *outbox); /* all that have not come back */

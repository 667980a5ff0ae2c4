#pragma once
/* Publishes what has been committed: events, the first of which carries the reply, or the reply of a refusal.
 *
 *   outbox_send ─▶ event_parcels_publish ─▶ confirmed ─▶ on_published: the command may be acked
 *        └ window full ─▶ waiting ─┘
 *
 * What must hold: commands are published in the order of outbox_send. Each comes back in exactly one
 * on_published call, after the broker has confirmed everything of it (at once when there is nothing to
 * publish). Until then the outbox owns it. */

#include "common/broker/broker.h"
#include "workers/engine/command/command.h"
#include "workers/engine/outbox/gateways.h"

struct outbox;

struct outbox *outbox_new(struct ev_loop *loop, struct broker *broker, struct gateways *gateways,
                          void (*on_published)(void *ctx, struct command *command), void *ctx);
/* After its broker and before `gateways`; frees the commands it still has. */
void outbox_free(struct outbox *outbox);

void outbox_send(struct outbox *outbox, struct command *command);

size_t outbox_waiting(const struct outbox *outbox);     /* not yet handed to the broker: begin no more work */
size_t outbox_unpublished(const struct outbox *outbox); /* all that have not come back */

#pragma once
/* Gathers the events and replies of one turn of the loop, which are those of a batch, and publishes those for one
 * gateway process as one message (common/broker/event_parcel.h):
 *
 *   event_parcels_publish ─▶ gathered, by reply key ─ end of the turn ─┬─ several ─▶ one parcel, for gateways alone
 *            │                                                         │            ─▶ singles for others, where any are
 *            │                                                         └─ one ─▶ a message of its own, for all
 *            └─ some gateway may not read parcels ─▶ a message of its own, at once, for all
 *
 * Others are consumers on `events.slots` that are no gateways. Whether there are any is found out by the events
 * (others.h): the first of each company and type goes there as `mandatory`, and the rest of them follow when the broker
 * has not returned it.
 *
 * What must hold: every event that was taken ends in exactly one on_confirm, after gateways and others have it; those
 * of one reply key go out in their order, and to others all do. The bounds of the connection hold for what has
 * gathered, too. */

#include "common/broker/broker.h"
#include "common/broker/envelope.h"
#include "workers/engine/outbox/gateways.h"

struct event_parcels;

struct event_parcels *event_parcels_new(struct ev_loop *loop, struct broker *broker,
                                        struct gateways *gateways);
/* After the broker. What has gathered ends with SHUTTING_DOWN. */
void event_parcels_free(struct event_parcels *parcels);

/* Takes a copy of the event. Errors are those of envelope_write_event and broker_publish; then on_confirm is not
 * called. */
enum err event_parcels_publish(struct event_parcels *parcels, const struct event *event,
                               broker_on_confirm *on_confirm, void *arg) MUST_CHECK;

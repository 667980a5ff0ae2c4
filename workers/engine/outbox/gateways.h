#pragma once
/* Whether every gateway process binds slots, and whether each of them reads parcels of events, by what the gateways say
 * of each other (gateway/bus/upgrade.h). It decides under which keys this worker publishes events:
 *
 *   EVENT_KEYS_BOTH ── a gateway says that all bind slots, and none says otherwise ──▶ EVENT_KEYS_SLOT
 *        ▲                                                                                    │
 *        └── a gateway of the version before is reported, or has sent a command, ─────────────┤
 *        └── or the last word of the gateways is too old ─────────────────────────────────────┘
 *
 * and whether several events may travel as one message, which is likewise so only while no gateway is heard of that
 * does not read such messages.
 *
 * What must hold: in doubt both keys, and no parcels. Then RabbitMQ does more work for an event, but no gateway of
 * any version misses one, and none gets it twice. */

#include "common/broker/broker.h"
#include "common/broker/envelope.h"
#include "common/process/config.h"

struct gateways;

/* `broker` is the connection that publishes events; its owner calls gateways_up and gateways_delivery. `pool` is kept,
 * not copied. */
struct gateways *gateways_new(struct broker *broker, const struct config *config, const char *pool);
void gateways_free(struct gateways *gateways); /* after its broker */

void gateways_up(struct gateways *gateways);
/* True when the delivery was a gateway's report. */
bool gateways_delivery(struct gateways *gateways, const struct broker_delivery *delivery);

/* The keys of the next event. reply_to: of the command that made it, or empty. */
enum event_keys gateways_keys(struct gateways *gateways, struct slice reply_to);
/* Whether it may travel in a parcel. */
bool gateways_read_parcels(struct gateways *gateways, struct slice reply_to);

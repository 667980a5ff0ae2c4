#pragma once
/* A parcel of events: what a batch has caused, and replies of refusals, for gateway processes as one AMQP message. Only
 * gateways get it, and only while each of them has said that it reads such parcels (gateway/bus/upgrade.h,
 * workers/engine/outbox/gateways.h).
 *
 *   exchange      `events.gateways`
 *   routing keys  "<slot>.<type>" of each event, and the reply key of the process that waits for all or none of them;
 *                 the first is the routing key, the others are in CC
 *   content_type  application/vnd.cortex.events
 *   body          the frame of parcel.h: an array of 1 to PARCEL_ENTRIES_MAX entries
 *
 * The fields of an entry, in the forms of parcel.h:
 *   command id, company, type, status (a slug), HTTP status, seq, subject, project, version, entity-at, replayed,
 *   correlation_id, body
 * A later version may add fields behind these; they are skipped.
 *
 * What must hold: as of a parcel of commands. An entry that cannot be read costs itself alone. A single event stays
 * valid for ever: a parcel of one is never sent. */

#include "common/broker/envelope.h"
#include "common/broker/parcel.h"

/* The keys of a parcel, each once. They must fit into a frame, whose size a broker may set to 4096. */
enum { EVENT_PARCEL_KEYS_MAX = 2560 };

struct event_parcel_keys {
    char text[PARCEL_ENTRIES_MAX][ENVELOPE_KEY_MAX];
    struct slice key[1 + PARCEL_ENTRIES_MAX];
    size_t count, texts;
    size_t octets; /* of all */
};

/* ---- writing ---- */

/* Whether the event may travel in a parcel: its key would not have three words else, or is too long. A refusal may. */
bool event_parcel_takes(const struct event *event);
/* Appends the entry of one event that may. */
enum err event_parcel_add(struct buf *entries, const struct event *event) MUST_CHECK;
void event_parcel_clear_keys(struct event_parcel_keys *keys);
/* Whether the keys of one more event fit. */
bool event_parcel_has_room(const struct event_parcel_keys *keys, const struct event *event);
/* Adds the key of an event, if it is new, and returns its number. */
size_t event_parcel_add_key(struct event_parcel_keys *keys, const struct event *event);
/* Adds the reply key, which must live as long as the keys do; empty: nobody waits. */
void event_parcel_add_reply_key(struct event_parcel_keys *keys, struct slice reply_key);
/* Fills the whole message. `body`: the head and the entries. There must be a key. */
struct broker_message event_parcel_write(struct slice body, const struct event_parcel_keys *keys);

/* ---- reading ---- */

/* By its content type. parcel_open and parcel_take take it apart. */
bool event_parcel_is(const struct broker_delivery *delivery);
/* POISON: a field is missing or malformed. Slices point into the entry. */
enum err event_parcel_read_entry(struct slice entry, struct event *ret_event) MUST_CHECK;

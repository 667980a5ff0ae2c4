#pragma once
/* Gathers the commands of one turn of the loop and publishes those of one partition as one message:
 *
 *   parcels_add ─▶ gathered, by partition ─ end of the turn ─┬─ several, and the pool reads them ─▶ one parcel
 *                                                            └─ else ─▶ each a message of its own
 *
 * Nothing waits for company: what has gathered when the loop is about to sleep goes out. A command that is alone in its
 * turn is the message that it always was.
 *
 * What must hold: every command that was added ends in exactly one on_confirm, with the outcome of the message that it
 * travels in; the commands of a partition go out in their order. The bound on unconfirmed messages
 * (CORTEX_UNCONFIRMED_MAX) counts commands here. */

#include "common/broker/envelope.h"
#include "gateway/bus/parcel_readers.h"
#include "gateway/gateway.h"

struct parcels;

/* `publisher` and `readers` must outlive it. on_confirm gets what parcels_add was given. Besides the broker's outcomes
 * it is told why the message could not be published. */
struct parcels *parcels_new(struct gateway *gateway, struct broker *publisher,
                            const struct parcel_readers *readers, broker_on_confirm *on_confirm);
/* What has gathered ends with SHUTTING_DOWN. What is published ends when the publisher is freed, which must follow;
 * parcels_free comes last. */
void parcels_stop(struct parcels *parcels);
void parcels_free(struct parcels *parcels);

/* Takes a copy of the command. BROKER_BUSY: too many are unconfirmed. BAD_REQUEST: it cannot travel. */
enum err parcels_add(struct parcels *parcels, const char *pool, const struct envelope *envelope,
                     void *arg) MUST_CHECK;

/* Octets of the bodies of the messages that were published, on average; at least 1. */
int64_t parcels_average_bytes(const struct parcels *parcels);

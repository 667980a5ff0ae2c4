#pragma once
/* AMQP 0-9-1 as fast as it can be spoken by hand: librabbitmq makes the connection and the declarations, then
 * its socket is taken over and the few frames of a bare chain are written and read here, many to a system
 * call.
 *
 * For measuring only: a broken connection, a nack or anything unexpected ends the process with a sentence.
 * One channel; publisher confirms are on; heartbeats are off; output gathers until wire_flush. */

#ifdef CORTEX_RABBITMQ_C_SUBDIR
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

#include "common/base/buf.h"

enum { WIRE_CHANNEL = 1, WIRE_UNCONFIRMED_MAX = 1 << 16 };

struct wire {
    amqp_connection_state_t connection; /* owns the socket; not asked for anything after wire_take */
    int fd;
    struct buf in, out;
    uint64_t published;               /* delivery tag of the last message published */
    uint64_t confirmed;               /* every message up to this one is confirmed */
    bool ahead[WIRE_UNCONFIRMED_MAX]; /* by tag modulo the size: confirmed one by one, beyond `confirmed` */
};

/* The same properties and headers as the messages between gateway and worker (common/broker/envelope.h). */
struct wire_message {
    struct slice exchange, routing_key, cc;
    struct slice content_type, message_id, correlation_id, reply_to, type;
    bool persistent, mandatory;
    const struct wire_header *headers;
    size_t header_count;
    struct slice body;
};
struct wire_header {
    struct slice name, text; /* text.data NULL: the integer */
    int64_t integer;
};

/* Slices point into the input and are gone after the callback. */
struct wire_delivery {
    uint64_t tag;
    struct slice message_id, correlation_id, reply_to, type;
    struct slice body;
};

typedef void wire_on_delivery(void *ctx, const struct wire_delivery *delivery);

/* Connects and opens channel 1 in confirm mode: declare with librabbitmq's own calls and wire_must, then take
 * over. */
void wire_open(struct wire *w, const char *url);
void wire_must(struct wire *w, const char *what); /* ends the process when the last synchronous call failed */
/* Blocking calls are over: prefetch 0 means without acks. queue NULL: publish only. */
void wire_take(struct wire *w, const char *queue, uint16_t prefetch);
void wire_done(struct wire *w);

void wire_publish(struct wire *w, const struct wire_message *message);
void wire_consume(struct wire *w, struct slice queue, bool no_ack);
void wire_ack_up_to(struct wire *w, uint64_t tag);
void wire_flush(struct wire *w); /* writes what the socket takes */
bool wire_has_output(const struct wire *w);
/* Reads what is there and calls back for each delivery; counts confirms. */
void wire_read(struct wire *w, wire_on_delivery *on_delivery, void *ctx);

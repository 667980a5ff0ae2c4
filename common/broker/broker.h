#pragma once
/* One AMQP 0-9-1 connection with one channel on a libev loop, which never blocks.
 *
 *   broker_publish ─▶ unconfirmed ring ─▶ output ─(one write per turn of the loop)─▶ RabbitMQ
 *                         ▲    │ ack, nack, return                                     │
 *        reconnect: again ┘    ▼                                                       ▼
 *                          on_confirm                     on_delivery ◀── frames ◀── input
 *
 * librabbitmq is the codec; the socket, the time-outs, the heartbeat and the confirm window are here.
 *
 * What must hold:
 * - Nothing here waits. Host names are resolved off the loop; what a socket does not take stays with us.
 * - Every accepted broker_publish ends in exactly one on_confirm call, however often the connection breaks in
 *   between: what is unconfirmed is published again, in order, after on_up's declarations.
 * - At most `unconfirmed_max` messages and `unconfirmed_bytes` bytes are unconfirmed, or
 *   broker_publish refuses.
 * - Callbacks run from the loop, never from inside a broker_* call, but for broker_free.
 * - Publishing and consuming each have a broker of their own: a connection that the server blocks stops
 *   both ways.
 *
 * States:  DOWN ──▶ RESOLVING ──▶ CONNECTING ──▶ HANDSHAKE ──▶ UP ⇄ BLOCKED
 *           ▲           │             │              │         │       │
 *           └───────────┴── back-off with jitter ────┴─────────┴───────┘          broker_free ──▶ CLOSED
 */

#include <ev.h>

#include "common/base/bytes.h"
#include "common/base/err.h"

struct broker;

struct broker_options {
    /* amqp://user:password@host[:port][/vhost]; several separated by commas are tried in turn. */
    const char *url;
    const char *name;        /* shown in the management UI (connection_name) */
    int64_t unconfirmed_max; /* messages */
    int64_t unconfirmed_bytes;
    int heartbeat_s;          /* asked for; 0: 10 */
    int64_t reconnect_min_ms; /* 0: 100 */
    int64_t reconnect_max_ms; /* 0: 5000 */
};

/* A header of a message: text or a 64-bit integer; an argument of a queue may be a boolean, too. */
struct broker_header {
    struct slice name;
    bool is_integer;
    bool is_boolean; /* of an argument: true */
    struct slice text;
    int64_t integer;
};

enum {
    BROKER_HEADERS_MAX = 24,
    /* max_message_size of RabbitMQ 4. A larger delivery is rejected to the dead letters. */
    BROKER_BODY_MAX = 16 << 20,
};

struct broker_message {
    struct slice exchange, routing_key;
    struct slice cc; /* one more routing key, sent as the CC header; SLICE_NONE: none */
    struct slice content_type, message_id, correlation_id, reply_to, type;
    int64_t timestamp; /* seconds since 1970; 0: not sent */
    bool persistent, mandatory;
    const struct broker_header *headers;
    size_t header_count;
    struct slice body;
};

/* Valid during on_delivery only; the slices point into the connection's memory. */
struct broker_delivery {
    uint64_t tag;
    uint32_t epoch; /* of the connection that delivered it; acks from an older one are dropped */
    bool redelivered;
    int64_t delivery_count; /* x-delivery-count; 0 when the server does not say */
    struct slice consumer_tag, exchange, routing_key;
    struct slice content_type, message_id, correlation_id, reply_to, type;
    int64_t timestamp;
    const struct broker_header *headers; /* those of text, integer and boolean type; others are skipped */
    size_t header_count;
    struct slice body;
};

/* The header of that name, or NULL. */
const struct broker_header *broker_delivery_header(const struct broker_delivery *delivery, const char *name);

/* Each may be NULL. */
struct broker_callbacks {
    /* The channel is open and in confirm mode: declare, bind and consume from here. Called at every
     * (re)connection. */
    void (*on_up)(void *ctx, struct broker *broker);
    /* The connection is gone, and why, in the server's words where it gave any: every delivery not yet acked
     * will come again, to somebody. Also called, without an on_up before it, for each attempt to connect that
     * failed. */
    void (*on_down)(void *ctx, struct broker *broker, const char *why);
    void (*on_delivery)(void *ctx, struct broker *broker, const struct broker_delivery *delivery);
    /* The server stopped (or resumed) taking messages: they stay here until it resumes. */
    void (*on_blocked)(void *ctx, struct broker *broker, bool blocked);
};

/* err: OK when the broker has the message; QUEUE_FULL after a nack; UNROUTABLE after a return of a mandatory
 * one; SHUTTING_DOWN when broker_free came first (called from it); HEADERS_TOO_LARGE in the odd case that a
 * later connection takes smaller frames than the message's properties. */
typedef void broker_on_confirm(void *arg, enum err err);

/* Connects at once, in the background. The strings of `options` are copied. ERR_BAD_REQUEST for a URL that
 * does not parse. */
enum err broker_new(struct ev_loop *loop, const struct broker_options *options,
                    const struct broker_callbacks *callbacks, void *ctx,
                    struct broker **ret_broker) MUST_CHECK;
void broker_free(struct broker *broker); /* closes at once; not from inside its own callbacks */

/* Ends this connection within one turn of the loop and connects again. Every delivery that is not acked yet goes back
 * to its queue, in order and at once. on_down is called with a copy of `why`. */
void broker_reconnect(struct broker *broker, const char *why);

bool broker_is_up(const struct broker *broker); /* UP or BLOCKED */
bool broker_is_blocked(const struct broker *broker);
uint32_t broker_epoch(const struct broker *broker); /* counts connections; 0 before the first */
size_t broker_unconfirmed(const struct broker *broker);
size_t broker_unsent_bytes(const struct broker *broker);

/* Takes a copy of the message. Also accepted while the connection is down or blocked, within the same bounds.
 * on_confirm may be NULL. Any error means that on_confirm will not be called: BROKER_BUSY when the window is
 * full; BODY_TOO_LARGE past BROKER_BODY_MAX; HEADERS_TOO_LARGE for properties larger than a frame;
 * BAD_REQUEST for a key or a property that is longer than the 255 octets of AMQP or for too many headers. */
enum err broker_publish(struct broker *broker, const struct broker_message *message,
                        broker_on_confirm *on_confirm, void *arg) MUST_CHECK;

/* Acks are gathered and written once per turn. Calls with a stale epoch do nothing. broker_reject without
 * requeue sends the message to the dead letters of its queue. */
void broker_ack(struct broker *broker, uint32_t epoch, uint64_t tag, bool multiple);
void broker_reject(struct broker *broker, uint32_t epoch, uint64_t tag, bool requeue);

/* Declarations: sent in the order of the calls, without waiting in between; a refusal closes the connection,
 * is reported through on_down with the server's text, and is tried again after the back-off. They belong to
 * the connection that is up: without one the calls do nothing, and on_up declares again. Exchanges are
 * durable. */
enum broker_exchange_kind { BROKER_TOPIC, BROKER_FANOUT, BROKER_DIRECT };
void broker_declare_exchange(struct broker *broker, const char *exchange, enum broker_exchange_kind kind);

struct broker_queue {
    const char *name;
    bool durable, exclusive, auto_delete;
    const struct broker_header *arguments; /* x-queue-type, x-max-length, … */
    size_t argument_count;
};
void broker_declare_queue(struct broker *broker, const struct broker_queue *queue);
/* How many messages wait in a queue: those that no consumer holds. on_length never comes when the connection breaks first,
 * which it does where there is no such queue. */
void broker_queue_length(struct broker *broker, const char *queue,
                         void (*on_length)(void *arg, uint32_t messages), void *arg);
void broker_bind(struct broker *broker, const char *queue, const char *exchange, const char *routing_key);
void broker_unbind(struct broker *broker, const char *queue, const char *exchange, const char *routing_key);
/* A consumer more, of this queue or another: deliveries say by their tag which one they are for. A tag is used
 * once at a time. prefetch: of this consumer; 0: no limit. no_ack: the server forgets a delivery as it sends it. */
void broker_consume(struct broker *broker, const char *queue, const char *consumer_tag, uint16_t prefetch,
                    bool no_ack, bool exclusive);
/* Ends a consumer. What the server had sent for it by then is still delivered, before on_cancelled; after it
 * nothing is, and the tag is free again. What was delivered remains to be acked. on_cancelled may be NULL, and never
 * comes when the connection breaks first. Without such a consumer the call does nothing. */
void broker_cancel(struct broker *broker, const char *consumer_tag, void (*on_cancelled)(void *arg),
                   void *arg);
/* on_done once everything declared, bound or consumed before it has been answered; never when the connection
 * breaks first. */
void broker_after_declarations(struct broker *broker, void (*on_done)(void *arg), void *arg);

#pragma once
/* One AMQP 0-9-1 connection with one channel on a libev loop. It never blocks the loop.
 *
 *   broker_publish ─▶ unconfirmed ring ─▶ output ─(one write per turn of the loop)─▶ RabbitMQ
 *                         ▲    │ ack, nack, return                                     │
 *        reconnect: again ┘    ▼                                                       ▼
 *                          on_confirm                     on_delivery ◀── frames ◀── input
 *
 * librabbitmq encodes and decodes methods. The socket, the time-outs, the heartbeat and the confirm window
 * are our own.
 *
 * What must hold:
 * - Nothing here waits, not for name servers either; octets that the socket does not take are kept.
 * - Every accepted broker_publish ends in exactly one on_confirm call, however often the connection breaks in
 *   between: unconfirmed messages are published again, in order, after the declarations that on_up makes.
 * - At most `unconfirmed_max` messages and `unconfirmed_bytes` bytes are unconfirmed; beyond them
 *   broker_publish refuses.
 * - Callbacks run from the loop, never from inside a broker_* call; broker_free is the one exception.
 * - Publishing and consuming use a connection each, because a connection that the server blocks stops both
 *   ways.
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
    /* amqp://user:password@host:port/vhost?heartbeat=30 (common/base/amqp_url.h); several are tried in turn. */
    const char *url;
    const char *name;        /* shown in the management UI (connection_name) */
    int64_t unconfirmed_max; /* messages */
    int64_t unconfirmed_bytes;
    int heartbeat_s;          /* seconds that we ask for; 0: 10 */
    int64_t reconnect_min_ms; /* 0: 100 */
    int64_t reconnect_max_ms; /* 0: 5000 */
    /* Of a broker that only looks: a queue of another shape is kept as one with other limits is. */
    bool keeps_shapes;
};

/* A header of a message is text or a 64-bit integer. An argument of a queue may be a boolean, too. */
struct broker_header {
    struct slice name;
    bool is_integer;
    bool is_boolean; /* an argument that is true */
    struct slice text;
    int64_t integer;
};

enum {
    BROKER_HEADERS_MAX = 24,
    BROKER_CC_MAX = 64,
    /* max_message_size of RabbitMQ 4. A larger delivery is rejected and becomes a dead letter. */
    BROKER_BODY_MAX = 16 << 20,
};

struct broker_message {
    struct slice exchange, routing_key;
    /* More routing keys, sent as the CC header, at most BROKER_CC_MAX; SLICE_NONE: none. A queue gets the message
     * once, however many of the keys lead to it, and by however many exchanges. */
    const struct slice *cc;
    size_t cc_count;
    struct slice content_type, message_id, correlation_id, reply_to, type;
    int64_t timestamp; /* seconds since 1970; 0: not sent */
    bool persistent, mandatory;
    const struct broker_header *headers;
    size_t header_count;
    struct slice body;
};

/* Valid only during on_delivery; the slices point into the memory of the connection. */
struct broker_delivery {
    uint64_t tag;
    uint32_t epoch; /* the connection that delivered it; acks for an older connection are dropped */
    bool redelivered;
    int64_t delivery_count; /* x-delivery-count; 0 when the server does not say */
    struct slice consumer_tag, exchange, routing_key;
    struct slice content_type, message_id, correlation_id, reply_to, type;
    int64_t timestamp;
    const struct broker_header *headers; /* of text, integer or boolean type; others are skipped */
    size_t header_count;
    struct slice body;
};

/* Returns the header of that name, or NULL. */
const struct broker_header *broker_delivery_header(const struct broker_delivery *delivery, const char *name);

/* Each may be NULL. */
struct broker_callbacks {
    /* The channel is open and in confirm mode. The owner declares, binds and consumes from here. Called at
     * every connection. */
    void (*on_up)(void *ctx, struct broker *broker);
    /* The connection has ended; `why` has the words of the server where it gave any. Every delivery that is
     * not acked yet will be delivered again, to one consumer or another. Also called, without an on_up before
     * it, for each attempt to connect that failed. */
    void (*on_down)(void *ctx, struct broker *broker, const char *why);
    void (*on_delivery)(void *ctx, struct broker *broker, const struct broker_delivery *delivery);
    /* The server has stopped taking messages, or takes them again. Until then they wait here. */
    void (*on_blocked)(void *ctx, struct broker *broker, bool blocked);
};

/* OK: RabbitMQ has the message. QUEUE_FULL: it sent a nack. UNROUTABLE: it returned a mandatory message.
 * SHUTTING_DOWN: broker_free came first and makes the call. HEADERS_TOO_LARGE: a later connection takes only
 * frames that are smaller than the properties of the message. */
typedef void broker_on_confirm(void *arg, enum err err);

/* Begins to connect at once, in the background. The strings of `options` are copied. ERR_BAD_REQUEST: a URL
 * does not parse. */
enum err broker_new(struct ev_loop *loop, const struct broker_options *options,
                    const struct broker_callbacks *callbacks, void *ctx,
                    struct broker **ret_broker) MUST_CHECK;
size_t broker_url_count(const struct broker *broker); /* of its options; each is tried in turn */
void broker_free(struct broker *broker); /* closes at once; never call it from its own callbacks */

/* Ends this connection within one turn of the loop and connects again. Every delivery that is not acked yet
 * goes back to its queue, in order and at once. on_down is called with a copy of `why`. */
void broker_reconnect(struct broker *broker, const char *why);

bool broker_is_up(const struct broker *broker); /* UP or BLOCKED */
bool broker_is_blocked(const struct broker *broker);
uint32_t broker_epoch(const struct broker *broker); /* the number of the connection; 0 before the first */
size_t broker_unconfirmed(const struct broker *broker);
size_t broker_unsent_bytes(const struct broker *broker);

/* Whether so many messages of so many octets altogether would be taken now. */
bool broker_has_room(const struct broker *broker, size_t messages, size_t bytes);

/* Takes a copy of the message, within the bounds also while the connection is down or blocked. on_confirm may
 * be NULL. After an error on_confirm is not called. BROKER_BUSY: the window is full. BODY_TOO_LARGE: the body
 * is larger than BROKER_BODY_MAX. HEADERS_TOO_LARGE: the properties are larger than a frame. BAD_REQUEST: a
 * key or a property is longer than the 255 octets of AMQP, or there are too many keys or headers. */
enum err broker_publish(struct broker *broker, const struct broker_message *message,
                        broker_on_confirm *on_confirm, void *arg) MUST_CHECK;

/* Acks are gathered and written once per turn of the loop. A call with the epoch of an older connection does
 * nothing. broker_reject without requeue sends the message to the dead letters of its queue. */
void broker_ack(struct broker *broker, uint32_t epoch, uint64_t tag, bool multiple);
void broker_reject(struct broker *broker, uint32_t epoch, uint64_t tag, bool requeue);

/* Declarations are sent in the order of the calls, without waiting in between. A refusal closes the
 * connection: on_down is called with the text of the server, and after the back-off everything is tried
 * again. Declarations belong to one connection: without one the calls do nothing, and on_up declares again.
 * Exchanges are durable. */
enum broker_exchange_kind { BROKER_TOPIC, BROKER_FANOUT, BROKER_DIRECT };
void broker_declare_exchange(struct broker *broker, const char *exchange, enum broker_exchange_kind kind);

struct broker_queue {
    const char *name;
    bool durable, exclusive, auto_delete;
    /* A queue that exists with other limits (x-max-length, x-delivery-limit, x-message-ttl, x-expires) is
     * used as it is: the server refuses the declaration once, and after a reconnection without a back-off it
     * is only looked up. */
    bool keeps_limits;
    const struct broker_header *arguments; /* x-queue-type, x-max-length, … */
    size_t argument_count;
};
void broker_declare_queue(struct broker *broker, const struct broker_queue *queue);
/* Of a queue that is used as it is: the server's words on which limit differs. NULL: it has the declared
 * limits, as far as this connection knows. */
const char *broker_queue_difference(const struct broker *broker, const char *queue);
/* How many queues are used as they are, and the server's words on one of them. */
size_t broker_differing_queues(const struct broker *broker, const char **ret_example);
/* The server's words on the i-th of them, where it differs in more than a limit (keeps_shapes); else NULL. */
const char *broker_differing_shape(const struct broker *broker, size_t i);
/* How many messages wait in a queue (those that no consumer holds), and how many consumers it has. on_seen
 * never comes when the connection breaks first, which it does where there is no such queue. */
typedef void broker_on_seen(void *arg, uint32_t waiting, uint32_t consumers);
void broker_look_at_queue(struct broker *broker, const char *queue, broker_on_seen *on_seen, void *arg);
void broker_bind(struct broker *broker, const char *queue, const char *exchange, const char *routing_key);
void broker_unbind(struct broker *broker, const char *queue, const char *exchange, const char *routing_key);
/* What the exchange `source` gets under that key, `destination` gets as well. */
void broker_bind_exchange(struct broker *broker, const char *destination, const char *source,
                          const char *routing_key);
/* Adds a consumer of a queue. A delivery names its consumer by the tag, so no two consumers have the same tag
 * at a time. prefetch: the most deliveries that this consumer holds; 0: no limit. no_ack: the server forgets
 * a delivery once it has sent it. */
void broker_consume(struct broker *broker, const char *queue, const char *consumer_tag, uint16_t prefetch,
                    bool no_ack, bool exclusive);
/* Ends a consumer. Deliveries that the server had sent by then still arrive before on_cancelled; after it
 * none does, and the tag is free again. The deliveries must still be acked. on_cancelled may be NULL, and is
 * not called when the connection breaks first. Without such a consumer the call does nothing. */
void broker_cancel(struct broker *broker, const char *consumer_tag, void (*on_cancelled)(void *arg),
                   void *arg);
/* Calls on_done once the server has answered everything that was declared, bound or consumed before. on_done
 * is not called when the connection breaks first. */
void broker_after_declarations(struct broker *broker, void (*on_done)(void *arg), void *arg);

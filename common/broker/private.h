#pragma once
/* What the files of the AMQP client share. Only the files below include this header, and only they may
 * include librabbitmq. A file calls files below it, never one above:
 *
 *   broker.c      the public face (new, free, publish), the watchers, and the only end of a connection
 *   input.c       reads frames from the socket; holds the table of methods that a server may send
 *   connect.c     tries addresses in turn, backs off, opens the TCP connection
 *   handshake.c   leads from the protocol header to the open channel in confirm mode
 *   content.c     puts a delivery or a return together: its method, its properties and its body
 *   declare.c     declarations and consumers, answered in order
 *   kept.c        queues that exist with other limits
 *   heartbeat.c   heartbeats both ways
 *   output.c      acks, methods and messages to the socket, once per turn of the loop
 *   confirms.c    the ring of unconfirmed messages
 *   frames.c      one message as frames
 *   properties.c  properties and headers of a delivery
 *   state.c       the state of the connection, and why it failed
 */

#ifdef CORTEX_RABBITMQ_C_SUBDIR
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#include <endian.h>
#include <sys/socket.h>

#include "common/base/amqp_url.h"
#include "common/base/buf.h"
#include "common/broker/broker.h"
#include "common/net/dns.h"

enum {
    FRAME_HEAD = 7,           /* octets: type, channel, size (AMQP 0-9-1, 4.2.3) */
    FRAME_TAIL = 1,           /* frame-end */
    FRAME_MIN = 4096,         /* frame-min-size, which every peer takes */
    FRAME_MAX = 131072,       /* what we ask for; the default of RabbitMQ */
    FRAME_BEFORE_TUNE = 8192, /* initial_frame_max of RabbitMQ */
    INPUT_SIZE = 2 * FRAME_MAX,
    /* Octets of methods that wait for the socket. A server that lets so many gather does not read. */
    CONTROL_MAX = 4 << 20,
    CONTROL_METHOD_MAX = FRAME_MIN - FRAME_HEAD - 4 - FRAME_TAIL,
    SHORT_STRING_MAX = 255,
    ADDRESSES_MAX = 8, /* of one host */
    CHANNEL = 1,
};

enum broker_state {
    BROKER_DOWN,
    BROKER_RESOLVING,
    BROKER_CONNECTING,
    BROKER_HANDSHAKE,
    BROKER_UP,
    BROKER_BLOCKED,
    BROKER_CLOSED,
};

/* A published message: its frames exactly as they are written to the socket, each time that it is published.
 * It is one allocation. */
struct broker_frames {
    broker_on_confirm *on_confirm;
    void *arg;
    uint32_t size;          /* in octets */
    uint32_t largest_frame; /* the largest of the frames; a later connection may take smaller ones only */
    uint32_t message_id_at; /* offset in octets; the octet before it has the length */
    bool has_message_id;
    bool mandatory;
    bool returned; /* the server could not route it; the confirm follows */
    uint8_t octets[];
};

/* Messages in the order of publishing, in slots numbered from 0 for the life of the broker:
 *
 *      first            unsent                next
 *        ▼                ▼                     ▼
 *   ─────[m][ ][m][m][ ][m|written      ][m][m]─────
 *         written, some confirmed  ↑ at most one partly written
 *
 * Delivery tag t of this connection is slot tag_base + t - 1. */
struct broker_confirms {
    struct broker_frames **ring;
    size_t capacity; /* a power of two */
    uint64_t first, unsent, next;
    uint64_t tag_base;
    uint64_t return_from; /* where the search for the next return begins, because returns come in order */
    size_t written;       /* octets of the message in slot `unsent` */
    size_t count;         /* of messages */
    size_t bytes;         /* octets of their frames */
    size_t unsent_bytes;
    size_t count_max, bytes_max;
};

/* A declaration, and the answer that it waits for; or a marker, which only waits for its turn. */
struct broker_declaration {
    amqp_method_number_t answer;
    char *consumer; /* tag of the consumer that begins or ends; else NULL */
    char *queue;    /* that keeps its limits, and was declared or looked up; else NULL */
    bool is_answered;
    void (*on_done)(void *arg);
    broker_on_seen *on_seen;
    void *arg;
    uint32_t messages, consumers; /* that the server told of, in its answer */
};

enum { BROKER_LIMITS = 5 }; /* that a queue may have: kept.c */

/* A limit of a queue that exists. */
struct broker_known_limit {
    bool is_known, is_set;
    int64_t value;
};

/* A queue that exists with other limits than those declared, or in another shape (keeps_shapes). */
struct broker_kept_queue {
    char *name, *difference;
    bool is_adapted; /* declared with its own limits, to see whether more differs; else passively */
    struct broker_known_limit known[BROKER_LIMITS];
};

/* The parts of an answer that are used. */
struct broker_answer {
    amqp_method_number_t id;
    struct slice consumer; /* its tag, because consumers are answered in any order; else SLICE_NONE */
    uint32_t messages, queue_consumers; /* of a queue */
};

/* In the order of the calls. The item at `begin` is the first without an answer. */
struct broker_declarations {
    struct broker_declaration *items;
    size_t begin, end, capacity;
};

/* A consumer that deliveries may name: from basic.consume to the answer to basic.cancel. */
struct broker_consumer {
    char *tag;
    bool is_answered; /* the server has answered basic.consume */
    bool is_ending;
    void (*on_cancelled)(void *arg);
    void *arg;
};

/* Deliveries acked in an unbroken run from tag 1 become one multiple ack per turn of the loop. */
struct broker_acks {
    uint64_t run;     /* every delivery up to this tag is acked or rejected */
    uint64_t written; /* the last tag of the run that the server was told */
};

/* A delivery or a return that is being received: the method, then the header, then body frames. */
struct broker_content {
    enum { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY } awaits;
    amqp_method_number_t method;
    struct buf meta;    /* payloads of the method frame and the header frame */
    size_t method_size; /* octets of the method in it */
    uint64_t body_size, body_got;
    struct buf body; /* used only when the body comes in several frames */
};

struct broker {
    struct ev_loop *loop;
    struct broker_callbacks callbacks;
    void *ctx;
    char *name;
    int heartbeat_wanted_s;
    double reconnect_min_s, reconnect_max_s;

    enum broker_state state;
    uint32_t epoch;
    bool has_failed; /* set by broker_fail; the connection ends when the current watcher is done */
    char why[512];   /* the last failure, in words */

    struct amqp_url *urls;
    size_t url_count, url_at;
    bool at_once;           /* the next connection goes to the same address, without a back-off */
    size_t urls_failed;     /* of this round */
    unsigned rounds_failed; /* since the last connection that lasted */
    double up_since;
    struct dns_question *question; /* while RESOLVING */
    struct dns_address addresses[ADDRESSES_MAX];
    size_t address_count, address_at;

    int fd;
    ev_io io_read, io_write;
    ev_timer timer; /* DOWN: the back-off; UP, BLOCKED: half a heartbeat; else the limit of the step */
    ev_prepare prepare;

    unsigned handshake_step;
    size_t frame_max;
    int heartbeat_s;
    unsigned silent_ticks; /* half heartbeats in which no octet came from the server */
    bool sent_since_tick;

    struct buf control; /* frames that are no message: methods, acks, heartbeats */
    struct broker_confirms confirms;
    struct broker_declarations declarations;
    struct broker_kept_queue *kept; /* for the life of the broker */
    bool keeps_shapes;
    size_t kept_count;
    struct broker_acks acks;
    struct broker_consumer *consumers;
    size_t consumer_count;

    uint8_t *input;
    size_t input_begin, input_end;
    struct broker_content content;
    amqp_pool_t pool; /* memory of the method that is being handled */
    struct broker_header headers[BROKER_HEADERS_MAX];
};

/* Numbers on the wire are big-endian. */
static inline void wire_put16(uint8_t *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof(value));
}
static inline void wire_put32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}
static inline void wire_put64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}
static inline uint16_t wire_get16(const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return be16toh(value);
}
static inline uint32_t wire_get32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}
static inline uint64_t wire_get64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static inline amqp_bytes_t amqp_bytes_of(struct slice s)
{
    return (amqp_bytes_t){.len = s.len, .bytes = (void *)(uintptr_t)s.data};
}
static inline struct slice slice_of_amqp(amqp_bytes_t b)
{
    return (struct slice){b.len > 0 ? (const char *)b.bytes : "", b.len};
}
static inline bool broker_has_channel(const struct broker *b)
{
    return b->state == BROKER_UP || b->state == BROKER_BLOCKED;
}

/* state.c */
/* The only function that changes the state. after_s is the timer of the new state, in seconds; a negative one
 * leaves the running timer alone. */
void broker_set_state(struct broker *b, enum broker_state state, double after_s);
/* Records why the connection, or the attempt to connect, has to end. The first reason is kept. broker.c ends
 * the connection once the watcher or the turn of the loop in which it failed is done, so this may be called
 * from anywhere. The caller returns after it; no further frame is read. */
void broker_fail(struct broker *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* connect.c */
void broker_connect_plan(struct broker *b); /* chooses the next address or URL, and when to try it */
void broker_connect_begin(struct broker *b);
void broker_connect_writable(struct broker *b);
void broker_connect_timed_out(struct broker *b);
void broker_connect_close(struct broker *b);

/* handshake.c */
void broker_handshake_begin(struct broker *b);
void broker_handshake_method(struct broker *b, amqp_method_number_t id, const void *method);

/* heartbeat.c */
void broker_heartbeat_tick(struct broker *b);

/* frames.c */
enum err broker_frames_new(const struct broker_message *message, size_t frame_max,
                           struct broker_frames **ret_frames) MUST_CHECK;
/* Makes the same message in frames of at most frame_max. Returns NULL when its header alone is larger. */
struct broker_frames *broker_frames_reframe(const struct broker_frames *old, size_t frame_max) MUST_CHECK;
struct slice broker_frames_exchange(const struct broker_frames *m);
struct slice broker_frames_routing_key(const struct broker_frames *m);
struct slice broker_frames_message_id(const struct broker_frames *m);

/* confirms.c */
void broker_confirms_init(struct broker_confirms *c, size_t count_max, size_t bytes_max);
bool broker_confirms_has_room(const struct broker_confirms *c, size_t messages, size_t bytes);
void broker_confirms_add(struct broker_confirms *c, struct broker_frames *m);
/* After a connection ended: everything is unsent again. */
void broker_confirms_rewind(struct broker_confirms *c);
/* Once a new one is up, perhaps with another frame_max. */
void broker_confirms_restart(struct broker *b);
void broker_confirms_settle(struct broker *b, uint64_t tag, bool multiple, enum err err);
void broker_confirms_returned(struct broker *b, struct slice exchange, struct slice routing_key,
                              struct slice id);
/* Ends every message with ERR_SHUTTING_DOWN and frees the ring. */
void broker_confirms_done(struct broker *b);
static inline struct broker_frames *broker_confirms_at(const struct broker_confirms *c, uint64_t slot)
{
    return c->ring[slot & (c->capacity - 1)];
}

/* declare.c */
void broker_declarations_answered(struct broker *b, const struct broker_answer *answer);
void broker_declarations_run_markers(struct broker *b);
void broker_declarations_clear(struct broker *b);
bool broker_has_consumer(const struct broker *b, struct slice tag);
/* The server closes the channel over the first declaration that it has not answered. True when the next
 * connection will fare better: a queue's limits differ, or a queue that was only looked up is gone. */
bool broker_declarations_refused(struct broker *b, const amqp_channel_close_t *close);

/* ---- kept.c: queues that exist with other limits ---- */

/* Records what the server said of a declaration that it has refused. True when the next one will fare better. */
bool broker_kept_refused(struct broker *b, const char *queue, int code, struct slice text);
/* The arguments with which the queue is to be declared now; returns how many. */
size_t broker_kept_arguments(const struct broker *b, const struct broker_queue *queue,
                             struct broker_header arguments[BROKER_HEADERS_MAX], bool *ret_passive);
void broker_kept_done(struct broker *b); /* at the end of the broker */

/* output.c */
void broker_output_method(struct broker *b, uint16_t channel, amqp_method_number_t id, void *method);
void broker_output_raw(struct broker *b, const void *data, size_t size);
void broker_output_acks(struct broker *b);
void broker_output_flush(struct broker *b);
/* Writes head and end of a frame around the payload of `size` octets at frame + FRAME_HEAD. Returns the size
 * of the frame. */
size_t broker_frame_close(uint8_t *frame, uint8_t type, uint16_t channel, size_t size);

/* input.c */
void broker_input_readable(struct broker *b);
void broker_input_reset(struct broker *b);

/* content.c */
void broker_content_method(struct broker *b, amqp_method_number_t id, struct slice payload);
void broker_content_header(struct broker *b, struct slice payload);
void broker_content_body(struct broker *b, struct slice payload);
void broker_content_init(struct broker_content *c);
void broker_content_done(struct broker_content *c);
void broker_content_reset(struct broker_content *c);

/* properties.c */
/* Reads basic properties, from the flags on. The slices of the delivery point into `raw`. false:
 * malformed. */
bool broker_properties_read(struct slice raw, struct broker_header headers[BROKER_HEADERS_MAX],
                            struct broker_delivery *delivery) MUST_CHECK;

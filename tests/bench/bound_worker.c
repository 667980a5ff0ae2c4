#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/broker/topology.h"
#include "tests/bench/bound_rows.h"
#include "tests/bench/bound_wire.h"

/* What is kept of a delivery. */
struct work {
    uint64_t tag;
    struct rows_project project;
    char correlation[64], reply_to[64];
};

/* A committed batch whose events are on their way: its commands are acked when the broker has them all. */
struct committed {
    uint64_t last_delivery, last_event;
};

enum {
    WAITING_MAX = 2 * BOUND_PREFETCH,
    COMMITTED_MAX = WAITING_MAX,
    EVENT_MAX = 4096,
    EVENT_HEAD_MAX = 512
};

struct worker {
    struct wire wire;
    struct rows rows;
    struct work waiting[WAITING_MAX]; /* a ring: those of the batch are at its front */
    size_t first, count, batch;
    struct committed committed[COMMITTED_MAX]; /* a ring */
    size_t committed_first, committed_count;
};

static struct work *work_at(struct worker *w, size_t i)
{
    return &w->waiting[(w->first + i) % WAITING_MAX];
}

/* ---- events and acks ---- */

static void publish_event(struct worker *w, const struct work *work, size_t index)
{
    const struct slice id = {work->project.id, UUID_TEXT_LEN};
    char body[EVENT_MAX];
    int64_t seq = w->rows.seq + (int64_t)index + 1;
    int entity_at =
        snprintf(body, EVENT_HEAD_MAX,
                 "{\"type\":\"project.created\",\"seq\":%" PRId64 ",\"id\":\"%s\",\"project\":\"%s\","
                 "\"actor\":\"" BOUND_COMPANY "\",\"at\":\"%s\",\"data\":",
                 seq, id.data, id.data, w->rows.at);
    int len = entity_at +
              rows_entity(&w->rows, &work->project, index, body + entity_at, sizeof(body) - EVENT_HEAD_MAX);
    body[len++] = '}';
    const struct wire_header headers[] = {
        {.name = SLICE("status"), .text = SLICE("ok")},
        {.name = SLICE("http-status"), .integer = 201},
        {.name = SLICE("company"), .text = SLICE(BOUND_COMPANY)},
        {.name = SLICE("seq"), .integer = seq},
        {.name = SLICE("subject"), .text = id},
        {.name = SLICE("project"), .text = id},
        {.name = SLICE("version"), .integer = 1},
        {.name = SLICE("entity-at"), .integer = entity_at},
    };
    const struct wire_message message = {
        .exchange = SLICE(EXCHANGE_EVENTS),
        .routing_key = SLICE(BOUND_COMPANY ".project.created"),
        .cc = slice_of(work->reply_to),
        .content_type = SLICE("application/json"),
        .message_id = id,
        .correlation_id = slice_of(work->correlation),
        .type = SLICE("project.created"),
        .persistent = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = {body, (size_t)len},
    };
    wire_publish(&w->wire, &message);
}

static void ack_confirmed(struct worker *w)
{
    uint64_t last = 0;
    while (w->committed_count && w->committed[w->committed_first].last_event <= w->wire.confirmed) {
        last = w->committed[w->committed_first].last_delivery;
        w->committed_first = (w->committed_first + 1) % COMMITTED_MAX;
        w->committed_count--;
    }
    if (last)
        wire_ack_up_to(&w->wire, last);
}

/* ---- batches ---- */

static void begin_batch(struct worker *w)
{
    w->batch = w->count < BOUND_BATCH_MAX ? w->count : BOUND_BATCH_MAX;
    rows_count(&w->rows, w->batch);
}

static void insert_batch(struct worker *w)
{
    rows_begin(&w->rows);
    for (size_t i = 0; i < w->batch; i++)
        rows_add(&w->rows, &work_at(w, i)->project, i);
    rows_insert(&w->rows);
}

static void end_batch(struct worker *w)
{
    uint64_t last_delivery = work_at(w, w->batch - 1)->tag;
    for (size_t i = 0; i < w->batch; i++)
        publish_event(w, work_at(w, i), i);
    w->committed[(w->committed_first + w->committed_count++) % COMMITTED_MAX] =
        (struct committed){last_delivery, w->wire.published};
    w->first = (w->first + w->batch) % WAITING_MAX;
    w->count -= w->batch;
}

static void read_database(struct worker *w)
{
    enum rows_news news = rows_read(&w->rows);
    if (news == ROWS_COUNTED)
        insert_batch(w);
    else if (news == ROWS_COMMITTED)
        end_batch(w);
}

/* ---- the loop ---- */

static void keep(char *to, size_t size, struct slice from)
{
    size_t len = from.len < size ? from.len : size - 1;
    memcpy(to, from.data, len);
    to[len] = 0;
}

static void on_command(void *ctx, const struct wire_delivery *delivery)
{
    struct worker *w = ctx;
    if (w->count == WAITING_MAX || delivery->body.len < bound_body_head.len + BOUND_NAME_LEN)
        errx(1, "a command that this program did not publish");
    struct work *work = work_at(w, w->count++);
    work->tag = delivery->tag;
    const struct slice name = {delivery->body.data + bound_body_head.len, BOUND_NAME_LEN};
    keep(work->project.id, sizeof(work->project.id), delivery->message_id);
    keep(work->project.name, sizeof(work->project.name), name);
    keep(work->correlation, sizeof(work->correlation), delivery->correlation_id);
    keep(work->reply_to, sizeof(work->reply_to), delivery->reply_to);
}

static short events_of(bool has_output)
{
    return has_output ? POLLIN | POLLOUT : POLLIN;
}

static void turn(struct worker *w)
{
    struct pollfd fds[] = {{w->wire.fd, events_of(wire_has_output(&w->wire)), 0},
                           {PQsocket(w->rows.db), events_of(rows_flush(&w->rows)), 0}};
    if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
        err(1, "poll");
    if (fds[0].revents & ~POLLOUT)
        wire_read(&w->wire, on_command, w);
    if (fds[1].revents)
        read_database(w);
    ack_confirmed(w);
    if (w->rows.phase == ROWS_IDLE && w->count)
        begin_batch(w);
    wire_flush(&w->wire);
}

static amqp_table_entry_t text_argument(const char *key, const char *value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key),
                                {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static amqp_table_entry_t integer_argument(const char *key, int64_t value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = value}};
}

/* The queue has the arguments that common/broker/topology.c gives to a partition's. */
static void declare(struct wire *w)
{
    amqp_table_entry_t arguments[] = {
        text_argument("x-queue-type", "quorum"),
        {amqp_cstring_bytes("x-single-active-consumer"),
         {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
        integer_argument("x-delivery-limit", 20),
        text_argument("x-dead-letter-exchange", EXCHANGE_DEAD),
        text_argument("x-dead-letter-strategy", "at-least-once"),
        integer_argument("x-max-length", 250000),
        text_argument("x-overflow", "reject-publish"),
    };
    static const char *const exchanges[] = {EXCHANGE_COMMANDS, EXCHANGE_EVENTS, EXCHANGE_DEAD};
    for (size_t i = 0; i < ARRAY_LEN(exchanges); i++) {
        amqp_exchange_declare(w->connection, WIRE_CHANNEL, amqp_cstring_bytes(exchanges[i]),
                              amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
        wire_must(w, exchanges[i]);
    }
    bound_forget_queue(w);
    amqp_queue_declare(w->connection, WIRE_CHANNEL, amqp_cstring_bytes(BOUND_QUEUE), 0, 1, 0, 0,
                       (amqp_table_t){ARRAY_LEN(arguments), arguments});
    wire_must(w, "queue.declare");
    amqp_queue_bind(w->connection, WIRE_CHANNEL, amqp_cstring_bytes(BOUND_QUEUE),
                    amqp_cstring_bytes(EXCHANGE_COMMANDS), amqp_cstring_bytes(BOUND_ROUTING_KEY),
                    amqp_empty_table);
    wire_must(w, "queue.bind");
    wire_take(w, BOUND_QUEUE, BOUND_PREFETCH);
}

void bound_worker(const struct bound_options *options, int ready_fd)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    rows_open(&w->rows, options);
    wire_open(&w->wire, options->amqp_url);
    declare(&w->wire);
    if (write(ready_fd, "", 1) != 1)
        err(1, "telling that the worker is ready");
    close(ready_fd);
    for (;;)
        turn(w);
}

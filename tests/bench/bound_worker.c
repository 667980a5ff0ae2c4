#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/broker/topology.h"
#include "tests/bench/bound_parcel.h"
#include "tests/bench/bound_rows.h"
#include "tests/bench/bound_wire.h"

/* What is kept of a command. */
struct work {
    uint64_t tag; /* of its message; 0: it is not the last one of it */
    uint64_t operation;
    struct rows_project project;
};

/* A committed batch whose events are on their way: its commands are acked when the broker has them all. */
struct committed {
    uint64_t last_delivery; /* all of whose commands are done; 0: there is none */
    uint64_t last_event;
};

enum {
    WAITING_MAX = 2 * BOUND_PREFETCH * BOUND_PARCEL_RECORDS,
    COMMITTED_MAX = 4096,
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
    char reply_to[64]; /* of all commands: there is one publisher */
    struct bound_parcel parcel;
};

static struct work *work_at(struct worker *w, size_t i)
{
    return &w->waiting[(w->first + i) % WAITING_MAX];
}

/* ---- events and acks ---- */

/* What travels beside the events is that of the last one. */
static void send_events(struct worker *w, const struct rows_project *project, int64_t seq)
{
    const struct slice id = {project->id, UUID_TEXT_LEN};
    const struct wire_header headers[] = {
        {.name = SLICE("status"), .text = SLICE("ok")},
        {.name = SLICE("http-status"), .integer = 201},
        {.name = SLICE("company"), .text = SLICE(BOUND_COMPANY)},
        {.name = SLICE("seq"), .integer = seq},
        {.name = SLICE("subject"), .text = id},
        {.name = SLICE("project"), .text = id},
        {.name = SLICE("version"), .integer = 1},
        {.name = SLICE("entity-at"), .integer = 0},
    };
    const struct wire_message message = {
        .exchange = SLICE(EXCHANGE_EVENTS),
        .routing_key = SLICE(BOUND_COMPANY ".project.created"),
        .cc = slice_of(w->reply_to),
        .content_type = SLICE("application/json"),
        .message_id = id,
        .correlation_id = SLICE("0"),
        .type = SLICE("project.created"),
        .persistent = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = bound_parcel_slice(&w->parcel),
    };
    wire_publish(&w->wire, &message);
    bound_parcel_clear(&w->parcel);
}

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
    struct bound_record record = {.operation = work->operation, .body = {body, (size_t)len}};
    memcpy(record.id, id.data, UUID_TEXT_LEN);
    if (!bound_parcel_add(&w->parcel, &record)) {
        send_events(w, &work->project, seq);
        (void)bound_parcel_add(&w->parcel, &record);
    }
}

static void ack_confirmed(struct worker *w)
{
    uint64_t last = 0;
    while (w->committed_count && w->committed[w->committed_first].last_event <= w->wire.confirmed) {
        uint64_t delivery = w->committed[w->committed_first].last_delivery;
        last = delivery ? delivery : last;
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

/* The last message of which no command is left; 0: there is none in the batch. */
static uint64_t last_delivery(struct worker *w)
{
    for (size_t i = w->batch; i > 0; i--)
        if (work_at(w, i - 1)->tag)
            return work_at(w, i - 1)->tag;
    return 0;
}

static void end_batch(struct worker *w)
{
    for (size_t i = 0; i < w->batch; i++)
        publish_event(w, work_at(w, i), i);
    send_events(w, &work_at(w, w->batch - 1)->project, w->rows.seq + (int64_t)w->batch);
    if (w->committed_count == COMMITTED_MAX)
        errx(1, "the broker confirms no events");
    w->committed[(w->committed_first + w->committed_count++) % COMMITTED_MAX] =
        (struct committed){last_delivery(w), w->wire.published};
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

static void take(struct worker *w, const struct bound_record *record, uint64_t tag)
{
    if (w->count == WAITING_MAX || record->body.len < bound_body_head.len + BOUND_NAME_LEN)
        errx(1, "a command that this program did not publish");
    struct work *work = work_at(w, w->count++);
    const struct slice name = {record->body.data + bound_body_head.len, BOUND_NAME_LEN};
    work->tag = tag;
    work->operation = record->operation;
    memcpy(work->project.id, record->id, sizeof(work->project.id));
    keep(work->project.name, sizeof(work->project.name), name);
}

static void on_commands(void *ctx, const struct wire_delivery *delivery)
{
    struct worker *w = ctx;
    struct slice left = delivery->body;
    struct bound_record record;
    keep(w->reply_to, sizeof(w->reply_to), delivery->reply_to);
    while (bound_parcel_next(&left, &record))
        take(w, &record, left.len == 0 ? delivery->tag : 0);
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
        wire_read(&w->wire, on_commands, w);
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
    w->parcel.most = (size_t)options->parcel;
    rows_open(&w->rows, options);
    wire_open(&w->wire, options->amqp_url);
    declare(&w->wire);
    if (write(ready_fd, "", 1) != 1)
        err(1, "telling that the worker is ready");
    close(ready_fd);
    for (;;)
        turn(w);
}

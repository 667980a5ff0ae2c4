#include "tests/bench/bound.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/broker/topology.h"
#include "tests/bench/bound_parcel.h"
#include "tests/bench/bound_wire.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/histogram.h"

enum {
    WINDOW_MAX = 1 << 15, /* operations in flight */
    SECOND_US = 1000000,
    DRAIN_US = 10 * SECOND_US, /* for what is in flight at the end */
};

struct publisher {
    const struct bound_options *options;
    struct wire commands, events;
    char reply_key[48];
    struct slice company, run;      /* run: tells this run's names from those of the last */
    int64_t started_at[WINDOW_MAX]; /* by operation modulo the size; 0: free */
    uint64_t next, completed;
    int64_t begin_us, end_us; /* of what is measured: what ends there, or with a rate, what is due there */
    struct histogram latencies;
    struct bound_parcel parcel; /* commands that travel together */
};

static const struct wire_header header_template[] = {
    {.name = {"company", 7}, .text = {BOUND_COMPANY, UUID_TEXT_LEN}},
    {.name = {"actor", 5}, .text = {BOUND_COMPANY, UUID_TEXT_LEN}},
    {.name = {"role", 4}, .text = {"company_admin", 13}},
    {.name = {"fingerprint", 11}, .integer = 0x1234567890abcdef},
};

static void send_parcel(struct publisher *p)
{
    char id[UUID_TEXT_LEN + 1];
    struct uuid uuid = uuid_v7();
    if (p->parcel.count == 0)
        return;
    uuid_format(&uuid, id);
    const struct wire_message message = {
        .exchange = SLICE(EXCHANGE_COMMANDS),
        .routing_key = SLICE(BOUND_ROUTING_KEY),
        .content_type = SLICE("application/msgpack"),
        .message_id = {id, UUID_TEXT_LEN},
        .correlation_id = SLICE("0"),
        .reply_to = slice_of(p->reply_key),
        .type = SLICE("project.create"),
        .persistent = true,
        .mandatory = true,
        .headers = header_template,
        .header_count = ARRAY_LEN(header_template),
        .body = bound_parcel_slice(&p->parcel),
    };
    wire_publish(&p->commands, &message);
    bound_parcel_clear(&p->parcel);
}

static void publish(struct publisher *p, int64_t started_at)
{
    char body[512], name[BOUND_NAME_LEN + 1];
    struct uuid uuid = uuid_v7();
    snprintf(name, sizeof(name), "Bench %.8s %09" PRIu64, p->run.data, p->next % 1000000000);

    size_t len = 0;
    const struct slice parts[] = {bound_body_head, {name, BOUND_NAME_LEN}, bound_body_tail};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        memcpy(body + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    struct bound_record record = {.operation = p->next, .body = {body, len}};
    uuid_format(&uuid, record.id);
    if (!bound_parcel_add(&p->parcel, &record)) {
        send_parcel(p);
        (void)bound_parcel_add(&p->parcel, &record);
    }
    p->started_at[p->next++ % WINDOW_MAX] = started_at;
}

static void end_operation(struct publisher *p, uint64_t operation)
{
    int64_t *started_at = &p->started_at[operation % WINDOW_MAX];
    if (*started_at == 0)
        errx(1, "an event came twice");
    int64_t now = clock_monotonic_us();
    int64_t counts = p->options->rate ? *started_at : now;
    if (counts >= p->begin_us && counts < p->end_us)
        histogram_record(&p->latencies, now - *started_at);
    *started_at = 0;
    p->completed++;
}

static void on_events(void *ctx, const struct wire_delivery *delivery)
{
    struct slice left = delivery->body;
    struct bound_record record;
    while (bound_parcel_next(&left, &record))
        end_operation(ctx, record.operation);
}

/* Starts what is due; returns how long to sleep at most. */
static int64_t publish_due(struct publisher *p, int64_t first_us, int64_t now)
{
    if (now >= p->end_us)
        return 100000;
    int64_t rate = p->options->rate;
    if (rate == 0) {
        while (p->next - p->completed < (uint64_t)p->options->in_flight)
            publish(p, now);
        return p->end_us - now;
    }
    int64_t due;
    while ((due = first_us + (int64_t)p->next * SECOND_US / rate) <= now) {
        if (p->next - p->completed == WINDOW_MAX - 1)
            errx(1, "the chain cannot keep up with %" PRId64 "/s", rate);
        publish(p, due);
    }
    return due - now;
}

static void run(struct publisher *p)
{
    int64_t first_us = clock_monotonic_us();
    p->begin_us = first_us + p->options->warmup_s * SECOND_US;
    p->end_us = p->begin_us + p->options->duration_s * SECOND_US;
    for (;;) {
        int64_t now = clock_monotonic_us();
        bool over =
            now >= p->end_us && p->completed == p->next && p->commands.confirmed == p->commands.published;
        if (over)
            return;
        if (now > p->end_us + DRAIN_US)
            errx(1, "%" PRIu64 " operations never completed", p->next - p->completed);
        int64_t wait_us = publish_due(p, first_us, now);
        send_parcel(p);
        wire_flush(&p->commands);

        short want_write = wire_has_output(&p->commands) ? POLLOUT : 0;
        struct pollfd fds[] = {{p->events.fd, POLLIN, 0}, {p->commands.fd, (short)(POLLIN | want_write), 0}};
        struct timespec wait = {wait_us / SECOND_US, wait_us % SECOND_US * 1000};
        if (ppoll(fds, ARRAY_LEN(fds), &wait, NULL) < 0 && errno != EINTR)
            err(1, "ppoll");
        if (fds[0].revents)
            wire_read(&p->events, on_events, p);
        if (fds[1].revents & ~POLLOUT)
            wire_read(&p->commands, on_events, p);
    }
}

static void print_report(const struct publisher *p)
{
    double per_second = (double)p->latencies.count / (double)p->options->duration_s;
    if (p->options->json) {
        printf("{\"completed\":%" PRIu64 ",\"per_second\":%.1f,\"cpu_us\":%" PRId64 ",", p->latencies.count,
               per_second, cpu_time_us());
        histogram_print_json(&p->latencies, stdout);
        printf("}\n");
        return;
    }
    printf("%.0f operations/s  ", per_second);
    histogram_print_text(&p->latencies, stdout);
    printf("\n");
}

static void open_events(struct publisher *p)
{
    struct wire *w = &p->events;
    wire_open(w, p->options->amqp_url);
    amqp_exchange_declare(w->connection, WIRE_CHANNEL, amqp_cstring_bytes(EXCHANGE_EVENTS),
                          amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
    wire_must(w, "exchange events");
    amqp_queue_declare(w->connection, WIRE_CHANNEL, amqp_cstring_bytes(p->reply_key), 0, 0, 1, 1,
                       amqp_empty_table);
    wire_must(w, "event queue");
    amqp_queue_bind(w->connection, WIRE_CHANNEL, amqp_cstring_bytes(p->reply_key),
                    amqp_cstring_bytes(EXCHANGE_EVENTS), amqp_cstring_bytes(p->reply_key), amqp_empty_table);
    wire_must(w, "binding of the event queue");
    wire_take(w, p->reply_key, 0);
}

void bound_publisher(const struct bound_options *options)
{
    struct publisher *p = xcalloc(1, sizeof(*p));
    p->options = options;
    p->parcel.most = (size_t)options->parcel;
    char id[UUID_TEXT_LEN + 1];
    struct uuid uuid = uuid_v7();
    uuid_format(&uuid, id);
    p->run = (struct slice){id + UUID_TEXT_LEN - 8, 8};
    snprintf(p->reply_key, sizeof(p->reply_key), "reply.%s", id);

    open_events(p);
    wire_open(&p->commands, options->amqp_url);
    wire_take(&p->commands, NULL, 0);
    run(p);
    print_report(p);
    wire_done(&p->commands);
    wire_done(&p->events);
    free(p);
}

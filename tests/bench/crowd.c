#include "tests/bench/crowd.h"

#include <inttypes.h>
#include <signal.h>

#include "common/base/clock.h"

enum { SECOND_US = 1000000, DRAIN_S = 10 };

static void send_next(struct crowd *crowd, struct client *client, int64_t started_us)
{
    uint64_t n = crowd->issued++;
    crowd->waiting++;
    client_send(client, request_text(&crowd->requests[n % crowd->request_count], n), started_us);
    if (crowd->on_sent)
        crowd->on_sent(crowd->ctx, n, started_us);
}

static bool has_enough(const struct crowd *crowd, uint64_t requests)
{
    return crowd->options->requests > 0 && requests >= (uint64_t)crowd->options->requests;
}

static bool all_issued(const struct crowd *crowd)
{
    return !crowd->options->rate || has_enough(crowd, crowd->issued) ||
           pace_due(&crowd->pace, crowd->issued) >= crowd->end_us;
}

/* Sends what is due while a connection is free; the rest goes out, with the time at which it was due, when
 * one is. */
static void send_due(void *ctx)
{
    struct crowd *crowd = ctx;
    int64_t now = clock_monotonic_us();
    while (!all_issued(crowd)) {
        int64_t due = pace_due(&crowd->pace, crowd->issued);
        if (due > now) {
            pace_wake(&crowd->pace, crowd->issued);
            return;
        }
        if (crowd->idle_count == 0)
            return;
        send_next(crowd, crowd->idle[--crowd->idle_count], due);
    }
}

static void on_idle(void *ctx, struct client *client)
{
    struct crowd *crowd = ctx;
    if (crowd->options->rate) {
        crowd->idle[crowd->idle_count++] = client;
        send_due(crowd);
        return;
    }
    int64_t now = clock_monotonic_us();
    if (now < crowd->end_us && !has_enough(crowd, crowd->issued))
        send_next(crowd, client, now);
}

static void on_lost(void *ctx, struct client *client)
{
    struct crowd *crowd = ctx;
    for (size_t i = 0; i < crowd->idle_count; i++)
        if (crowd->idle[i] == client)
            crowd->idle[i--] = crowd->idle[--crowd->idle_count];
}

static void count(struct crowd *crowd, const struct client *client, int status, int64_t now)
{
    int64_t counts_at = crowd->options->rate ? client->started_us : now;
    if (counts_at < crowd->begin_us || counts_at >= crowd->end_us)
        return;
    if (status == 0)
        crowd->broken++;
    else
        crowd->statuses[status < CROWD_STATUS_MAX ? status : 0]++;
    if (status >= 200 && status < 400)
        histogram_record(&crowd->latencies, now - client->started_us);
}

static void end_when_drained(struct crowd *crowd)
{
    bool is_over = clock_monotonic_us() >= crowd->end_us || has_enough(crowd, crowd->issued);
    if (crowd->waiting == 0 && all_issued(crowd) && is_over)
        ev_break(crowd->loop, EVBREAK_ALL);
}

static void on_answer(void *ctx, struct client *client, int status)
{
    struct crowd *crowd = ctx;
    crowd->waiting--;
    count(crowd, client, status, clock_monotonic_us());
    if (client->state == CLIENT_IDLE)
        on_idle(crowd, client);
    end_when_drained(crowd);
}

static void on_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop, (void)revents;
    struct crowd *crowd = watcher->data;
    if (clock_monotonic_us() >= crowd->end_us + DRAIN_S * (int64_t)SECOND_US)
        ev_break(crowd->loop, EVBREAK_ALL);
    else
        end_when_drained(crowd);
}

static void on_terminated(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    (void)loop, (void)revents;
    struct crowd *crowd = watcher->data;
    crowd->end_us = clock_monotonic_us();
    ev_timer_stop(crowd->loop, &crowd->over);
    ev_timer_set(&crowd->over, 0, 0.05);
    ev_timer_start(crowd->loop, &crowd->over);
}

void crowd_run(struct crowd *crowd, const struct sockaddr_storage *address, socklen_t address_len)
{
    static const struct client_callbacks callbacks = {on_idle, on_lost, on_answer};
    const struct crowd_options *o = crowd->options;
    size_t connections = (size_t)o->connections;
    crowd->clients = xcalloc(connections, sizeof(*crowd->clients));
    crowd->idle = xcalloc(connections, sizeof(struct client *));

    int64_t now = clock_monotonic_us();
    crowd->begin_us = now + o->warmup_s * SECOND_US;
    crowd->end_us = crowd->begin_us + o->duration_s * SECOND_US;
    if (o->rate)
        pace_start(&crowd->pace, crowd->loop, o->rate, now, send_due, crowd);
    ev_timer_init(&crowd->over, on_over, (double)(o->warmup_s + o->duration_s), 0.05);
    crowd->over.data = crowd;
    ev_timer_start(crowd->loop, &crowd->over);
    ev_signal_init(&crowd->terminated, on_terminated, SIGTERM);
    crowd->terminated.data = crowd;
    ev_signal_start(crowd->loop, &crowd->terminated);
    for (size_t i = 0; i < connections; i++)
        client_init(&crowd->clients[i], crowd->loop, &callbacks, crowd, (const struct sockaddr *)address,
                    address_len);
    ev_run(crowd->loop, 0);
    ev_signal_stop(crowd->loop, &crowd->terminated);
    ev_timer_stop(crowd->loop, &crowd->over);
}

void crowd_done(struct crowd *crowd)
{
    if (crowd->options->rate)
        pace_stop(&crowd->pace);
    for (size_t i = 0; i < (size_t)crowd->options->connections; i++)
        client_done(&crowd->clients[i]);
    for (size_t i = 0; i < crowd->request_count; i++)
        request_done(&crowd->requests[i]);
    free(crowd->clients);
    free(crowd->idle);
    free(crowd->requests);
}

/* Those sent without an answer, and those that were due and found no connection. */
static uint64_t unanswered(const struct crowd *crowd)
{
    uint64_t due = crowd->issued;
    if (crowd->options->rate)
        while (!has_enough(crowd, due) && pace_due(&crowd->pace, due) < crowd->end_us)
            due++;
    return crowd->waiting + due - crowd->issued;
}

static uint64_t refused(const struct crowd *crowd)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < (size_t)crowd->options->connections; i++)
        sum += crowd->clients[i].refused;
    return sum;
}

double crowd_per_second(const struct crowd *crowd)
{
    return (double)crowd->latencies.count * SECOND_US / (double)(crowd->end_us - crowd->begin_us);
}

void crowd_print_json(const struct crowd *crowd, FILE *out)
{
    fprintf(out, "\"ok\":%" PRIu64 ",\"per_second\":%.1f,\"statuses\":{", crowd->latencies.count,
            crowd_per_second(crowd));
    const char *before = "";
    for (size_t status = 0; status < CROWD_STATUS_MAX; status++) {
        if (crowd->statuses[status] == 0)
            continue;
        fprintf(out, "%s\"%zu\":%" PRIu64, before, status, crowd->statuses[status]);
        before = ",";
    }
    fprintf(out, "},\"broken\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",",
            crowd->broken, refused(crowd), unanswered(crowd));
    histogram_print_json(&crowd->latencies, out);
}

/* events: how long after a POST is due its event arrives on a WebSocket that listens to the company.
 *
 *   events --url http://127.0.0.1:8080 --token T --company ID --rate 500 --duration 10
 */

#include <err.h>
#include <inttypes.h>

#include "common/base/clock.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/crowd.h"
#include "tests/bench/flags.h"
#include "tests/bench/subscriber.h"

enum { IN_FLIGHT_MAX = 1 << 16, CHANNEL_MAX = 64 };

struct options {
    struct crowd_options crowd;
    const char *url, *token, *company;
};

struct events {
    const struct options *options;
    struct crowd crowd;
    struct subscriber subscriber;
    struct sockaddr_storage address;
    socklen_t address_len;
    bool subscribed;
    int64_t due_us[IN_FLIGHT_MAX]; /* of the n-th POST, by n modulo the size; 0: seen */
    uint64_t seen, strange;        /* events of our POSTs; events of others */
    struct histogram latencies;
};

static const char name_head[] = "\"name\":\"Event ";

static void on_sent(void *ctx, uint64_t n, int64_t started_us)
{
    struct events *e = ctx;
    e->due_us[n % IN_FLIGHT_MAX] = started_us;
}

static void on_subscribed(void *ctx)
{
    struct events *e = ctx;
    e->subscribed = true;
    ev_break(e->crowd.loop, EVBREAK_ALL);
}

/* Which POST of this run made the event; -1: none. */
static int64_t number_of(const struct events *e, struct slice event)
{
    const char *name = memmem(event.data, event.len, name_head, sizeof(name_head) - 1);
    if (!name || (size_t)(event.data + event.len - name) < sizeof(name_head) - 1 + REQUEST_MARK_LEN)
        return -1;
    const struct request *request = &e->crowd.requests[0];
    const char *run = request->text.data + request->marks[0];
    name += sizeof(name_head) - 1;
    if (memcmp(name, run, REQUEST_RUN_LEN) != 0)
        return -1;
    int64_t n = 0;
    for (size_t i = REQUEST_RUN_LEN; i < REQUEST_MARK_LEN; i++)
        n = n * 10 + (name[i] - '0');
    return n;
}

static void on_publication(void *ctx, struct slice json)
{
    struct events *e = ctx;
    int64_t n = number_of(e, json);
    int64_t *due = n < 0 ? NULL : &e->due_us[n % IN_FLIGHT_MAX];
    if (!due || *due == 0) {
        e->strange++;
        return;
    }
    if (*due >= e->crowd.begin_us && *due < e->crowd.end_us)
        histogram_record(&e->latencies, clock_monotonic_us() - *due);
    e->seen++;
    *due = 0;
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop, (void)watcher, (void)revents; /* only wakes the loop */
}

/* Events may come after the last answer: they get three more seconds. */
static void wait_for_the_rest(struct events *e)
{
    ev_timer tick;
    ev_timer_init(&tick, on_tick, 0, 0.01);
    ev_timer_start(e->crowd.loop, &tick);
    int64_t give_up_us = clock_monotonic_us() + 3000000;
    while (e->seen < e->crowd.issued && clock_monotonic_us() < give_up_us)
        ev_run(e->crowd.loop, EVRUN_ONCE);
    ev_timer_stop(e->crowd.loop, &tick);
}

static void subscribe(struct events *e, const char *host)
{
    static const struct subscriber_callbacks callbacks = {on_subscribed, on_publication};
    char channel[CHANNEL_MAX];
    snprintf(channel, sizeof(channel), "company:%s", e->options->company);
    subscriber_init(&e->subscriber, e->crowd.loop, (const struct sockaddr *)&e->address, e->address_len, host,
                    "/connection/websocket", e->options->token, channel, &callbacks, e);
    ev_run(e->crowd.loop, 0);
    if (!e->subscribed)
        errx(1, "not subscribed");
}

static void print_report(const struct events *e)
{
    printf("{\"events\":%" PRIu64 ",\"posts\":%" PRIu64 ",\"others\":%" PRIu64 ",\"post\":{", e->seen,
           e->crowd.issued, e->strange);
    crowd_print_json(&e->crowd, stdout);
    printf("},\"cpu_us\":%" PRId64 ",", cpu_time_us());
    histogram_print_json(&e->latencies, stdout);
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct options o = {.crowd = {.connections = 64, .rate = 500, .duration_s = 10, .warmup_s = 1},
                        .token = getenv("CORTEX_TOKEN")};
    const struct flag flags[] = {
        {"url", "URL", "http://host:port", .text = &o.url},
        {"token", "TOKEN", "bearer token, for POSTs and for the WebSocket (CORTEX_TOKEN)", .text = &o.token},
        {"company", "ID", "the company of the token", .text = &o.company},
        {"connections", "N", "for POSTs (64)", .number = &o.crowd.connections},
        {"rate", "N", "POSTs per second (500)", .number = &o.crowd.rate},
        {"duration", "SECONDS", "what is measured (10)", .number = &o.crowd.duration_s},
        {"warmup", "SECONDS", "before that, not counted (1)", .number = &o.crowd.warmup_s},
        {.name = NULL},
    };
    flags_parse(argc, argv, flags,
                "events: time from a POST's being due to its event on a WebSocket, as a line of JSON.");
    if (!o.url || !o.token || !o.company || o.crowd.rate == 0 || o.crowd.connections == 0 ||
        o.crowd.duration_s == 0)
        errx(2, "--url, --token and --company are needed; --help explains");

    static struct events e;
    CLEANUP_FREE char *host = NULL;
    CLEANUP_FREE char *path = NULL;
    client_resolve(o.url, &e.address, &e.address_len, &host, &path);
    e.options = &o;
    e.crowd.options = &o.crowd;
    e.crowd.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    e.crowd.on_sent = on_sent;
    e.crowd.ctx = &e;
    e.crowd.requests = xcalloc(1, sizeof(struct request));
    e.crowd.request_count = 1;
    request_init(e.crowd.requests, &(struct request_parts){.method = "POST",
                                                           .host = host,
                                                           .path = "/v1/projects",
                                                           .token = o.token,
                                                           .body = "{\"name\":\"Event {n}\"}"});
    subscribe(&e, host);
    crowd_run(&e.crowd, &e.address, e.address_len);
    wait_for_the_rest(&e);
    print_report(&e);
    subscriber_done(&e.subscriber);
    crowd_done(&e.crowd);
    ev_loop_destroy(e.crowd.loop);
    return e.seen == e.crowd.issued ? 0 : 1;
}

/* load: HTTP requests to one server, closed loop (each connection asks again when it has its answer) or at a
 * fixed rate (latency counted from the time at which a request was due, also when no connection was free to
 * send it).
 *
 *   load --url http://127.0.0.1:8080/v1/projects --token T --body '{"name":"Project {n}"}' --connections 64
 * --duration 10 load --url http://127.0.0.1:8080 --paths FILE --rate 1000 --json
 */

#include <err.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "tests/bench/client.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/flags.h"
#include "tests/bench/histogram.h"
#include "tests/bench/pace.h"
#include "tests/bench/request.h"

enum { STATUS_MAX = 600, SECOND_US = 1000000, DRAIN_S = 10 };

struct options {
    const char *url, *method, *token, *body, *paths_file;
    const char *headers[FLAG_LIST_MAX + 1];
    int64_t connections, rate, duration_s, warmup_s;
    bool json;
};

struct load {
    const struct options *options;
    struct ev_loop *loop;
    struct client *clients;
    size_t client_count;
    struct client **idle; /* a stack, for the open loop */
    size_t idle_count;
    struct request *requests;
    size_t request_count;
    struct pace pace;
    ev_timer over;
    uint64_t issued; /* requests sent, or in the open loop taken off the schedule */
    uint64_t waiting;
    int64_t begin_us, end_us; /* of what is measured */
    uint64_t statuses[STATUS_MAX];
    uint64_t broken;
    struct histogram latencies; /* of 2xx and 3xx */
};

/* ---- sending ---- */

static void send_next(struct load *load, struct client *client, int64_t started_us)
{
    uint64_t n = load->issued++;
    load->waiting++;
    client_send(client, request_text(&load->requests[n % load->request_count], n), started_us);
}

/* Sends what is due while a connection is free; what is not sent now goes out, with the time at which it was
 * due, when one is. */
static void send_due(void *ctx)
{
    struct load *load = ctx;
    int64_t now = clock_monotonic_us();
    for (;;) {
        int64_t due = pace_due(&load->pace, load->issued);
        if (due >= load->end_us)
            return;
        if (due > now) {
            pace_wake(&load->pace, load->issued);
            return;
        }
        if (load->idle_count == 0)
            return;
        send_next(load, load->idle[--load->idle_count], due);
    }
}

static void on_idle(void *ctx, struct client *client)
{
    struct load *load = ctx;
    if (load->options->rate) {
        load->idle[load->idle_count++] = client;
        send_due(load);
        return;
    }
    int64_t now = clock_monotonic_us();
    if (now < load->end_us)
        send_next(load, client, now);
}

static void end_when_drained(struct load *load)
{
    bool all_sent = !load->options->rate || pace_due(&load->pace, load->issued) >= load->end_us;
    if (load->waiting == 0 && all_sent && clock_monotonic_us() >= load->end_us)
        ev_break(load->loop, EVBREAK_ALL);
}

static void on_answer(void *ctx, struct client *client, int status)
{
    struct load *load = ctx;
    int64_t now = clock_monotonic_us();
    int64_t counts = load->options->rate ? client->started_us : now;
    load->waiting--;
    if (counts >= load->begin_us && counts < load->end_us) {
        if (status == 0)
            load->broken++;
        else
            load->statuses[status < STATUS_MAX ? status : 0]++;
        if (status >= 200 && status < 400)
            histogram_record(&load->latencies, now - client->started_us);
    }
    if (client->state == CLIENT_IDLE)
        on_idle(load, client);
    end_when_drained(load);
}

static void on_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop, (void)revents;
    struct load *load = watcher->data;
    if (clock_monotonic_us() >= load->end_us + DRAIN_S * (int64_t)SECOND_US)
        ev_break(load->loop, EVBREAK_ALL);
    else
        end_when_drained(load);
}

/* ---- the report ---- */

static uint64_t unanswered(const struct load *load)
{
    uint64_t due = load->issued;
    if (load->options->rate)
        while (pace_due(&load->pace, due) < load->end_us)
            due++;
    return load->waiting + due - load->issued;
}

/* "201":7,"503":1 */
static void print_statuses(const struct load *load)
{
    const char *before = "";
    for (size_t status = 0; status < STATUS_MAX; status++) {
        if (load->statuses[status] == 0)
            continue;
        printf("%s\"%zu\":%" PRIu64, before, status, load->statuses[status]);
        before = ",";
    }
}

static void print_report(const struct load *load)
{
    uint64_t refused = 0, octets = 0;
    for (size_t i = 0; i < load->client_count; i++) {
        refused += load->clients[i].refused;
        octets += load->clients[i].body_octets;
    }
    double per_second = (double)load->latencies.count / (double)load->options->duration_s;
    if (load->options->json) {
        printf("{\"ok\":%" PRIu64 ",\"per_second\":%.1f,\"statuses\":{", load->latencies.count, per_second);
        print_statuses(load);
        printf("},\"broken\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unanswered\":%" PRIu64
               ",\"body_octets\":%" PRIu64 ",\"cpu_us\":%" PRId64 ",",
               load->broken, refused, unanswered(load), octets, cpu_time_us());
        histogram_print_json(&load->latencies, stdout);
        printf("}\n");
        return;
    }
    printf("%.0f requests/s  ", per_second);
    histogram_print_text(&load->latencies, stdout);
    printf("\nstatuses: ");
    print_statuses(load);
    printf("\nbroken: %" PRIu64 "  connections refused: %" PRIu64 "  unanswered: %" PRIu64 "\n", load->broken,
           refused, unanswered(load));
}

/* ---- setting up ---- */

static void build_requests(struct load *load, const char *host, const char *path)
{
    const struct options *o = load->options;
    struct request_parts parts = {.method = o->method ? o->method
                                            : o->body ? "POST"
                                                      : "GET",
                                  .host = host,
                                  .path = path,
                                  .token = o->token,
                                  .headers = o->headers,
                                  .body = o->body};
    if (!o->paths_file) {
        load->requests = xcalloc(1, sizeof(*load->requests));
        request_init(&load->requests[load->request_count++], &parts);
        return;
    }
    FILE *file = fopen(o->paths_file, "r");
    if (!file)
        err(2, "%s", o->paths_file);
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    for (ssize_t len; (len = getline(&line, &size, file)) > 0;) {
        line[strcspn(line, "\r\n")] = 0;
        parts.path = line;
        load->requests = xrealloc(load->requests, (load->request_count + 1) * sizeof(*load->requests));
        request_init(&load->requests[load->request_count++], &parts);
    }
    fclose(file);
    if (load->request_count == 0)
        errx(2, "%s: no paths", o->paths_file);
}

static void run(struct load *load, const struct sockaddr_storage *address, socklen_t address_len)
{
    static const struct client_callbacks callbacks = {on_idle, on_answer};
    load->client_count = (size_t)load->options->connections;
    load->clients = xcalloc(load->client_count, sizeof(*load->clients));
    load->idle = xcalloc(load->client_count, sizeof(*load->idle));

    int64_t now = clock_monotonic_us();
    load->begin_us = now + load->options->warmup_s * SECOND_US;
    load->end_us = load->begin_us + load->options->duration_s * SECOND_US;
    if (load->options->rate)
        pace_start(&load->pace, load->loop, load->options->rate, now, send_due, load);
    double seconds = (double)(load->options->warmup_s + load->options->duration_s);
    ev_timer_init(&load->over, on_over, seconds, 0.05);
    load->over.data = load;
    ev_timer_start(load->loop, &load->over);
    for (size_t i = 0; i < load->client_count; i++)
        client_init(&load->clients[i], load->loop, &callbacks, load, (const struct sockaddr *)address,
                    address_len);
    ev_run(load->loop, 0);
}

static void parse(int argc, char **argv, struct options *o)
{
    const struct flag flags[] = {
        {"url", "URL", "http://host:port/path", .text = &o->url},
        {"method", "METHOD", "GET, or POST with a body, unless given", .text = &o->method},
        {"token", "TOKEN", "bearer token", .text = &o->token},
        {"header", "'NAME: V'", "a header; may be given several times", .list = o->headers},
        {"body", "TEXT", "sent as application/json", .text = &o->body},
        {"paths", "FILE", "one path a line, taken in turn, instead of the URL's", .text = &o->paths_file},
        {"connections", "N", "keep-alive connections (64)", .number = &o->connections},
        {"rate", "N",
         "requests per second at fixed times; without it each connection asks again when answered",
         .number = &o->rate},
        {"duration", "SECONDS", "what is measured (10)", .number = &o->duration_s},
        {"warmup", "SECONDS", "before that, not counted (0)", .number = &o->warmup_s},
        {"json", NULL, "a line of JSON as the report", .on = &o->json},
        {NULL},
    };
    flags_parse(argc, argv, flags,
                "load: HTTP requests to one server, closed loop or at a fixed rate. Percentiles are of 2xx "
                "and 3xx answers.\n"
                "{n} in path, headers and body becomes 16 characters that no other request has.");
    if (!o->url || o->connections == 0 || o->duration_s == 0)
        errx(2, "--url, --connections and --duration must say something; --help explains");
}

int main(int argc, char **argv)
{
    struct options options = {.connections = 64, .duration_s = 10};
    parse(argc, argv, &options);
    struct load load = {.options = &options, .loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV)};
    struct sockaddr_storage address;
    socklen_t address_len;
    CLEANUP_FREE char *host = NULL;
    CLEANUP_FREE char *path = NULL;
    client_resolve(options.url, &address, &address_len, &host, &path);
    build_requests(&load, host, path);
    run(&load, &address, address_len);
    print_report(&load);
    return load.latencies.count ? 0 : 1;
}

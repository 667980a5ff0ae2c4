/* fanout: how old an event is when it arrives on each of many WebSockets, and how many arrive in a second.
 *
 *   fanout --url http://127.0.0.1:8080 --companies FILE --listeners 10000 --rate 100
 *
 * Prints a line of JSON when everybody listens and waits for a line on standard input; at its end the program ends. Then it publishes and
 * prints the results.
 */

#include <err.h>
#include <inttypes.h>

#include "common/base/clock.h"
#include "common/process/config.h"
#include "tests/bench/audience.h"
#include "tests/bench/client.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/flags.h"
#include "tests/bench/publisher.h"

enum { SECOND_US = 1000000, COMPANIES_MAX = 10000, LATE_S = 10, GOODBYE_S = 2 };

struct options {
    struct audience_options audience;
    struct publisher_options publisher;
    const char *url, *companies, *path;
    int64_t duration_s, warmup_s;
};

struct run {
    const struct options *options;
    struct ev_loop *loop;
    struct audience audience;
    struct publisher publisher;
    ev_prepare turn;
    ev_timer tick;
    uint64_t told;      /* to the publisher: how many events have arrived everywhere */
    uint64_t per_event; /* listeners that read, of one company */
    int64_t stop_us;
};

/* ---- what is given ---- */

static size_t read_companies(const char *file, struct uuid *companies)
{
    FILE *in = fopen(file, "r");
    if (!in)
        err(2, "%s", file);
    char line[64];
    size_t count = 0;
    while (count < COMPANIES_MAX && fgets(line, sizeof(line), in)) {
        line[strcspn(line, "\n")] = 0;
        if (!uuid_parse(slice_of(line), &companies[count++]))
            errx(2, "%s: not an id: %s", file, line);
    }
    fclose(in);
    if (count == 0)
        errx(2, "%s: no companies", file);
    return count;
}

static struct token_keys *load_keys(void)
{
    static struct config config;
    struct token_keys *keys;
    char why[256];
    if (config_load(&config, why) || token_keys_load(&config, &keys, why))
        errx(2, "%s", why);
    return keys;
}

/* ---- while it runs ---- */

static bool is_over(const struct run *run)
{
    const struct publisher_score *score = run->publisher.score;
    int64_t now = clock_monotonic_us();
    if (now < score->end_us)
        return false;
    uint64_t expected = __atomic_load_n(&score->published, __ATOMIC_ACQUIRE) * run->per_event;
    return run->audience.delivered >= expected || now >= score->end_us + (int64_t)LATE_S * SECOND_US;
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    (void)loop, (void)prepare, (void)revents;
    struct run *run = prepare->data;
    uint64_t arrived = run->audience.delivered / run->per_event;
    if (arrived == run->told)
        return;
    run->told = arrived;
    __atomic_store_n(&run->publisher.score->arrived, arrived, __ATOMIC_RELEASE);
    if (run->options->publisher.rate == 0)
        publisher_wake(&run->publisher);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)revents;
    struct run *run = timer->data;
    if (clock_monotonic_us() >= run->publisher.score->end_us)
        publisher_wake(&run->publisher);
    if (run->stop_us ? clock_monotonic_us() >= run->stop_us : is_over(run))
        ev_break(loop, EVBREAK_ALL);
}

static void publish(struct run *run)
{
    const struct options *o = run->options;
    int64_t begin_us = clock_monotonic_us();
    run->audience.begin_us = begin_us + o->warmup_s * SECOND_US;
    run->audience.end_us = run->audience.begin_us + o->duration_s * SECOND_US;
    audience_stall(&run->audience, true);
    ev_prepare_init(&run->turn, on_turn);
    run->turn.data = run;
    ev_prepare_start(run->loop, &run->turn);
    ev_timer_init(&run->tick, on_tick, 0.02, 0.02);
    run->tick.data = run;
    ev_timer_start(run->loop, &run->tick);
    publisher_begin(&run->publisher, begin_us, run->audience.end_us);
    ev_run(run->loop, 0);
    publisher_join(&run->publisher);
    if (o->audience.stalled > 0) { /* they look at what has become of them */
        audience_stall(&run->audience, false);
        run->stop_us = clock_monotonic_us() + (int64_t)GOODBYE_S * SECOND_US;
        ev_run(run->loop, 0);
    }
    ev_timer_stop(run->loop, &run->tick);
    ev_prepare_stop(run->loop, &run->turn);
}

/* ---- what is printed ---- */

static void print_connected(const struct audience *a)
{
    printf("{\"listeners\":%" PRIu64 ",\"connect_us\":%" PRId64 ",", a->listening, a->connect_us);
    histogram_print_json(&a->handshakes, stdout);
    printf("}\n");
    fflush(stdout);
}

static void print_codes(const struct audience *a)
{
    const char *before = "";
    printf("\"gone\":{");
    for (size_t code = 0; code < AUDIENCE_CODES; code++) {
        if (a->codes[code] == 0)
            continue;
        printf("%s\"%zu\":%" PRIu64, before, code, a->codes[code]);
        before = ",";
    }
    printf("},");
}

static void print_report(const struct run *run, uint64_t bytes, uint64_t reads)
{
    const struct audience *a = &run->audience;
    uint64_t expected = run->publisher.score->published * run->per_event;
    printf("{\"published\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"delivered\":%" PRIu64
           ",\"repeated\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"stalled_events\":%" PRIu64 ",",
           run->publisher.score->published, expected, a->delivered, a->repeated, a->gaps, a->stalled_events);
    print_codes(a);
    printf("\"per_second\":%.1f,\"bytes\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"cpu_us\":%" PRId64 ",",
           (double)a->in_time / (double)run->options->duration_s, bytes, reads, cpu_time_us());
    histogram_print_json(&a->ages, stdout);
    printf("}\n");
}

/* ---- the command line ---- */

static void check(const struct options *o)
{
    if (!o->url || !o->companies)
        errx(2, "--url and --companies are needed; --help explains");
    if (o->audience.listeners % (int64_t)o->audience.company_count != 0 ||
        o->audience.stalled % (int64_t)o->audience.company_count != 0 ||
        o->audience.stalled >= o->audience.listeners)
        errx(2, "every company must have as many listeners, and as many that stall, as the others");
}

int main(int argc, char **argv)
{
    static struct uuid companies[COMPANIES_MAX];
    static struct run run;
    struct options o = {
        .audience = {.listeners = 10000, .at_once = 256},
        .publisher =
            {.amqp_url = getenv("CORTEX_AMQP_URL"), .rate = 100, .posts = 8, .window = 64, .size = 400},
        .duration_s = 10,
        .warmup_s = 1,
    };
    const struct flag flags[] = {
        {"url", "URL", "http://host:port of the WebSocket server", .text = &o.url},
        {"path", "PATH",
         "where a listener says all by its path, with {company} and {token} (else: Centrifuge)",
         .text = &o.path},
        {"companies", "FILE", "their ids, a line each; with no events so far", .text = &o.companies},
        {"publish", "URL", "POST events there, with {company} (else: through the broker, CORTEX_AMQP_URL)",
         .text = &o.publisher.url},
        {"posts", "N", "of those at once (8)", .number = &o.publisher.posts},
        {"unordered", NULL, "take events in any order", .on = &o.audience.unordered},
        {"listeners", "N", "in all (10000)", .number = &o.audience.listeners},
        {"stalled", "N", "of them that stop reading (0)", .number = &o.audience.stalled},
        {"at-once", "N", "handshakes under way (256)", .number = &o.audience.at_once},
        {"rate", "N", "events per second, to the companies in turn (100); 0: as many as go",
         .number = &o.publisher.rate},
        {"window", "N", "with rate 0: events that not everybody has yet (64)", .number = &o.publisher.window},
        {"size", "BYTES", "of an event (400)", .number = &o.publisher.size},
        {"duration", "SECONDS", "what is measured (10)", .number = &o.duration_s},
        {"warmup", "SECONDS", "before that, not counted (1)", .number = &o.warmup_s},
        {.name = NULL},
    };
    flags_parse(argc, argv, flags, "fanout: the age of events on many WebSockets, as two lines of JSON.");
    if (o.companies)
        o.audience.company_count = o.publisher.company_count = read_companies(o.companies, companies);
    o.audience.companies = o.publisher.companies = companies;
    check(&o);

    struct sockaddr_storage address;
    socklen_t address_len;
    CLEANUP_FREE char *host = NULL;
    CLEANUP_FREE char *root = NULL;
    client_resolve(o.url, &address, &address_len, &host, &root);
    o.audience.host = host;
    o.audience.centrifuge = !o.path;
    o.audience.path = o.path ? o.path : "/connection/websocket";

    run.options = &o;
    run.per_event = (uint64_t)(o.audience.listeners - o.audience.stalled) / o.audience.company_count;
    publisher_fork(&run.publisher, &o.publisher);
    run.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    run.audience = (struct audience){.options = &o.audience,
                                     .loop = run.loop,
                                     .keys = load_keys(),
                                     .address = &address,
                                     .address_len = address_len};
    audience_connect(&run.audience);
    print_connected(&run.audience);
    if (getchar() == EOF)
        return 0;
    uint64_t bytes = listener_totals.bytes, reads = listener_totals.reads;
    publish(&run);
    print_report(&run, listener_totals.bytes - bytes, listener_totals.reads - reads);
    audience_done(&run.audience);
    return 0;
}

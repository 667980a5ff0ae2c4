#include "tests/bench/publisher.h"

#include <err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include "common/base/clock.h"
#include "common/broker/envelope.h"
#include "tests/bench/client.h"
#include "tests/bench/listener.h"
#include "tests/bench/pace.h"

enum { EVENT_MAX = 1 << 20, UNCONFIRMED_MAX = 1 << 16, DRAIN_S = 5, PATH_MAX_LEN = 256 };

struct work {
    const struct publisher_options *options;
    struct publisher *publisher;
    struct ev_loop *loop;
    ev_io wake;
    struct pace pace;
    uint64_t next; /* the number of the next event */
    bool begun, ready;

    struct broker *broker;
    struct envelope_scratch scratch;
    enum event_keys keys;

    struct sockaddr_storage address;
    socklen_t address_len;
    char *host, *path;
    struct client *clients; /* each posts one event at a time */

    struct buf body, request;
};

static uint64_t load(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

/* ---- an event ---- */

static const struct uuid *company_of(const struct work *w, uint64_t n)
{
    return &w->options->companies[n % w->options->company_count];
}

static uint64_t seq_of(const struct work *w, uint64_t n)
{
    return n / w->options->company_count + 1;
}

/* As workers/engine/command/event_body.c writes it; {"data":{…}} is the entity. Returns where that begins. */
static int64_t write_event(struct work *w, uint64_t n, int64_t due_us)
{
    static const char subject[] = "0199aaaa-0000-7000-8000-00000000000a";
    struct buf *body = &w->body;
    char mark[MARK_LEN];
    mark_write(mark, seq_of(w, n), due_us);
    buf_clear(body);
    buf_printf(body,
               "{\"type\":\"project.updated\",\"seq\":%llu,\"id\":\"%s\",\"project\":\"%s\",\"actor\":\"%s\","
               "\"at\":\"2026-03-01T08:15:30.123456Z\",\"data\":",
               (unsigned long long)seq_of(w, n), subject, subject, subject);
    int64_t entity_at = (int64_t)buf_len(body);
    buf_printf(body, "{\"id\":\"%s\",\"version\":7,\"mark\":\"%.*s\",\"description\":\"", subject, MARK_LEN,
               mark);
    static const char words[] = "Concrete for the north pier, delivery moved to Thursday; ";
    while (buf_len(body) + 3 < (size_t)w->options->size)
        buf_append_char(body, words[buf_len(body) % (sizeof(words) - 1)]);
    buf_append_text(body, "\"}}");
    return entity_at;
}

static void count_published(struct work *w)
{
    w->next++;
    __atomic_fetch_add(&w->publisher->score->published, 1, __ATOMIC_RELEASE);
}

/* ---- by the broker ---- */

static bool publish_to_broker(struct work *w, int64_t due_us)
{
    int64_t entity_at = write_event(w, w->next, due_us);
    struct event event = {
        .command_id = uuid_v7(),
        .company = *company_of(w, w->next),
        .type = SLICE("project.updated"),
        .http_status = 200,
        .seq = (int64_t)seq_of(w, w->next),
        .has_subject = true,
        .version = 7,
        .entity_at = entity_at,
        .body = buf_slice(&w->body),
    };
    struct broker_message message;
    enum err err = envelope_write_event(&event, w->keys, &w->scratch, &message);
    return !err && broker_publish(w->broker, &message, NULL, NULL) == ERR_OK;
}

/* ---- by POST ---- */

static void replace_company(struct buf *out, const char *text, const struct uuid *company)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(company, id);
    const char *place = strstr(text, "{company}");
    if (!place)
        errx(2, "%s: it does not say where the {company} goes", text);
    buf_append(out, text, (size_t)(place - text));
    buf_append_text(out, id);
    buf_append_text(out, place + sizeof("{company}") - 1);
}

static struct client *idle_client(struct work *w)
{
    for (int64_t i = 0; i < w->options->posts; i++)
        if (w->clients[i].state == CLIENT_IDLE)
            return &w->clients[i];
    return NULL;
}

static bool post(struct work *w, int64_t due_us)
{
    struct client *client = idle_client(w);
    if (!client)
        return false;
    write_event(w, w->next, due_us);
    buf_clear(&w->request);
    buf_append_text(&w->request, "POST ");
    replace_company(&w->request, w->path, company_of(w, w->next));
    buf_printf(&w->request,
               " HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               w->host, buf_len(&w->body));
    buf_append_slice(&w->request, buf_slice(&w->body));
    client_send(client, buf_slice(&w->request), due_us);
    return true;
}

/* ---- when ---- */

static bool publish(struct work *w, int64_t due_us)
{
    bool done = w->broker ? publish_to_broker(w, due_us) : post(w, due_us);
    if (done)
        count_published(w);
    return done;
}

static void publish_due(void *ctx)
{
    struct work *w = ctx;
    const struct publisher_score *score = w->publisher->score;
    if (!w->begun || !w->ready)
        return;
    for (;;) {
        int64_t now = clock_monotonic_us(), due = w->options->rate ? pace_due(&w->pace, w->next) : now;
        if (due >= score->end_us) {
            ev_break(w->loop, EVBREAK_ALL);
            return;
        }
        if (due > now) {
            pace_wake(&w->pace, w->next);
            return;
        }
        if (!w->options->rate && w->next - load(&score->arrived) >= (uint64_t)w->options->window)
            return;
        if (!publish(w, due))
            return; /* tried again at the next wake, confirm or answer */
    }
}

static void on_wake(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop, (void)revents;
    struct work *w = io->data;
    uint64_t count;
    (void)!read(io->fd, &count, sizeof(count));
    if (!w->begun) {
        w->begun = true;
        pace_start(&w->pace, w->loop, w->options->rate ? w->options->rate : 1, w->publisher->score->begin_us,
                   publish_due, w);
    }
    publish_due(w);
}

static void on_up(void *ctx, struct broker *broker)
{
    (void)broker;
    struct work *w = ctx;
    w->ready = true;
    publish_due(w);
}

static void on_idle(void *ctx, struct client *client)
{
    (void)client;
    struct work *w = ctx;
    w->ready = true;
    publish_due(w);
}

static void on_lost(void *ctx, struct client *client)
{
    (void)ctx, (void)client;
}

static void on_answer(void *ctx, struct client *client, int status)
{
    (void)client;
    if (status < 200 || status >= 300)
        errx(1, "the server did not take an event: %d", status);
    publish_due(ctx);
}

static void connect_to_it(struct work *w)
{
    static const struct broker_callbacks broker_callbacks = {.on_up = on_up};
    static const struct client_callbacks client_callbacks = {on_idle, on_lost, on_answer};
    if (w->options->url) {
        client_resolve(w->options->url, &w->address, &w->address_len, &w->host, &w->path);
        w->clients = xcalloc((size_t)w->options->posts, sizeof(*w->clients));
        for (int64_t i = 0; i < w->options->posts; i++)
            client_init(&w->clients[i], w->loop, &client_callbacks, w, (const struct sockaddr *)&w->address,
                        w->address_len);
        return;
    }
    const struct broker_options options = {.url = w->options->amqp_url,
                                           .name = "bench publisher",
                                           .unconfirmed_max = UNCONFIRMED_MAX,
                                           .unconfirmed_bytes = (int64_t)UNCONFIRMED_MAX * EVENT_MAX};
    if (broker_new(w->loop, &options, &broker_callbacks, w, &w->broker))
        errx(2, "not the URL of a broker");
}

/* Whatever is on its way to the broker gets there. */
static void finish(struct work *w)
{
    int64_t give_up_us = clock_monotonic_us() + DRAIN_S * 1000000;
    while (w->broker && broker_unconfirmed(w->broker) > 0 && clock_monotonic_us() < give_up_us)
        ev_run(w->loop, EVRUN_ONCE);
    if (w->broker)
        broker_free(w->broker);
}

/* The gateway of another commit (./cortex bench --against) may not bind slots. */
static enum event_keys keys_of_side(void)
{
    const char *side = getenv("BENCH_SIDE");
    return side && strcmp(side, "theirs") == 0 ? EVENT_KEYS_BOTH : EVENT_KEYS_SLOT;
}

static _Noreturn void work(struct publisher *publisher, const struct publisher_options *options, pid_t parent)
{
    static struct work w;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    w.options = options;
    w.publisher = publisher;
    w.keys = keys_of_side();
    w.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    buf_init(&w.body, EVENT_MAX);
    buf_init(&w.request, EVENT_MAX + PATH_MAX_LEN * 4);
    ev_io_init(&w.wake, on_wake, publisher->wake_fd, EV_READ);
    w.wake.data = &w;
    ev_io_start(w.loop, &w.wake);
    connect_to_it(&w);
    ev_run(w.loop, 0);
    finish(&w);
    _exit(0);
}

/* ---- the caller's side ---- */

void publisher_fork(struct publisher *publisher, const struct publisher_options *options)
{
    publisher->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    publisher->score =
        mmap(NULL, sizeof(*publisher->score), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (publisher->wake_fd < 0 || publisher->score == MAP_FAILED)
        err(1, "starting a publisher");
    pid_t parent = getpid();
    fflush(NULL);
    publisher->pid = fork();
    if (publisher->pid == 0)
        work(publisher, options, parent);
    if (publisher->pid < 0)
        err(1, "fork");
}

void publisher_wake(struct publisher *publisher)
{
    uint64_t one = 1;
    (void)!write(publisher->wake_fd, &one, sizeof(one));
}

void publisher_begin(struct publisher *publisher, int64_t begin_us, int64_t end_us)
{
    publisher->score->begin_us = begin_us;
    publisher->score->end_us = end_us;
    publisher_wake(publisher);
}

void publisher_join(struct publisher *publisher)
{
    int status;
    while (waitpid(publisher->pid, &status, 0) < 0)
        ;
    close(publisher->wake_fd);
    if (status != 0)
        errx(1, "the publisher failed");
}

#include "workers/manager.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/broker.h"
#include "common/clock.h"
#include "common/pulse.h"
#include "common/topology.h"
#include "workers/manager_show.h"

enum {
    KEY_SIZE = 96,
    TICK_MS = 1000,
    LISTEN_MS = 250,         /* after the others were asked */
    START_WITHOUT_MS = 1500, /* when the broker cannot be reached */
    GOODBYE_MS = 1000,       /* for the last words to be confirmed */
    GOODBYE_LOOK_MS = 20,
    UNCONFIRMED_MAX = 4096,
    UNCONFIRMED_BYTES = 16 << 20,
};

struct manager {
    struct ev_loop *loop;
    const struct config *config;
    const char *pool;
    struct broker *broker;
    struct pulse *pulse;
    struct manager_view view;
    struct manager_self self;
    struct pool_report report; /* the parent's latest */
    struct buf text;
    char queue[KEY_SIZE]; /* of this connection */
    bool is_bound;        /* all of `control` that is ours to hear is heard */
    bool is_frozen;       /* nobody can be heard: silence means nothing */
    int order_fd;
    ev_io reports;
    ev_timer listen, tick, goodbye;
    int64_t leave_by_ms; /* 0: it stays */
    ev_signal terminate, interrupt;
};

/* ---- saying ---- */

static bool may_speak(const struct manager *m)
{
    return m->is_bound && !broker_is_blocked(m->broker);
}

static void publish(struct manager *m, const char *exchange, struct slice key, struct slice correlation_id)
{
    const struct broker_message message = {
        .exchange = slice_of(exchange),
        .routing_key = key,
        .correlation_id = correlation_id,
        .content_type = SLICE("application/json"),
        .body = buf_slice(&m->text),
    };
    enum err err = m->text.truncated ? ERR_BODY_TOO_LARGE : broker_publish(m->broker, &message, NULL, NULL);
    if (err)
        log_warn("manager.not_said", LOG_B("key", key), LOG_S("error", err_info(err)->name));
}

static void say(struct manager *m, const char *topic)
{
    char key[KEY_SIZE];
    snprintf(key, sizeof(key), "%s.%s", topic, m->pool);
    publish(m, EXCHANGE_CONTROL, slice_of(key), SLICE_NONE);
}

static void announce(struct manager *m, bool asks)
{
    if (!may_speak(m))
        return;
    buf_clear(&m->text);
    manager_write_announcement(&m->text, &m->view, &m->self, &m->report, asks);
    say(m, "pool");
}

/* So that the others take its partitions over now, and not when they miss it. */
static void declare_dead(struct manager *m, pid_t pid)
{
    if (!may_speak(m))
        return;
    buf_clear(&m->text);
    manager_write_death(&m->text, &m->self, pid);
    say(m, "member");
}

/* ---- the parent ---- */

static void order(struct manager *m)
{
    const struct pool_order order = {.size = m->view.size, .share = manager_view_share(&m->view)};
    if (m->view.size.wanted == 0)
        return;
    if (send(m->order_fd, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(order))
        log_warn("manager.not_ordered", LOG_I("share", order.share)); /* said again with the next tick */
}

static void changed(struct manager *m)
{
    order(m);
    announce(m, false);
}

static void set_wanted(struct manager *m, int64_t wanted, const char *by)
{
    ev_timer_stop(m->loop, &m->listen);
    manager_view_set(&m->view, wanted);
    log_info("manager.size", LOG_I("wanted", m->view.size.wanted), LOG_S("by", by));
    changed(m);
}

static bool lives(const struct pool_report *report, pid_t pid)
{
    for (int i = 0; i < report->worker_count; i++)
        if (report->workers[i].pid == pid)
            return true;
    return false;
}

static void find_dead(struct manager *m, const struct pool_report *now)
{
    for (int i = 0; i < m->report.worker_count; i++)
        if (m->report.workers[i].pid && !lives(now, m->report.workers[i].pid))
            declare_dead(m, m->report.workers[i].pid);
}

static void take_report(struct manager *m, const struct pool_report *report)
{
    find_dead(m, report);
    m->report = *report;
    if (manager_view_adopt(&m->view, &report->size))
        ev_timer_stop(m->loop, &m->listen);
    m->view.is_leaving = report->is_leaving;
    if (report->wish)
        set_wanted(m, report->wish, "settings");
    if (report->more && m->view.size.wanted > 0)
        set_wanted(m, m->view.size.wanted + report->more, "signal");
    changed(m);
}

static void on_report(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    struct manager *m = CONTAINER_OF(io, struct manager, reports);
    struct pool_report report;
    ssize_t n = recv(m->order_fd, &report, sizeof(report), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        take_report(m, &report);
    else
        ev_break(loop, EVBREAK_ALL); /* the parent is gone */
}

/* ---- the other managers ---- */

static void hear_announcement(struct manager *m, struct slice body)
{
    struct manager_announcement said;
    json_t *whole = NULL;
    if (manager_read_announcement(body, &said, &whole)) {
        log_warn("manager.unreadable", LOG_S("key", "pool"));
        return;
    }
    bool is_new = manager_view_hear(&m->view, &said.id, said.leaves, whole, clock_monotonic_ms());
    bool is_resized = manager_view_adopt(&m->view, &said.size);
    json_decref(whole);
    if (uuid_equal(&said.id, &m->view.self))
        return;
    if (is_resized) {
        ev_timer_stop(m->loop, &m->listen);
        log_info("manager.size", LOG_I("wanted", m->view.size.wanted), LOG_S("by", "another manager"));
    }
    if (is_new)
        log_info("manager.peers", LOG_I("managers", m->view.peer_count + 1));
    if (is_new || is_resized)
        order(m);
    if (is_new || said.asks)
        announce(m, false);
}

/* Nobody has said how many: the settings do. */
static void on_listened(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct manager *m = CONTAINER_OF(timer, struct manager, listen);
    if (m->view.size.wanted == 0)
        set_wanted(m, m->config->worker_processes, "settings");
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct manager *m = CONTAINER_OF(timer, struct manager, tick);
    bool is_cut_off = !may_speak(m);
    if (m->is_frozen && !is_cut_off)
        manager_view_thaw(&m->view, clock_monotonic_ms());
    m->is_frozen = is_cut_off;
    if (!m->is_frozen && manager_view_expire(&m->view, clock_monotonic_ms()))
        log_warn("manager.peers", LOG_I("managers", m->view.peer_count + 1), LOG_S("why", "one fell silent"));
    changed(m);
}

/* ---- requests ---- */

static void answer(struct manager *m, const struct broker_delivery *request)
{
    int64_t wanted = 0;
    enum err err = manager_read_request(request->body, &wanted);
    if (err) {
        log_warn("manager.unreadable", LOG_S("key", "manager"));
        return;
    }
    if (wanted)
        set_wanted(m, wanted, "request");
    manager_show(&m->text, m->pool, &m->view, &m->self, &m->report);
    if (request->reply_to.len > 0)
        publish(m, EXCHANGE_EVENTS, request->reply_to, request->correlation_id);
}

/* ---- the broker ---- */

static bool is_key(const struct manager *m, struct slice key, const char *topic)
{
    char wanted[KEY_SIZE];
    snprintf(wanted, sizeof(wanted), "%s.%s", topic, m->pool);
    return slice_is(key, wanted);
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct manager *m = ctx;
    (void)broker;
    if (is_key(m, delivery->routing_key, "pool"))
        hear_announcement(m, delivery->body);
    else if (is_key(m, delivery->routing_key, "manager"))
        answer(m, delivery);
}

static void on_bound(void *arg)
{
    struct manager *m = arg;
    m->is_bound = true;
    pulse_set_ready(m->pulse, true);
    announce(m, true);
    if (m->view.size.wanted == 0) {
        ev_timer_stop(m->loop, &m->listen);
        ev_timer_set(&m->listen, LISTEN_MS / 1000.0, 0);
        ev_timer_start(m->loop, &m->listen);
    }
}

static void hear(struct manager *m, const char *queue, const char *topic)
{
    char key[KEY_SIZE];
    snprintf(key, sizeof(key), "%s.%s", topic, m->pool);
    broker_bind(m->broker, queue, EXCHANGE_CONTROL, key);
}

/* A queue of its own for what all are told, and one for all of them for what one of them is asked. The name is new with
 * every connection: the server may not have noticed yet that the last one broke. */
static void on_up(void *ctx, struct broker *broker)
{
    struct manager *m = ctx;
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1], shared[KEY_SIZE];
    uuid_format(&id, text);
    snprintf(m->queue, sizeof(m->queue), "manager.%s", text);
    snprintf(shared, sizeof(shared), "managers.%s", m->pool);
    topology_declare(broker, m->config);
    broker_declare_queue(broker,
                         &(struct broker_queue){.name = m->queue, .exclusive = true, .auto_delete = true});
    hear(m, m->queue, "pool");
    broker_declare_queue(broker,
                         &(struct broker_queue){.name = shared, .durable = true, .auto_delete = true});
    hear(m, shared, "manager");
    broker_consume(broker, m->queue, "managers", 0, true, true);
    broker_consume(broker, shared, "requests", 0, true, false);
    broker_after_declarations(broker, on_bound, m);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    struct manager *m = ctx;
    (void)broker;
    m->is_bound = false;
    m->is_frozen = true;
    pulse_set_ready(m->pulse, false);
    log_warn("broker.down", LOG_S("connection", "manager"), LOG_S("why", why));
}

static enum err connect_broker(struct manager *m)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    char name[KEY_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: manager", m->pool);
    const struct broker_options options = {.url = m->config->amqp_url,
                                           .name = name,
                                           .unconfirmed_max = UNCONFIRMED_MAX,
                                           .unconfirmed_bytes = UNCONFIRMED_BYTES};
    return broker_new(m->loop, &options, &callbacks, m, &m->broker);
}

/* ---- the outside ---- */

/* The last words, if there is somebody to hear them. */
static void on_goodbye(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct manager *m = CONTAINER_OF(timer, struct manager, goodbye);
    if (!may_speak(m) || broker_unconfirmed(m->broker) == 0 || clock_monotonic_ms() >= m->leave_by_ms)
        ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)events;
    struct manager *m = signal->data;
    if (m->leave_by_ms)
        return;
    m->leave_by_ms = clock_monotonic_ms() + GOODBYE_MS;
    ev_timer_start(loop, &m->goodbye);
}

static void watch_signal(struct manager *m, ev_signal *watcher, int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = m;
    ev_signal_start(m->loop, watcher);
}

static void name_self(struct manager *m)
{
    m->self = (struct manager_self){.pid = getppid(), .since_ms = clock_wall_ms()};
    host_name(m->self.host);
}

static void start(struct manager *m)
{
    ev_io_init(&m->reports, on_report, m->order_fd, EV_READ);
    ev_io_start(m->loop, &m->reports);
    ev_timer_init(&m->listen, on_listened, START_WITHOUT_MS / 1000.0, 0);
    ev_timer_start(m->loop, &m->listen);
    ev_timer_init(&m->tick, on_tick, TICK_MS / 1000.0, TICK_MS / 1000.0);
    ev_timer_start(m->loop, &m->tick);
    ev_timer_init(&m->goodbye, on_goodbye, 0, GOODBYE_LOOK_MS / 1000.0);
    watch_signal(m, &m->terminate, SIGTERM);
    watch_signal(m, &m->interrupt, SIGINT);
}

static void done(struct manager *m)
{
    broker_free(m->broker);
    pulse_free(m->pulse);
    manager_view_done(&m->view);
    buf_done(&m->text);
    close(m->order_fd);
    ev_loop_destroy(m->loop);
}

int manager_run(const struct config *config, const char *pool, const struct manager_seat *seat)
{
    struct manager *m = xcalloc(1, sizeof(*m));
    m->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    m->config = config;
    m->pool = pool;
    m->order_fd = seat->order_fd;
    m->pulse = pulse_new(m->loop, seat->pulse_fd);
    m->is_frozen = true;
    manager_view_init(&m->view, &seat->id);
    buf_init(&m->text, MANAGER_MESSAGE_MAX);
    name_self(m);
    enum err err = connect_broker(m);
    if (err) {
        log_error("manager.not_started", LOG_S("error", err_info(err)->name),
                  LOG_S("hint", "CORTEX_AMQP_URL does not parse"));
    } else {
        start(m);
        ev_run(m->loop, 0);
    }
    done(m);
    free(m);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

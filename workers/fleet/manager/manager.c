#include "workers/fleet/manager/manager.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/rhythm.h"
#include "workers/fleet/manager/private.h"

enum {
    TICK_MS = 1000,
    START_WITHOUT_MS = 1500, /* until the settings count, when the broker cannot be reached */
    FAREWELL_MS = 1000,      /* for the broker to confirm the last messages */
    FAREWELL_LOOK_MS = 20,
};

/* ---- the parent ---- */

void manager_order(struct manager *m)
{
    const struct pool_order order = {.size = m->view.size, .share = manager_view_share(&m->view)};
    if (m->view.size.wanted == 0)
        return;
    if (send(m->order_fd, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(order))
        log_warn("manager.not_ordered", LOG_I("share", order.share)); /* the next tick sends it again */
}

void manager_changed(struct manager *m)
{
    manager_order(m);
    manager_announce(m, false);
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
            manager_declare_dead(m, m->report.workers[i].pid);
}

static void take_report(struct manager *m, const struct pool_report *report)
{
    find_dead(m, report);
    m->report = *report;
    if (manager_view_adopt(&m->view, &report->size))
        ev_timer_stop(m->loop, &m->listen);
    m->view.is_leaving = report->is_leaving;
    manager_size_wish(m, &report->wish, WHY_SETTINGS, clock_wall_ms());
    if (report->more && m->view.size.wanted > 0)
        manager_size_wish(m,
                          &(struct pool_wish){m->view.size.wanted + report->more, POOL_UNSAID, POOL_UNSAID},
                          WHY_SIGNAL, clock_wall_ms());
    manager_changed(m);
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

/* ---- the timers ---- */

static void on_listened(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    manager_size_begin(CONTAINER_OF(timer, struct manager, listen));
}

static void look_around(struct manager *m)
{
    if (manager_view_expire(&m->view, clock_monotonic_ms()))
        log_warn("manager.peers", LOG_I("managers", m->view.peer_count + 1), LOG_S("why", "one fell silent"));
    manager_load_expire(m->load, clock_monotonic_ms());
    manager_size_follow(m);
    manager_load_ask(m->load, m->broker);
    manager_load_watch(m->load, clock_monotonic_ms());
    strays_tick(m->strays, clock_monotonic_ms());
    manager_hear_requests(m);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct manager *m = CONTAINER_OF(timer, struct manager, tick);
    bool is_cut_off = !manager_may_speak(m);
    if (m->is_frozen && !is_cut_off) {
        manager_view_thaw(&m->view, clock_monotonic_ms());
        manager_load_thaw(m->load, clock_monotonic_ms());
    }
    m->is_frozen = is_cut_off;
    if (!m->is_frozen)
        look_around(m);
    manager_changed(m);
}

/* ---- the outside ---- */

/* The manager leaves when the broker has confirmed its last messages, or takes none. */
static void on_farewell(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct manager *m = CONTAINER_OF(timer, struct manager, farewell);
    if (!manager_may_speak(m) || broker_unconfirmed(m->broker) == 0 || clock_monotonic_ms() >= m->leave_by_ms)
        ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)events;
    struct manager *m = signal->data;
    if (m->leave_by_ms)
        return;
    m->leave_by_ms = clock_monotonic_ms() + FAREWELL_MS;
    ev_timer_start(loop, &m->farewell);
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
    ev_timer_init(&m->tick, on_tick, rhythm_after(m->loop, TICK_MS / 1000.0), TICK_MS / 1000.0);
    ev_timer_start(m->loop, &m->tick);
    ev_timer_init(&m->farewell, on_farewell, 0, FAREWELL_LOOK_MS / 1000.0);
    watch_signal(m, &m->terminate, SIGTERM);
    watch_signal(m, &m->interrupt, SIGINT);
}

static void done(struct manager *m)
{
    broker_free(m->broker);
    manager_load_free(m->load);
    strays_free(m->strays);
    pulse_free(m->pulse);
    manager_view_done(&m->view);
    buf_done(&m->text);
    close(m->order_fd);
    ev_loop_destroy(m->loop);
}

int manager_run(const struct config *config, const char *pool, const struct manager_options *options)
{
    struct manager *m = xcalloc(1, sizeof(*m));
    m->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    m->config = config;
    m->pool = pool;
    m->order_fd = options->order_fd;
    m->pulse = pulse_new(m->loop, options->pulse_fd);
    m->is_frozen = true;
    m->load = manager_load_new(config, pool);
    m->strays = strays_new(m->loop, config, pool);
    manager_view_init(&m->view, &options->id);
    buf_init(&m->text, MANAGER_MESSAGE_MAX);
    name_self(m);
    enum err err = manager_talk_connect(m);
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

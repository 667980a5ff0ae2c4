#include <signal.h>

#include "common/base/log.h"
#include "common/process/child.h"
#include "common/process/pulse.h"
#include "workers/engine/worker.h"

/* What a process adds to its worker: signals, and the pulse that its parent hears. */
struct life {
    struct worker *worker;
    struct pulse *pulse;
    ev_prepare turn;
    ev_signal terminate, interrupt;
};

static void on_life_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)loop, (void)events;
    const struct life *life = CONTAINER_OF(prepare, struct life, turn);
    pulse_set_ready(life->pulse, worker_is_ready(life->worker));
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop, (void)events;
    worker_drain(signal->data);
}

static void watch_signal(struct ev_loop *loop, ev_signal *watcher, int number, struct worker *worker)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = worker;
    ev_signal_start(loop, watcher);
}

static void live(struct ev_loop *loop, struct life *life)
{
    watch_signal(loop, &life->terminate, SIGTERM, life->worker);
    watch_signal(loop, &life->interrupt, SIGINT, life->worker);
    ev_prepare_init(&life->turn, on_life_turn);
    ev_prepare_start(loop, &life->turn);
    ev_run(loop, 0);
    ev_prepare_stop(loop, &life->turn);
    ev_signal_stop(loop, &life->terminate);
    ev_signal_stop(loop, &life->interrupt);
}

int worker_run(const struct config *config, const char *pool, int pulse_fd)
{
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    struct life life = {.pulse = pulse_new(loop, pulse_fd)};
    bool cannot_start = false;
    enum err err = worker_new(loop, config, pool, &life.worker);
    if (err) {
        log_error("worker.not_started", LOG_S("error", err_info(err)->name),
                  LOG_S("hint", "CORTEX_AMQP_URL or CORTEX_DATABASE_URL does not parse"));
    } else {
        live(loop, &life);
        cannot_start = worker_cannot_start(life.worker);
        worker_free(life.worker);
        log_info("worker.gone");
    }
    pulse_free(life.pulse);
    ev_loop_destroy(loop);
    return cannot_start ? CHILD_CANNOT_START : err ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include "gateway/process/process.h"

#include <signal.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/process/child.h"
#include "common/process/pulse.h"
#include "gateway/health.h"
#include "gateway/net/server.h"
#include "gateway/wiring.h"

struct process {
    struct gateway gateway;
    struct ev_signal terminate, interrupt, quit;
    struct ev_prepare turn;
    struct pulse *pulse;
};

static void on_drained(void *arg)
{
    struct process *process = arg;
    log_info("gateway.drained");
    ev_break(process->gateway.loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *signal, int revents)
{
    (void)loop;
    (void)revents;
    struct process *process = signal->data;
    struct server *server = process->gateway.server;
    log_info("gateway.leaving", LOG_I("signal", signal->signum));
    if (signal->signum == SIGQUIT)
        server_hand_over(server, on_drained, process);
    else
        server_drain(server, on_drained, process);
}

static void on_turn(struct ev_loop *loop, struct ev_prepare *prepare, int revents)
{
    (void)loop;
    (void)revents;
    struct process *process = prepare->data;
    bool is_ready = health_is_ready(&process->gateway);
    pulse_set_ready(process->pulse, is_ready);
    if (is_ready)
        server_begin(process->gateway.server);
}

static void watch_signal(struct process *process, struct ev_signal *watcher, int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = process;
    ev_signal_start(process->gateway.loop, watcher);
}

int process_run(const struct config *config, struct token_keys *keys, int listen_fd, int pulse_fd,
                bool is_successor)
{
    struct process process = {.gateway = {.config = config, .keys = keys, .is_successor = is_successor}};
    struct gateway *gateway = &process.gateway;
    gateway->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!gateway->loop) {
        log_error("gateway.no_loop");
        return CHILD_CANNOT_START;
    }
    process.pulse = pulse_new(gateway->loop, pulse_fd);
    watch_signal(&process, &process.terminate, SIGTERM);
    watch_signal(&process, &process.interrupt, SIGINT);
    watch_signal(&process, &process.quit, SIGQUIT);
    enum err err = gateway_open(gateway, listen_fd);
    if (err) {
        log_error("gateway.cannot_start", LOG_S("error", err_info(err)->name));
    } else {
        log_info("gateway.started", LOG_S("listen", config->listen), LOG_S("reply_key", gateway->reply_key));
        ev_prepare_init(&process.turn, on_turn);
        process.turn.data = &process;
        ev_prepare_start(gateway->loop, &process.turn);
        ev_run(gateway->loop, 0);
        ev_prepare_stop(gateway->loop, &process.turn);
    }
    gateway_close(gateway);
    pulse_free(process.pulse);
    ev_loop_destroy(gateway->loop);
    return err || gateway->cannot_start ? CHILD_CANNOT_START : 0;
}

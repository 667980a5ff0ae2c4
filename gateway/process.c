#include "gateway/process.h"

#include <signal.h>

#include "common/log.h"
#include "gateway/gateway.h"
#include "gateway/server.h"

struct process {
    struct gateway gateway;
    struct ev_signal terminate, interrupt;
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
    if (process->gateway.draining)
        return;
    log_info("gateway.draining", LOG_I("signal", signal->signum));
    server_drain(process->gateway.server, on_drained, process);
}

static void watch_signal(struct process *process, struct ev_signal *watcher, int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = process;
    ev_signal_start(process->gateway.loop, watcher);
}

int process_run(const struct config *config, struct token_keys *keys, int listen_fd)
{
    struct process process = {.gateway = {.config = config, .keys = keys}};
    struct gateway *gateway = &process.gateway;
    gateway->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!gateway->loop) {
        log_error("gateway.no_loop");
        return PROCESS_CANNOT_START;
    }
    watch_signal(&process, &process.terminate, SIGTERM);
    watch_signal(&process, &process.interrupt, SIGINT);
    enum err err = gateway_open(gateway, listen_fd);
    if (err) {
        log_error("gateway.cannot_start", LOG_S("error", err_info(err)->name));
    } else {
        log_info("gateway.started", LOG_S("listen", config->listen), LOG_S("reply_key", gateway->reply_key));
        ev_run(gateway->loop, 0);
    }
    gateway_close(gateway);
    ev_loop_destroy(gateway->loop);
    return err ? PROCESS_CANNOT_START : 0;
}

#include "gateway/process.h"

#include <signal.h>
#include <unistd.h>

#include "common/log.h"
#include "gateway/gateway.h"
#include "gateway/server.h"

enum { READY_TICK_MS = 50 };

struct process {
    struct gateway gateway;
    struct ev_signal terminate, interrupt, quit;
    struct ev_timer until_ready;
    int ready_fd;
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

static void on_ready_tick(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct process *process = timer->data;
    if (!gateway_is_ready(&process->gateway))
        return;
    (void)!write(process->ready_fd, "", 1);
    close(process->ready_fd);
    ev_timer_stop(loop, timer);
}

static void tell_when_ready(struct process *process)
{
    if (process->ready_fd < 0)
        return;
    ev_timer_init(&process->until_ready, on_ready_tick, READY_TICK_MS / 1000., READY_TICK_MS / 1000.);
    process->until_ready.data = process;
    ev_timer_start(process->gateway.loop, &process->until_ready);
}

static void watch_signal(struct process *process, struct ev_signal *watcher, int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = process;
    ev_signal_start(process->gateway.loop, watcher);
}

int process_run(const struct config *config, struct token_keys *keys, int listen_fd, int ready_fd)
{
    struct process process = {.gateway = {.config = config, .keys = keys}, .ready_fd = ready_fd};
    struct gateway *gateway = &process.gateway;
    gateway->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!gateway->loop) {
        log_error("gateway.no_loop");
        return PROCESS_CANNOT_START;
    }
    watch_signal(&process, &process.terminate, SIGTERM);
    watch_signal(&process, &process.interrupt, SIGINT);
    watch_signal(&process, &process.quit, SIGQUIT);
    enum err err = gateway_open(gateway, listen_fd);
    if (err) {
        log_error("gateway.cannot_start", LOG_S("error", err_info(err)->name));
    } else {
        log_info("gateway.started", LOG_S("listen", config->listen), LOG_S("reply_key", gateway->reply_key));
        tell_when_ready(&process);
        ev_run(gateway->loop, 0);
    }
    gateway_close(gateway);
    ev_loop_destroy(gateway->loop);
    return err ? PROCESS_CANNOT_START : 0;
}

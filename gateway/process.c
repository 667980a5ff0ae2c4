#include "gateway/process.h"

#include <signal.h>
#include <stdio.h>

#include "common/db.h"
#include "gateway/auth.h"
#include "gateway/commands.h"
#include "gateway/hub.h"
#include "gateway/http.h"
#include "gateway/read/plan.h"
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

static void name_reply_key(struct gateway *gateway)
{
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&id, text);
    snprintf(gateway->reply_key, sizeof(gateway->reply_key), "reply.%s", text);
}

static enum err open_reads(struct gateway *gateway)
{
    const struct config *config = gateway->config;
    const char *url = config->read_database_url[0] ? config->read_database_url : config->database_url;
    const struct db_pool_options options = {
        .db = {.url = url,
               .role = config->database_role,
               .application_name = "cortex-gateway",
               .statement_timeout_ms = config->statement_timeout_ms,
               .read_only = true},
        .connections = config->read_connections,
        .queue_max = config->read_queue_max,
        .deadline_ms = config->statement_timeout_ms,
    };
    return db_pool_new(gateway->loop, &options, &gateway->reads);
}

/* In the order in which each needs the ones before it. */
static enum err open_parts(struct gateway *gateway, int listen_fd)
{
    gateway->plans = plans_new();
    enum err err = auth_new(gateway, &gateway->auth);
    if (!err)
        err = http_new(gateway, &gateway->http);
    if (!err)
        err = open_reads(gateway);
    if (!err)
        err = commands_new(gateway, &gateway->commands);
    if (!err)
        gateway->hub = hub_new(gateway);
    if (!err)
        err = server_new(gateway, listen_fd, &gateway->server);
    return err;
}

/* Connections first, and queries before those who wait for them: what goes still calls what stays. */
static void close_parts(struct gateway *gateway)
{
    server_free(gateway->server);
    hub_free(gateway->hub);
    db_pool_free(gateway->reads);
    commands_free(gateway->commands);
    plans_free(gateway->plans);
    http_free(gateway->http);
    auth_free(gateway->auth);
}

int process_run(const struct config *config, struct token_keys *keys, int listen_fd)
{
    struct process process = {.gateway = {.config = config, .keys = keys}};
    struct gateway *gateway = &process.gateway;
    gateway->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!gateway->loop) {
        log_error("gateway.no_loop");
        return 1;
    }
    name_reply_key(gateway);
    watch_signal(&process, &process.terminate, SIGTERM);
    watch_signal(&process, &process.interrupt, SIGINT);
    enum err err = open_parts(gateway, listen_fd);
    if (err) {
        log_error("gateway.cannot_start", LOG_S("error", err_info(err)->name));
    } else {
        log_info("gateway.started", LOG_S("listen", config->listen), LOG_S("reply_key", gateway->reply_key));
        ev_run(gateway->loop, 0);
    }
    close_parts(gateway);
    ev_loop_destroy(gateway->loop);
    return err ? 1 : 0;
}

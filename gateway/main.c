/* cortex-gateway: the parent. It makes the sockets, starts a process for each of them, starts anew what dies, and
 * passes on the wish to leave. It serves nobody itself.
 *
 *   SIGTERM, SIGINT: the processes drain; once more: they are killed.
 *   SIGHUP: the settings are read anew, and the processes replaced by new ones, one at a time. The new one accepts from the
 *           same socket before the old one leaves, so no connection finds the door closed.
 *
 *   a process that is replaced:  STAYING ─▶ STARTING (its successor) ─ ready ─▶ LEAVING (itself) ─ gone ─▶ STAYING, the next one's turn
 *                                              └── not ready in time: it stays, and nobody else is replaced
 */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/process.h"
#include "gateway/server.h"

enum {
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 5000,
    HEALTHY_MS = 10000,     /* a process that has lived so long starts again without a pause */
    DRAIN_MARGIN_MS = 2000, /* beyond its time, before a process that does not leave is killed */
    SUCCESSOR_MS = 30000,   /* for a successor to be ready */
    TICK_MS = 1000,
    REPLACING_TICK_MS = 50,
};

enum replacing { STAYING, STARTING, LEAVING };

struct child {
    pid_t pid; /* 0: not running */
    pid_t old; /* the one before, which is still there; 0: none */
    enum replacing replacing;
    int ready_fd;     /* of a successor: an octet comes when it is ready */
    int64_t until_ms; /* of this stage */
    int listen_fd;
    int64_t started_ms, restart_ms, backoff_ms;
};

struct parent {
    struct config config;
    struct token_keys *keys;
    struct child *children;
    size_t child_count;
    sigset_t signals;
    size_t next_replaced; /* whose turn it is; child_count: nobody's */
    bool replace_again;   /* asked for while it was going on */
    bool leaving;
    bool failed;     /* a process found that it can never start */
    int64_t kill_ms; /* when what has not left is killed */
};

/* In the new process: everything of the parent's that is not its own goes. */
static int run_child(struct parent *parent, struct child *child, pid_t parent_pid, int ready_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent_pid)
        return 0; /* the parent died before the line above */
    for (size_t i = 0; i < parent->child_count; i++)
        if (&parent->children[i] != child)
            close(parent->children[i].listen_fd);
    signal(SIGHUP, SIG_IGN); /* the parent's affair */
    sigprocmask(SIG_UNBLOCK, &parent->signals, NULL);
    log_init("gateway", log_threshold);
    return process_run(&parent->config, parent->keys, child->listen_fd, ready_fd);
}

static void start(struct parent *parent, struct child *child, int ready_fd)
{
    pid_t parent_pid = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exit(run_child(parent, child, parent_pid, ready_fd));
    child->started_ms = clock_monotonic_ms();
    if (pid < 0) {
        log_error("parent.fork_failed");
        child->restart_ms = child->started_ms + BACKOFF_MAX_MS;
        return;
    }
    child->pid = pid;
}

static void plan_restart(struct child *child, int status)
{
    int64_t now = clock_monotonic_ms();
    if (now - child->started_ms >= HEALTHY_MS)
        child->backoff_ms = 0;
    child->restart_ms = now + child->backoff_ms;
    child->backoff_ms = child->backoff_ms ? child->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (child->backoff_ms > BACKOFF_MAX_MS)
        child->backoff_ms = BACKOFF_MAX_MS;
    log_warn("parent.process_died", LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
             LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
             LOG_I("restart_in_ms", child->restart_ms - now));
}

/* A successor that was not ready yet: the one that it was to replace stays. */
static void stay(struct parent *parent, struct child *child)
{
    log_error("parent.successor_failed", LOG_I("pid", child->pid));
    close(child->ready_fd);
    child->pid = child->old;
    child->old = 0;
    child->replacing = STAYING;
    parent->next_replaced = parent->child_count;
    parent->replace_again = false;
}

static void on_death(struct parent *parent, struct child *child, pid_t pid, int status)
{
    if (child->old == pid) {
        child->old = 0;
        return;
    }
    if (child->replacing == STARTING && child->old > 0) {
        stay(parent, child);
        return;
    }
    child->pid = 0;
    parent->failed = parent->failed || (WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_CANNOT_START);
    if (!parent->leaving && !parent->failed)
        plan_restart(child, status);
}

static void reap(struct parent *parent)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < parent->child_count; i++)
            if (parent->children[i].pid == pid || parent->children[i].old == pid)
                on_death(parent, &parent->children[i], pid, status);
}

/* ---- replacing ---- */

static void start_successor(struct parent *parent, struct child *child)
{
    int ends[2];
    if (child->pid == 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        parent->next_replaced++; /* it begins anew by itself */
        return;
    }
    child->old = child->pid;
    child->pid = 0;
    start(parent, child, ends[1]);
    close(ends[1]);
    child->ready_fd = ends[0];
    child->replacing = STARTING;
    child->until_ms = clock_monotonic_ms() + SUCCESSOR_MS;
    if (child->pid == 0)
        stay(parent, child);
}

static void await_successor(struct parent *parent, struct child *child)
{
    char octet;
    if (read(child->ready_fd, &octet, 1) == 1) {
        close(child->ready_fd);
        child->replacing = LEAVING;
        child->until_ms = clock_monotonic_ms() + server_drain_max_ms(&parent->config) + DRAIN_MARGIN_MS;
        if (child->old > 0)
            kill(child->old, SIGQUIT);
    } else if (clock_monotonic_ms() >= child->until_ms) {
        kill(child->pid, SIGKILL); /* reaped, and found not to have been ready */
    }
}

static void await_departure(struct parent *parent, struct child *child)
{
    if (child->old > 0 && clock_monotonic_ms() >= child->until_ms)
        kill(child->old, SIGKILL);
    if (child->old > 0)
        return;
    child->replacing = STAYING;
    parent->next_replaced++;
    log_info("parent.replaced", LOG_I("pid", child->pid));
}

/* One step of whoever's turn it is. */
static void replace(struct parent *parent)
{
    static void (*const steps[])(struct parent * parent, struct child * child) = {
        [STAYING] = start_successor, [STARTING] = await_successor, [LEAVING] = await_departure};
    if (parent->next_replaced == parent->child_count && parent->replace_again) {
        parent->replace_again = false;
        parent->next_replaced = 0;
    }
    if (parent->next_replaced < parent->child_count) {
        struct child *child = &parent->children[parent->next_replaced];
        steps[child->replacing](parent, child);
    }
}

/* New settings are for new processes; what the parent itself has from the old ones (the address, their number) stays. */
static void read_settings_anew(struct parent *parent)
{
    struct config config = {0};
    struct token_keys *keys = NULL;
    char why[256] = "";
    enum log_level level;
    enum err err = config_load(&config, why);
    if (!err)
        err = token_keys_load(&config, &keys, why);
    if (err || !log_level_parse(config.log_level, &level)) {
        log_error("parent.settings_refused", LOG_S("why", why[0] ? why : "CORTEX_LOG_LEVEL is unknown"));
        token_keys_free(keys);
        config_done(&config);
        return;
    }
    token_keys_free(parent->keys);
    config_done(&parent->config);
    parent->keys = keys;
    parent->config = config;
    log_init("gateway.parent", level);
    parent->replace_again = true;
    log_info("parent.replacing", LOG_I("processes", parent->child_count));
}

static size_t running(const struct parent *parent)
{
    size_t count = 0;
    for (size_t i = 0; i < parent->child_count; i++)
        count += (size_t)(parent->children[i].pid > 0) + (size_t)(parent->children[i].old > 0);
    return count;
}

static void signal_all(const struct parent *parent, int number)
{
    for (size_t i = 0; i < parent->child_count; i++)
        for (int one = 0; one < 2; one++) {
            pid_t pid = one == 0 ? parent->children[i].pid : parent->children[i].old;
            if (pid > 0)
                kill(pid, number);
        }
}

/* The sockets stay open in the processes only: when the last of them has emptied its queue, the port is free. */
static void leave(struct parent *parent)
{
    if (parent->leaving) {
        signal_all(parent, SIGKILL);
        return;
    }
    parent->leaving = true;
    parent->kill_ms = clock_monotonic_ms() + parent->config.drain_notice_ms +
                      server_drain_max_ms(&parent->config) + DRAIN_MARGIN_MS;
    for (size_t i = 0; i < parent->child_count; i++)
        close(parent->children[i].listen_fd);
    signal_all(parent, SIGTERM);
}

static void start_what_is_due(struct parent *parent)
{
    for (size_t i = 0; i < parent->child_count; i++)
        if (parent->children[i].pid == 0 && parent->children[i].restart_ms <= clock_monotonic_ms())
            start(parent, &parent->children[i], -1);
}

static int64_t until_next_deed(const struct parent *parent)
{
    int64_t wait =
        parent->next_replaced < parent->child_count || parent->replace_again ? REPLACING_TICK_MS : TICK_MS;
    for (size_t i = 0; i < parent->child_count && !parent->leaving; i++) {
        const struct child *child = &parent->children[i];
        int64_t left = child->restart_ms - clock_monotonic_ms();
        if (child->pid == 0 && left < wait)
            wait = left > 0 ? left : 0;
    }
    return wait;
}

static void supervise(struct parent *parent)
{
    while (!parent->leaving || running(parent) > 0) {
        if (!parent->leaving)
            start_what_is_due(parent);
        else if (clock_monotonic_ms() >= parent->kill_ms)
            signal_all(parent, SIGKILL);
        int64_t wait = until_next_deed(parent);
        const struct timespec timeout = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
        int number = sigtimedwait(&parent->signals, NULL, &timeout);
        if (number == SIGTERM || number == SIGINT)
            leave(parent);
        else if (number == SIGHUP && !parent->leaving)
            read_settings_anew(parent);
        reap(parent);
        if (!parent->leaving)
            replace(parent);
        if (parent->failed && !parent->leaving)
            leave(parent);
    }
}

static enum err listen_for_all(struct parent *parent, char why[256])
{
    int64_t wanted = parent->config.gateway_processes;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    parent->child_count = wanted > 0 ? (size_t)wanted : cores > 0 ? (size_t)cores : 1;
    parent->next_replaced = parent->child_count;
    parent->children = xcalloc(parent->child_count, sizeof(*parent->children));
    if (server_is_taken(parent->config.listen))
        log_warn("parent.address_is_shared", LOG_S("listen", parent->config.listen));
    for (size_t i = 0; i < parent->child_count; i++) {
        enum err err = server_listen(parent->config.listen, &parent->children[i].listen_fd, why);
        if (err)
            return err;
    }
    return ERR_OK;
}

static void block_signals(struct parent *parent)
{
    sigemptyset(&parent->signals);
    sigaddset(&parent->signals, SIGTERM);
    sigaddset(&parent->signals, SIGINT);
    sigaddset(&parent->signals, SIGHUP);
    sigaddset(&parent->signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &parent->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The usual soft limit of 1,024 is there for select(2), which nobody calls here. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum err prepare(struct parent *parent, char why[256])
{
    enum err err = config_load(&parent->config, why);
    if (err)
        return err;
    enum log_level level = LOG_INFO;
    if (!log_level_parse(parent->config.log_level, &level)) {
        snprintf(why, 256, "CORTEX_LOG_LEVEL is none of debug, info, warn, error");
        return ERR_BAD_REQUEST;
    }
    log_init("gateway.parent", level);
    err = token_keys_load(&parent->config, &parent->keys, why);
    return err ? err : listen_for_all(parent, why);
}

static int run(void)
{
    struct parent parent = {0};
    char why[256] = "";
    block_signals(&parent);
    raise_descriptor_limit();
    if (prepare(&parent, why)) {
        fprintf(stderr, "cortex-gateway: %s\n", why);
        return 1;
    }
    supervise(&parent);
    free(parent.children);
    token_keys_free(parent.keys);
    config_done(&parent.config);
    return parent.failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"help-config", no_argument, NULL, 'c'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    int option = getopt_long(argc, argv, "", options, NULL);
    if (option == -1 && optind == argc)
        return run();
    if (option == 'v') {
        puts("cortex-gateway " CORTEX_VERSION);
        return 0;
    }
    if (option == 'c') {
        config_print_help(stdout);
        return 0;
    }
    fputs("usage: cortex-gateway [--help-config | --version]\n"
          "Settings come from the environment and from the file that CORTEX_CONFIG names.\n",
          option == 'h' ? stdout : stderr);
    return option == 'h' ? 0 : 2;
}

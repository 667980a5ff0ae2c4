#pragma once
/* A pool in a process of its own, whose workers write their process ids into a pipe and wait to be told to
 * leave. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/process/pulse.h"
#include "workers/fleet/pool/pool.h"

static int births[2]; /* of all pools of the program */
static volatile sig_atomic_t told_to_leave;

static inline void on_term(int number)
{
    (void)number;
    told_to_leave = 1;
}

static inline void announce(void)
{
    pid_t pid = getpid();
    assert_int_equal(write(births[1], &pid, sizeof(pid)), sizeof(pid));
}

static inline int wait_to_leave(const struct config *config, const char *name, int pulse_fd)
{
    (void)config, (void)name, (void)pulse_fd;
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    signal(SIGTERM, on_term);
    announce();
    while (!told_to_leave)
        sigsuspend(&before);
    return 0;
}

static inline int die_at_once(const struct config *config, const char *name, int pulse_fd)
{
    (void)config, (void)name, (void)pulse_fd;
    announce();
    return 3;
}

static inline int refuse_to_leave(const struct config *config, const char *name, int pulse_fd)
{
    (void)config, (void)name, (void)pulse_fd;
    signal(SIGTERM, SIG_IGN);
    announce();
    while (!told_to_leave)
        pause();
    return 0;
}

static inline void on_leave(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)signal, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static inline void on_hang(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop, (void)signal, (void)events;
    for (;;)
        pause();
}

/* As a real worker: a loop with a pulse, ready at once. SIGUSR1 makes it hang; settings with the log level
 * "error" are too much for it. */
static inline int turn(const struct config *config, const char *name, int pulse_fd)
{
    (void)name;
    ev_signal leave, hang;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct pulse *pulse = pulse_new(loop, pulse_fd);
    ev_signal_init(&leave, on_leave, SIGTERM);
    ev_signal_init(&hang, on_hang, SIGUSR1);
    ev_signal_start(loop, &leave);
    ev_signal_start(loop, &hang);
    announce();
    if (strcmp(config->log_level, "error") != 0) {
        pulse_set_ready(pulse, true);
        ev_run(loop, 0);
    }
    ev_signal_stop(loop, &leave);
    ev_signal_stop(loop, &hang);
    pulse_free(pulse);
    ev_loop_destroy(loop);
    return 0;
}

/* In the environment, where it is found again when settings are read anew. */
static inline void set_number(const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    setenv(name, text, 1);
}

static inline pid_t start_pool(int64_t workers, int64_t drain_ms, pool_work *work)
{
    struct config config;
    char why[256];
    setenv("CORTEX_AMQP_URL", getenv("CORTEX_TEST_AMQP_URL"), 1);
    set_number("CORTEX_WORKER_PROCESSES", workers);
    set_number("CORTEX_DRAIN_MS", drain_ms);
    assert_int_equal(config_load(&config, why), ERR_OK);
    if (births[0] == 0)
        assert_int_equal(pipe(births), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that fails leaves nobody behind */
        _exit(pool_run(&config, "projects", work));
    }
    config_done(&config);
    return pid;
}

/* The next worker that is born within `ms`; 0: none. */
static inline pid_t next_birth(int ms)
{
    struct pollfd poll_births = {.fd = births[0], .events = POLLIN};
    pid_t pid;
    if (poll(&poll_births, 1, ms) != 1)
        return 0;
    assert_int_equal(read(births[0], &pid, sizeof(pid)), sizeof(pid));
    return pid;
}

static inline pid_t await_birth(void)
{
    pid_t pid = next_birth(20000);
    assert_int_not_equal(pid, 0);
    return pid;
}

static inline void await_death(pid_t pid)
{
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    while (kill(pid, 0) == 0) {
        assert_true(clock_monotonic_us() < limit);
        usleep(2000);
    }
}

static inline void end_pool(pid_t pool)
{
    int status;
    kill(pool, SIGTERM);
    assert_int_equal(waitpid(pool, &status, 0), pool);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#include "gateway/process/parent_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/service.h"
#include "gateway/process/process.h"

enum {
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 5000,
    HEALTHY_MS = 10000,          /* a process that has lived so long starts again without a pause */
    TURN_LATE_MS = 5 * PULSE_MS, /* without a beat, before the watchdog goes hungry */
};

/* ---- birth ---- */

/* In the new process: everything of the parent's that is not its own goes. */
static int run_child(struct parent *parent, const struct seat *seat, pid_t parent_pid, int pulse_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent_pid)
        return 0; /* the parent died before the line above */
    service_leave_to_parent();
    for (size_t i = 0; i < parent->seat_count; i++) {
        const struct seat *other = &parent->seats[i];
        if (other != seat)
            close(other->listen_fd);
        if (other->now.pid > 0)
            close(other->now.pulse_fd);
        if (other->old.pid > 0)
            close(other->old.pulse_fd);
    }
    signal(SIGHUP, SIG_IGN); /* the parent's affair */
    sigprocmask(SIG_UNBLOCK, &parent->signals, NULL);
    log_init("gateway", log_threshold);
    return process_run(&parent->config, parent->keys, seat->listen_fd, pulse_fd);
}

void seat_start(struct parent *parent, struct seat *seat)
{
    pid_t parent_pid = getpid();
    int hears = -1, beats = -1;
    fflush(NULL);
    pid_t pid = pulse_pipe(&hears, &beats) ? -1 : fork();
    if (pid == 0) {
        close(hears);
        exit(run_child(parent, seat, parent_pid, beats));
    }
    if (beats >= 0)
        close(beats);
    if (pid < 0) {
        log_error("parent.fork_failed");
        if (hears >= 0)
            close(hears);
        seat->restart_ms = clock_monotonic_ms() + BACKOFF_MAX_MS;
        return;
    }
    seat->now = (struct occupant){.pid = pid, .started_ms = clock_monotonic_ms(), .pulse_fd = hears};
}

void seats_start_due(struct parent *parent)
{
    for (size_t i = 0; i < parent->seat_count; i++)
        if (parent->seats[i].now.pid == 0 && parent->seats[i].restart_ms <= clock_monotonic_ms())
            seat_start(parent, &parent->seats[i]);
}

/* ---- death ---- */

static void plan_restart(struct seat *seat, int64_t started_ms, int status)
{
    int64_t now = clock_monotonic_ms();
    if (now - started_ms >= HEALTHY_MS)
        seat->backoff_ms = 0;
    seat->restart_ms = now + seat->backoff_ms;
    seat->backoff_ms = seat->backoff_ms ? seat->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (seat->backoff_ms > BACKOFF_MAX_MS)
        seat->backoff_ms = BACKOFF_MAX_MS;
    log_warn("parent.process_died", LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
             LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
             LOG_I("restart_in_ms", seat->restart_ms - now));
}

static void bury(struct occupant *occupant)
{
    close(occupant->pulse_fd);
    *occupant = (struct occupant){0};
}

static void on_death(struct parent *parent, struct seat *seat, pid_t pid, int status)
{
    if (seat->old.pid == pid) {
        bury(&seat->old);
        return;
    }
    int64_t started_ms = seat->now.started_ms;
    bury(&seat->now);
    if (seat->replacing == STARTING && seat->old.pid > 0) {
        parent_replace_failed(parent, seat);
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_CANNOT_START) {
        parent->failed = true;
        service_failed("a process cannot start with these settings", 0);
    }
    if (!parent->leaving && !parent->failed)
        plan_restart(seat, started_ms, status);
}

void seats_reap(struct parent *parent)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < parent->seat_count; i++)
            if (parent->seats[i].now.pid == pid || parent->seats[i].old.pid == pid)
                on_death(parent, &parent->seats[i], pid, status);
}

/* ---- all of them ---- */

void seats_signal(const struct parent *parent, int number)
{
    for (size_t i = 0; i < parent->seat_count; i++) {
        if (parent->seats[i].now.pid > 0)
            kill(parent->seats[i].now.pid, number);
        if (parent->seats[i].old.pid > 0)
            kill(parent->seats[i].old.pid, number);
    }
}

size_t seats_running(const struct parent *parent)
{
    size_t count = 0;
    for (size_t i = 0; i < parent->seat_count; i++)
        count += (size_t)(parent->seats[i].now.pid > 0) + (size_t)(parent->seats[i].old.pid > 0);
    return count;
}

size_t seats_ready(const struct parent *parent)
{
    size_t count = 0;
    for (size_t i = 0; i < parent->seat_count; i++)
        count += parent->seats[i].now.heard.ready;
    return count;
}

static bool check(const struct parent *parent, struct occupant *occupant)
{
    if (occupant->pid == 0)
        return true;
    (void)pulse_read(occupant->pulse_fd, &occupant->heard); /* of one that is ending SIGCHLD says how */
    int64_t last_ms = occupant->heard.beat_us > 0 ? occupant->heard.beat_us / 1000 : occupant->started_ms;
    int64_t silent_ms = clock_monotonic_ms() - last_ms;
    if (parent->config.stuck_ms > 0 && silent_ms >= parent->config.stuck_ms) {
        log_error("parent.killed", LOG_I("pid", occupant->pid), LOG_S("why", "its loop does not turn"),
                  LOG_I("silent_ms", silent_ms));
        kill(occupant->pid, SIGKILL);
    }
    return silent_ms < TURN_LATE_MS;
}

bool seats_check(struct parent *parent)
{
    bool all_turn = true;
    for (size_t i = 0; i < parent->seat_count; i++) {
        all_turn = check(parent, &parent->seats[i].now) && all_turn;
        all_turn = check(parent, &parent->seats[i].old) && all_turn;
    }
    return all_turn;
}

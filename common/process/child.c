#include "common/process/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum { TURN_LATE_MS = 5 * PULSE_MS }; /* without a beat for so long, the parent's watchdog is not fed */

static const char *const state_names[] = {[CHILD_NONE] = "none",
                                          [CHILD_WAITING] = "waiting",
                                          [CHILD_RUNNING] = "running",
                                          [CHILD_LEAVING] = "leaving"};

static void set_state(struct child *child, enum child_state state, int64_t after_ms)
{
    log_debug("child.state", LOG_S("role", child->role), LOG_I("child", child->pid),
              LOG_S("from", state_names[child->state]), LOG_S("to", state_names[state]));
    child->state = state;
    child->due_ms = clock_monotonic_ms() + after_ms;
    if (child->on_state)
        child->on_state(child);
}

void child_init(struct child *child, const char *role, void (*on_state)(struct child *child))
{
    *child = (struct child){.role = role, .pulse_fd = -1, .on_state = on_state};
}

/* ---- starting ---- */

void child_start_after(struct child *child, int64_t after_ms)
{
    set_state(child, CHILD_WAITING, after_ms);
}

static pid_t fork_failed(struct child *child, int beat_fd)
{
    log_error("child.fork_failed", LOG_S("role", child->role), LOG_S("why", strerror(errno)));
    if (beat_fd >= 0)
        close(beat_fd);
    child_close(child);
    child_start_after(child, CHILD_BACKOFF_MAX_MS);
    return -1;
}

/* Runs in the child. It closes its copy of the reading end at once. */
static void leave_parent(struct child *child, pid_t parent)
{
    child_close(child);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* The parent may have died before the line above. The signal is blocked until the child has its
     * handlers. */
    if (getppid() != parent)
        raise(SIGTERM);
}

static void has_started(struct child *child, pid_t pid)
{
    child->pid = pid;
    child->started_us = clock_monotonic_us();
    child->ready_us = 0;
    child->heard = (struct pulse_heard){0};
    log_info("child.started", LOG_S("role", child->role), LOG_I("child", pid));
    set_state(child, CHILD_RUNNING, 0);
}

pid_t child_fork(struct child *child, int *ret_pulse_fd)
{
    int beat_fd = -1;
    sigset_t all, before;
    if (pulse_pipe(&child->pulse_fd, &beat_fd))
        return fork_failed(child, beat_fd);
    fflush(NULL); /* else the child would write it a second time */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        leave_parent(child, parent);
        *ret_pulse_fd = beat_fd;
        return 0;
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    if (pid < 0)
        return fork_failed(child, beat_fd);
    close(beat_fd);
    has_started(child, pid);
    return pid;
}

void child_unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- leaving ---- */

void child_stop(struct child *child, int number, int64_t grace_ms)
{
    if (child->state == CHILD_WAITING)
        set_state(child, CHILD_NONE, 0);
    if (child->state != CHILD_RUNNING)
        return;
    kill(child->pid, number);
    set_state(child, CHILD_LEAVING, grace_ms);
}

void child_signal(const struct child *child, int number)
{
    if (child_has_process(child))
        kill(child->pid, number);
}

void child_kill_overdue(struct child *child)
{
    if (child->state != CHILD_LEAVING || clock_monotonic_ms() < child->due_ms)
        return;
    log_error("child.killed", LOG_S("role", child->role), LOG_I("child", child->pid),
              LOG_S("why", "it did not leave in time"));
    kill(child->pid, SIGKILL);
    child->due_ms = INT64_MAX;
}

/* ---- the pulse ---- */

bool child_hear(struct child *child)
{
    bool is_open = pulse_read(child->pulse_fd, &child->heard);
    if (child->heard.ready && !child->ready_us)
        child->ready_us = clock_monotonic_us();
    return is_open;
}

bool child_check(const struct child *child, int64_t stuck_ms)
{
    if (!child_has_process(child))
        return true;
    int64_t last_us = child->heard.beat_us ? child->heard.beat_us : child->started_us;
    int64_t silent_ms = (clock_monotonic_us() - last_us) / 1000;
    if (stuck_ms > 0 && silent_ms >= stuck_ms) {
        log_error("child.killed", LOG_S("role", child->role), LOG_I("child", child->pid),
                  LOG_S("why", "its loop does not turn"), LOG_I("silent_ms", silent_ms));
        kill(child->pid, SIGKILL);
    }
    return silent_ms < TURN_LATE_MS;
}

/* ---- its death ---- */

static void log_death(const struct child *child, int status)
{
    bool is_meant = child->state == CHILD_LEAVING && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    log_at(is_meant ? LOG_INFO : LOG_ERROR, "child.died", LOG_S("role", child->role),
           LOG_I("child", child->pid), LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
           LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
}

bool child_reap(struct child *child, int *ret_status)
{
    if (!child_has_process(child) || waitpid(child->pid, ret_status, WNOHANG) != child->pid)
        return false;
    log_death(child, *ret_status);
    set_state(child, CHILD_NONE, 0);
    return true;
}

void child_close(struct child *child)
{
    if (child->pulse_fd >= 0)
        close(child->pulse_fd);
    child->pulse_fd = -1;
}

bool child_was_healthy(const struct child *child, int64_t healthy_after_ms)
{
    return child->ready_us && clock_monotonic_us() - child->ready_us >= healthy_after_ms * 1000;
}

static int64_t next_backoff(const struct child *child, int64_t healthy_after_ms)
{
    if (child_was_healthy(child, healthy_after_ms))
        return 0;
    if (child->backoff_ms == 0)
        return CHILD_BACKOFF_MIN_MS;
    return child->backoff_ms < CHILD_BACKOFF_MAX_MS / 2 ? child->backoff_ms * 2 : CHILD_BACKOFF_MAX_MS;
}

void child_restart(struct child *child, int64_t healthy_after_ms)
{
    child->backoff_ms = next_backoff(child, healthy_after_ms);
    if (child->backoff_ms > 0)
        log_info("child.backs_off", LOG_S("role", child->role), LOG_I("restart_in_ms", child->backoff_ms));
    child_start_after(child, child->backoff_ms);
}

#pragma once
/* One child process, and the parent that keeps it alive: the child is started, its pulse is watched
 * (pulse.h), it is killed when its loop does not turn or when it does not leave in time, and after a death it
 * is started again.
 *
 *   NONE ── wanted ──▶ WAITING ── child_fork ──▶ RUNNING ── child_stop ──▶ LEAVING ── it has died ──▶ NONE
 *                         ▲                         │
 *                         └──── child_restart ──────┘ it has died
 *
 * A child that had been ready for `healthy_after_ms` is started again at once. After each shorter life the
 * back-off doubles, from CHILD_BACKOFF_MIN_MS to CHILD_BACKOFF_MAX_MS.
 *
 * Nothing here waits or has a timer. The parent calls child_reap after SIGCHLD, child_check about once a
 * second, and looks at due_ms itself: it may have an event loop or none. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/process/pulse.h"

enum {
    CHILD_BACKOFF_MIN_MS = 100,
    CHILD_BACKOFF_MAX_MS = 10000,
    /* Exit status of a child that can never run with its settings (EX_CONFIG): to start it again is of no
     * use. */
    CHILD_CANNOT_START = 78,
};

enum child_state { CHILD_NONE, CHILD_WAITING, CHILD_RUNNING, CHILD_LEAVING };

/* Times are those of the monotonic clock. */
struct child {
    const char *role; /* for the log: "worker" */
    enum child_state state;
    pid_t pid;    /* while RUNNING or LEAVING */
    int pulse_fd; /* the reading end; -1: none */
    struct pulse_heard heard;
    int64_t started_us;
    int64_t ready_us;   /* when it was ready for the first time; 0: it has not been */
    int64_t due_ms;     /* WAITING: when it is to be started; LEAVING: when it is to be killed */
    int64_t backoff_ms; /* the last one */
    void (*on_state)(struct child *child); /* after each change of the state; NULL: nobody asks */
};

/* role is kept, not copied. */
void child_init(struct child *child, const char *role, void (*on_state)(struct child *child));

/* NONE, RUNNING or LEAVING → WAITING. */
void child_start_after(struct child *child, int64_t after_ms);

/* NONE or WAITING → RUNNING; returns the pid. When no process can be made it says why in the log and returns
 * -1; the child is WAITING then.
 *
 * In the child it returns 0 with *ret_pulse_fd, the end on which the child beats, and changes no state. All
 * signals are blocked there, so that none runs a handler of the parent's: the child calls
 * child_unblock_signals when those handlers are gone. A child gets SIGTERM when its parent dies. */
pid_t child_fork(struct child *child, int *ret_pulse_fd);
void child_unblock_signals(void);

/* RUNNING → LEAVING: sends the signal, and the child is overdue after grace_ms. WAITING → NONE. Otherwise
 * nothing happens. */
void child_stop(struct child *child, int number, int64_t grace_ms);
/* Sends a signal to a child that is RUNNING or LEAVING. */
void child_signal(const struct child *child, int number);
/* Kills a child that is LEAVING and overdue; once. */
void child_kill_overdue(struct child *child);

/* Takes in what the pulse says. False when the child has closed its end: SIGCHLD will say how it died. */
bool child_hear(struct child *child);
/* Kills a child whose loop has not turned for stuck_ms (0: never). False when the loop is late. */
bool child_check(const struct child *child, int64_t stuck_ms);

/* RUNNING or LEAVING → NONE when the process has died: logs that and returns true, with *ret_status as of
 * waitpid(2). The caller stops watching the pulse, calls child_close, and calls child_restart if the child is
 * still wanted. */
bool child_reap(struct child *child, int *ret_status);
/* Closes the reading end of the pulse, and changes no state: a forked child does this to its copies. */
void child_close(struct child *child);

/* Of a child that has died, while it is NONE: had it been ready for healthy_after_ms? */
bool child_was_healthy(const struct child *child, int64_t healthy_after_ms);
/* NONE → WAITING: at once after a healthy life, else after the next back-off. */
void child_restart(struct child *child, int64_t healthy_after_ms);

static inline bool child_has_process(const struct child *child)
{
    return child->state == CHILD_RUNNING || child->state == CHILD_LEAVING;
}

static inline bool child_is_ready(const struct child *child)
{
    return child->state == CHILD_RUNNING && child->heard.ready;
}

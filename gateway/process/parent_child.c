#include "gateway/process/parent_private.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/service.h"
#include "gateway/process/process.h"

void parent_child_init(struct parent_child *child)
{
    child_init(&child->now, "gateway", NULL);
    child_init(&child->old, "gateway", NULL);
    child_start_after(&child->now, 0);
}

/* ---- starting ---- */

/* In the new process: it closes what belongs to the parent and to the other processes. */
static int run_child(struct parent *parent, const struct parent_child *self, int pulse_fd)
{
    bool is_successor = child_has_process(&self->old);
    service_leave_to_parent();
    for (size_t i = 0; i < parent->child_count; i++) {
        struct parent_child *child = &parent->children[i];
        if (child != self)
            close(child->listen_fd);
        child_close(&child->now);
        child_close(&child->old);
    }
    signal(SIGHUP, SIG_IGN); /* it is meant for the parent */
    child_unblock_signals();
    log_init("gateway", log_threshold);
    return process_run(&parent->config, parent->keys, self->listen_fd, pulse_fd, is_successor);
}

void parent_child_start(struct parent *parent, struct parent_child *child)
{
    int pulse_fd;
    if (child_fork(&child->now, &pulse_fd) == 0)
        exit(run_child(parent, child, pulse_fd));
}

void parent_children_start_due(struct parent *parent)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        const struct child *now = &parent->children[i].now;
        if (now->state == CHILD_WAITING && now->due_ms <= clock_monotonic_ms())
            parent_child_start(parent, &parent->children[i]);
    }
}

/* ---- deaths ---- */

static void on_death(struct parent *parent, struct parent_child *child, int status)
{
    child_close(&child->now);
    if (child->replacing == REPLACING_STARTING) {
        parent_replace_failed(parent, child);
        if (child_has_process(&child->now))
            return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_CANNOT_START) {
        parent->failed = true;
        service_failed("a process cannot start with these settings", 0);
    }
    if (!parent->leaving && !parent->failed)
        child_restart(&child->now, parent->config.healthy_after_ms);
}

void parent_children_reap(struct parent *parent)
{
    int status;
    for (size_t i = 0; i < parent->child_count; i++) {
        struct parent_child *child = &parent->children[i];
        if (child_reap(&child->old, &status))
            child_close(&child->old);
        if (child_reap(&child->now, &status))
            on_death(parent, child, status);
    }
}

/* ---- all of them ---- */

void parent_children_stop(struct parent *parent, int64_t grace_ms)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        child_stop(&parent->children[i].now, SIGTERM, grace_ms);
        child_stop(&parent->children[i].old, SIGTERM, grace_ms);
    }
}

void parent_children_kill(const struct parent *parent)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        child_signal(&parent->children[i].now, SIGKILL);
        child_signal(&parent->children[i].old, SIGKILL);
    }
}

void parent_children_kill_overdue(struct parent *parent)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        child_kill_overdue(&parent->children[i].now);
        child_kill_overdue(&parent->children[i].old);
    }
}

size_t parent_children_running(const struct parent *parent)
{
    size_t count = 0;
    for (size_t i = 0; i < parent->child_count; i++) {
        count += child_has_process(&parent->children[i].now);
        count += child_has_process(&parent->children[i].old);
    }
    return count;
}

size_t parent_children_ready(const struct parent *parent)
{
    size_t count = 0;
    for (size_t i = 0; i < parent->child_count; i++)
        count += child_is_ready(&parent->children[i].now);
    return count;
}

static bool check(const struct parent *parent, struct child *child)
{
    if (child_has_process(child))
        (void)child_hear(child); /* when its end is closed, SIGCHLD says how it died */
    return child_check(child, parent->config.stuck_ms);
}

bool parent_children_check(struct parent *parent)
{
    bool all_turn = true;
    for (size_t i = 0; i < parent->child_count; i++) {
        all_turn = check(parent, &parent->children[i].now) && all_turn;
        all_turn = check(parent, &parent->children[i].old) && all_turn;
    }
    return all_turn;
}

#pragma once
/* What parent.c (settings, signals, leaving), parent_child.c (a socket and its processes) and
 * parent_replace.c (SIGHUP) share. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/crypto/token.h"
#include "common/process/child.h"
#include "common/process/config.h"

enum { DRAIN_MARGIN_MS = 2000 /* past its time to drain, before a process is killed */ };

/* A process is replaced on SIGHUP:
 *
 *   NONE ── its turn ──▶ STARTING ── the new process is ready ──▶ LEAVING ── the old one has died ──▶ NONE, the next one's turn
 *                           └── it died, or was not ready in time: the old one stays, and no other is replaced */
enum replacing { REPLACING_NONE, REPLACING_STARTING, REPLACING_LEAVING };

/* A socket, and the process that accepts from it; two processes, while `now` replaces `old`. */
struct parent_child {
    int listen_fd;
    struct child now, old;
    enum replacing replacing;
    int64_t until_ms; /* STARTING: when the new process must be ready */
};

struct parent {
    struct config config;
    struct token_keys *keys;
    /* While new settings are on trial: those before them, which come back when the first process with the new
     * ones fails. */
    bool is_on_trial;
    struct config proven_config;
    struct token_keys *proven_keys;
    struct parent_child *children;
    size_t child_count;
    sigset_t signals;
    size_t next_replaced; /* whose turn it is; child_count: nobody's */
    bool replace_again;   /* a SIGHUP came while processes were being replaced */
    bool leaving;
    bool failed;             /* a process found that it can never start */
    bool was_ready;          /* all of them were, once */
    bool ready_is_sent;      /* the service manager has been told that all is well */
    size_t sent_ready_count; /* and how many processes are ready */
    int64_t watchdog_ms, fed_ms;
};

/* parent_child.c */
void parent_child_init(struct parent_child *child);
/* child->now is RUNNING after it, or WAITING when no process could be made. */
void parent_child_start(struct parent *parent, struct parent_child *child);
void parent_children_start_due(struct parent *parent);
void parent_children_reap(struct parent *parent);
void parent_children_stop(struct parent *parent, int64_t grace_ms);
void parent_children_kill(const struct parent *parent);
void parent_children_kill_overdue(struct parent *parent);
size_t parent_children_running(const struct parent *parent);
size_t parent_children_ready(const struct parent *parent);
/* Takes in all pulses, and kills the processes that are stuck; false while the loop of one is late. */
bool parent_children_check(struct parent *parent);

/* parent_replace.c */
bool parent_is_replacing(const struct parent *parent);
void parent_reload(struct parent *parent);
void parent_replace(struct parent *parent); /* one step of the child whose turn it is */
/* The new process died before it was ready. The old one, if it lives, takes its place again, and no other is
 * replaced. */
void parent_replace_failed(struct parent *parent, struct parent_child *child);

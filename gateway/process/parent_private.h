#pragma once
/* What parent.c (settings, signals, leaving), parent_child.c (a process and its death) and parent_replace.c (SIGHUP) share. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/crypto/token.h"
#include "common/process/config.h"
#include "common/process/pulse.h"

enum { DRAIN_MARGIN_MS = 2000 /* beyond its time, before a process that does not leave is killed */ };

struct occupant {
    pid_t pid; /* 0: nobody */
    int64_t started_ms;
    int pulse_fd;
    struct pulse_heard heard;
};

/*  a process that is replaced:  STAYING ─▶ STARTING (its successor) ─ ready ─▶ LEAVING (itself) ─ gone ─▶ STAYING, the next one's turn
 *                                              └── not ready in time: it stays, and nobody else is replaced */
enum replacing { STAYING, STARTING, LEAVING };

/* A socket, and who accepts from it. */
struct seat {
    int listen_fd;
    struct occupant now, old; /* old: while it is replaced by now */
    enum replacing replacing;
    int64_t until_ms; /* of this stage */
    int64_t restart_ms, backoff_ms;
};

struct parent {
    struct config config;
    struct token_keys *keys;
    struct seat *seats;
    size_t seat_count;
    sigset_t signals;
    size_t next_replaced; /* whose turn it is; seat_count: nobody's */
    bool replace_again;   /* asked for while it was going on */
    bool leaving;
    bool failed;     /* a process found that it can never start */
    int64_t kill_ms; /* when what has not left is killed */
    bool was_ready;  /* once, all of them */
    bool told_ready; /* the service manager knows how things are */
    size_t told_count;
    int64_t watchdog_ms, fed_ms;
};

/* parent_child.c */
void seat_start(struct parent *parent, struct seat *seat); /* seat->now.pid is 0 when there is no process */
void seats_start_due(struct parent *parent);
void seats_reap(struct parent *parent);
void seats_signal(const struct parent *parent, int number);
size_t seats_running(const struct parent *parent);
size_t seats_ready(const struct parent *parent);
/* Hears who turns, and kills who does not; false while some loop is late. */
bool seats_check(struct parent *parent);

/* parent_replace.c */
bool parent_is_replacing(const struct parent *parent);
void parent_reload(struct parent *parent);
void parent_replace(struct parent *parent); /* one step of whoever's turn it is */
/* A successor that was not ready yet is gone: the one that it was to replace stays. */
void parent_replace_failed(struct parent *parent, struct seat *seat);

#pragma once
/* What the files of the manager share.
 *
 *   manager.c        the loop, the parent, the time
 *   talk.c   what is said and heard over `control`
 *   size.c   how many workers there are to be */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/process/pulse.h"
#include "workers/fleet/manager/autoscale.h"
#include "workers/fleet/manager/load.h"
#include "workers/fleet/manager/manager.h"
#include "workers/fleet/manager/wire.h"

enum { MANAGER_NAME_SIZE = 96 };

struct manager {
    struct ev_loop *loop;
    const struct config *config;
    const char *pool;
    struct broker *broker;
    struct pulse *pulse;
    struct manager_view view;
    struct manager_self self;
    struct pool_report report; /* the parent's latest */
    struct manager_load *load;
    struct autoscale autoscale;
    struct buf text;
    char queue[MANAGER_NAME_SIZE]; /* of this connection */
    bool is_bound;                 /* all of `control` that is ours to hear is heard */
    bool is_frozen;                /* nobody can be heard: silence means nothing */
    int order_fd;
    ev_io reports;
    ev_timer listen, tick, goodbye;
    int64_t leave_by_ms; /* 0: it stays */
    ev_signal terminate, interrupt;
};

/* ---- manager.c ---- */

void manager_order(struct manager *manager);   /* the parent: this many are yours */
void manager_changed(struct manager *manager); /* the parent and the other managers are told */

/* ---- size.c ---- */

/* Nobody has said how many: the settings do. */
void manager_size_begin(struct manager *manager);
/* Somebody says how it is to be; a wish for nothing changes nothing. */
void manager_size_wish(struct manager *manager, const struct pool_wish *wish, enum pool_why why);
/* Another manager's word; true when it is news. */
bool manager_size_hear(struct manager *manager, const struct pool_size *size);
/* Once a second: the size follows what waits. */
void manager_size_follow(struct manager *manager);

/* ---- talk.c ---- */

enum err manager_talk_connect(struct manager *manager) MUST_CHECK;
bool manager_may_speak(const struct manager *manager);
void manager_announce(struct manager *manager, bool asks);
/* So that the others take its partitions over now, and not when they miss it. */
void manager_declare_dead(struct manager *manager, pid_t pid);

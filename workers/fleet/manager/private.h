#pragma once
/* What the files of the manager share.
 *
 *   manager.c  the loop, the parent, the timers
 *   talk.c     what the manager says and hears over `control`
 *   size.c     how many workers the pool should have */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/process/pulse.h"
#include "workers/fleet/manager/autoscale.h"
#include "workers/fleet/manager/load.h"
#include "workers/fleet/manager/manager.h"
#include "workers/fleet/manager/strays.h"
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
    struct strays *strays;
    struct autoscale autoscale;
    struct buf text;
    char queue[MANAGER_NAME_SIZE]; /* of this connection */
    char decided
        [MANAGER_NAME_SIZE]; /* correlation id of the last request with conditions that it carried out */
    int64_t bound_ms;
    bool hears_requests; /* of operators, too: it knows the other managers by now */
    bool is_bound;       /* it hears all messages of `control` that are meant for it */
    bool is_frozen;      /* no other manager can be heard, so silence means nothing */
    int order_fd;
    ev_io reports;
    ev_timer settle; /* after the binding, until it has heard of the others */
    ev_timer listen, tick, farewell;
    int64_t leave_by_ms; /* 0: it does not leave */
    ev_signal terminate, interrupt;
};

/* ---- manager.c ---- */

void manager_order(struct manager *manager);   /* tells the parent how many workers are its share */
void manager_changed(struct manager *manager); /* tells the parent and the other managers */

/* ---- size.c ---- */

/* No other manager has said how many are wanted: the settings do. */
void manager_size_begin(struct manager *manager);
/* Sets the size as somebody wishes. An empty wish changes nothing. */
void manager_size_wish(struct manager *manager, const struct pool_wish *wish, enum pool_why why,
                       int64_t wall_ms);
/* What another manager says; true when the size has changed. */
bool manager_size_hear(struct manager *manager, const struct pool_size *size);
/* Lets the size follow what waits. Call it once a second. */
void manager_size_follow(struct manager *manager);

/* ---- talk.c ---- */

enum err manager_talk_connect(struct manager *manager) MUST_CHECK;
bool manager_may_speak(const struct manager *manager);
void manager_announce(struct manager *manager, bool asks);
/* Takes requests of operators from now on, if it knows the size of the pool and has had time to hear of the
 * others. */
void manager_hear_requests(struct manager *manager);
/* Says that a worker died, so that the others take over its partitions now and not after its silence. */
void manager_declare_dead(struct manager *manager, pid_t pid);

#pragma once
/* What worker.c and worker_broker.c share.
 *
 *   worker.c         makes the parts and ties them together; the turn of the loop; what becomes of a command
 *   worker_broker.c  the two connections to the broker: one takes commands, the other publishes results and events
 */

#include "common/broker/broker.h"
#include "common/db/db.h"
#include "workers/engine/batch/batch.h"
#include "workers/engine/batch/plan_cache.h"
#include "workers/engine/feed/feed.h"
#include "workers/engine/housekeeping/housekeeping.h"
#include "workers/engine/intake/backlog.h"
#include "workers/engine/intake/intake.h"
#include "workers/engine/long_jobs/long_jobs.h"
#include "workers/engine/outbox/acks.h"
#include "workers/engine/outbox/outbox.h"
#include "workers/engine/outgoing/outgoing.h"
#include "workers/engine/resource/schema_check.h"
#include "workers/engine/secrets/secrets.h"
#include "workers/engine/worker.h"
#include "workers/fleet/members/members.h"
#include "workers/fleet/members/partitions.h"

enum { WORKER_NAME_SIZE = 160 }; /* of a connection */

struct worker {
    struct ev_loop *loop;
    const struct config *config;
    const char *pool;
    struct handlers *handlers;
    struct broker *consumer, *publisher;
    struct db *db;
    struct intake *intake;
    struct batch *batch;
    struct gateways *gateways;
    struct outbox *outbox;
    struct acks *acks;
    struct partitions *partitions;
    struct members *members;
    struct partition_set set; /* the partitions whose commands are ours to run */
    struct backlog *backlog;
    struct plan_cache *plan_cache;
    struct housekeeping *housekeeping;
    ev_timer pause; /* active while no batch is begun, because the database is in trouble */
    double pause_s;
    struct long_jobs *long_jobs;
    struct feed *feed;
    struct outgoing *outgoing;
    ev_prepare turn;
    ev_timer deadline;
    struct schema_check *schema_check; /* until it is complete the worker takes no partition */
    bool is_declared;  /* the queues are, and so the broker agrees with our number of partitions */
    bool cannot_start; /* it does not: the loop ends, and so does the process */
    bool is_draining;
    struct secrets *secrets;
};

/* worker_broker.c: both connections. */
enum err worker_connect_broker(struct worker *w) MUST_CHECK;

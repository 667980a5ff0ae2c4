#pragma once
/* Inside of the worker: for worker.c and worker_broker.c only.
 *
 *   worker.c         the turn of the loop, what becomes of a command, the parts and how they hear of each other
 *   worker_broker.c  its two connections to the broker: one takes commands, one tells what came of them
 */

#include "common/broker/broker.h"
#include "common/db/db.h"
#include "workers/engine/batch/batch.h"
#include "workers/engine/batch/plan_cache.h"
#include "workers/engine/housekeeping/housekeeping.h"
#include "workers/engine/intake/backlog.h"
#include "workers/engine/intake/intake.h"
#include "workers/engine/long_jobs/long_jobs.h"
#include "workers/engine/outbox/acks.h"
#include "workers/engine/outbox/outbox.h"
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
    struct outbox *outbox;
    struct acks *acks;
    struct partitions *partitions;
    struct members *members;
    struct partition_set set; /* those whose rows are ours to run */
    struct backlog *backlog;
    struct plan_cache *plan_cache;
    struct housekeeping *housekeeping;
    ev_timer pause; /* of all work: the database is in trouble */
    double pause_s;
    struct long_jobs *long_jobs;
    ev_prepare turn;
    ev_timer deadline;
    bool has_had_database; /* who never reached it takes no partition */
    bool is_draining;
};

/* worker_broker.c: both connections. */
enum err worker_connect_broker(struct worker *w) MUST_CHECK;

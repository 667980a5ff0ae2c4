#pragma once
/* The bound: the bare chain that the gateway and the worker are measured against, in two processes, so that
 * two cores can work:
 *
 *   publisher ──command, confirmed──▶ `commands` ──▶ quorum queue ──▶ worker ──a batch──▶ PostgreSQL
 *       ▲                                                              │
 *       └── exclusive classic queue ◀── `events` ◀──event, confirmed───┘ then the command is acked
 *
 * The same messages, queue arguments and rows as for a project.create through the API, one transaction a
 * batch; no HTTP, no JSON, no checks. Commands that are there at once travel as one message, and so do the
 * events of a batch (bound_parcel.h). An operation lasts from its publish to the arrival of its event. */

#include <stdint.h>

#include "common/base/uuid.h"

/* A company of its own: the chain never waits for a row that the real worker has locked. */
#define BOUND_COMPANY "00000000-0000-7000-8000-0000000b0b0d"
/* And a queue of its own, beside the pools': one, as the commands of one company all go to one. */
#define BOUND_QUEUE       "commands.bound"
#define BOUND_ROUTING_KEY "bound.00.project.create"

enum {
    BOUND_NAME_LEN = 24,   /* of a project */
    BOUND_BATCH_MAX = 128, /* as CORTEX_BATCH_MAX */
    BOUND_PREFETCH = 512,
};

struct bound_options {
    const char *amqp_url, *database_url, *database_role;
    int64_t in_flight;
    int64_t rate;   /* operations per second at fixed times, latency counted from those; 0: closed loop */
    int64_t parcel; /* commands or events in one message, at most */
    int64_t duration_s, warmup_s;
    bool json;
};

/* Declares what both sides need; prints the report. Returns when the time is over. */
void bound_publisher(const struct bound_options *options);
/* Deletes the queue with what an interrupted run has left in it; before wire_take. */
struct wire;
void bound_forget_queue(struct wire *wire);
/* Runs until it is killed; writes one octet to `ready_fd` when it consumes. */
void bound_worker(const struct bound_options *options, int ready_fd);

extern const struct slice bound_body_head, bound_body_tail; /* msgpack around the name */

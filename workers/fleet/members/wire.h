#pragma once
/* What is said about the workers of a pool on the exchange `control`, under the key member.<pool>; JSON.
 *
 *   A worker says of itself, each second, at once when something changes, and when it hears a new worker:
 *       {"id", "host", "pid", "slots": true, "parcels": true, "to_gateways": true, "sent", "able"?, "troubled"?,
 *        "deaf"?, "lacking"?, "has_parcels"?, "holding": [partitions], "open": commands, "percent_a_delivery",
 *        "oldest_ms",
 *        "parked": rows}
 *   "slots": its events have the key of their slot; gateways look for it (gateway/bus/upgrade.h).
 *   "to_gateways": they come to `events.gateways`; likewise.
 *   "parcels": it reads parcels; gateways look for it (gateway/bus/parcel_readers.h).
 *   A manager (workers/fleet/manager/wire.h) says of a worker of its host that died:
 *       {"host", "pid", "gone": true} */

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/process/host.h"

enum { MEMBER_MESSAGE_MAX = 4096 };

/* What a worker says of its work. */
struct member_report {
    bool is_able;     /* it can work, so partitions may be meant for it */
    uint64_t holding; /* partitions, bit by bit */
    size_t open;      /* commands that were delivered to it and are not done */
    /* Commands in a delivery, on average and of late, in hundredths; 0: it does not say, so 100. What waits in its
     * queues is as many times as many commands as the broker counts messages. */
    unsigned percent_a_delivery;
    int64_t oldest_ms; /* since the oldest of them was delivered */
    size_t parked;     /* commands of its partitions that it knows to be parked in `deferred` */
    bool has_parcels;  /* parcels came to it lately, so more of them may wait in the queues of the pool */
    bool is_deaf;      /* requests of operators do not come in */
    bool is_lacking;   /* the database lacks what this worker needs, so it begins nothing */
    bool is_troubled;  /* it waits for the database, which is away or in trouble */
};

struct member_announcement {
    struct uuid id;
    char host[HOST_SIZE];
    pid_t pid;
    int64_t sent_ms; /* by the monotonic clock of the sender's host: only the sender can compare it */
    bool reads_parcels;
    struct member_report report;
};

struct member_death {
    char host[HOST_SIZE];
    pid_t pid;
};

void member_write(struct buf *out, const struct member_announcement *announcement);

enum member_message { MEMBER_UNREADABLE, MEMBER_ANNOUNCES, MEMBER_DIED };
/* Fills in the struct that belongs to the message it returns. */
enum member_message member_read(struct slice body, struct member_announcement *ret_announcement,
                                struct member_death *ret_death);

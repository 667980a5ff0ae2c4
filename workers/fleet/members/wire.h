#pragma once
/* What is said of the workers of a pool on the exchange `control`, under the key member.<pool>; JSON.
 *
 *   of itself, each second, at once when something changes, and when somebody new is heard:
 *       {"id", "host", "pid", "sent", "able"?, "troubled"?, "holding": [partitions], "open": deliveries, "oldest_ms",
 *        "parked": rows}
 *   of a worker that died, by its manager (wire.h):
 *       {"host", "pid", "gone": true} */

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/process/host.h"

enum { MEMBER_MESSAGE_MAX = 4096 };

/* What a worker says of its work. */
struct member_report {
    bool is_able;      /* it can do work: partitions may be meant for it */
    uint64_t holding;  /* partitions, bit by bit */
    size_t open;       /* deliveries that it has not acked */
    int64_t oldest_ms; /* since the oldest of them came */
    size_t parked;     /* commands of its partitions that it knows to wait in `deferred` for their turn */
    bool is_troubled;  /* the database is not there, or unable: it waits for that */
};

struct member_announcement {
    struct uuid id;
    char host[HOST_SIZE];
    pid_t pid;
    int64_t sent_ms; /* by a clock that only the sender knows */
    struct member_report report;
};

struct member_death {
    char host[HOST_SIZE];
    pid_t pid;
};

void member_write(struct buf *out, const struct member_announcement *announcement);

enum member_message { MEMBER_UNREADABLE, MEMBER_ANNOUNCES, MEMBER_DIED };
/* Fills the one of the two that it is. */
enum member_message member_read(struct slice body, struct member_announcement *ret_announcement,
                                struct member_death *ret_death);

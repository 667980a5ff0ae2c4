#pragma once
/* Who has written lately, in any gateway process. Where reads go to a replica, these users read from the primary,
 * since a replica may not have what they wrote yet. They exist only beside a replica (CORTEX_READ_DATABASE_URL).
 *
 *   command sent, answered ─▶ writers_note ─▶ one message a turn of the loop ─▶ exchange `events` ─▶ every process
 *
 * A process tells the others when the command is sent, and again when its answer comes more than WRITERS_AGAIN_S
 * later. So they know before the client does, unless a message overtakes the whole way of a command through the
 * broker, a worker and the database. A process keeps a user for WRITERS_KEPT_S after it last heard of it, which is
 * five seconds more than the others may be late with saying it again.
 *
 * Why so: processes share no memory; a cookie or a position in an answer serves only clients that send it back;
 * asking the replica how late it is costs a query for every read, and does not say what the client has seen. */

#include "common/base/uuid.h"
#include "gateway/gateway.h"

struct writers;

#define WRITERS_KEY  "gateways.writers" /* every process binds this key of the exchange `events` */
#define WRITERS_TYPE "writers"
enum {
    WRITERS_AGAIN_S = 2,
    WRITERS_KEPT_S = 5 + WRITERS_AGAIN_S,
    WRITERS_MAX = 200000, /* at 128 bytes; past it, everybody's reads go to the primary for WRITERS_KEPT_S */
};

struct writers *writers_new(struct gateway *gateway);
void writers_free(struct writers *writers); /* NULL is allowed */
/* Both do nothing without a replica: `writers` is NULL. */
void writers_note(struct writers *writers, const struct uuid *user);
bool writers_know(const struct writers *writers, const struct uuid *user);
/* From another process, or from this one. */
void writers_on_message(struct writers *writers, struct slice body);

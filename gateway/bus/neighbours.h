#pragma once
/* Which companies read in the other gateway processes. A company's expensive reads rest while others read
 * (common/db/db.h), wherever these others ask: all processes read from the same database.
 *
 *   a query ─▶ neighbours_tell ─▶ at most one message a second ─▶ exchange `events` ─▶ every process
 *
 * A message that is lost costs nothing but a second: the next one says it again. */

#include "gateway/gateway.h"

struct neighbours;

#define NEIGHBOURS_KEY  "gateways.neighbours" /* every process binds this key of the exchange `events` */
#define NEIGHBOURS_TYPE "neighbours"

struct neighbours *neighbours_new(struct gateway *gateway);
void neighbours_free(struct neighbours *neighbours);
/* After each query that was sent: tells the others now and then who reads here. */
void neighbours_tell(struct neighbours *neighbours);
/* From another process, or from this one. */
void neighbours_on_message(struct neighbours *neighbours, struct slice body);

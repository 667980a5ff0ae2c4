#pragma once
/* The names of exchanges and queues, and their declaration (design: RabbitMQ). Both sides declare the same
 * things, so either may start first.
 *
 *   commands (topic) ─ <pool>.<resource>.<verb> ─▶ commands.<pool> (quorum)
 *                                                      └─ rejected, over the limit ─▶ dead (topic) ─▶ dead.<pool> (quorum)
 *   events (topic) ─ <company>.<resource>.<verb>, reply.<gateway> ─▶ one exclusive classic queue per gateway process
 */

#include "common/broker.h"
#include "common/config.h"
#include "common/uuid.h"

#define EXCHANGE_COMMANDS "commands"
#define EXCHANGE_EVENTS   "events"
#define EXCHANGE_DEAD     "dead"
#define EXCHANGE_CONTROL  "control"

/* Every exchange, and for each pool its command queue and its dead letters, bound. Call from on_up. */
void topology_declare(struct broker *broker, const struct config *config);

/* The pool that runs commands of `resource` ("projects" for "project" and "task"); NULL when none does.
 * The one table of pools and their resources is in topology.c. */
const char *topology_pool(const char *resource);

/* "commands.projects" for a pool; writes at most `size` octets with the NUL. */
void topology_command_queue(const char *pool, char *name, size_t size);

/* A hash of the company. What is told apart by company (partitions, rows of `deferred`) is told apart by it. */
uint16_t topology_slot(const struct uuid *company);

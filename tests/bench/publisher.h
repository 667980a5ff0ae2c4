#pragma once
/* A process that publishes marked events (listener.h) to many companies in turn: as a worker does, through RabbitMQ, or by POST to a
 * server that has an interface of its own for it.
 *
 *   publisher_fork ─▶ (waits) ── publisher_begin ─▶ publishes at its rate, or while fewer than `window` events
 *                                                   are on their way to listeners ── end_us ─▶ exits
 */

#include <stdint.h>
#include <sys/types.h>

#include "common/base/uuid.h"

struct publisher_options {
    const struct uuid *companies;
    size_t company_count;
    const char *url; /* "http://host:port/…{company}…"; NULL: the broker */
    const char *amqp_url;
    int64_t posts; /* at once, to `url`; with more than one the order of events is anybody's */
    int64_t rate;  /* events a second to all companies together; 0: as `window` allows */
    int64_t window;
    int64_t size; /* octets of an event, about */
};

/* Shared with the publishing process. */
struct publisher_score {
    uint64_t published; /* events that were handed to the server or the broker */
    uint64_t arrived;   /* events that have reached all their listeners; the caller counts */
    int64_t begin_us, end_us;
};

struct publisher {
    pid_t pid;
    int wake_fd; /* eventfd: begin, or `arrived` has moved */
    struct publisher_score *score;
};

void publisher_fork(struct publisher *publisher, const struct publisher_options *options);
void publisher_begin(struct publisher *publisher, int64_t begin_us, int64_t end_us);
void publisher_wake(struct publisher *publisher); /* `arrived` has moved */
/* Waits for its end; ends this process with it when it failed. */
void publisher_join(struct publisher *publisher);

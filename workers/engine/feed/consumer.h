#pragma once
/* What follows from events in one pool. A pool that lives on events has one consumer, a row in consumers.c. A company is
 * in the feed of the pool from when its row of `feed` is made, by the transaction that makes the pool's interest in it:
 * that holds the lock of the company's sequence, so `seq` there says exactly where to begin. */

struct feed_consumer {
    const char *pool;
    /* Common table expressions that write what follows, each with a comma before it. They may read
     *   batch (company_id, seq, at, type, subject, project, actor, version, data)
     * the events that are passed now, of one company or several, each once in its life. They are part of one statement
     * and see the database as it was when that began. It is short: nobody waits for it, but the next events do. */
    const char *follows;
};

/* NULL: the pool has none. */
const struct feed_consumer *feed_consumer_of(const char *pool);

/* One of each pool that has one; consumers.c lists them. */
extern const struct feed_consumer webhooks_consumer; /* webhooks/consumer.c */

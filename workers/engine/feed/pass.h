#pragma once
/* The statement that passes events: it reads them behind the cursors of some companies, writes what follows from them,
 * and moves the cursors, all at once. A cursor that another transaction holds is left alone.
 *
 * `recent` reads only the partitions of the last day, of today and of the days ahead: ninety others cost more than the
 * events. It moves a cursor only when it sees every event behind it, without a gap; for a cursor that lies further back,
 * or behind which events have another time than their order says, `all` reads every partition. That one also moves past
 * events that are gone, and counts them. */

#include "common/db/db.h"
#include "workers/engine/feed/consumer.h"

struct pass {
    struct db_statement recent, all;
    char *recent_sql, *all_sql;
};

/* Parameters: $1 the pool, $2 companies, $3 most events of each. A row for each company whose cursor was not held: */
enum {
    PASS_COMPANY,
    PASS_COUNT, /* of events that were passed */
    PASS_LEFT,  /* of the events behind the cursor, as it is now */
    PASS_GONE,  /* of events that were passed over, because they are gone */
};

void pass_init(struct pass *pass, const struct feed_consumer *consumer);
void pass_done(struct pass *pass); /* after the connection that has used it */

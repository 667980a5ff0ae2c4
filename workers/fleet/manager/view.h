#pragma once
/* What a manager knows of its pool: who manages it on which host, and how many workers are wanted. No I/O.
 *
 *   size     wanted workers of the whole pool, and the bounds in which it changes by itself. Every manager says it with everything it says; the later word holds, so
 *            what one of them is told reaches all, and a manager that starts learns it from the first that it hears.
 *   share    what of it is this manager's: split evenly over the managers that live, in the order of their ids, the
 *            first ones having one more where it does not come out even.
 *
 * A manager is gone when it says that it leaves, or when it was silent for MANAGER_SILENT_MS. */

#include <jansson.h>

#include "common/base/uuid.h"
#include "workers/fleet/manager/pool_wire.h"

enum {
    MANAGER_SILENT_MS = 3500,
    MANAGER_PEERS_MAX = 128, /* hosts of one pool; beyond it they are not counted */
};

struct manager_peer {
    struct uuid id;
    int64_t heard_ms;
    json_t *said; /* its last announcement (wire.h) */
};

struct manager_view {
    struct uuid self;
    bool is_leaving; /* self has no share any more */
    struct pool_size size;
    struct manager_peer peers[MANAGER_PEERS_MAX]; /* without self, in the order of their ids */
    size_t peer_count;
};

void manager_view_init(struct manager_view *view, const struct uuid *self);
void manager_view_done(struct manager_view *view);

/* Takes the size when it is a later word than the one known; false when it is not. */
bool manager_view_adopt(struct manager_view *view, const struct pool_size *size);
/* A later word than all that are known; what does not fit is cut to 1 … POOL_WORKERS_MAX, and to min … max
 * where there are such. */
void manager_view_set(struct manager_view *view, const struct pool_wish *wish, enum pool_why why,
                      int64_t wall_ms);
/* What of a wish does not fit together with the rest: a sentence, and the field that it is about; NULL:
 * nothing. */
const char *manager_view_objection(const struct manager_view *view, const struct pool_wish *wish,
                                   const char **ret_field);

/* A peer's announcement; `said` is borrowed. True when who lives has changed. */
bool manager_view_hear(struct manager_view *view, const struct uuid *id, bool leaves, json_t *said,
                       int64_t now_ms);
/* Drops who was silent for too long; true when that was somebody. */
bool manager_view_expire(struct manager_view *view, int64_t now_ms);
/* After a time in which nobody could be heard: silence counts from now. */
void manager_view_thaw(struct manager_view *view, int64_t now_ms);

int manager_view_share(const struct manager_view *view);
/* What only one of them is to do is done by the first in the order of their ids. */
bool manager_view_is_first(const struct manager_view *view);

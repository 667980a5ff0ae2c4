#pragma once
/* What a manager knows of its pool: which managers live, and how many workers are wanted. No I/O.
 *
 *   size     the workers wanted in the whole pool, and the bounds in which the size follows what waits. Every announcement of
 *            a manager has it, and the latest one holds: so what one manager is told reaches all, and a new manager learns
 *            it from the first that it hears.
 *   share    the part of the size that is this manager's. The size is split evenly among the managers that live; in the
 *            order of their ids, the first ones have one more where it does not come out even.
 *
 * A manager is gone when it says that it leaves, or when it was silent for MANAGER_SILENT_MS. */

#include <jansson.h>

#include "common/base/uuid.h"
#include "workers/fleet/manager/pool_wire.h"

enum {
    MANAGER_SILENT_MS = 3500,
    MANAGER_PEERS_MAX = 128, /* hosts of one pool; more than that are not counted */
};

struct manager_peer {
    struct uuid id;
    int64_t heard_ms;
    json_t *said; /* its last announcement (wire.h) */
};

struct manager_view {
    struct uuid self;
    bool is_leaving; /* this manager has no share any more */
    struct pool_size size;
    struct manager_peer peers[MANAGER_PEERS_MAX]; /* without self, in the order of their ids */
    size_t peer_count;
};

void manager_view_init(struct manager_view *view, const struct uuid *self);
void manager_view_done(struct manager_view *view);

/* Takes the size if it is later than the known one; false when it is not. */
bool manager_view_adopt(struct manager_view *view, const struct pool_size *size);
/* Makes a size that is later than all known ones. Figures are cut to 1 … POOL_WORKERS_MAX, and to min … max
 * where the size has such bounds. */
void manager_view_set(struct manager_view *view, const struct pool_wish *wish, enum pool_why why,
                      int64_t wall_ms);
/* Why a wish cannot be met: a sentence, and the field that it is about. NULL when it can. */
const char *manager_view_objection(const struct manager_view *view, const struct pool_wish *wish,
                                   const char **ret_field);

/* The announcement of another manager; `said` is borrowed. True when the set of living managers has
 * changed. */
bool manager_view_hear(struct manager_view *view, const struct uuid *id, bool leaves, json_t *said,
                       int64_t now_ms);
/* Drops the managers that were silent for too long; true when there was one. */
bool manager_view_expire(struct manager_view *view, int64_t now_ms);
/* After a time in which no manager could be heard: silence counts from now. */
void manager_view_thaw(struct manager_view *view, int64_t now_ms);

int manager_view_share(const struct manager_view *view);
/* The first manager in the order of ids does what only one of them is to do. */
bool manager_view_is_first(const struct manager_view *view);

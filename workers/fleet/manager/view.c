#include "workers/fleet/manager/view.h"

#include <string.h>

void manager_view_init(struct manager_view *view, const struct uuid *self)
{
    *view = (struct manager_view){.self = *self};
}

static void drop(struct manager_view *view, size_t at)
{
    json_decref(view->peers[at].said);
    view->peer_count--;
    memmove(&view->peers[at], &view->peers[at + 1], (view->peer_count - at) * sizeof(*view->peers));
}

void manager_view_done(struct manager_view *view)
{
    while (view->peer_count > 0)
        drop(view, view->peer_count - 1);
}

/* ---- size ---- */

static bool is_later(const struct pool_size *size, const struct pool_size *than)
{
    if (size->version != than->version)
        return size->version > than->version;
    return memcmp(size->set_by, than->set_by, sizeof(size->set_by)) > 0;
}

bool manager_view_adopt(struct manager_view *view, const struct pool_size *size)
{
    if (size->wanted < 1 || size->wanted > POOL_WORKERS_MAX || size->min < 0 || size->max < 0 ||
        size->max > POOL_WORKERS_MAX || size->min > POOL_WORKERS_MAX || !is_later(size, &view->size))
        return false;
    view->size = *size;
    return true;
}

static int32_t within(int32_t n, int32_t min, int32_t max)
{
    return n < min ? min : n > max ? max : n;
}

/* The size with the wish in it, whether or not its members fit together. */
static struct pool_size size_with(const struct manager_view *view, const struct pool_wish *wish)
{
    struct pool_size size = view->size;
    size.wanted = wish->wanted == POOL_UNSAID ? size.wanted : wish->wanted;
    size.min = wish->min == POOL_UNSAID ? size.min : wish->min;
    size.max = wish->max == POOL_UNSAID ? size.max : wish->max;
    size.min = size.min < 1 ? 1 : size.min;
    return size;
}

void manager_view_set(struct manager_view *view, const struct pool_wish *wish, enum pool_why why,
                      int64_t wall_ms)
{
    struct pool_size size = size_with(view, wish);
    size.max = within(size.max, 0, POOL_WORKERS_MAX);
    size.min = within(size.min, 1, size.max > 0 ? size.max : POOL_WORKERS_MAX);
    size.wanted =
        within(size.wanted, size.max > 0 ? size.min : 1, size.max > 0 ? size.max : POOL_WORKERS_MAX);
    size.version++;
    memcpy(size.set_by, view->self.octet, sizeof(size.set_by));
    size.why = (int32_t)why;
    if (size.wanted != view->size.wanted)
        size.resized_ms = wall_ms;
    size.changed_ms = wall_ms > size.changed_ms ? wall_ms : size.changed_ms + 1;
    view->size = size;
}

const char *manager_view_objection(const struct manager_view *view, const struct pool_wish *wish,
                                   const char **ret_field)
{
    struct pool_size size = size_with(view, wish);
    if (size.max == 0)
        return NULL;
    *ret_field = wish->max == POOL_UNSAID ? "min" : "max";
    if (size.min > size.max)
        return "min must not be above max";
    *ret_field = "wanted";
    if (wish->wanted != POOL_UNSAID && (size.wanted < size.min || size.wanted > size.max))
        return "must lie between min and max, which can be set with it";
    return NULL;
}

/* ---- living managers ---- */

/* Where the id is, or where it would be inserted. */
static size_t index_of(const struct manager_view *view, const struct uuid *id)
{
    size_t at = 0;
    while (at < view->peer_count && memcmp(&view->peers[at].id, id, sizeof(*id)) < 0)
        at++;
    return at;
}

static bool add(struct manager_view *view, size_t at, const struct manager_peer *peer)
{
    if (view->peer_count == MANAGER_PEERS_MAX)
        return false;
    memmove(&view->peers[at + 1], &view->peers[at], (view->peer_count - at) * sizeof(*view->peers));
    view->peers[at] = *peer;
    json_incref(peer->said);
    view->peer_count++;
    return true;
}

bool manager_view_hear(struct manager_view *view, const struct uuid *id, bool leaves, json_t *said,
                       int64_t now_ms)
{
    size_t at = index_of(view, id);
    bool is_known = at < view->peer_count && uuid_equal(&view->peers[at].id, id);
    if (leaves && is_known)
        drop(view, at);
    if (leaves || uuid_equal(id, &view->self))
        return leaves && is_known;
    if (!is_known)
        return add(view, at, &(struct manager_peer){.id = *id, .heard_ms = now_ms, .said = said});
    view->peers[at].heard_ms = now_ms;
    json_decref(view->peers[at].said);
    view->peers[at].said = json_incref(said);
    return false;
}

bool manager_view_expire(struct manager_view *view, int64_t now_ms)
{
    size_t before = view->peer_count;
    for (size_t at = view->peer_count; at-- > 0;)
        if (now_ms - view->peers[at].heard_ms >= MANAGER_SILENT_MS)
            drop(view, at);
    return view->peer_count != before;
}

void manager_view_thaw(struct manager_view *view, int64_t now_ms)
{
    for (size_t at = 0; at < view->peer_count; at++)
        view->peers[at].heard_ms = now_ms;
}

/* ---- the split ---- */

bool manager_view_is_first(const struct manager_view *view)
{
    return !view->is_leaving && index_of(view, &view->self) == 0;
}

int manager_view_share(const struct manager_view *view)
{
    if (view->is_leaving)
        return 0;
    int managers = (int)view->peer_count + 1, rank = (int)index_of(view, &view->self);
    return view->size.wanted / managers + (rank < view->size.wanted % managers ? 1 : 0);
}

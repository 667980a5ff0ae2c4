#include "gateway/hub/private.h"

#include "common/base/clock.h"

/* The ties of one user to projects (ties.h), for its subscriptions to the company's channel whose role sees the stream
 * under a condition. All subscriptions of a user share them, and no event costs a query: they are read once, and again
 * when an event may have changed them.
 *
 *   UNKNOWN ── read ──▶ READY ── an event that may change them ──▶ STALE ── read again ──▶ READY
 *                                                                      (subscribers are held back, and then get
 *                                                                       what came meanwhile as they see it now)
 *
 * So neither a new member's first events are missing, nor does anybody see an event that came after a membership's end.
 * What changes without an event, as by the end of a date, is found by looking again now and then. */

enum { RETRY_S = 1, LOOKS = 32 /* views that are read again in one check of the company */ };

static void resume(struct view *view);

/* ---- the life of a view ---- */

static struct view *view_of(struct uuid_node *node)
{
    return CONTAINER_OF(node, struct view, node);
}

struct view *view_obtain(struct tenant *tenant, const struct uuid *user)
{
    struct uuid_node *node = uuid_map_find(&tenant->views, user);
    if (node)
        return view_ref(view_of(node));
    struct view *view = xcalloc(1, sizeof(*view));
    view->node.key = *user;
    view->tenant = tenant;
    view->refs = 1;
    uuid_map_insert(&tenant->views, &view->node);
    return view;
}

struct view *view_ref(struct view *view)
{
    if (view)
        view->refs++;
    return view;
}

static void leave_tenant(struct view *view)
{
    hub_query_forget(&view->query);
    if (view->tenant)
        uuid_map_remove(&view->tenant->views, &view->node);
    view->tenant = NULL;
}

void view_unref(struct view *view)
{
    if (!view || --view->refs > 0)
        return;
    leave_tenant(view);
    ties_done(&view->ties);
    free(view);
}

static void orphan(struct uuid_node *node, void *unused)
{
    (void)unused;
    leave_tenant(view_of(node));
}

void views_done(struct tenant *tenant)
{
    uuid_map_each(&tenant->views, orphan, NULL);
    uuid_map_done(&tenant->views);
}

bool view_is_ready(const struct view *view)
{
    return view->is_known && !view->is_stale;
}

/* ---- those that look through it ---- */

/* Calls `visit` for each subscriber of the view on one list. It may take that subscriber off, and no other. */
static void each_of(struct view *view, struct subscriber *list,
                    void (*visit)(struct subscriber *subscriber, enum err err), enum err err)
{
    for (struct subscriber *subscriber = list, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (subscriber->view == view)
            visit(subscriber, err);
    }
}

static void drop(struct subscriber *subscriber, enum err err)
{
    bool has_begun = subscriber->state != SUBSCRIBER_WAITING;
    subscriber_leave(subscriber);
    if (has_begun)
        subscriber->protocol->on_lost(subscriber);
    else
        subscriber->protocol->on_refused(subscriber, err);
}

static void refuse(struct subscriber *subscriber, enum err err)
{
    if (subscriber->state == SUBSCRIBER_WAITING)
        drop(subscriber, err);
}

static void go_on(struct subscriber *subscriber, enum err unused)
{
    (void)unused;
    start_go_on(subscriber);
}

/* ---- reading ---- */

static void too_many(struct view *view)
{
    struct channel *channel = view->tenant->company_channel;
    log_warn("hub.ties_too_many", LOG_S("company", view->tenant->company), LOG_I("most", TIES_MAX));
    if (channel) {
        each_of(view, channel->live, drop, ERR_FORBIDDEN);
        each_of(view, channel->waiting, drop, ERR_FORBIDDEN);
    }
}

static void on_failure(struct view *view, enum err err)
{
    struct channel *channel = view->tenant->company_channel;
    if (view->is_known)
        tenant_schedule_check(view->tenant, RETRY_S);
    else if (channel)
        each_of(view, channel->waiting, refuse, err);
}

static void take_ties(struct view *view, const struct db_result *result, bool again)
{
    struct ties ties;
    if (!ties_read(&ties, result)) {
        too_many(view);
        return;
    }
    ties_done(&view->ties);
    view->ties = ties;
    view->is_known = true;
    view->read_at = clock_monotonic_s();
    if (!again) {
        view->is_stale = false;
        resume(view);
    } else if (view_ask(view)) {
        tenant_schedule_check(view->tenant, RETRY_S);
    }
}

static void on_ties(void *owner, struct db_result *result)
{
    struct view *view = view_ref(owner); /* its last subscriber may leave inside */
    enum err err = db_result_error(result);
    bool again = view->again;
    view->again = false;
    if (err)
        on_failure(view, err);
    else
        take_ties(view, result, again);
    view_unref(view);
}

enum err view_ask(struct view *view)
{
    char user[UUID_TEXT_LEN + 1];
    if (view->query)
        return ERR_OK;
    uuid_format(&view->node.key, user);
    struct slice company = slice_of(view->tenant->company);
    const struct slice params[] = {company, {user, UUID_TEXT_LEN}};
    return hub_query_send(view->tenant->hub, company, ties_statement(), params, ARRAY_LEN(params), on_ties,
                          view, &view->query);
}

/* What came while they were held back is still in memory, unless there was much of it: then they are lost, and come
 * again with their position. */
static void resume(struct view *view)
{
    struct tenant *tenant = view->tenant;
    struct channel *channel = tenant->company_channel;
    if (!channel)
        return;
    if (view->held_at < tenant->flushed && !stream_covers(&tenant->stream, view->held_at))
        each_of(view, channel->live, drop, ERR_OK);
    else
        channel_deliver_held(channel, view);
    each_of(view, channel->waiting, go_on, ERR_OK);
    channel_proceed(channel);
}

/* ---- what changes it ---- */

struct look {
    const struct publication *publication;
    int64_t after;
};

/* While the answer is on its way the ties are not known that it will have. */
static void look_at(struct uuid_node *node, void *arg)
{
    struct view *view = view_of(node);
    const struct look *look = arg;
    const struct publication *publication = look->publication;
    if (!ties_change(view->query ? NULL : &view->ties, &node->key, publication->body->slice,
                     publication->has_project ? &publication->project : NULL))
        return;
    if (!view->is_stale)
        view->held_at = look->after;
    view->is_stale = true;
    if (view->query)
        view->again = true;
    else if (view_ask(view))
        tenant_schedule_check(view->tenant, RETRY_S);
}

void views_look(struct tenant *tenant, int64_t after)
{
    struct look look = {.after = after};
    for (int64_t seq = after + 1; tenant->views.count > 0 && seq <= tenant->stream.last; seq++) {
        look.publication = stream_recent(&tenant->stream, seq);
        if (ties_may_change(look.publication->body->slice))
            uuid_map_each(&tenant->views, look_at, &look);
    }
}

struct check {
    ev_tstamp before;
    int left;
};

static void read_again(struct uuid_node *node, void *arg)
{
    struct view *view = view_of(node);
    struct check *check = arg;
    if (view->query || (!view->is_stale && (check->left == 0 || view->read_at > check->before)))
        return;
    if (view_ask(view))
        tenant_schedule_check(view->tenant, RETRY_S);
    else if (!view->is_stale)
        check->left--;
}

void views_check(struct tenant *tenant)
{
    ev_tstamp interval = (ev_tstamp)tenant->hub->gateway->config->position_check_ms / 1000.;
    struct check check = {.before = clock_monotonic_s() - interval, .left = LOOKS};
    uuid_map_each(&tenant->views, read_again, &check);
}

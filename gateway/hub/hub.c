#include "gateway/hub/hub.h"

#include "gateway/bus/commands.h"
#include "gateway/hub/private.h"

/* Events. */

/* The progress of a long job. It has no seq, and only subscribers of the job's channel get it. */
static void on_progress(struct tenant *tenant, const struct event *event)
{
    struct uuid_node *node = event->has_subject ? uuid_map_find(&tenant->operations, &event->subject) : NULL;
    if (!node)
        return;
    struct publication publication = {.body = event_text_on_one_line(bytes_copy(event->body))};
    channel_send(CONTAINER_OF(node, struct channel, node), &publication);
    bytes_unref(publication.body);
}

void hub_on_event(struct hub *hub, const struct event *event)
{
    struct tenant *tenant = event_is_reply_alone(event) ? NULL : hub_tenant(hub, &event->company);
    if (tenant && event->seq == 0)
        on_progress(tenant, event);
    if (!tenant || event->seq <= 0 || event->seq <= tenant->stream.last)
        return;
    struct publication publication = {
        .seq = event->seq,
        .has_project = event->has_project,
        .project = event->project,
        .body = event_text_on_one_line(bytes_copy(event->body)),
    };
    (void)stream_offer(&tenant->stream, publication); /* an event that it drops is read later, as a gap */
    catch_up_progress(tenant);
}

void hub_on_watched(struct hub *hub, const struct uuid *company)
{
    struct tenant *tenant = hub_tenant(hub, company);
    if (tenant && hub->listener)
        hub->listener->on_tenant_bound(tenant);
    /* Events may have been published after the first query for the position and before the binding. */
    if (tenant && catch_up_check(tenant) != ERR_OK)
        tenant_schedule_check(tenant, READ_RETRY_MAX_MS / 1000.);
}

static void check_soon(struct uuid_node *node, void *arg)
{
    struct tenant *tenant = CONTAINER_OF(node, struct tenant, node);
    const ev_tstamp *spread = arg;
    tenant_schedule_check(tenant, *spread * erand48(tenant->hub->random));
}

void hub_on_reconnect(struct hub *hub)
{
    /* About a thousand queries a second, whatever the number of companies. */
    ev_tstamp spread = (ev_tstamp)hub->tenants.count / 1000.;
    uuid_map_each(&hub->tenants, check_soon, &spread);
}

/* Subscribing. */

void hub_subscribe(struct hub *hub, struct subscriber *subscriber, const struct hub_request *request)
{
    bool is_anothers = request->kind == CHANNEL_COMPANY && !uuid_equal(&request->id, &request->company);
    if (is_anothers || !right_is_possible(request->kind, request->role)) {
        subscriber->protocol->on_refused(subscriber, ERR_FORBIDDEN);
        return;
    }
    struct tenant *tenant = hub_tenant(hub, &request->company);
    if (!tenant)
        tenant = tenant_new(hub, &request->company);
    struct channel *channel = channel_obtain(tenant, request);
    subscriber->role = request->role;
    subscriber->user = request->user;
    subscriber->start = start_new(subscriber, request);
    subscriber_enter(subscriber, channel, SUBSCRIBER_WAITING);
    channel_proceed(channel);
}

void hub_unsubscribe(struct subscriber *subscriber)
{
    if (subscriber->state != SUBSCRIBER_OUT)
        subscriber_leave(subscriber);
}

bool hub_knows_presence(const struct subscriber *subscriber)
{
    return !subscriber->view;
}

bool hub_position(const struct subscriber *subscriber, const char **ret_epoch, int64_t *ret_offset)
{
    if (subscriber->state != SUBSCRIBER_LIVE)
        return false;
    const struct tenant *tenant = subscriber->channel->tenant;
    *ret_epoch = tenant->epoch;
    const struct view *view = subscriber->view;
    int64_t sent =
        view && view->is_stale && view->held_at < tenant->flushed ? view->held_at : tenant->flushed;
    *ret_offset = subscriber->after > sent ? subscriber->after : sent;
    return true;
}

/* The turn of the loop. */

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)loop;
    (void)events;
    struct hub *hub = CONTAINER_OF(prepare, struct hub, turn);
    while (hub->dirty) {
        struct tenant *tenant = hub->dirty;
        hub->dirty = tenant->next_dirty;
        tenant->dirty = false;
        tenant_flush(tenant);
        tenant_sweep(tenant);
    }
}

struct hub *hub_new(struct gateway *gateway)
{
    struct hub *hub = xcalloc(1, sizeof(*hub));
    hub->gateway = gateway;
    struct uuid seed = uuid_v7();
    memcpy(hub->random, seed.octet + sizeof(seed) - sizeof(hub->random), sizeof(hub->random));
    uuid_map_init(&hub->tenants);
    ev_prepare_init(&hub->turn, on_turn);
    ev_set_priority(&hub->turn, EV_MAXPRI); /* before the connections write their output */
    ev_prepare_start(gateway->loop, &hub->turn);
    return hub;
}

static void free_tenant(struct uuid_node *node, void *unused)
{
    (void)unused;
    tenant_free(CONTAINER_OF(node, struct tenant, node));
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    uuid_map_each(&hub->tenants, free_tenant, NULL);
    uuid_map_done(&hub->tenants);
    hub_queries_detach(hub);
    ev_prepare_stop(hub->gateway->loop, &hub->turn);
    free(hub);
}

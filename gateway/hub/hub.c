#include "gateway/hub/hub.h"

#include "common/base/clock.h"
#include "gateway/bus/commands.h"
#include "gateway/hub/private.h"

/* Tenants. */

static void detach(struct channel *channel, void *unused)
{
    (void)unused;
    while (channel->live)
        subscriber_leave(channel->live);
    while (channel->waiting)
        subscriber_leave(channel->waiting);
}

static void free_channel(struct channel *channel, void *unused)
{
    (void)unused;
    channel_free(channel);
}

static void tenant_free(struct tenant *tenant)
{
    struct ev_loop *loop = tenant->hub->gateway->loop;
    tenant_each_channel(tenant, detach, NULL);
    tenant_each_channel(tenant, free_channel, NULL);
    presence_tenant_goes(tenant);
    uuid_map_remove(&tenant->hub->tenants, &tenant->node);
    uuid_map_done(&tenant->projects);
    uuid_map_done(&tenant->sets);
    uuid_map_done(&tenant->operations);
    hub_query_forget(&tenant->position_query);
    hub_query_forget(&tenant->fill_query);
    ev_timer_stop(loop, &tenant->check);
    ev_timer_stop(loop, &tenant->gap);
    stream_done(&tenant->stream);
    free(tenant);
}

struct visit_channel {
    void (*visit)(struct channel *channel, void *arg);
    void *arg;
};

static void visit_channel(struct uuid_node *node, void *arg)
{
    const struct visit_channel *visit = arg;
    visit->visit(CONTAINER_OF(node, struct channel, node), visit->arg);
}

void tenant_each_channel(struct tenant *tenant, void (*visit)(struct channel *channel, void *arg), void *arg)
{
    struct visit_channel each = {visit, arg};
    if (tenant->company_channel)
        visit(tenant->company_channel, arg);
    uuid_map_each(&tenant->projects, visit_channel, &each);
    uuid_map_each(&tenant->sets, visit_channel, &each);
    uuid_map_each(&tenant->operations, visit_channel, &each);
}

void tenant_touch(struct tenant *tenant)
{
    if (tenant->dirty)
        return;
    tenant->dirty = true;
    tenant->next_dirty = tenant->hub->dirty;
    tenant->hub->dirty = tenant;
}

static void lose_subscribers(struct channel *channel, void *unused)
{
    (void)unused;
    struct subscriber *subscriber;
    while ((subscriber = channel->live ? channel->live : channel->waiting)) {
        subscriber_leave(subscriber);
        subscriber->protocol->on_lost(subscriber);
    }
}

void tenant_lost(struct tenant *tenant, const char *why)
{
    log_warn("hub.stream_lost", LOG_S("company", tenant->company), LOG_S("why", why),
             LOG_I("seq", tenant->stream.last), LOG_I("subscribers", tenant->subscribers));
    tenant->epoch[0] = '\0';
    stream_done(&tenant->stream);
    stream_init(&tenant->stream);
    tenant->flushed = STREAM_UNKNOWN;
    hub_query_forget(&tenant->fill_query);
    hub_position_progress(tenant);
    tenant_each_channel(tenant, lose_subscribers, NULL);
}

static void schedule_check(struct tenant *tenant, ev_tstamp seconds)
{
    struct ev_loop *loop = tenant->hub->gateway->loop;
    ev_timer_stop(loop, &tenant->check);
    ev_timer_set(&tenant->check, seconds, 0.);
    ev_timer_start(loop, &tenant->check);
}

/* Between three quarters and five quarters of the interval, so that companies do not ask in step. */
static ev_tstamp check_interval(const struct tenant *tenant)
{
    ev_tstamp interval = (ev_tstamp)tenant->hub->gateway->config->position_check_ms / 1000.;
    return interval * (0.75 + 0.5 * erand48(tenant->hub->random));
}

static void on_check_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tenant *tenant = CONTAINER_OF(timer, struct tenant, check);
    if (tenant->empty_since > 0. && clock_monotonic_s() - tenant->empty_since > TENANT_LINGER_MS / 1000. &&
        !tenant->dirty) {
        commands_unwatch(tenant->hub->gateway->commands, &tenant->node.key);
        tenant_free(tenant);
        return;
    }
    if (hub_position_check(tenant) != ERR_OK)
        log_debug("hub.check_skipped", LOG_S("company", tenant->company));
    schedule_check(tenant, check_interval(tenant));
}

struct tenant *hub_tenant(const struct hub *hub, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&hub->tenants, company);
    return node ? CONTAINER_OF(node, struct tenant, node) : NULL;
}

static struct tenant *tenant_new(struct hub *hub, const struct uuid *company)
{
    struct tenant *tenant = xcalloc(1, sizeof(*tenant));
    tenant->hub = hub;
    tenant->node.key = *company;
    uuid_format(company, tenant->company);
    stream_init(&tenant->stream);
    tenant->flushed = STREAM_UNKNOWN;
    tenant->empty_since = clock_monotonic_s();
    uuid_map_init(&tenant->projects);
    uuid_map_init(&tenant->sets);
    uuid_map_init(&tenant->operations);
    uuid_map_insert(&hub->tenants, &tenant->node);
    ev_timer_init(&tenant->check, on_check_timer, 0., 0.);
    ev_timer_init(&tenant->gap, hub_on_gap_timer, 0., 0.);
    schedule_check(tenant, check_interval(tenant));
    commands_watch(hub->gateway->commands, company);
    presence_tenant_came(tenant);
    return tenant;
}

/* Events. */

struct bytes *event_body(struct bytes *body)
{
    if (!memchr(body->slice.data, '\n', body->slice.len) && !memchr(body->slice.data, '\r', body->slice.len))
        return body;
    /* Between JSON tokens, where alone they can be, a blank says the same; the protocols that carry it are of lines. */
    char *space;
    struct bytes *flat = bytes_new(body->slice.len, &space);
    for (size_t i = 0; i < body->slice.len; i++) {
        char c = body->slice.data[i];
        space[i] = c == '\n' || c == '\r' ? ' ' : c;
    }
    bytes_unref(body);
    return flat;
}

/* A word of a long job: it has no number. */
static void on_word(struct tenant *tenant, const struct event *event)
{
    struct uuid_node *node = event->has_subject ? uuid_map_find(&tenant->operations, &event->subject) : NULL;
    if (!node)
        return;
    struct publication publication = {.body = event_body(bytes_copy(event->body))};
    channel_tell(CONTAINER_OF(node, struct channel, node), &publication);
    bytes_unref(publication.body);
}

void hub_on_event(struct hub *hub, const struct event *event)
{
    struct tenant *tenant = hub_tenant(hub, &event->company);
    if (tenant && event->status == ERR_OK && event->seq == 0)
        on_word(tenant, event);
    if (!tenant || event->status != ERR_OK || event->seq <= 0 || event->seq <= tenant->stream.last)
        return;
    struct publication publication = {
        .seq = event->seq,
        .has_project = event->has_project,
        .project = event->project,
        .body = event_body(bytes_copy(event->body)),
    };
    (void)stream_offer(&tenant->stream, publication); /* what it drops is read later, as a gap */
    hub_position_progress(tenant);
}

void hub_on_watched(struct hub *hub, const struct uuid *company)
{
    struct tenant *tenant = hub_tenant(hub, company);
    if (tenant)
        presence_tenant_bound(tenant);
    /* What was published between the first look at the position and the binding. */
    if (tenant && hub_position_check(tenant) != ERR_OK)
        schedule_check(tenant, READ_RETRY_MAX_MS / 1000.);
}

static void check_soon(struct uuid_node *node, void *arg)
{
    struct tenant *tenant = CONTAINER_OF(node, struct tenant, node);
    const ev_tstamp *spread = arg;
    schedule_check(tenant, *spread * erand48(tenant->hub->random));
}

void hub_on_reconnect(struct hub *hub)
{
    /* About a thousand questions a second, whatever the number of companies. */
    ev_tstamp spread = (ev_tstamp)hub->tenants.count / 1000.;
    uuid_map_each(&hub->tenants, check_soon, &spread);
}

/* Subscribing. */

void hub_subscribe(struct hub *hub, struct subscriber *subscriber, const struct hub_request *request)
{
    if (request->kind == CHANNEL_COMPANY && !uuid_equal(&request->id, &request->company)) {
        subscriber->protocol->on_refused(subscriber, ERR_FORBIDDEN);
        return;
    }
    struct tenant *tenant = hub_tenant(hub, &request->company);
    if (!tenant)
        tenant = tenant_new(hub, &request->company);
    struct channel *channel = channel_obtain(tenant, request);
    subscriber->start = start_new(subscriber, request);
    subscriber_enter(subscriber, channel, SUBSCRIBER_WAITING);
    channel_proceed(channel);
}

void hub_unsubscribe(struct subscriber *subscriber)
{
    if (subscriber->state != SUBSCRIBER_OUT)
        subscriber_leave(subscriber);
}

bool hub_position(const struct subscriber *subscriber, const char **ret_epoch, int64_t *ret_offset)
{
    if (subscriber->state != SUBSCRIBER_LIVE)
        return false;
    const struct tenant *tenant = subscriber->channel->tenant;
    *ret_epoch = tenant->epoch;
    *ret_offset = subscriber->after > tenant->flushed ? subscriber->after : tenant->flushed;
    return true;
}

/* The turn of the loop. */

static void sweep_empty(struct tenant *tenant)
{
    for (struct channel *channel = tenant->empty, *next; channel; channel = next) {
        next = channel->next_empty;
        channel->in_empty = false;
        if (!channel->live && !channel->waiting)
            channel_free(channel);
    }
    tenant->empty = NULL;
    if (tenant->subscribers == 0 && tenant->empty_since == 0.)
        tenant->empty_since = clock_monotonic_s();
}

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
        sweep_empty(tenant);
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
    ev_set_priority(&hub->turn, EV_MAXPRI); /* before the connections write what has gathered */
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

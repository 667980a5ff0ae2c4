#include "common/base/clock.h"
#include "gateway/bus/events.h"
#include "gateway/hub/private.h"

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

void tenant_free(struct tenant *tenant)
{
    struct ev_loop *loop = tenant->hub->gateway->loop;
    tenant_each_channel(tenant, detach, NULL);
    tenant_each_channel(tenant, free_channel, NULL);
    views_done(tenant);
    if (tenant->hub->listener)
        tenant->hub->listener->on_tenant_free(tenant);
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

static void lose(struct subscriber *subscriber)
{
    subscriber_leave(subscriber);
    subscriber->protocol->on_lost(subscriber);
}

/* Those that have not been told anything yet are started when the position is known again. */
static void lose_subscribers(struct channel *channel, void *unused)
{
    (void)unused;
    while (channel->live)
        lose(channel->live);
    for (struct subscriber *subscriber = channel->waiting, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (!start_again(subscriber))
            lose(subscriber);
    }
}

static void proceed(struct channel *channel, void *unused)
{
    (void)unused;
    channel_proceed(channel);
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
    catch_up_progress(tenant);
    tenant_each_channel(tenant, lose_subscribers, NULL);
    tenant_each_channel(tenant, proceed, NULL);
}

void tenant_schedule_check(struct tenant *tenant, ev_tstamp seconds)
{
    struct ev_loop *loop = tenant->hub->gateway->loop;
    ev_timer_stop(loop, &tenant->check);
    ev_timer_set(&tenant->check, seconds, 0.);
    ev_timer_start(loop, &tenant->check);
}

/* Between 3/4 and 5/4 of the interval at random, so that companies are not all checked at the same time. */
static ev_tstamp check_interval(const struct tenant *tenant)
{
    ev_tstamp interval = (ev_tstamp)tenant->hub->gateway->config->position_check_ms / 1000.;
    return interval * (0.75 + 0.5 * erand48(tenant->hub->random));
}

static void ask_right_again(struct channel *channel, void *unused)
{
    (void)unused;
    right_ask_again(channel);
}

static void on_check_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tenant *tenant = CONTAINER_OF(timer, struct tenant, check);
    if (tenant->empty_since > 0. && clock_monotonic_s() - tenant->empty_since > TENANT_LINGER_MS / 1000. &&
        !tenant->dirty) {
        events_unwatch(tenant->hub->gateway->events, &tenant->node.key);
        tenant_free(tenant);
        return;
    }
    if (catch_up_check(tenant) != ERR_OK)
        log_debug("hub.check_skipped", LOG_S("company", tenant->company));
    tenant_schedule_check(tenant, check_interval(tenant));
    tenant_each_channel(tenant, ask_right_again, NULL); /* a membership may have ended by its date */
    views_check(tenant);
}

struct tenant *hub_tenant(const struct hub *hub, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&hub->tenants, company);
    return node ? CONTAINER_OF(node, struct tenant, node) : NULL;
}

struct tenant *tenant_new(struct hub *hub, const struct uuid *company)
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
    uuid_map_init(&tenant->views);
    uuid_map_insert(&hub->tenants, &tenant->node);
    ev_timer_init(&tenant->check, on_check_timer, 0., 0.);
    ev_timer_init(&tenant->gap, catch_up_on_gap_timer, 0., 0.);
    tenant_schedule_check(tenant, check_interval(tenant));
    events_watch(hub->gateway->events, company);
    if (hub->listener)
        hub->listener->on_tenant_new(tenant);
    return tenant;
}

void tenant_sweep(struct tenant *tenant)
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

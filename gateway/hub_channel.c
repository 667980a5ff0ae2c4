#include "gateway/hub_private.h"

static const struct db_statement project_statement = {
    "hub.project", "SELECT 1 FROM project WHERE company_id = $1 AND id = $2"};

struct channel *channel_obtain(struct tenant *tenant, enum channel_kind kind, const struct uuid *id)
{
    if (kind == CHANNEL_COMPANY && tenant->company_channel)
        return tenant->company_channel;
    struct uuid_node *node = kind == CHANNEL_PROJECT ? uuid_map_find(&tenant->projects, id) : NULL;
    if (node)
        return CONTAINER_OF(node, struct channel, node);
    struct channel *channel = xcalloc(1, sizeof(*channel));
    channel->node.key = *id;
    channel->tenant = tenant;
    channel->kind = kind;
    channel->open = kind == CHANNEL_COMPANY;
    if (kind == CHANNEL_COMPANY)
        tenant->company_channel = channel;
    else
        uuid_map_insert(&tenant->projects, &channel->node);
    return channel;
}

void channel_free(struct channel *channel)
{
    if (channel->kind == CHANNEL_COMPANY)
        channel->tenant->company_channel = NULL;
    else
        uuid_map_remove(&channel->tenant->projects, &channel->node);
    hub_query_forget(&channel->check);
    free(channel);
}

bool channel_has(const struct channel *channel, const struct publication *publication)
{
    return channel->kind == CHANNEL_COMPANY ||
           (publication->has_project && uuid_equal(&publication->project, &channel->node.key));
}

/* May this company have the project? */

static void on_project(void *owner, struct db_result *result)
{
    struct channel *channel = owner;
    enum err err = db_result_error(result);
    if (err == ERR_OK && db_rows(result) == 0)
        err = ERR_FORBIDDEN;
    if (err != ERR_OK) {
        channel_refuse(channel, err);
        return;
    }
    channel->open = true;
    channel_proceed(channel);
}

static enum err ask_project(struct channel *channel)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&channel->node.key, id);
    struct slice company = slice_of(channel->tenant->company);
    struct slice params[] = {company, slice_of(id)};
    return hub_query_send(channel->tenant->hub, company, &project_statement, params, ARRAY_LEN(params),
                          on_project, channel, &channel->check);
}

void channel_refuse(struct channel *channel, enum err err)
{
    for (struct subscriber *subscriber = channel->waiting, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (subscriber->state != SUBSCRIBER_WAITING)
            continue;
        subscriber_leave(subscriber);
        subscriber->feed->on_refused(subscriber, err);
    }
}

void channel_proceed(struct channel *channel)
{
    struct tenant *tenant = channel->tenant;
    if (!channel->waiting)
        return;
    bool known = hub_position_known(tenant);
    enum err err = ERR_OK;
    if (!channel->open && !channel->check)
        err = ask_project(channel);
    if (err == ERR_OK && !known && !tenant->position_query)
        err = hub_position_check(tenant);
    if (err != ERR_OK)
        channel_refuse(channel, err);
    if (!channel->open || !known)
        return;
    for (struct subscriber *subscriber = channel->waiting, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (subscriber->state == SUBSCRIBER_WAITING)
            start_begin(subscriber);
    }
}

/* Coming and going. */

static struct subscriber **list_of(const struct subscriber *subscriber)
{
    struct channel *channel = subscriber->channel;
    return subscriber->state == SUBSCRIBER_LIVE ? &channel->live : &channel->waiting;
}

void subscriber_enter(struct subscriber *subscriber, struct channel *channel, enum subscriber_state state)
{
    subscriber->channel = channel;
    subscriber->state = state;
    struct subscriber **list = list_of(subscriber);
    subscriber->previous = NULL;
    subscriber->next = *list;
    if (*list)
        (*list)->previous = subscriber;
    *list = subscriber;
    channel->tenant->subscribers++;
    channel->tenant->empty_since = 0.;
}

static void take_off(struct subscriber *subscriber)
{
    if (subscriber->previous)
        subscriber->previous->next = subscriber->next;
    else
        *list_of(subscriber) = subscriber->next;
    if (subscriber->next)
        subscriber->next->previous = subscriber->previous;
}

void subscriber_leave(struct subscriber *subscriber)
{
    struct channel *channel = subscriber->channel;
    take_off(subscriber);
    start_free(subscriber->start);
    subscriber->start = NULL;
    subscriber->state = SUBSCRIBER_OUT;
    subscriber->channel = NULL;
    subscriber->previous = subscriber->next = NULL;
    channel->tenant->subscribers--;
    if (channel->live || channel->waiting || channel->in_empty)
        return;
    channel->in_empty = true;
    channel->next_empty = channel->tenant->empty;
    channel->tenant->empty = channel;
    tenant_touch(channel->tenant);
}

#include "gateway/hub/private.h"

static const struct db_statement projects_statement = {
    "hub.projects", "SELECT count(*) FROM project WHERE company_id = $1 AND id = ANY ($2::uuid[])"};

static const struct db_statement operation_statement = {
    "hub.operation", "SELECT count(*) FROM long_job WHERE company_id = $1 AND id = $2"};

static struct uuid_map *map_of(struct tenant *tenant, enum channel_kind kind)
{
    return kind == CHANNEL_PROJECT     ? &tenant->projects
           : kind == CHANNEL_OPERATION ? &tenant->operations
                                       : &tenant->sets;
}

/* The projects of a set stand in memory behind the struct. A project channel's only project is its key. */
static struct channel *channel_new(struct tenant *tenant, const struct hub_request *request)
{
    size_t size = request->kind == CHANNEL_PROJECTS ? request->project_count * sizeof(*request->projects) : 0;
    struct channel *channel = xcalloc(1, sizeof(*channel) + size);
    channel->node.key = request->id;
    channel->tenant = tenant;
    channel->kind = request->kind;
    channel->open = request->kind == CHANNEL_COMPANY;
    if (request->kind == CHANNEL_PROJECT) {
        channel->projects = &channel->node.key;
        channel->project_count = 1;
    } else if (request->kind == CHANNEL_PROJECTS) {
        channel->projects = memcpy(channel + 1, request->projects, size);
        channel->project_count = request->project_count;
    }
    return channel;
}

struct channel *channel_obtain(struct tenant *tenant, const struct hub_request *request)
{
    if (request->kind == CHANNEL_COMPANY) {
        if (!tenant->company_channel)
            tenant->company_channel = channel_new(tenant, request);
        return tenant->company_channel;
    }
    struct uuid_map *map = map_of(tenant, request->kind);
    struct uuid_node *node = uuid_map_find(map, &request->id);
    if (node)
        return CONTAINER_OF(node, struct channel, node);
    struct channel *channel = channel_new(tenant, request);
    uuid_map_insert(map, &channel->node);
    return channel;
}

void channel_free(struct channel *channel)
{
    if (channel->kind == CHANNEL_COMPANY)
        channel->tenant->company_channel = NULL;
    else
        uuid_map_remove(map_of(channel->tenant, channel->kind), &channel->node);
    hub_query_forget(&channel->check);
    hub_query_forget(&channel->right);
    free(channel->changes);
    free(channel);
}

bool channel_has(const struct channel *channel, const struct publication *publication)
{
    return channel->kind == CHANNEL_COMPANY ||
           (publication->has_project && channel->project_count > 0 &&
            bsearch(&publication->project, channel->projects, channel->project_count,
                    sizeof(*channel->projects), uuid_compare));
}

const char *channel_epoch(const struct channel *channel)
{
    return channel->tenant->epoch;
}

/* Whether this company may have the channel: the projects, or the operation, must be its own. */

static void on_found(void *owner, struct db_result *result)
{
    struct channel *channel = owner;
    enum err err = db_result_error(result);
    int64_t wanted = channel->kind == CHANNEL_OPERATION ? 1 : (int64_t)channel->project_count;
    if (err == ERR_OK && db_int(result, 0, 0) != wanted)
        err = ERR_FORBIDDEN;
    if (err != ERR_OK) {
        channel_refuse(channel, err);
        return;
    }
    channel->open = true;
    channel_proceed(channel);
}

static enum err ask_projects(struct channel *channel)
{
    CLEANUP(buf_done) struct buf list;
    buf_init(&list, PROJECT_LIST_MAX(channel->project_count));
    project_list_format(channel->projects, channel->project_count, &list);
    struct slice company = slice_of(channel->tenant->company);
    struct slice params[] = {company, buf_slice(&list)};
    return hub_query_send(channel->tenant->hub, company, &projects_statement, params, ARRAY_LEN(params),
                          on_found, channel, &channel->check);
}

static enum err ask_operation(struct channel *channel)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&channel->node.key, id);
    struct slice company = slice_of(channel->tenant->company);
    struct slice params[] = {company, {id, UUID_TEXT_LEN}};
    return hub_query_send(channel->tenant->hub, company, &operation_statement, params, ARRAY_LEN(params),
                          on_found, channel, &channel->check);
}

void channel_refuse(struct channel *channel, enum err err)
{
    for (struct subscriber *subscriber = channel->waiting, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (subscriber->state != SUBSCRIBER_WAITING)
            continue;
        subscriber_leave(subscriber);
        subscriber->protocol->on_refused(subscriber, err);
    }
}

void channel_proceed(struct channel *channel)
{
    struct tenant *tenant = channel->tenant;
    if (!channel->waiting)
        return;
    bool known = catch_up_knows_position(tenant);
    enum err err = ERR_OK;
    if (!channel->open && !channel->check)
        err = channel->kind == CHANNEL_OPERATION ? ask_operation(channel) : ask_projects(channel);
    if (err == ERR_OK && !known && !tenant->position_query)
        err = catch_up_check(tenant);
    if (err != ERR_OK)
        channel_refuse(channel, err);
    if (!channel->open || !known)
        return;
    for (struct subscriber *subscriber = channel->waiting, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (subscriber->state == SUBSCRIBER_WAITING && right_holds(subscriber))
            start_begin(subscriber);
    }
}

/* Subscribers enter and leave. */

void subscriber_set_state(struct subscriber *subscriber, enum subscriber_state state)
{
    static const char *const names[] = {
        [SUBSCRIBER_OUT] = "out",
        [SUBSCRIBER_WAITING] = "waiting",
        [SUBSCRIBER_RECOVERING] = "recovering",
        [SUBSCRIBER_LIVE] = "live",
    };
    if (subscriber->state != state)
        log_debug("subscriber.state", LOG_S("from", names[subscriber->state]), LOG_S("to", names[state]));
    subscriber->state = state;
}

static struct subscriber **list_of(const struct subscriber *subscriber)
{
    struct channel *channel = subscriber->channel;
    return subscriber->state == SUBSCRIBER_LIVE ? &channel->live : &channel->waiting;
}

void subscriber_enter(struct subscriber *subscriber, struct channel *channel, enum subscriber_state state)
{
    subscriber->channel = channel;
    subscriber_set_state(subscriber, state);
    struct subscriber **list = list_of(subscriber);
    subscriber->previous = NULL;
    subscriber->next = *list;
    if (*list)
        (*list)->previous = subscriber;
    *list = subscriber;
    channel->tenant->subscribers++;
    channel->tenant->empty_since = 0.;
    const struct hub_listener *listener = channel->tenant->hub->listener;
    if (state == SUBSCRIBER_LIVE && listener)
        listener->on_live(subscriber);
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
    const struct hub_listener *listener = channel->tenant->hub->listener;
    if (subscriber->state == SUBSCRIBER_LIVE && listener)
        listener->on_left(subscriber);
    take_off(subscriber);
    start_free(subscriber->start);
    subscriber->start = NULL;
    view_unref(TAKE(subscriber->view));
    subscriber_set_state(subscriber, SUBSCRIBER_OUT);
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

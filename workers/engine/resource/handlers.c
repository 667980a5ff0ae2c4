#include "workers/engine/resource/handlers.h"

#include <assert.h>
#include <stdio.h>

static const struct {
    const char *type, *resource;
    const struct resource_plan *plan;
    const char *event;
} table[] = {
#define COMMAND(type, resource, plan, event) {type, resource, &plan, event},
#include "workers/handlers.def"
#undef COMMAND
};

/* The commands of a resource that need no row. */
static const struct plain {
    enum msg_verb verb;
    const char *past; /* of the event */
    struct resource_plan plan;
} plain[] = {
    {MSG_VERB_CREATE, "created", {.verb = RESOURCE_CREATE}},
    {MSG_VERB_UPDATE, "updated", {.verb = RESOURCE_UPDATE}},
    {MSG_VERB_DELETE, "deleted", {.verb = RESOURCE_DELETE}},
};

struct handlers {
    size_t count;
    struct handler rows[];
};

static void add(struct handlers *handlers, const char *type, const char *event,
                const struct msg_resource *resource, const struct resource_plan *plan)
{
    struct handler *handler = &handlers->rows[handlers->count++];
    handler->type = xstrdup(type);
    handler->type_len = strlen(type);
    handler->event = xstrdup(event);
    resource_statement_init(&handler->statement, handler->type, handler->event, resource, plan);
}

static const struct resource_plan plain_create_of_many = {.verb = RESOURCE_CREATE, .many = true};

static const struct resource_plan *plain_plan(const struct msg_resource *resource, const struct plain *row)
{
    bool is_many = row->verb == MSG_VERB_CREATE && !resource->is_alone &&
                   !msg_is_for_nobody(resource, msg_verb_name(row->verb));
    return is_many ? &plain_create_of_many : &row->plan;
}

static void add_plain(struct handlers *handlers, const struct msg_resource *resource)
{
    char type[128], event[128];
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        snprintf(type, sizeof(type), "%s.%s", resource->name, msg_verb_name(plain[i].verb));
        snprintf(event, sizeof(event), "%s.%s", resource->name, plain[i].past);
        if (msg_resource_has(resource, plain[i].verb) && !handlers_find(handlers, slice_of(type)))
            add(handlers, type, event, resource, plain_plan(resource, &plain[i]));
    }
}

/* schemac does not know the commands of handlers.def. */
static void check_audiences(const struct handlers *handlers, const struct msg_resource *resource)
{
    char type[128];
    for (const struct msg_audience *at = resource->audiences; at && at->command; at++) {
        snprintf(type, sizeof(type), "%s.%s", resource->name, at->command);
        const struct handler *handler = handlers_find(handlers, slice_of(type));
        assert(handler);
        (void)handler;
    }
}

struct handlers *handlers_new(const char *pool)
{
    size_t resources = 0;
    while (msg_resources[resources])
        resources++;
    struct handlers *handlers = xcalloc(
        1, sizeof(*handlers) + (ARRAY_LEN(table) + resources * ARRAY_LEN(plain)) * sizeof(handlers->rows[0]));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct msg_resource *resource = msg_resource_by_name(slice_of(table[i].resource));
        assert(resource);
        if (strcmp(resource->pool, pool) == 0)
            add(handlers, table[i].type, table[i].event, resource, table[i].plan);
    }
    for (size_t i = 0; i < resources; i++)
        if (strcmp(msg_resources[i]->pool, pool) == 0)
            add_plain(handlers, msg_resources[i]);
    for (size_t i = 0; i < resources; i++)
        if (strcmp(msg_resources[i]->pool, pool) == 0)
            check_audiences(handlers, msg_resources[i]);
    return handlers;
}

void handlers_free(struct handlers *handlers)
{
    if (!handlers)
        return;
    for (size_t i = 0; i < handlers->count; i++) {
        resource_statement_done(&handlers->rows[i].statement);
        free((char *)(uintptr_t)handlers->rows[i].type);
        free((char *)(uintptr_t)handlers->rows[i].event);
    }
    free(handlers);
}

const struct handler *handlers_at(const struct handlers *handlers, size_t place)
{
    return place < handlers->count ? &handlers->rows[place] : NULL;
}

const struct handler *handlers_find(const struct handlers *handlers, struct slice type)
{
    for (size_t i = 0; i < handlers->count; i++)
        if (type.len == handlers->rows[i].type_len &&
            memcmp(type.data, handlers->rows[i].type, type.len) == 0)
            return &handlers->rows[i];
    return NULL;
}

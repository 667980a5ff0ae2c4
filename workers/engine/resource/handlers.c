#include "workers/engine/resource/handlers.h"

#include <assert.h>

static const struct {
    const char *type, *resource;
    const struct resource_plan *plan;
    const char *event;
} table[] = {
#define COMMAND(type, resource, plan, event) {type, resource, &plan, event},
#include "workers/handlers.def"
#undef COMMAND
};

struct handlers {
    struct handler rows[ARRAY_LEN(table)];
};

struct handlers *handlers_new(void)
{
    struct handlers *handlers = xcalloc(1, sizeof(*handlers));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct msg_resource *resource = msg_resource_by_name(slice_of(table[i].resource));
        assert(resource);
        struct handler *handler = &handlers->rows[i];
        handler->type = table[i].type;
        handler->event = table[i].event;
        resource_statement_init(&handler->statement, table[i].type, table[i].event, resource, table[i].plan);
    }
    return handlers;
}

void handlers_free(struct handlers *handlers)
{
    if (!handlers)
        return;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        resource_statement_done(&handlers->rows[i].statement);
    free(handlers);
}

const struct handler *handlers_find(const struct handlers *handlers, struct slice type)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (slice_is(type, handlers->rows[i].type))
            return &handlers->rows[i];
    return NULL;
}

#include "workers/commands.h"

#include <assert.h>

static const struct {
    const char *type, *resource;
    const struct resource_plan *plan;
    const char *event;
} table[] = {
#define COMMAND(type, resource, plan, event) {type, resource, &plan, event},
#include "workers/commands.def"
#undef COMMAND
};

struct commands {
    struct handler handlers[ARRAY_LEN(table)];
};

struct commands *commands_new(void)
{
    struct commands *commands = xcalloc(1, sizeof(*commands));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct msg_resource *resource = msg_resource_by_name(slice_of(table[i].resource));
        assert(resource);
        struct handler *handler = &commands->handlers[i];
        handler->type = table[i].type;
        handler->event = table[i].event;
        resource_statement_init(&handler->statement, table[i].type, resource, table[i].plan);
    }
    return commands;
}

void commands_free(struct commands *commands)
{
    if (!commands)
        return;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        resource_statement_done(&commands->handlers[i].statement);
    free(commands);
}

const struct handler *commands_find(const struct commands *commands, struct slice type)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (slice_is(type, commands->handlers[i].type))
            return &commands->handlers[i];
    return NULL;
}

#pragma once
/* The commands of a pool, made ready to run: those of workers/handlers.def, and for each other verb of a resource
 * (x-resource) a plain one, which has no rules but those of the schema. */

#include "workers/engine/resource/resource.h"

struct handler {
    const char *type; /* "project.create" */
    size_t type_len;
    const char *event; /* "project.created" */
    struct resource_statement statement;
};

struct handlers;

struct handlers *handlers_new(const char *pool);
void handlers_free(struct handlers *handlers);

/* The handler at this place; NULL: there are no more. */
const struct handler *handlers_at(const struct handlers *handlers, size_t place);

/* Returns NULL when there is no such command. */
const struct handler *handlers_find(const struct handlers *handlers, struct slice type);

/* The plans of handlers.def, each defined in a file of its pool. */
#define COMMAND(type, resource, plan, event) extern const struct resource_plan plan;
#include "workers/handlers.def"
#undef COMMAND

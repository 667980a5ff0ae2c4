#pragma once
/* The table of commands (commands.def), made ready to run. */

#include "workers/resource.h"

struct handler {
    const char *type;  /* "project.create" */
    const char *event; /* "project.created" */
    struct resource_statement statement;
};

struct commands;

struct commands *commands_new(void);
void commands_free(struct commands *commands);

/* NULL when there is no such command. */
const struct handler *commands_find(const struct commands *commands, struct slice type);

/* The plans of commands.def, each defined in a file of its pool. */
#define COMMAND(type, resource, plan, event) extern const struct resource_plan plan;
#include "workers/commands.def"
#undef COMMAND

#pragma once
/* A list of commands, linked by their `next`. */

#include "workers/engine/command/command.h"

struct command_list {
    struct command *first, **last;
    size_t count;
};

static inline void command_list_init(struct command_list *list)
{
    *list = (struct command_list){.last = &list->first};
}

static inline void command_list_append(struct command_list *list, struct command *command)
{
    command->next = NULL;
    *list->last = command;
    list->last = &command->next;
    list->count++;
}

/* Inserts the command into a list that is in the order of arrival. */
static inline void command_list_insert(struct command_list *list, struct command *command)
{
    struct command **at = &list->first;
    while (*at && (*at)->order < command->order)
        at = &(*at)->next;
    command->next = *at;
    *at = command;
    if (!command->next)
        list->last = &command->next;
    list->count++;
}

static inline struct command *command_list_take(struct command_list *list)
{
    struct command *command = list->first;
    list->first = command->next;
    if (!list->first)
        list->last = &list->first;
    list->count--;
    command->next = NULL;
    return command;
}

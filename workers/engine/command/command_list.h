#pragma once
/* Jobs one after the other, by their `next`. */

#include "workers/engine/command/command.h"

struct job_list {
    struct job *first, **last;
    size_t count;
};

static inline void job_list_init(struct job_list *list)
{
    *list = (struct job_list){.last = &list->first};
}

static inline void job_list_append(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
    list->count++;
}

/* Among those that are in the order in which they came. */
static inline void job_list_insert(struct job_list *list, struct job *job)
{
    struct job **at = &list->first;
    while (*at && (*at)->order < job->order)
        at = &(*at)->next;
    job->next = *at;
    *at = job;
    if (!job->next)
        list->last = &job->next;
    list->count++;
}

static inline struct job *job_list_take(struct job_list *list)
{
    struct job *job = list->first;
    list->first = job->next;
    if (!list->first)
        list->last = &list->first;
    list->count--;
    job->next = NULL;
    return job;
}

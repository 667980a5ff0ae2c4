#include "common/msg/problem.h"

#include <stdio.h>

enum { INDEX_TEXT_SIZE = 24 };

/* RFC 6901 section 3: "~" is ~0 and "/" is ~1. */
static size_t token_length(const char *name)
{
    size_t len = 0;
    for (; *name; name++)
        len += *name == '~' || *name == '/' ? 2 : 1;
    return len;
}

static void write_token(char *at, const char *name)
{
    for (; *name; name++) {
        if (*name == '~' || *name == '/') {
            *at++ = '~';
            *at++ = *name == '~' ? '0' : '1';
        } else {
            *at++ = *name;
        }
    }
}

static const char *token_of(const struct msg_place *place, char scratch[INDEX_TEXT_SIZE])
{
    if (place->name)
        return place->name;
    snprintf(scratch, INDEX_TEXT_SIZE, "%zu", place->index);
    return scratch;
}

static struct slice pointer_text(const struct msg_place *place, struct arena *arena)
{
    char scratch[INDEX_TEXT_SIZE];
    size_t len = 0;
    for (const struct msg_place *p = place; p; p = p->above)
        len += 1 + token_length(token_of(p, scratch));
    char *text = arena_alloc(arena, len + 1);
    if (!text)
        return SLICE_NONE;
    text[len] = '\0';
    size_t at = len;
    for (const struct msg_place *p = place; p; p = p->above) {
        const char *token = token_of(p, scratch);
        at -= 1 + token_length(token);
        text[at] = '/';
        write_token(text + at + 1, token);
    }
    return (struct slice){text, len};
}

void msg_problem_add(struct msg_problems *problems, const struct msg_place *place, const char *detail)
{
    if (problems->count++ >= MSG_PROBLEMS_MAX)
        return;
    struct msg_problem *problem = arena_alloc(problems->arena, sizeof(*problem));
    if (!problem)
        return;
    *problem = (struct msg_problem){.pointer = pointer_text(place, problems->arena),
                                    .detail = arena_copy(problems->arena, slice_of(detail))};
    if (!problem->pointer.data || !problem->detail.data)
        return;
    if (problems->last)
        problems->last->next = problem;
    else
        problems->first = problem;
    problems->last = problem;
}

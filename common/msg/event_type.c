#include "common/msg/event_type.h"

#include <string.h>

static const struct {
    enum msg_verb verb;
    const char *past, *says;
} commands[] = {
    {MSG_VERB_CREATE, "created", "was created"},
    {MSG_VERB_UPDATE, "updated", "was changed"},
    {MSG_VERB_DELETE, "deleted", "was deleted"},
};

/* Commands that no verb of a schema stands for, and the turns of long jobs, which are events of their entity
 * (workers/engine/long_jobs/kinds.c). */
static const struct {
    const char *resource, *past, *says;
} others[] = {
    {"export", "started", "has begun"},
    {"export", "completed", "is completed"},
    {"export", "failed", "has failed"},
    {"export", "cancelled", "was cancelled"},
    {"hook_event", "created", "came in"},
    {"hook_event", "replayed", "was mapped again"},
    {"webhook_endpoint", "tested", "is tested"},
    {"webhook_endpoint", "failing", "has only failed for some time"},
    {"webhook_endpoint", "recovered", "has succeeded again"},
    {"webhook_endpoint", "disabled", "was disabled"},
    {"webhook_delivery", "resent", "is sent again"},
    {"webhook_recovery", "started", "has begun"},
    {"webhook_recovery", "completed", "is completed"},
    {"webhook_recovery", "failed", "has failed"},
    {"webhook_recovery", "cancelled", "was cancelled"},
};

static const char *says_of(enum msg_verb verb, const char **ret_past)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].verb == verb) {
            *ret_past = commands[i].past;
            return commands[i].says;
        }
    return NULL;
}

void msg_event_types_each(void (*on_type)(void *arg, const struct msg_event_type *type), void *arg)
{
    struct msg_event_type type;
    for (const struct msg_resource *const *r = msg_resources; *r; r++)
        for (size_t i = 0; i < (*r)->endpoint_count; i++) {
            type.resource = *r;
            enum msg_verb verb = (*r)->endpoints[i].verb;
            type.says = says_of(verb, &type.past);
            if (type.says && !msg_is_for_nobody(*r, msg_verb_name(verb)))
                on_type(arg, &type);
        }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        type.resource = msg_resource_by_name(slice_of(others[i].resource));
        type.past = others[i].past;
        type.says = others[i].says;
        if (type.resource)
            on_type(arg, &type);
    }
}

struct search {
    struct slice resource, past;
    bool found;
};

static void compare(void *arg, const struct msg_event_type *type)
{
    struct search *s = arg;
    s->found = s->found || (slice_is(s->resource, type->resource->name) &&
                            (slice_is(s->past, "*") || slice_is(s->past, type->past)));
}

bool msg_event_pattern_is_known(struct slice pattern)
{
    const char *dot = memchr(pattern.data, '.', pattern.len);
    if (!dot)
        return slice_is(pattern, "*");
    size_t len = (size_t)(dot - pattern.data);
    struct search s = {{pattern.data, len}, {dot + 1, pattern.len - len - 1}, false};
    msg_event_types_each(compare, &s);
    return s.found;
}

/* The schemas of the answers to operators, and of the list of what waits. These are no resources, so no message schema describes them. */

#include "gateway/openapi/openapi.h"

enum kind { TEXT, TEXTS, TRUTH, COUNT, UUID, TIME, OBJECT, COUNTS, ONE, LIST };
enum { MAY_BE_NULL = 1, MAY_BE_ABSENT = 2 };

/* The members of each schema, one after the other. */
static const struct member {
    const char *schema, *name;
    enum kind kind;
    int may;
    const char *of; /* the schema of a ONE, or of the entries of a LIST */
} members[] = {
    {"PoolList", "data", LIST, 0, "Pool"},

    {"Pool", "name", TEXT, 0, NULL},
    {"Pool", "wanted", COUNT, MAY_BE_NULL, NULL},
    {"Pool", "why", TEXT, MAY_BE_NULL, NULL},
    {"Pool", "resized_at", TIME, MAY_BE_NULL, NULL},
    {"Pool", "changed_at", TIME, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"Pool", "autoscale", ONE, MAY_BE_NULL, "PoolBounds"},
    {"Pool", "waiting", ONE, MAY_BE_NULL, "PoolWaiting"},
    {"Pool", "problems", TEXTS, MAY_BE_ABSENT, NULL},
    {"Pool", "managers", LIST, 0, "PoolManager"},
    {"Pool", "deferred", ONE, MAY_BE_NULL, "PoolDeferred"},
    {"Pool", "dead_letters", COUNT, MAY_BE_NULL, NULL},
    {"Pool", "feed", ONE, MAY_BE_NULL, "PoolFeed"},

    {"PoolBounds", "min", COUNT, 0, NULL},
    {"PoolBounds", "max", COUNT, 0, NULL},

    {"PoolWaiting", "ready", COUNT, 0, NULL},
    {"PoolWaiting", "open", COUNT, 0, NULL},
    {"PoolWaiting", "parked", COUNT, 0, NULL},
    {"PoolWaiting", "oldest_ms", COUNT, 0, NULL},

    {"PoolDeferred", "parked", COUNT, 0, NULL},
    {"PoolDeferred", "retry", COUNT, 0, NULL},
    {"PoolDeferred", "scheduled", COUNT, 0, NULL},

    {"PoolFeed", "companies", COUNT, 0, NULL},
    {"PoolFeed", "behind", COUNT, 0, NULL},
    {"PoolFeed", "dropped", COUNT, 0, NULL},
    {"PoolFeed", "dropped_of", LIST, 0, "PoolFeedDropped"},

    {"PoolFeedDropped", "company", UUID, 0, NULL},
    {"PoolFeedDropped", "events", COUNT, 0, NULL},
    {"PoolFeedDropped", "at", TIME, 0, NULL},

    {"PoolManager", "id", UUID, 0, NULL},
    {"PoolManager", "host", TEXT, 0, NULL},
    {"PoolManager", "pid", COUNT, 0, NULL},
    {"PoolManager", "since", TIME, 0, NULL},
    {"PoolManager", "share", COUNT, 0, NULL},
    {"PoolManager", "workers", LIST, 0, "PoolWorker"},

    {"PoolWorker", "pid", COUNT, 0, NULL},
    {"PoolWorker", "state", TEXT, 0, NULL},
    {"PoolWorker", "since", TIME, MAY_BE_ABSENT, NULL},
    {"PoolWorker", "partitions", COUNTS, MAY_BE_ABSENT, NULL},
    {"PoolWorker", "open", COUNT, MAY_BE_ABSENT, NULL},
    {"PoolWorker", "parked", COUNT, MAY_BE_ABSENT, NULL},
    {"PoolWorker", "oldest_ms", COUNT, MAY_BE_ABSENT, NULL},

    {"DeadLetterList", "data", LIST, 0, "DeadLetter"},
    {"DeadLetterList", "next", TEXT, MAY_BE_NULL, NULL},
    {"DeadLetterList", "partial", TRUTH, MAY_BE_ABSENT, NULL},

    {"DeadLetter", "id", UUID, 0, NULL},
    {"DeadLetter", "pool", TEXT, 0, NULL},
    {"DeadLetter", "type", TEXT, MAY_BE_NULL, NULL},
    {"DeadLetter", "company", UUID, MAY_BE_NULL, NULL},
    {"DeadLetter", "command", UUID, MAY_BE_NULL, NULL},
    {"DeadLetter", "reason", TEXT, 0, NULL},
    {"DeadLetter", "detail", TEXT, MAY_BE_NULL, NULL},
    {"DeadLetter", "attempts", COUNT, 0, NULL},
    {"DeadLetter", "first_at", TIME, 0, NULL},
    {"DeadLetter", "last_at", TIME, 0, NULL},
    {"DeadLetter", "replays", COUNT, 0, NULL},
    {"DeadLetter", "is_replaying", TRUTH, 0, NULL},
    {"DeadLetter", "size", COUNT, MAY_BE_NULL, NULL},
    /* Only when one dead letter is shown, not in the list. */
    {"DeadLetter", "actor", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "role", TEXT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "subject", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "parent", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "if_match", COUNT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "sent_at", TIME, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "correlation_id", TEXT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "traceparent", TEXT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "history", LIST, MAY_BE_ABSENT, "Death"},
    {"DeadLetter", "body", OBJECT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"DeadLetter", "body_base64", TEXT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},

    {"Death", "at", TIME, 0, NULL},
    {"Death", "reason", TEXT, 0, NULL},
    {"Death", "detail", TEXT, MAY_BE_NULL, NULL},
    {"Death", "attempts", COUNT, 0, NULL},

    {"DeadLetterCount", "count", COUNT, 0, NULL},
    {"DeadLetterCount", "locked", COUNT, MAY_BE_ABSENT, NULL},
    {"DeadLetterCount", "more", TRUTH, 0, NULL},
    {"DeadLetterCount", "before", TIME, 0, NULL},

    {"DeadLetterReplayed", "id", UUID, 0, NULL},
    {"DeadLetterReplayed", "count", COUNT, 0, NULL},

    {"ScheduleList", "data", LIST, 0, "Schedule"},
    {"ScheduleList", "next", TEXT, MAY_BE_NULL, NULL},
    {"ScheduleList", "partial", TRUTH, MAY_BE_ABSENT, NULL},

    {"Schedule", "name", TEXT, 0, NULL},
    {"Schedule", "company", UUID, MAY_BE_NULL, NULL},
    {"Schedule", "type", TEXT, 0, NULL},
    {"Schedule", "cron", TEXT, 0, NULL},
    {"Schedule", "timezone", TEXT, 0, NULL},
    {"Schedule", "enabled", TRUTH, 0, NULL},
    {"Schedule", "next_at", TIME, MAY_BE_NULL, NULL},
    {"Schedule", "asked_at", TIME, MAY_BE_NULL, NULL},
    {"Schedule", "runs", COUNT, 0, NULL},
    {"Schedule", "last", ONE, MAY_BE_NULL, "ScheduleRun"},
    {"Schedule", "error", TEXT, MAY_BE_NULL, NULL},
    /* Only when one schedule is shown, not in the list. */
    {"Schedule", "actor", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"Schedule", "subject", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"Schedule", "parent", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"Schedule", "changed_by", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"Schedule", "asked_by", UUID, MAY_BE_NULL | MAY_BE_ABSENT, NULL},
    {"Schedule", "created_at", TIME, MAY_BE_ABSENT, NULL},
    {"Schedule", "updated_at", TIME, MAY_BE_ABSENT, NULL},
    {"Schedule", "body", OBJECT, MAY_BE_NULL | MAY_BE_ABSENT, NULL},

    {"ScheduleRun", "at", TIME, 0, NULL},
    {"ScheduleRun", "begun_at", TIME, MAY_BE_NULL, NULL},
    {"ScheduleRun", "ended_at", TIME, MAY_BE_NULL, NULL},
    {"ScheduleRun", "by", TEXT, MAY_BE_NULL, NULL},
    {"ScheduleRun", "command", UUID, MAY_BE_NULL, NULL},
    {"ScheduleRun", "outcome", TEXT, MAY_BE_NULL, NULL},
    {"ScheduleRun", "error", TEXT, MAY_BE_NULL, NULL},

    {"ScheduleKept", "name", TEXT, 0, NULL},
    {"ScheduleKept", "next_at", TIME, MAY_BE_NULL, NULL},
    {"ScheduleKept", "version", COUNT, MAY_BE_ABSENT, NULL},

    {"ScheduleAsked", "name", TEXT, 0, NULL},

    {"ActList", "data", LIST, 0, "Act"},
    {"ActList", "next", TEXT, MAY_BE_NULL, NULL},
    {"ActList", "partial", TRUTH, MAY_BE_ABSENT, NULL},

    {"Act", "id", UUID, 0, NULL},
    {"Act", "at", TIME, 0, NULL},
    {"Act", "actor", UUID, 0, NULL},
    {"Act", "company", UUID, MAY_BE_NULL, NULL},
    {"Act", "act", TEXT, 0, NULL},
    {"Act", "subject", TEXT, MAY_BE_NULL, NULL},
    {"Act", "on_behalf_of", UUID, MAY_BE_NULL, NULL},
    {"Act", "request", OBJECT, MAY_BE_NULL, NULL},
    {"Act", "correlation_id", TEXT, MAY_BE_NULL, NULL},
    {"Act", "outcome", TEXT, 0, NULL},

    {"Ticket", "ticket", TEXT, 0, NULL},
    {"Ticket", "expires_at", TIME, 0, NULL},

    {"WaitingList", "data", LIST, 0, "Waiting"},
    {"WaitingList", "next", TEXT, MAY_BE_NULL, NULL},
    {"WaitingList", "partial", TRUTH, MAY_BE_ABSENT, NULL},

    {"Secrets", "secret", TEXT, 0, NULL},
    {"Secrets", "previous", ONE, MAY_BE_NULL, "PreviousSecret"},

    {"PreviousSecret", "secret", TEXT, 0, NULL},
    {"PreviousSecret", "until", TIME, 0, NULL},

    {"WebhookAttemptList", "data", LIST, 0, "WebhookAttempt"},

    {"WebhookAttempt", "n", COUNT, 0, NULL},
    {"WebhookAttempt", "at", TIME, 0, NULL},
    {"WebhookAttempt", "http_status", COUNT, MAY_BE_NULL, NULL},
    {"WebhookAttempt", "error", TEXT, MAY_BE_NULL, NULL},
    {"WebhookAttempt", "took_ms", COUNT, 0, NULL},
    {"WebhookAttempt", "response", TEXT, MAY_BE_NULL, NULL},

    {"HookTaken", "id", UUID, MAY_BE_ABSENT, NULL},
    {"HookTaken", "challenge", TEXT, MAY_BE_ABSENT, NULL},

    {"HookPreviewed", "event", TEXT, 0, NULL},
    {"HookPreviewed", "status", TEXT, 0, NULL},
    {"HookPreviewed", "reasons", LIST, 0, "HookReason"},
    {"HookPreviewed", "commands", LIST, 0, "HookPreviewedCommand"},

    {"HookReason", "rule", TEXT, 0, NULL},
    {"HookReason", "pointer", TEXT, MAY_BE_NULL, NULL},
    {"HookReason", "detail", TEXT, 0, NULL},

    {"HookPreviewedCommand", "type", TEXT, 0, NULL},
    {"HookPreviewedCommand", "rule", TEXT, 0, NULL},
    {"HookPreviewedCommand", "subject", UUID, MAY_BE_NULL, NULL},
    {"HookPreviewedCommand", "parent", UUID, MAY_BE_NULL, NULL},
    {"HookPreviewedCommand", "body", OBJECT, 0, NULL},

    {"Waiting", "id", UUID, 0, NULL},
    {"Waiting", "status", TEXT, 0, NULL},
    {"Waiting", "type", TEXT, 0, NULL},
    {"Waiting", "actor", UUID, 0, NULL},
    {"Waiting", "subject", UUID, MAY_BE_NULL, NULL},
    {"Waiting", "parent", UUID, MAY_BE_NULL, NULL},
    {"Waiting", "waits_for", TEXT, 0, NULL},
    {"Waiting", "due_at", TIME, MAY_BE_NULL, NULL},
    {"Waiting", "attempts", COUNT, 0, NULL},
    {"Waiting", "sent_at", TIME, 0, NULL},
};

static json_t *typed(const struct member *member, const char *type)
{
    return member->may & MAY_BE_NULL ? json_pack("{s:[s, s]}", "type", type, "null")
                                     : json_pack("{s:s}", "type", type);
}

static json_t *with(json_t *schema, const char *keyword, json_t *value)
{
    json_object_set_new(schema, keyword, value);
    return schema;
}

static json_t *reference(const char *schema)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", schema);
}

static json_t *schema_of(const struct member *member)
{
    switch (member->kind) {
    case TRUTH:
        return typed(member, "boolean");
    case COUNT:
        return with(typed(member, "integer"), "minimum", json_integer(0));
    case UUID:
        return with(typed(member, "string"), "format", json_string("uuid"));
    case TIME:
        return with(typed(member, "string"), "format", json_string("date-time"));
    case OBJECT:
        return typed(member, "object");
    case COUNTS:
        return with(typed(member, "array"), "items",
                    json_pack("{s:s, s:i}", "type", "integer", "minimum", 0));
    case TEXTS:
        return with(typed(member, "array"), "items", json_pack("{s:s}", "type", "string"));
    case LIST:
        return with(typed(member, "array"), "items", reference(member->of));
    case ONE:
        return member->may & MAY_BE_NULL
                   ? json_pack("{s:[o, {s:s}]}", "oneOf", reference(member->of), "type", "null")
                   : reference(member->of);
    case TEXT:
        break;
    }
    return typed(member, "string");
}

static json_t *object_in(json_t *schemas, const char *name)
{
    json_t *object = json_object_get(schemas, name);
    if (object)
        return object;
    object = json_pack("{s:s, s:[], s:{}}", "type", "object", "required", "properties");
    json_object_set_new(schemas, name, object);
    return object;
}

void openapi_add_operator_schemas(json_t *schemas)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_t *object = object_in(schemas, members[i].schema);
        json_object_set_new(json_object_get(object, "properties"), members[i].name, schema_of(&members[i]));
        if (!(members[i].may & MAY_BE_ABSENT))
            json_array_append_new(json_object_get(object, "required"), json_string(members[i].name));
    }
}

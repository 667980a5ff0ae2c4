/* Webhooks that were posted to us. The gateway sends the source as it knows it along with the event, in the field
 * `work`; here the commands take its place, and a trigger of the table makes rows of `deferred` of them
 * (schemas/sql/0065_hook_event.sql). So the event and what it becomes are one statement. */

#include <stdio.h>

#include "common/base/json.h"
#include "common/hooks/mapping.h"
#include "workers/engine/resource/handlers.h"

enum { WORK_DEPTH_MAX = 16 };

static struct msg_value *value_named(struct msg_value *values, const char *name)
{
    const struct msg_object *object = msg_resource_by_name(SLICE("hook_event"))->object;
    size_t i = 0;
    while (strcmp(object->fields[i].name, name) != 0)
        i++;
    return &values[i];
}

static struct slice text_of(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    return json_is_string(value) ? (struct slice){json_string_value(value), json_string_length(value)}
                                 : SLICE_NONE;
}

/* ---- what the mapping says ---- */

static bool set_text(struct msg_value *values, const char *name, struct slice text, struct arena *arena)
{
    struct msg_value *value = value_named(values, name);
    *value = (struct msg_value){.state = MSG_PRESENT, .text = arena_copy(arena, text)};
    return value->text.data;
}

static bool set_json(struct msg_value *values, const char *name, const json_t *json, struct arena *arena)
{
    CLEANUP_FREE char *text = json_dumps(json, JSON_COMPACT);
    return text && set_text(values, name, slice_of(text), arena);
}

/* Who runs the commands, and the commands; null when there are none. */
static bool set_work(struct msg_value *values, const json_t *source, const struct hook_outcome *outcome,
                     struct arena *arena)
{
    *value_named(values, "work") = (struct msg_value){.state = MSG_IS_NULL};
    if (json_array_size(outcome->made) == 0)
        return true;
    CLEANUP(json_cleanup)
    json_t *work = json_pack("{s:O?, s:O?, s:O}", "user_id", json_object_get(source, "user_id"), "role",
                             json_object_get(source, "role"), "made", outcome->made);
    return work && set_json(values, "work", work, arena);
}

static bool set_outcome(struct msg_value *values, const json_t *source, const struct hook_outcome *outcome,
                        struct arena *arena)
{
    size_t i;
    json_t *made;
    json_array_foreach(outcome->made, i, made) json_object_del(made, "shown");
    return set_text(values, "status", slice_of(outcome->status), arena) &&
           set_json(values, "reasons", outcome->reasons, arena) &&
           set_json(values, "commands", outcome->commands, arena) && set_work(values, source, outcome, arena);
}

static enum err map_event(const struct command *command, struct msg_value *values, const json_t *work,
                          bool is_create, struct arena *arena, char why[160])
{
    char unreadable[160] = "";
    CLEANUP(json_cleanup) json_t *content = NULL;
    struct hook_facts facts = {
        .source = json_object_get(work, "source"),
        .event = value_named(values, "event")->text,
        .unreadable = unreadable,
        .id = is_create ? command->envelope.id : command->envelope.subject,
        .company = command->envelope.company,
    };
    struct hook_outcome outcome;
    if (hook_content_read(text_of(work, "content_type"), value_named(values, "body")->text, &content,
                          unreadable) == ERR_OK)
        facts.content = content;
    hook_map(&facts, &outcome);
    bool is_set = set_outcome(values, facts.source, &outcome, arena);
    hook_outcome_done(&outcome);
    if (!is_set)
        snprintf(why, 160, "What the webhook becomes does not fit the memory of a command.");
    return is_set ? ERR_OK : ERR_POISON;
}

static enum err prepare(const struct command *command, struct msg_value *values, bool is_create,
                        struct arena *arena, char why[160])
{
    CLEANUP(json_cleanup) json_t *work = NULL;
    struct slice text = value_named(values, "work")->text;
    if (!text.data || json_parse(text, WORK_DEPTH_MAX, &work, why)) {
        snprintf(why, 160, "work: the source is missing.");
        return ERR_POISON;
    }
    return map_event(command, values, work, is_create, arena, why);
}

static enum err prepare_create(const struct command *command, struct msg_value *values, struct arena *arena,
                               char why[160])
{
    return prepare(command, values, true, arena, why);
}

static enum err prepare_replay(const struct command *command, struct msg_value *values, struct arena *arena,
                               char why[160])
{
    return prepare(command, values, false, arena, why);
}

/* ---- the commands ---- */

/* The inbox forgets an event before its row goes. */
static const struct resource_rule create_rules[] = {
    {ERR_CONFLICT, NULL, "The webhook is there already.",
     "EXISTS (SELECT FROM hook_event AS x WHERE x.company_id = :company AND x.id = :id)"},
    {0},
};

const struct resource_plan hook_event_create = {
    .verb = RESOURCE_CREATE, .rules = create_rules, .prepare = prepare_create};

const struct resource_plan hook_event_replay = {.verb = RESOURCE_UPDATE, .prepare = prepare_replay};

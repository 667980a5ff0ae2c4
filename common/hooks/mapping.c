#include "common/hooks/mapping.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/base64.h"
#include "common/base/json.h"
#include "common/hooks/private.h"

enum { BODY_MAX = 1 << 20, REASONS_MAX = 200, ARENA_BLOCK = 4096, ARENA_MAX = 1 << 20 };

/* One rule at work. */
struct rule {
    const struct hook_facts *facts;
    const json_t *json;
    const char *name;
    struct hook_target target;
    json_t *body; /* of the command, as a client would send it */
    struct uuid subject, parent;
    bool has_subject, has_parent, has_failed;
    struct hook_outcome *outcome;
};

static void complain(struct rule *rule, const char *pointer, const char *detail)
{
    rule->has_failed = true;
    if (json_array_size(rule->outcome->reasons) >= REASONS_MAX)
        return;
    json_array_append_new(rule->outcome->reasons, json_pack("{s:s, s:s?, s:s}", "rule", rule->name, "pointer",
                                                            pointer, "detail", detail));
}

/* ---- values ---- */

/* NULL: the body has none, so the field is left out. */
static json_t *value_of(const struct rule *rule, const json_t *row, const struct msg_shape *shape)
{
    const char *constant = json_string_value(json_object_get(row, "value"));
    const char *from = json_string_value(json_object_get(row, "from"));
    if (constant)
        return hook_constant_for(shape, constant);
    const json_t *value = from ? hook_pointer_find(rule->facts->content, slice_of(from)) : NULL;
    return value ? hook_value_for(shape, value) : NULL;
}

static void take_id(struct rule *rule, const json_t *row, const char *to, struct uuid *ret_id, bool *ret_has)
{
    static const struct msg_shape shape = {.type = MSG_STRING, .format = MSG_FORMAT_UUID};
    char pointer[80];
    CLEANUP(json_cleanup) json_t *value = value_of(rule, row, &shape);
    *ret_has = json_is_string(value) &&
               uuid_parse((struct slice){json_string_value(value), json_string_length(value)}, ret_id);
    snprintf(pointer, sizeof(pointer), "/%.64s", to);
    if (!*ret_has)
        complain(rule, pointer, "must be a UUID");
}

static void take_field(struct rule *rule, const json_t *row)
{
    const char *to = json_string_value(json_object_get(row, "to"));
    const struct msg_field *field = NULL;
    char pointer[80];
    switch (to ? hook_place_of(&rule->target, to, &field) : HOOK_PLACE_NONE) {
    case HOOK_PLACE_ID:
        take_id(rule, row, to, &rule->subject, &rule->has_subject);
        break;
    case HOOK_PLACE_PARENT:
        take_id(rule, row, to, &rule->parent, &rule->has_parent);
        break;
    case HOOK_PLACE_FIELD: {
        json_t *value = value_of(rule, row, &field->shape);
        if (value)
            json_object_set_new(rule->body, field->name, value);
        break;
    }
    case HOOK_PLACE_NONE:
        snprintf(pointer, sizeof(pointer), "/%.64s", to ? to : "");
        complain(rule, pointer, "is no field that this command takes");
        break;
    }
}

static void take_fields(struct rule *rule)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(rule->json, "fields"), i, row) take_field(rule, row);
    if (rule->target.resource->is_single) {
        rule->subject = rule->facts->company;
        rule->has_subject = true;
    }
    bool needs_subject = rule->target.verb != MSG_VERB_CREATE;
    if (!rule->has_failed && needs_subject && !rule->has_subject)
        complain(rule, "/id", "is missing: which entity it is");
    if (!rule->has_failed && rule->target.resource->parent && !rule->has_parent)
        complain(rule, NULL, "The entity above is missing.");
}

/* ---- the command ---- */

static bool pack(struct rule *rule, struct buf *out)
{
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, ARENA_BLOCK, ARENA_MAX);
    struct msg_problems problems = {.arena = &arena};
    if (rule->target.verb == MSG_VERB_DELETE)
        return true;
    enum msg_mode mode = rule->target.verb == MSG_VERB_CREATE ? MSG_CREATE : MSG_UPDATE;
    enum err err = msg_from_json(rule->target.resource->object, mode, rule->body, out, &problems);
    for (const struct msg_problem *at = problems.first; at; at = at->next)
        complain(rule, at->pointer.data, at->detail.data);
    if (err && !rule->has_failed)
        complain(rule, NULL, err_info(err)->title);
    return !err;
}

static struct uuid id_of(const struct rule *rule)
{
    const struct slice parts[] = {
        SLICE("hook"),
        {(const char *)rule->facts->id.octet, sizeof(rule->facts->id.octet)},
        slice_of(rule->name),
    };
    return uuid_derive(parts, ARRAY_LEN(parts));
}

/* As of the same command by a client (gateway/resources/write.c). */
static uint64_t fingerprint_of(const struct rule *rule, const char *type, struct slice body)
{
    const struct slice parts[] = {
        slice_of(type),
        {(const char *)rule->subject.octet, rule->has_subject ? sizeof(rule->subject.octet) : 0},
        {(const char *)rule->parent.octet, rule->has_parent ? sizeof(rule->parent.octet) : 0},
        body,
    };
    return msg_fingerprint(parts, ARRAY_LEN(parts));
}

static const char *id_text(bool has, const struct uuid *id, char text[UUID_TEXT_LEN + 1])
{
    if (!has)
        return NULL;
    uuid_format(id, text);
    return text;
}

static void add_command(const struct rule *rule, struct slice body)
{
    char id[UUID_TEXT_LEN + 1], subject[UUID_TEXT_LEN + 1], parent[UUID_TEXT_LEN + 1];
    const char *type = json_string_value(json_object_get(rule->json, "command"));
    const struct uuid command = id_of(rule);
    CLEANUP(buf_done) struct buf encoded;
    buf_init(&encoded, 2 * BODY_MAX);
    base64_append(&encoded, body);
    uuid_format(&command, id);
    json_array_append_new(rule->outcome->commands,
                          json_pack("{s:s, s:s, s:s}", "id", id, "type", type, "rule", rule->name));
    json_array_append_new(rule->outcome->made,
                          json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:I, s:s%, s:O}", "id", id, "type", type,
                                    "subject", id_text(rule->has_subject, &rule->subject, subject), "parent",
                                    id_text(rule->has_parent, &rule->parent, parent), "pool",
                                    rule->target.resource->pool, "fingerprint",
                                    (json_int_t)fingerprint_of(rule, type, body), "body",
                                    buf_slice(&encoded).data, buf_len(&encoded), "shown", rule->body));
}

static void run_rule(struct rule *rule)
{
    const char *command = json_string_value(json_object_get(rule->json, "command"));
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, BODY_MAX);
    rule->target = hook_target_of(command ? command : "");
    if (!rule->facts->content) {
        complain(rule, NULL, rule->facts->unreadable);
        return;
    }
    if (!rule->target.resource) {
        complain(rule, NULL, "There is no such command.");
        return;
    }
    rule->body = json_object();
    take_fields(rule);
    if (!rule->has_failed && pack(rule, &body))
        add_command(rule, buf_slice(&body));
    json_decref(rule->body);
}

static bool is_for(const json_t *rule, struct slice event)
{
    const char *wanted = json_string_value(json_object_get(rule, "event"));
    return wanted && (strcmp(wanted, "*") == 0 || (event.data && slice_is(event, wanted)));
}

void hook_map(const struct hook_facts *facts, struct hook_outcome *ret_outcome)
{
    size_t i, matched = 0;
    const json_t *json;
    *ret_outcome =
        (struct hook_outcome){.commands = json_array(), .reasons = json_array(), .made = json_array()};
    json_array_foreach(json_object_get(facts->source, "mapping"), i, json)
    {
        const char *name = json_string_value(json_object_get(json, "name"));
        if (!name || !is_for(json, facts->event))
            continue;
        struct rule rule = {.facts = facts, .json = json, .name = name, .outcome = ret_outcome};
        matched++;
        run_rule(&rule);
    }
    ret_outcome->status = matched == 0                                 ? "unmapped"
                          : json_array_size(ret_outcome->reasons) == 0 ? "mapped"
                                                                       : "failed";
}

void hook_outcome_done(struct hook_outcome *outcome)
{
    json_decref(outcome->commands);
    json_decref(outcome->reasons);
    json_decref(outcome->made);
}

/* ---- the name of an event ---- */

/* Where each type says it. */
static const struct {
    const char *type, *header, *pointer, *other_pointer;
} usual[] = {
    {"stripe", NULL, "/type", NULL},         {"github", "x-github-event", NULL, NULL},
    {"slack", NULL, "/event/type", "/type"}, {"shopify", "x-shopify-topic", NULL, NULL},
    {"standard", NULL, "/type", NULL},
};

static struct slice text_at(const json_t *content, const char *pointer)
{
    const json_t *value = content && pointer ? hook_pointer_find(content, slice_of(pointer)) : NULL;
    return json_is_string(value) ? (struct slice){json_string_value(value), json_string_length(value)}
                                 : SLICE_NONE;
}

struct slice hook_event_name(const json_t *source, const json_t *content,
                             struct slice (*header)(void *arg, const char *name), void *arg)
{
    const char *type = json_string_value(json_object_get(source, "type"));
    const char *named = json_string_value(json_object_get(source, "event_header"));
    const char *pointer = json_string_value(json_object_get(source, "event_pointer"));
    if (named)
        return header(arg, named);
    if (pointer)
        return text_at(content, pointer);
    for (size_t i = 0; type && i < ARRAY_LEN(usual); i++) {
        if (strcmp(usual[i].type, type) != 0)
            continue;
        struct slice name =
            usual[i].header ? header(arg, usual[i].header) : text_at(content, usual[i].pointer);
        return name.data ? name : text_at(content, usual[i].other_pointer);
    }
    return SLICE_NONE;
}

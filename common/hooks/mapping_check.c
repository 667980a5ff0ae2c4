/* Says of a mapping, when it is given, what it names and there is not. */

#include <stdio.h>

#include "common/base/json.h"
#include "common/hooks/private.h"
#include "common/msg/problem.h"

/* A rule, and where it stands. */
struct check {
    struct msg_problems *problems;
    const struct msg_place *place; /* of the rule */
    struct hook_target target;
    bool has_id, has_parent;
    uint64_t given; /* bits of the fields */
};

static void complain_at(struct msg_problems *problems, const struct msg_place *above, const char *name,
                        const char *detail)
{
    const struct msg_place place = {.above = above, .name = name};
    msg_problem_add(problems, &place, detail);
}

static void check_constant(const struct check *c, const struct msg_place *row, const struct msg_shape *shape,
                           const char *constant)
{
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, 4096, 1 << 20);
    struct msg_problems problems = {.arena = &arena};
    CLEANUP(json_cleanup) json_t *value = hook_constant_for(shape, constant);
    if (!msg_validate(shape, MSG_CREATE, value, &problems))
        complain_at(c->problems, row, "value", problems.first ? problems.first->detail.data : "does not fit");
}

static void check_source_of_value(const struct check *c, const struct msg_place *place, const json_t *row,
                                  const struct msg_shape *shape)
{
    const char *from = json_string_value(json_object_get(row, "from"));
    const char *constant = json_string_value(json_object_get(row, "value"));
    if (!from == !constant)
        complain_at(c->problems, place, "from", "a field has either from or value");
    else if (from && !hook_pointer_is_valid(slice_of(from)))
        complain_at(c->problems, place, "from", "must be a JSON pointer (RFC 6901)");
    else if (constant)
        check_constant(c, place, shape, constant);
}

static void check_row(struct check *c, const struct msg_place *place, const json_t *row)
{
    static const struct msg_shape id = {
        .type = MSG_STRING, .format = MSG_FORMAT_UUID, .min_length = 36, .max_length = 36, .max_items = -1};
    const char *to = json_string_value(json_object_get(row, "to"));
    const struct msg_field *field = NULL;
    enum hook_place where = to ? hook_place_of(&c->target, to, &field) : HOOK_PLACE_NONE;
    c->has_id |= where == HOOK_PLACE_ID;
    c->has_parent |= where == HOOK_PLACE_PARENT;
    if (where == HOOK_PLACE_FIELD)
        c->given |= UINT64_C(1) << (field - c->target.resource->object->fields);
    if (where == HOOK_PLACE_NONE)
        complain_at(c->problems, place, "to", "is no field that this command takes");
    else
        check_source_of_value(c, place, row, where == HOOK_PLACE_FIELD ? &field->shape : &id);
}

/* What the command cannot do without. */
static void check_whole(const struct check *c)
{
    const struct msg_resource *resource = c->target.resource;
    char detail[160];
    if (c->target.verb != MSG_VERB_CREATE && !c->has_id && !resource->is_single)
        complain_at(c->problems, c->place, "fields", "must have id: which entity it is");
    if (resource->parent && !c->has_parent) {
        snprintf(detail, sizeof(detail), "must have %.64s_id: the entity above", resource->parent);
        complain_at(c->problems, c->place, "fields", detail);
    }
    for (size_t i = 0; i < resource->object->field_count && c->target.verb == MSG_VERB_CREATE; i++)
        if (resource->object->fields[i].required && !(c->given >> i & 1)) {
            snprintf(detail, sizeof(detail), "must have %.64s", resource->object->fields[i].name);
            complain_at(c->problems, c->place, "fields", detail);
        }
}

static void check_rule(struct msg_problems *problems, const struct msg_place *place, const json_t *rule)
{
    const char *command = json_string_value(json_object_get(rule, "command"));
    struct check c = {.problems = problems, .place = place};
    if (!command)
        return;
    c.target = hook_target_of(command);
    if (!c.target.resource) {
        complain_at(problems, place, "command", "is no command: it is RESOURCE.create, .update or .delete");
        return;
    }
    const struct msg_place fields = {.above = place, .name = "fields"};
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(rule, "fields"), i, row)
    {
        const struct msg_place at = {.above = &fields, .index = i};
        check_row(&c, &at, row);
    }
    check_whole(&c);
}

static bool is_named_before(const json_t *mapping, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        const char *other = json_string_value(json_object_get(json_array_get(mapping, i), "name"));
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

void hook_source_check(const json_t *source, struct msg_problems *problems)
{
    static const char *const pointers[] = {"id_pointer", "event_pointer"};
    const struct msg_place mapping = {.name = "mapping"};
    const json_t *rules = json_object_get(source, "mapping"), *rule;
    size_t i;
    for (size_t k = 0; k < ARRAY_LEN(pointers); k++) {
        const char *pointer = json_string_value(json_object_get(source, pointers[k]));
        if (pointer && !hook_pointer_is_valid(slice_of(pointer)))
            complain_at(problems, NULL, pointers[k], "must be a JSON pointer (RFC 6901)");
    }
    json_array_foreach(rules, i, rule)
    {
        const struct msg_place place = {.above = &mapping, .index = i};
        const char *name = json_string_value(json_object_get(rule, "name"));
        if (name && is_named_before(rules, i, name))
            complain_at(problems, &place, "name", "is the name of another rule");
        check_rule(problems, &place, rule);
    }
}

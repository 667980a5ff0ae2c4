/* x-audience: of a command, who hears of it besides those who hear of everything. It is read when rights and sums are known. */

#include "schemas/schemac/compiler.h"

enum { AUDIENCES_MAX = 8 };

/* The commands that cause an event of their own, and the end of its type. */
static const struct {
    enum msg_verb verb;
    const char *past;
} pasts[] = {
    {MSG_VERB_CREATE, "created"},
    {MSG_VERB_UPDATE, "updated"},
    {MSG_VERB_DELETE, "deleted"},
};

static bool is_summed(const struct schema_set *set, const struct msg_resource *resource)
{
    for (size_t i = 0; i < set->message_count; i++)
        for (const struct msg_sum *sum = set->messages[i].resource.sums; sum && sum->column; sum++)
            if (sum->of && strcmp(sum->of, resource->name) == 0)
                return true;
    return false;
}

static bool read_nobody(struct compiler *c, const struct spot *at, const struct schema_set *set,
                        const struct msg_resource *resource)
{
    if (strcmp(json_string_value(at->json), "nobody") != 0)
        return refuse(c, at, "must be \"nobody\", or an array of fields that name users");
    return !is_summed(set, resource) ||
           refuse(c, at, "what changes the sums of others cannot be kept from those who see them");
}

/* The event of a delete has no fields of the entity. */
static bool read_user(struct compiler *c, const struct spot *at, const struct msg_resource *resource,
                      const char *past)
{
    const char *name = json_string_value(at->json);
    const struct msg_field *field = name ? field_named(resource->object, name) : NULL;
    if (name && strcmp(name, MSG_AUDIENCE_SENDER) == 0)
        return true;
    if (!field || field->shape.format != MSG_FORMAT_UUID)
        return refuse(c, at,
                      "must be the name of a field of the format uuid, or \"" MSG_AUDIENCE_SENDER "\"");
    return strcmp(past, "deleted") != 0 ||
           refuse(c, at, "the event of a delete says only who sent it: \"" MSG_AUDIENCE_SENDER "\"");
}

static bool read_users(struct compiler *c, const struct spot *at, const struct msg_resource *resource,
                       struct msg_audience *audience)
{
    size_t count = json_array_size(at->json);
    const char **users = compiler_alloc(c, count + 1, sizeof(*users));
    if (!audience->past)
        return refuse(c, at, "is for create, update and delete: of others it can only be \"nobody\"");
    if (count == 0)
        return refuse(c, at, "must not be empty: \"nobody\" says that");
    for (size_t i = 0; i < count; i++) {
        struct spot user = spot_at(c, at, i, json_array_get(at->json, i));
        if (!read_user(c, &user, resource, audience->past))
            return false;
        users[i] = compiler_format(c, "%s", json_string_value(user.json));
    }
    audience->users = users;
    return true;
}

static bool read_audience(struct compiler *c, const struct spot *at, const struct schema_set *set,
                          const struct schema_message *message, const char *command,
                          struct msg_audience *audience)
{
    unsigned verbs = message->wishes.verbs;
    audience->command = compiler_format(c, "%s", command);
    for (size_t i = 0; i < ARRAY_LEN(pasts); i++) {
        if (strcmp(msg_verb_name(pasts[i].verb), command) != 0)
            continue;
        audience->past = pasts[i].past;
        if (!(verbs & 1u << pasts[i].verb))
            return refuse(c, at, "x-resource has no such verb");
    }
    if (!is_identifier(command))
        return refuse(c, at, "must be the name of a command");
    if (json_is_string(at->json))
        return read_nobody(c, at, set, &message->resource);
    return json_is_array(at->json)
               ? read_users(c, at, &message->resource, audience)
               : refuse(c, at, "must be \"nobody\", or an array of fields that name users");
}

static bool read_audiences(struct compiler *c, const struct spot *root, const struct schema_set *set,
                           struct schema_message *message)
{
    json_t *commands = json_object_get(root->json, "x-audience"), *value;
    struct spot at = spot_below(c, root, "x-audience", commands);
    const char *command;
    size_t count = 0;
    if (!commands)
        return true;
    if (!json_is_object(commands) || json_object_size(commands) == 0 ||
        json_object_size(commands) > AUDIENCES_MAX)
        return refuse(c, &at, "must be an object: of at most %d commands, who hears of them", AUDIENCES_MAX);
    struct msg_audience *audiences = compiler_alloc(c, json_object_size(commands) + 1, sizeof(*audiences));
    json_object_foreach(commands, command, value)
    {
        struct spot spot = spot_below(c, &at, command, value);
        if (!read_audience(c, &spot, set, message, command, &audiences[count++]))
            return false;
    }
    message->resource.audiences = audiences;
    return true;
}

bool read_all_audiences(struct compiler *c, struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++) {
        struct schema_message *message = &set->messages[i];
        struct document *document = document_named(c, message->file);
        struct spot root = {.document = document, .pointer = "", .json = document->json};
        if (!message->is_request && !read_audiences(c, &root, set, message))
            return false;
    }
    return true;
}

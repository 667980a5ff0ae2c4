/* What x-resource says beside the names: the pool, the verbs, the path, and whose channel hears of an entity. The
 * endpoints follow from it, once all resources are known, because that of a resource begins with its parent's. */

#include "schemas/schemac/compiler.h"

static const char *const pools[] = {
#define POOL(name, attempts, first_ms, max_ms) name,
#include "common/broker/pools.def"
#undef POOL
};

static bool read_pool(struct compiler *c, const struct spot *spot, struct msg_resource *resource)
{
    const json_t *json = json_object_get(spot->json, "pool");
    const char *name = json_string_value(json);
    struct spot at = spot_below(c, spot, "pool", json);
    if (!json)
        return refuse(c, spot, "`pool` is missing: whose workers run its commands");
    for (size_t i = 0; name && i < ARRAY_LEN(pools); i++)
        if (strcmp(pools[i], name) == 0) {
            resource->pool = pools[i];
            return true;
        }
    return refuse(c, &at, "must be the name of a pool, a row of common/broker/pools.def");
}

static bool verb_named(const char *name, enum msg_verb *ret_verb)
{
    for (unsigned verb = 0; name && verb < MSG_VERBS; verb++)
        if (strcmp(msg_verb_name((enum msg_verb)verb), name) == 0) {
            *ret_verb = (enum msg_verb)verb;
            return true;
        }
    return false;
}

static bool read_verb_list(struct compiler *c, const struct spot *spot, const char *word, unsigned *ret_verbs)
{
    const json_t *list = json_object_get(spot->json, word);
    struct spot at = spot_below(c, spot, word, list);
    if (!json_is_array(list))
        return refuse(c, &at, "must be an array of verbs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct spot entry = spot_at(c, &at, i, json_array_get(list, i));
        enum msg_verb verb;
        if (!verb_named(json_string_value(entry.json), &verb))
            return refuse(c, &entry, "must be create, get, list, update or delete");
        if (*ret_verbs & 1u << verb)
            return refuse(c, &entry, "`%s` is listed twice", msg_verb_name(verb));
        *ret_verbs |= 1u << verb;
    }
    return true;
}

/* `commands` are verbs to which rights are given although no endpoint has them: commands of workers/handlers.def. */
static bool read_verbs(struct compiler *c, const struct spot *spot, struct schema_wishes *wishes)
{
    if (json_object_get(spot->json, "commands") && !read_verb_list(c, spot, "commands", &wishes->commands))
        return false;
    if (json_object_get(spot->json, "verbs"))
        return read_verb_list(c, spot, "verbs", &wishes->verbs);
    wishes->verbs = (1u << MSG_VERBS) - 1;
    return true;
}

static bool read_summaries(struct compiler *c, const struct spot *spot, struct schema_wishes *wishes)
{
    const json_t *summaries = json_object_get(spot->json, "summaries");
    struct spot at = spot_below(c, spot, "summaries", summaries);
    const char *name;
    json_t *value;
    if (!summaries)
        return true;
    if (!json_is_object(summaries))
        return refuse(c, &at, "must be an object: a sentence for a verb");
    json_object_foreach((json_t *)summaries, name, value)
    {
        struct spot entry = spot_below(c, &at, name, value);
        enum msg_verb verb;
        if (!verb_named(name, &verb) || !(wishes->verbs & 1u << verb))
            return refuse(c, &entry, "the resource has no verb `%s`", name);
        if (!json_is_string(value) || json_string_length(value) == 0)
            return refuse(c, &entry, "must be a sentence");
        wishes->summaries[verb] = compiler_format(c, "%s", json_string_value(value));
    }
    return true;
}

/* These begin the paths of gateway/routes.c. */
static bool is_taken(const char *collection)
{
    static const char *const taken[] = {"admin", "event-types", "events", "operations", "tickets"};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (strcmp(taken[i], collection) == 0)
            return true;
    return false;
}

static bool is_segment(struct slice text)
{
    bool is_right = text.len > 0;
    for (size_t i = 0; i < text.len; i++)
        is_right = is_right && text.data[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", text.data[i]);
    return is_right;
}

/* Whether it is "/v1/…/<collection>", of words. */
static bool is_path_of(const char *path, const char *collection)
{
    size_t len = strlen(path), tail = strlen(collection);
    if (strncmp(path, "/v1/", 4) != 0 || len < 4 + tail || strcmp(path + len - tail, collection) != 0 ||
        path[len - tail - 1] != '/')
        return false;
    for (const char *at = path + 4;; at++) {
        size_t part = strcspn(at, "/");
        if (!is_segment((struct slice){at, part}))
            return false;
        at += part;
        if (!*at)
            return true;
    }
}

static bool read_path(struct compiler *c, const struct spot *spot, struct msg_resource *resource,
                      struct schema_wishes *wishes)
{
    const json_t *json = json_object_get(spot->json, "path");
    const char *path = json_string_value(json);
    struct spot at = spot_below(c, spot, "path", json);
    if (!json)
        return !is_taken(resource->collection) || resource->parent ||
               refuse(c, spot, "/v1/%s is taken: give it another collection or a path", resource->collection);
    if (resource->parent)
        return refuse(c, &at, "the path of a resource with a parent begins with that of the parent");
    if (!path || !is_path_of(path, resource->collection))
        return refuse(c, &at, "must be \"/v1/%s\", with words between the two, if any", resource->collection);
    wishes->path = compiler_format(c, "%s", path);
    return true;
}

static bool read_channel(struct compiler *c, const struct spot *spot, struct msg_resource *resource)
{
    const json_t *json = json_object_get(spot->json, "channel");
    struct spot at = spot_below(c, spot, "channel", json);
    if (json && !json_is_boolean(json) && !json_is_string(json))
        return refuse(c, &at, "must be true, false, or the name of a field");
    if (json && !json_is_false(json) && resource->parent)
        return refuse(c, &at, "a resource with a parent has no channel of its own");
    resource->channel = json_is_true(json)     ? MSG_CHANNEL_OWN
                        : json_is_string(json) ? MSG_CHANNEL_COLUMN
                                               : MSG_CHANNEL_NONE;
    if (json_is_string(json))
        resource->channel_column = compiler_format(c, "%s", json_string_value(json));
    return true;
}

static bool read_single(struct compiler *c, const struct spot *spot, struct msg_resource *resource,
                        const struct schema_wishes *wishes)
{
    const unsigned allowed = 1u << MSG_VERB_GET | 1u << MSG_VERB_UPDATE;
    const json_t *json = json_object_get(spot->json, "single");
    struct spot at = spot_below(c, spot, "single", json);
    resource->is_single = json_is_true(json);
    if (json && !json_is_boolean(json))
        return refuse(c, &at, "must be true or false");
    if (resource->is_single && (resource->parent || wishes->verbs & ~allowed))
        return refuse(c, &at,
                      "what a company has one of has no parent, and of the verbs only get and update");
    return true;
}

static bool read_export(struct compiler *c, const struct spot *spot, struct msg_resource *resource,
                        const struct schema_wishes *wishes)
{
    const json_t *json = json_object_get(spot->json, "export");
    struct spot at = spot_below(c, spot, "export", json);
    resource->is_not_exported = json_is_false(json);
    if (json && (!json_is_false(json) || !(wishes->verbs & 1u << MSG_VERB_LIST)))
        return refuse(c, &at, "must be false, of a resource that has a list");
    return true;
}

static bool read_goes_with_parent(struct compiler *c, const struct spot *spot, struct msg_resource *resource)
{
    const json_t *json = json_object_get(spot->json, "goes_with_parent");
    struct spot at = spot_below(c, spot, "goes_with_parent", json);
    resource->goes_with_parent = json_is_true(json);
    if (json && (!json_is_boolean(json) || !resource->parent))
        return refuse(c, &at, "must be true or false, of a resource with a parent");
    return true;
}

/* Commands of its entities that are written by hand, and may be sent by whoever has the right `update`. */
static bool read_acts(struct compiler *c, const struct spot *spot, struct schema_wishes *wishes)
{
    const json_t *list = json_object_get(spot->json, "acts");
    struct spot at = spot_below(c, spot, "acts", list);
    wishes->has_acts = list != NULL;
    if (list && (!json_is_array(list) || json_array_size(list) == 0))
        return refuse(c, &at, "must be an array of names");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct spot entry = spot_at(c, &at, i, json_array_get(list, i));
        enum msg_verb verb;
        const char *name = json_string_value(entry.json);
        if (!name || !is_identifier(name) || verb_named(name, &verb))
            return refuse(c, &entry, "must be a name, and that of no verb");
    }
    return true;
}

bool read_wishes(struct compiler *c, const struct spot *spot, struct msg_resource *resource,
                 struct schema_wishes *wishes)
{
    return read_pool(c, spot, resource) && read_verbs(c, spot, wishes) && read_summaries(c, spot, wishes) &&
           read_path(c, spot, resource, wishes) && read_channel(c, spot, resource) &&
           read_single(c, spot, resource, wishes) && read_goes_with_parent(c, spot, resource) &&
           read_export(c, spot, resource, wishes) && read_acts(c, spot, wishes);
}

/* ---- when all resources are known ---- */

static struct schema_message *parent_of(const struct schema_set *set, const struct msg_resource *resource)
{
    for (size_t i = 0; resource->parent && i < set->message_count; i++)
        if (!set->messages[i].is_request && strcmp(set->messages[i].resource.name, resource->parent) == 0)
            return &set->messages[i];
    return NULL;
}

/* An event belongs to one project at most, and its row has a column for it. */
static bool check_one_channel(struct compiler *c, const struct schema_set *set, const struct spot *spot,
                              const struct msg_resource *resource)
{
    for (size_t i = 0; i < set->message_count; i++) {
        const struct schema_message *other = &set->messages[i];
        if (!other->is_request && &other->resource != resource && other->resource.channel == MSG_CHANNEL_OWN)
            return refuse(c, spot, "%s has a channel already, and an event goes to one", other->file);
    }
    return true;
}

/* An entity that names the one whose channel hears of it does so for good: what is below it keeps that, too. */
static bool check_named_channel(struct compiler *c, const struct schema_set *set, const struct spot *spot,
                                const struct msg_resource *resource)
{
    struct document *document = document_named(c, spot->document->name);
    const char *name = resource->channel_column, *to = NULL;
    const struct msg_field *field = field_named(resource->object, name);
    const json_t *property = json_object_get(json_object_get(document->json, "properties"), name);
    const char *wanted = json_string_value(json_object_get(json_object_get(property, "x-reference"), "to"));
    for (size_t i = 0; wanted && i < set->message_count; i++)
        if (!set->messages[i].is_request && strcmp(set->messages[i].resource.name, wanted) == 0 &&
            set->messages[i].resource.channel == MSG_CHANNEL_OWN)
            to = wanted;
    if (!field || !to || !field->create_only || strcmp(field->column, name) != 0)
        return refuse(c, spot, "`channel`: `%s` must be an x-create-only x-reference to what has a channel",
                      name);
    return true;
}

static bool find_channel(struct compiler *c, const struct schema_set *set, const struct spot *spot,
                         struct msg_resource *resource)
{
    const struct schema_message *above = parent_of(set, resource);
    if (resource->channel == MSG_CHANNEL_COLUMN)
        return check_named_channel(c, set, spot, resource);
    for (unsigned height = 1; above && height < SHAPE_DEPTH_MAX;
         height++, above = parent_of(set, &above->resource))
        if (above->resource.channel == MSG_CHANNEL_OWN) {
            resource->channel = height == 1 ? MSG_CHANNEL_PARENT : MSG_CHANNEL_COLUMN;
            resource->channel_column = height == 1 ? NULL : compiler_format(c, "%s_id", above->resource.name);
            break;
        } else if (above->resource.channel == MSG_CHANNEL_COLUMN && !above->resource.parent) {
            resource->channel = MSG_CHANNEL_COLUMN;
            resource->channel_column = above->resource.channel_column;
            break;
        }
    const struct msg_field *field =
        resource->channel_column ? field_named(resource->object, resource->channel_column) : NULL;
    const struct msg_field *named =
        field && above ? field_named(above->resource.object, resource->channel_column) : NULL;
    if (named && named->shape.nullable != field->shape.nullable)
        return refuse(c, spot, "`%s` must be null when that of its %s is", resource->channel_column,
                      words_of(c, above->resource.name));
    if (resource->channel_column && (!field || !field->read_only || field->shape.format != MSG_FORMAT_UUID ||
                                     strcmp(field->column, field->name) != 0))
        return refuse(c, spot, "its parent's channel hears of it, so it needs the read-only uuid `%s`",
                      resource->channel_column);
    return resource->channel != MSG_CHANNEL_OWN || check_one_channel(c, set, spot, resource);
}

/* Returns "/v1/projects", or "/v1/projects/{project}/tasks". Further below the path begins with the parent: one
 * id above the entity's own says where it is. */
static const char *path_of(struct compiler *c, const struct schema_set *set,
                           const struct schema_message *message)
{
    const struct schema_message *parent = parent_of(set, &message->resource);
    if (message->wishes.path)
        return message->wishes.path;
    if (!parent)
        return compiler_format(c, "/v1/%s", message->resource.collection);
    const char *begin =
        parent->wishes.path ? parent->wishes.path : compiler_format(c, "/v1/%s", parent->resource.collection);
    return compiler_format(c, "%s/{%s}/%s", begin, parent->resource.name, message->resource.collection);
}

char *words_of(struct compiler *c, const char *name)
{
    char *words = compiler_format(c, "%s", name);
    for (char *at = words; *at; at++)
        if (*at == '_' || *at == '-')
            *at = ' ';
    return words;
}

static const char *summary_of(struct compiler *c, const struct msg_resource *resource, enum msg_verb verb)
{
    const char *one = words_of(c, resource->name);
    const char *article = strchr("aeiou", *one) ? "an" : "a";
    switch (verb) {
    case MSG_VERB_CREATE:
        return compiler_format(c, "Create %s %s.", article, one);
    case MSG_VERB_GET:
        return compiler_format(c, "Get %s %s.", article, one);
    case MSG_VERB_LIST:
        return compiler_format(c, "List the %s's %s.",
                               resource->parent ? words_of(c, resource->parent) : "company",
                               words_of(c, resource->collection));
    case MSG_VERB_UPDATE:
        return compiler_format(c, "Change %s %s (JSON Merge Patch).", article, one);
    case MSG_VERB_DELETE:
        return compiler_format(c, "Delete %s %s.", article, one);
    case MSG_VERB_SECRET:
        return compiler_format(c, "Get the secrets of %s %s that are valid now.", article, one);
    case MSG_VERB_ROTATE:
        return compiler_format(c, "Give %s %s a new secret; the one before stays valid for a while.", article,
                               one);
    }
    return NULL;
}

static void make_endpoints(struct compiler *c, const struct schema_set *set, struct schema_message *message)
{
    struct msg_resource *resource = &message->resource;
    const char *path = path_of(c, set, message);
    struct msg_endpoint *endpoints = compiler_alloc(c, MSG_VERBS + 2, sizeof(*endpoints));
    for (unsigned verb = 0; verb < MSG_VERBS; verb++) {
        bool is_of_all = verb == MSG_VERB_CREATE || verb == MSG_VERB_LIST;
        const char *summary = message->wishes.summaries[verb];
        if (message->wishes.verbs & 1u << verb)
            endpoints[resource->endpoint_count++] = (struct msg_endpoint){
                .verb = (enum msg_verb)verb,
                .pattern = is_of_all || resource->is_single ? path : compiler_format(c, "%s/{id}", path),
                .summary = summary ? summary : summary_of(c, resource, (enum msg_verb)verb)};
    }
    if (msg_rotating_secret(resource) && message->wishes.verbs & 1u << MSG_VERB_UPDATE) {
        endpoints[resource->endpoint_count++] =
            (struct msg_endpoint){MSG_VERB_SECRET, compiler_format(c, "%s/{id}/secret", path),
                                  summary_of(c, resource, MSG_VERB_SECRET)};
        endpoints[resource->endpoint_count++] =
            (struct msg_endpoint){MSG_VERB_ROTATE, compiler_format(c, "%s/{id}/rotate-secret", path),
                                  summary_of(c, resource, MSG_VERB_ROTATE)};
    }
    resource->endpoints = endpoints;
}

bool make_all_endpoints(struct compiler *c, struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++) {
        struct schema_message *message = &set->messages[i];
        struct document *document = document_named(c, message->file);
        struct spot root = {.document = document, .pointer = "", .json = document->json};
        struct spot spot = spot_below(c, &root, "x-resource", json_object_get(root.json, "x-resource"));
        if (message->is_request)
            continue;
        if (!find_channel(c, set, &spot, &message->resource))
            return false;
        make_endpoints(c, set, message);
    }
    return true;
}

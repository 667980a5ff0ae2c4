#include "schemas/schemac/compiler.h"

static bool read_name(struct compiler *c, const struct spot *spot, const char *member, const char **ret_name)
{
    const json_t *json = json_object_get(spot->json, member);
    const char *name = json_string_value(json);
    if (!name || !is_identifier(name))
        return refuse(c, spot, "`%s` must be lower-case letters, digits and underscores", member);
    *ret_name = compiler_format(c, "%s", name);
    return true;
}

bool check_members(struct compiler *c, const struct spot *spot, const char *const *known)
{
    const char *name;
    json_t *value;
    if (!json_is_object(spot->json))
        return refuse(c, spot, "must be an object");
    json_object_foreach((json_t *)spot->json, name, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            return refuse(c, spot, "`%s` is not supported here", name);
    }
    return true;
}

/* A segment of a path may have hyphens. */
static bool read_collection(struct compiler *c, const struct spot *spot, const char **ret_collection)
{
    const char *text = json_string_value(json_object_get(spot->json, "collection"));
    char *name = compiler_format(c, "%s", text ? text : "");
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : *at;
    if (!is_identifier(name))
        return refuse(c, spot, "`collection` must be lower-case letters, digits, hyphens and underscores");
    *ret_collection = compiler_format(c, "%s", text);
    return true;
}

static bool read_resource(struct compiler *c, const struct spot *root, struct msg_resource *resource,
                          struct schema_wishes *wishes)
{
    static const char *const members[] = {"name",   "collection",       "table",  "parent",    "pool",
                                          "verbs",  "commands",         "path",   "summaries", "channel",
                                          "single", "goes_with_parent", "export", "acts",      NULL};
    struct spot spot = spot_below(c, root, "x-resource", json_object_get(root->json, "x-resource"));
    return check_members(c, &spot, members) && read_name(c, &spot, "name", &resource->name) &&
           read_collection(c, &spot, &resource->collection) &&
           read_name(c, &spot, "table", &resource->table) &&
           (!json_object_get(spot.json, "parent") || read_name(c, &spot, "parent", &resource->parent)) &&
           read_wishes(c, &spot, resource, wishes);
}

const struct msg_field *field_named(const struct msg_object *object, const char *name)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (strcmp(object->fields[i].name, name) == 0)
            return &object->fields[i];
    return NULL;
}

/* Checks the fields on which reading, concurrency and lists rely. */
static bool check_server_fields(struct compiler *c, const struct spot *root,
                                const struct msg_resource *resource)
{
    const char *parent_id = resource->parent ? compiler_format(c, "%s_id", resource->parent) : NULL;
    const char *const names[] = {"id", "version", "created_at", "updated_at", parent_id};
    for (size_t i = 0; i < ARRAY_LEN(names) && names[i]; i++) {
        const struct msg_field *field = field_named(resource->object, names[i]);
        if (!field || !field->read_only)
            return refuse(c, root, "a resource needs the read-only property `%s`", names[i]);
    }
    return true;
}

/* A merge patch has a bit for each field, a list's statement one for each filter. */
static bool check_counts(struct compiler *c, const struct spot *root, const struct msg_object *object)
{
    struct spot properties = spot_below(c, root, "properties", json_object_get(root->json, "properties"));
    size_t filters = 0, searches = 0, nullable = 0;
    for (size_t i = 0; i < object->field_count; i++) {
        filters += object->fields[i].filter;
        searches += object->fields[i].search;
        nullable += object->fields[i].search && object->fields[i].shape.nullable;
    }
    if (searches > 1 && searches == nullable)
        return refuse(c, &properties, "of several fields with x-search one must never be null");
    if (object->field_count > MSG_COLUMNS_MAX)
        return refuse(c, &properties, "a resource can have %d fields at most", MSG_COLUMNS_MAX);
    if (filters > MSG_FILTERS_MAX)
        return refuse(c, &properties, "a resource can have %d fields with x-filter at most", MSG_FILTERS_MAX);
    return true;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* The table has these columns whatever the schema says: the first is its company's, which a field must never write. */
static const char *const own_columns[] = {"company_id", "tableoid", "xmin", "cmin",
                                          "xmax",       "cmax",     "ctid", NULL};

/* Every list has these (gateway/resources/selection.c), so a filter of that name would never be read. */
static const char *const list_parameters[] = {"limit", "after", "text", "sort", "fields", "include", NULL};

static bool check_names(struct compiler *c, const struct spot *spot, const struct msg_resource *resource,
                        const struct msg_field *field)
{
    if (is_one_of(field->column, own_columns))
        return refuse(c, spot, "`%s` is a column that the table has already", field->column);
    for (const struct msg_field *other = resource->object->fields; other < field; other++)
        if (strcmp(other->column, field->column) == 0)
            return refuse(c, spot, "its column `%s` is that of `%s`", field->column, other->name);
    if (field->filter && is_one_of(field->name, list_parameters))
        return refuse(c, spot, "x-filter: `%s` is a parameter of every list", field->name);
    return true;
}

/* A merge patch changes some members of an object, so each of them may be missing. */
static bool check_object(struct compiler *c, const struct spot *spot, const struct msg_field *field)
{
    const struct msg_object *object = field->shape.type == MSG_OBJECT ? field->shape.object : NULL;
    for (size_t i = 0; object && i < object->field_count; i++)
        if (object->fields[i].required)
            return refuse(c, spot, "an object that is a field of a resource cannot require `%s`",
                          object->fields[i].name);
    return true;
}

/* A field of a resource is a column of its table and of its exports; an array or an object is one of type jsonb. */
static bool check_columns(struct compiler *c, const struct spot *root, unsigned verbs,
                          const struct msg_resource *resource)
{
    struct spot properties = spot_below(c, root, "properties", json_object_get(root->json, "properties"));
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        struct spot spot =
            spot_below(c, &properties, field->name, json_object_get(properties.json, field->name));
        if (!check_object(c, &spot, field) || !check_names(c, &spot, resource, field))
            return false;
        bool is_known = field->required || field->shape.nullable || field->fallback || field->read_only ||
                        (field->secret && field->secret->prefix);
        if (!is_known && verbs & 1u << MSG_VERB_CREATE)
            return refuse(
                c, &spot,
                "must be required, be nullable or have a default: what is it when a client leaves it out?");
    }
    return true;
}

static char *expanded_text(struct compiler *c, const struct spot *root)
{
    json_t *whole = expand(c, root);
    char *dumped = json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(15));
    char *text = compiler_format(c, "%s", dumped);
    free(dumped);
    json_decref(whole);
    return text;
}

bool compile_resource(struct compiler *c, const struct spot *root, struct schema_message *ret_message)
{
    struct msg_resource resource = {0};
    struct schema_wishes *wishes = &ret_message->wishes;
    struct msg_shape shape;
    if (!read_resource(c, root, &resource, wishes) || !compile_shape(c, root, ROLE_ROOT, &shape))
        return false;
    if (shape.type != MSG_OBJECT || shape.nullable)
        return refuse(c, root, "a resource must be an object");
    resource.object = shape.object;
    if (!check_server_fields(c, root, &resource) || !check_columns(c, root, wishes->verbs, &resource) ||
        !check_counts(c, root, resource.object) || !check_indexes(c, root, &resource))
        return false;
    resource.json = expanded_text(c, root);
    ret_message->resource = resource;
    return true;
}

/* Compiles the body, or the query, of a request that is no command of a resource. It has only a name and
 * fields. */
bool compile_request(struct compiler *c, const struct spot *root, struct msg_resource *ret_resource)
{
    struct msg_resource request = {0};
    struct msg_shape shape;
    if (json_object_get(root->json, "x-resource"))
        return refuse(c, root, "a file is either a resource or a request");
    if (json_object_get(root->json, "x-rules") || json_object_get(root->json, "x-compute") ||
        json_object_get(root->json, "x-rights") || json_object_get(root->json, "x-sum") ||
        json_object_get(root->json, "x-audience"))
        return refuse(c, root, "x-rights, x-rules, x-compute, x-sum and x-audience are for resources");
    if (!read_name(c, root, "x-request", &request.name) || !compile_shape(c, root, ROLE_ROOT, &shape))
        return false;
    if (shape.type != MSG_OBJECT || shape.nullable)
        return refuse(c, root, "a request must be an object");
    request.object = shape.object;
    request.json = expanded_text(c, root);
    *ret_resource = request;
    return true;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool same(const struct msg_resource *a, const struct msg_resource *b)
{
    return is_same_text(a->name, b->name) || is_same_text(a->collection, b->collection) ||
           is_same_text(a->table, b->table);
}

bool check_resources(struct compiler *c, const struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++) {
        const struct msg_resource *resource = &set->messages[i].resource;
        struct document document = {.name = set->messages[i].file};
        struct spot spot = {.document = &document, .pointer = "/x-resource"};
        bool parent_found = resource->parent == NULL;
        for (size_t k = 0; k < set->message_count; k++) {
            const struct msg_resource *other = &set->messages[k].resource;
            if (k < i && same(resource, other))
                return refuse(c, &spot, "name, collection or table is that of %s", set->messages[k].file);
            parent_found = parent_found || (other->table && is_same_text(resource->parent, other->name));
        }
        if (!parent_found)
            return refuse(c, &spot, "the parent `%s` is not the name of a resource", resource->parent);
    }
    return true;
}

/* x-number: numbers that are given in sequence, without gaps: per company, year or parent; by the create, or by the
 * update with which a field reaches a value. */

#include "schemas/schemac/compiler.h"

static bool is_listed(const json_t *list, const char *value)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), value) == 0)
            return true;
    return false;
}

/* Reads {"status": "sent"}. No create may begin with the value, since it would have no number. */
static bool read_when(struct rule_reader *r, const struct spot *spot, const json_t *properties,
                      struct msg_number *number)
{
    const json_t *json = json_object_get(spot->json, "when");
    struct spot at = spot_below(r->c, spot, "when", json);
    if (!json)
        return true;
    void *only = json_object_iter((json_t *)json);
    const char *name = only && json_object_size(json) == 1 ? json_object_iter_key(only) : NULL;
    const struct msg_field *field = name ? field_named(r->message->resource.object, name) : NULL;
    const char *value = name ? json_string_value(json_object_iter_value(only)) : NULL;
    if (!field || !field->transitions || !value)
        return refuse(r->c, &at, "must be {\"status\": \"sent\"}: a field with x-transitions, and its value");
    const json_t *rows = json_object_get(json_object_get(properties, name), "x-transitions");
    bool is_value = false;
    for (const char *const *one = field->shape.allowed; *one; one++)
        is_value = is_value || strcmp(*one, value) == 0;
    if (!is_value)
        return refuse(r->c, &at, "`%s` is no value of `%s`", value, name);
    if (!json_object_get(rows, "") || is_listed(json_object_get(rows, ""), value))
        return refuse(r->c, &at, "x-transitions of `%s` must say under \"\" that no create begins as %s",
                      name, value);
    number->when_column = field->column;
    number->when_value = compiler_format(r->c, "%s", value);
    return true;
}

static bool read_scope(struct rule_reader *r, const struct spot *spot, const char *prefix,
                       struct msg_number *number)
{
    const json_t *json = json_object_get(spot->json, "per");
    const char *per = json ? json_string_value(json) : "company", *name = r->message->resource.name;
    if (per && strcmp(per, "year") == 0) {
        number->scope = compiler_format(r->c, "'%s/' || :year", name);
        number->prefix = compiler_format(r->c, "'%s-' || :year || '-'", prefix);
    } else if (per && r->parent && strcmp(per, "parent") == 0) {
        number->scope = compiler_format(r->c, "'%s/' || :parent", name);
        number->prefix = compiler_format(r->c, "'%s-'", prefix);
    } else if (!json) {
        number->scope = compiler_format(r->c, "'%s'", name);
        number->prefix = compiler_format(r->c, "'%s-'", prefix);
    } else {
        return refuse(r->c, spot, "`per` must be \"year\", \"parent\" (where there is one) or left out");
    }
    return true;
}

bool read_number(struct rule_reader *r, const struct spot *property, const struct msg_field *field)
{
    static const char *const members[] = {"prefix", "per", "when", NULL};
    const json_t *json = json_object_get(property->json, "x-number");
    struct spot at = spot_below(r->c, property, "x-number", json);
    struct msg_resource *resource = &r->message->resource;
    struct document *document = document_named(r->c, r->message->file);
    struct msg_number *number = compiler_alloc(r->c, 1, sizeof(*number));
    if (!json)
        return true;
    if (!check_members(r->c, &at, members))
        return false;
    const char *prefix = json_string_value(json_object_get(json, "prefix"));
    bool is_later = json_object_get(json, "when") != NULL;
    if (!prefix || !*prefix || strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(prefix))
        return refuse(r->c, &at, "`prefix` must be capital letters and digits");
    if (resource->number || !field->read_only || field->shape.nullable != is_later ||
        !reader_has_verb(r, is_later ? MSG_VERB_UPDATE : MSG_VERB_CREATE))
        return refuse(r->c, &at,
                      is_later
                          ? "with `when` it is for one field that is read-only, null until then, and given "
                            "by an update"
                          : "is for one field that is read-only, never null, and given by a create");
    number->column = field->column;
    resource->number = number;
    return read_scope(r, &at, prefix, number) &&
           read_when(r, &at, json_object_get(document->json, "properties"), number);
}

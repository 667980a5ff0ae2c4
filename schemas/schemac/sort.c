/* x-sort: lists can be sorted by the field. Each takes an index, and an index costs every write. */

#include "schemas/schemac/compiler.h"

enum { INDEXES_MAX = 8, TEXT_MAX = 200 };

bool check_sort(struct compiler *c, const struct spot *spot, const struct msg_field *field)
{
    const struct msg_shape *shape = &field->shape;
    if (!field->sort)
        return true;
    if (strcmp(field->name, "created_at") == 0 || strcmp(field->name, "id") == 0)
        return refuse(c, spot, "x-sort: every list can be sorted by created_at, and equal ones by id");
    if (shape->type == MSG_OBJECT || shape->type == MSG_ARRAY || shape->type == MSG_BOOLEAN)
        return refuse(c, spot, "x-sort is for dates, times, integers and texts");
    /* Row-level security keeps comparisons of numeric from every index: they are not leakproof. Money has a column of
     * cents beside its own. */
    if (shape->type == MSG_NUMBER && !is_money(c, spot))
        return refuse(c, spot, "x-sort is not for numbers with decimals but x-money: give it an integer");
    /* Cursors have the value. */
    if (shape->type == MSG_STRING && !shape->allowed && shape->max_length > TEXT_MAX)
        return refuse(c, spot, "x-sort is for texts of at most %d characters", TEXT_MAX);
    return true;
}

/* A reference to an entity has a hash index, unless that of a filter does as well. */
static bool has_key_index(const struct msg_resource *resource, const struct msg_field *field,
                          const json_t *property)
{
    const json_t *reference = json_object_get(property, "x-reference");
    const char *to = json_string_value(json_object_get(reference, "to"));
    return to && strcmp(to, "user") != 0 && !(field->indexed && !resource->parent);
}

/* The primary key, that of the old id, the list, a unique number; each filter, sort, unique value and reference that has
 * its own. */
bool check_indexes(struct compiler *c, const struct spot *root, const struct msg_resource *resource)
{
    const json_t *properties = json_object_get(root->json, "properties");
    struct spot at = spot_below(c, root, "properties", properties);
    size_t sorts = 0, indexes = 3;
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        sorts += field->sort;
        const json_t *property = json_object_get(properties, field->name);
        indexes += (size_t)field->sort + field->indexed + has_key_index(resource, field, property) +
                   (json_object_get(property, "x-number") || json_object_get(property, "x-unique"));
    }
    if (sorts > MSG_SORTS_MAX)
        return refuse(c, &at, "a resource can have %d fields with x-sort at most", MSG_SORTS_MAX);
    return indexes <= INDEXES_MAX ||
           refuse(c, &at, "x-indexed, x-sort and others make %zu indexes, and a table can have %d", indexes,
                  INDEXES_MAX);
}

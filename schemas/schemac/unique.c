/* x-unique: a value that no other entity of the company, or of the same parent, may have. The rule refuses it as a
 * conflict that points at the field; behind it the table has an index. */

#include "schemas/schemac/compiler.h"

static bool add_rules(struct rule_reader *r, const struct spot *at, const struct msg_field *field)
{
    const char *column = field->column, *of = r->parent ? r->parent->name : "";
    bool is_of_parent = field->unique == MSG_UNIQUE_PARENT;
    const char *same = is_of_parent ? compiler_format(r->c, " AND other.\"%s_id\" = :parent", of) : "";
    const char *taken =
        compiler_format(r->c,
                        "EXISTS (SELECT FROM \"%s\" AS other WHERE other.company_id = :company"
                        " AND other.\"%s\" = new.\"%s\"%s",
                        r->message->resource.table, column, column, same);
    const struct msg_rule create = {
        .verbs = 1u << MSG_VERB_CREATE,
        .err = ERR_CONFLICT,
        .pointer = compiler_format(r->c, "/%s", field->name),
        .detail = compiler_format(r->c, "is that of another %s of the %s",
                                  words_of(r->c, r->message->resource.name),
                                  is_of_parent ? words_of(r->c, of) : "company"),
        .broken_when = compiler_format(r->c, "%s)", taken),
    };
    struct msg_rule update = create;
    update.verbs = 1u << MSG_VERB_UPDATE;
    update.broken_when = compiler_format(
        r->c, "new.\"%s\" IS DISTINCT FROM old.\"%s\" AND %s AND other.id <> :id)", column, column, taken);
    return (!reader_has_verb(r, MSG_VERB_CREATE) || reader_add_rule(r, at, &create)) &&
           (!reader_has_verb(r, MSG_VERB_UPDATE) || field->create_only || reader_add_rule(r, at, &update));
}

bool read_unique(struct rule_reader *r, const struct spot *property, struct msg_field *field)
{
    const json_t *json = json_object_get(property->json, "x-unique");
    struct spot at = spot_below(r->c, property, "x-unique", json);
    const char *in = json_string_value(json);
    if (!json)
        return true;
    if (!in || (strcmp(in, "company") != 0 && (strcmp(in, "parent") != 0 || !r->parent)))
        return refuse(r->c, &at, "must be \"company\" or, of a resource with a parent, \"parent\"");
    if (field->read_only || field->shape.type == MSG_ARRAY || field->shape.type == MSG_OBJECT)
        return refuse(r->c, &at, "is for single values that a client gives");
    if (field->indexed) /* its own index begins in the same way, and the planner would take that and sort */
        return refuse(r->c, &at, "x-indexed cannot stand beside it");
    field->unique = *in == 'c' ? MSG_UNIQUE_COMPANY : MSG_UNIQUE_PARENT;
    return add_rules(r, &at, field);
}

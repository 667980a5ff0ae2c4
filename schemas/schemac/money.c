/* x-money: an amount in the currency of the company. A client gives it with no more decimals than that currency has,
 * which only the database knows: an amount in yen has none. */

#include "schemas/schemac/compiler.h"

/* The word stands in the property, or in the type that it refers to. */
static bool find_word(struct compiler *c, const struct spot *property, struct spot *ret_word)
{
    struct spot at = *property;
    for (int depth = 0; at.json && depth < SHAPE_DEPTH_MAX; depth++) {
        const json_t *word = json_object_get(at.json, "x-money");
        struct spot target;
        if (word) {
            *ret_word = spot_below(c, &at, "x-money", word);
            return true;
        }
        if (!json_object_get(at.json, "$ref") || !resolve(c, &at, &target))
            return false;
        at = target;
    }
    return false;
}

bool is_money(struct compiler *c, const struct spot *property)
{
    struct spot word;
    return find_word(c, property, &word) && json_is_true(word.json);
}

/* Most amounts are whole, and for these nothing is looked up. */
static bool add_rules(struct rule_reader *r, const struct spot *at, const struct msg_field *field)
{
    const char *column = field->column;
    const struct msg_rule create = {
        .verbs = 1u << MSG_VERB_CREATE,
        .err = ERR_VALIDATION,
        .pointer = compiler_format(r->c, "/%s", field->name),
        .detail = "has more decimals than the currency of the company",
        .broken_when = compiler_format(r->c,
                                       "new.\"%s\" <> trunc(new.\"%s\") AND"
                                       " new.\"%s\" <> round(new.\"%s\", currency_decimals(:company))",
                                       column, column, column, column),
    };
    struct msg_rule update = create;
    update.verbs = 1u << MSG_VERB_UPDATE;
    update.broken_when = compiler_format(r->c, "new.\"%s\" IS DISTINCT FROM old.\"%s\" AND %s", column,
                                         column, create.broken_when);
    return (!reader_has_verb(r, MSG_VERB_CREATE) || reader_add_rule(r, at, &create)) &&
           (!reader_has_verb(r, MSG_VERB_UPDATE) || field->create_only || reader_add_rule(r, at, &update));
}

/* Whether a value within the field has the word, which no rule reaches. */
static bool is_within(const json_t *json)
{
    const char *name;
    json_t *value;
    size_t i;
    bool is = json_object_get(json, "x-money") != NULL;
    json_object_foreach((json_t *)json, name, value) is = is || is_within(value);
    json_array_foreach(json, i, value) is = is || is_within(value);
    return is;
}

static bool check_within(struct rule_reader *r, const struct spot *property, const struct msg_field *field)
{
    if (field->shape.type != MSG_ARRAY && field->shape.type != MSG_OBJECT)
        return true;
    json_t *whole = expand(r->c, property);
    bool is = is_within(whole);
    json_decref(whole);
    return !is || refuse(r->c, property, "x-money is for a field of its own, not for a part of one");
}

bool read_money(struct rule_reader *r, const struct spot *property, struct msg_field *field)
{
    struct spot word;
    if (!find_word(r->c, property, &word))
        return check_within(r, property, field);
    if (!json_is_boolean(word.json))
        return refuse(r->c, &word, "must be true or false");
    field->money = json_is_true(word.json);
    return field->read_only || json_is_false(word.json) || add_rules(r, &word, field);
}

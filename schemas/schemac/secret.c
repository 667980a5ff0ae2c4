/* x-secret: a text that the gateway seals to the pool, and that nobody gets to see in an entity, an event or a file.
 * true, or an object: {"prefix": "whsec_", "octets": 32}: a create without it gets a random one; {"keep_hours": 24}: the one
 * before stays valid for as long, and both can be read. {"keys": "hook"}: it rests under the keys that gateways have, too.
 * A field that is writeOnly without being a secret is stored as it is, and shown to nobody. */

#include "schemas/schemac/compiler.h"

enum { OCTETS_MIN = 16, OCTETS_MAX = 64, KEEP_HOURS_MAX = 8760 };

static bool read_generated(struct compiler *c, const struct spot *at, struct msg_secret *secret)
{
    const json_t *prefix = json_object_get(at->json, "prefix"), *octets = json_object_get(at->json, "octets");
    json_int_t count = json_integer_value(octets);
    if (!prefix && !octets)
        return true;
    if (!json_is_string(prefix) || count < OCTETS_MIN || count > OCTETS_MAX)
        return refuse(c, at, "a secret that is made by itself has a prefix and %d to %d octets", OCTETS_MIN,
                      OCTETS_MAX);
    secret->prefix = compiler_format(c, "%s", json_string_value(prefix));
    secret->octets = (unsigned)count;
    return true;
}

/* What a list could tell of its value, or what would have to be known to more than the pool. */
static bool has_other_words(const struct spot *spot, const struct msg_field *field)
{
    static const char *const words[] = {"x-reference",   "x-number", "x-unique",
                                        "x-transitions", "x-class",  "default"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (json_object_get(spot->json, words[i]))
            return true;
    return field->filter || field->search || field->sort || field->read_only || field->shape.allowed;
}

bool compile_secret(struct compiler *c, const struct spot *spot, struct msg_field *field)
{
    static const char *const known[] = {"prefix", "octets", "keep_hours", "keys", NULL};
    const json_t *json = json_object_get(spot->json, "x-secret");
    bool is_write_only = json_is_true(json_object_get(spot->json, "writeOnly"));
    struct spot at = spot_below(c, spot, "x-secret", json);
    field->write_only = is_write_only && !json;
    if (!json)
        return !field->write_only || !has_other_words(spot, field) ||
               refuse(c, spot, "what is writeOnly has no default, no class, and lists know nothing of it");
    if (!json_is_true(json) && !json_is_object(json))
        return refuse(c, &at, "must be true, or an object");
    if (json_is_object(json) && !check_members(c, &at, known))
        return false;
    if (!is_write_only)
        return refuse(c, &at, "a secret is writeOnly");
    if (field->shape.type != MSG_STRING || field->shape.format || field->required ||
        has_other_words(spot, field))
        return refuse(
            c, &at,
            "a secret is a text without a format that need not be given; it has no default, no class, and "
            "lists know nothing of it");
    struct msg_secret *secret = compiler_alloc(c, 1, sizeof(*secret));
    const json_t *hours = json_object_get(json, "keep_hours");
    json_int_t keep_hours = json_integer_value(hours);
    if (hours && (keep_hours < 1 || keep_hours > KEEP_HOURS_MAX || !json_object_get(json, "prefix") ||
                  field->shape.nullable))
        return refuse(c, &at, "keep_hours are 1 to %d, of a secret that is made by itself and is never null",
                      KEEP_HOURS_MAX);
    const json_t *keys = json_object_get(json, "keys");
    if (keys && (!json_is_string(keys) || strcmp(json_string_value(keys), "hook") != 0))
        return refuse(c, &at, "keys are `hook`: those that gateways have, too");
    secret->is_for_gateways = keys != NULL;
    secret->keep_hours = (unsigned)keep_hours;
    field->secret = secret;
    return read_generated(c, &at, secret);
}

/* A new one is sealed anew, so it differs even from itself. */
static bool add_kept(struct rule_reader *r, const struct spot *at, const struct msg_field *field,
                     const char *suffix, const char *when_new)
{
    const char *column = field->column;
    return reader_add_computed(
        r, at,
        &(struct msg_compute){
            .verbs = 1u << MSG_VERB_UPDATE,
            .column = compiler_format(r->c, "%s_before%s", column, suffix),
            .sql = compiler_format(
                r->c, "CASE WHEN new.\"%s\" IS DISTINCT FROM t.\"%s\" THEN %s ELSE t.\"%s_before%s\" END",
                column, column, when_new, column, suffix),
        });
}

bool read_kept_secret(struct rule_reader *r, const struct spot *property, const struct msg_field *field)
{
    struct spot at = spot_below(r->c, property, "x-secret", json_object_get(property->json, "x-secret"));
    unsigned hours = field->secret ? field->secret->keep_hours : 0;
    if (!hours)
        return true;
    if (msg_rotating_secret(&r->message->resource) != field || !reader_has_verb(r, MSG_VERB_UPDATE))
        return refuse(r->c, &at, "a resource has one secret with keep_hours, and can be updated");
    return add_kept(r, &at, field, "", compiler_format(r->c, "t.\"%s\"", field->column)) &&
           add_kept(r, &at, field, "_until", compiler_format(r->c, ":at + interval '%u hours'", hours));
}

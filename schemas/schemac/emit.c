#include "schemas/schemac/emit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { TEXT_LINE = 96 }; /* characters of a long string on one line of C */

struct emitter {
    FILE *out;
    unsigned last; /* number of the newest table */
};

/* Numbers of the tables that a shape points to; 0: none. */
struct parts {
    unsigned allowed, items, object, transitions;
};

static unsigned emit_object(struct emitter *e, const struct msg_object *object);

static void emit_string(struct emitter *e, const char *text)
{
    if (!text) {
        fputs("NULL", e->out);
        return;
    }
    fputc('"', e->out);
    for (size_t i = 0; text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        if (i && i % TEXT_LINE == 0)
            fputs("\"\n        \"", e->out);
        if (c == '"' || c == '\\' || c == '?')
            fprintf(e->out, "\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            fprintf(e->out, "\\%03o", c);
        else
            fputc(c, e->out);
    }
    fputc('"', e->out);
}

static unsigned emit_strings(struct emitter *e, const char *kind, const char *const *strings)
{
    unsigned number = ++e->last;
    fprintf(e->out, "static const char *const %s_%u[] = {", kind, number);
    for (; *strings; strings++) {
        emit_string(e, *strings);
        fputs(", ", e->out);
    }
    fputs("NULL};\n", e->out);
    return number;
}

static void emit_reference(struct emitter *e, const char *member, const char *prefix, unsigned number)
{
    if (number)
        fprintf(e->out, ", .%s = %s_%u", member, prefix, number);
}

static void emit_bound(struct emitter *e, const char *which, bool has, bool exclusive, double bound)
{
    if (has)
        fprintf(e->out, ", .has_%s = true, .%s_exclusive = %s, .%s = %.17g", which, which,
                exclusive ? "true" : "false", which, bound);
}

static void emit_initializer(struct emitter *e, const struct msg_shape *shape, const struct parts *parts)
{
    static const char *const types[] = {
        [MSG_OBJECT] = "MSG_OBJECT",   [MSG_ARRAY] = "MSG_ARRAY",   [MSG_STRING] = "MSG_STRING",
        [MSG_INTEGER] = "MSG_INTEGER", [MSG_NUMBER] = "MSG_NUMBER", [MSG_BOOLEAN] = "MSG_BOOLEAN",
        [MSG_NULL] = "MSG_NULL",       [MSG_ANY] = "MSG_ANY",
    };
    static const char *const formats[] = {
        [MSG_FORMAT_NONE] = "MSG_FORMAT_NONE",     [MSG_FORMAT_UUID] = "MSG_FORMAT_UUID",
        [MSG_FORMAT_DATE] = "MSG_FORMAT_DATE",     [MSG_FORMAT_DATE_TIME] = "MSG_FORMAT_DATE_TIME",
        [MSG_FORMAT_EMAIL] = "MSG_FORMAT_EMAIL",   [MSG_FORMAT_URI] = "MSG_FORMAT_URI",
        [MSG_FORMAT_OCTETS] = "MSG_FORMAT_OCTETS",
    };
    fprintf(e->out, "{.type = %s", types[shape->type]);
    if (shape->nullable)
        fputs(", .nullable = true", e->out);
    if (shape->format)
        fprintf(e->out, ", .format = %s", formats[shape->format]);
    fprintf(e->out, ", .min_length = %" PRId64 ", .max_length = %" PRId64, shape->min_length,
            shape->max_length);
    fprintf(e->out, ", .min_items = %" PRId64 ", .max_items = %" PRId64, shape->min_items, shape->max_items);
    emit_bound(e, "minimum", shape->has_minimum, shape->minimum_exclusive, shape->minimum);
    emit_bound(e, "maximum", shape->has_maximum, shape->maximum_exclusive, shape->maximum);
    if (shape->multiple_of > 0)
        fprintf(e->out, ", .multiple_of = %.17g", shape->multiple_of);
    emit_reference(e, "allowed", "allowed", parts->allowed);
    emit_reference(e, "items", "&shape", parts->items);
    emit_reference(e, "object", "&object", parts->object);
    fputs("}", e->out);
}

static struct parts emit_parts(struct emitter *e, const struct msg_shape *shape)
{
    struct parts parts = {0};
    if (shape->allowed)
        parts.allowed = emit_strings(e, "allowed", shape->allowed);
    if (shape->object)
        parts.object = emit_object(e, shape->object);
    if (shape->items) {
        struct parts inner = emit_parts(e, shape->items);
        parts.items = ++e->last;
        fprintf(e->out, "static const struct msg_shape shape_%u = ", parts.items);
        emit_initializer(e, shape->items, &inner);
        fputs(";\n", e->out);
    }
    return parts;
}

static unsigned emit_transitions(struct emitter *e, const struct msg_transition *transitions)
{
    size_t count = 0;
    unsigned to[MSG_TRANSITIONS_MAX];
    if (!transitions)
        return 0;
    for (; transitions[count].from; count++)
        to[count] = emit_strings(e, "allowed", transitions[count].to);
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_transition transitions_%u[] = {", number);
    for (size_t i = 0; i < count; i++) {
        fputs("{", e->out);
        emit_string(e, transitions[i].from);
        fprintf(e->out, ", allowed_%u}, ", to[i]);
    }
    fputs("{NULL, NULL}};\n", e->out);
    return number;
}

static void emit_secret(struct emitter *e, const struct msg_secret *secret)
{
    if (!secret)
        return;
    fputs(", .secret = &(const struct msg_secret){", e->out);
    emit_string(e, secret->prefix);
    fprintf(e->out, ", %u, %u, %s}", secret->octets, secret->keep_hours,
            secret->is_for_gateways ? "true" : "false");
}

static void emit_field(struct emitter *e, const struct msg_field *field, const struct parts *parts)
{
    static const char *const flag[] = {"false", "true"};
    fputs("    {.name = ", e->out);
    emit_string(e, field->name);
    fprintf(e->out, ", .id = %" PRIu32 ", .required = %s, .read_only = %s, .create_only = %s,\n", field->id,
            flag[field->required], flag[field->read_only], flag[field->create_only]);
    fprintf(e->out, "     .filter = %s, .indexed = %s, .search = %s, .column = ", flag[field->filter],
            flag[field->indexed], flag[field->search]);
    emit_string(e, field->column);
    fputs(", .fallback = ", e->out);
    emit_string(e, field->fallback);
    fputs(", .reference = ", e->out);
    emit_string(e, field->reference);
    emit_reference(e, "transitions", "transitions", parts->transitions);
    if (field->classes)
        fprintf(e->out, ", .classes = %u", field->classes);
    if (field->money)
        fputs(", .money = true", e->out);
    if (field->tie)
        fprintf(e->out, ", .tie = %u", field->tie);
    fputs(",\n     .shape = ", e->out);
    emit_initializer(e, &field->shape, parts);
    if (field->unique)
        fprintf(e->out, ", .unique = %s",
                field->unique == MSG_UNIQUE_COMPANY ? "MSG_UNIQUE_COMPANY" : "MSG_UNIQUE_PARENT");
    if (field->holds)
        fputs(", .holds = true", e->out);
    if (field->outbound)
        fputs(", .outbound = true", e->out);
    if (field->event_types)
        fputs(", .event_types = true", e->out);
    emit_secret(e, field->secret);
    if (field->write_only)
        fputs(", .write_only = true", e->out);
    fprintf(e->out, ", .sort = %s},\n", flag[field->sort]);
}

static unsigned emit_object(struct emitter *e, const struct msg_object *object)
{
    CLEANUP_FREE struct parts *parts = xcalloc(object->field_count, sizeof(*parts));
    for (size_t i = 0; i < object->field_count; i++) {
        parts[i] = emit_parts(e, &object->fields[i].shape);
        parts[i].transitions = emit_transitions(e, object->fields[i].transitions);
    }
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_field fields_%u[] = {\n", number);
    for (size_t i = 0; i < object->field_count; i++)
        emit_field(e, &object->fields[i], &parts[i]);
    fprintf(e->out, "};\nstatic const struct msg_object object_%u = {fields_%u, %zu, %s};\n", number, number,
            object->field_count, object->closed ? "true" : "false");
    return number;
}

static void emit_member(struct emitter *e, const char *member, const char *text)
{
    fprintf(e->out, "    .%s = ", member);
    emit_string(e, text);
    fputs(",\n", e->out);
}

static unsigned emit_endpoints(struct emitter *e, const struct msg_resource *resource)
{
    static const char *const verbs[] = {
        [MSG_VERB_CREATE] = "MSG_VERB_CREATE", [MSG_VERB_GET] = "MSG_VERB_GET",
        [MSG_VERB_LIST] = "MSG_VERB_LIST",     [MSG_VERB_UPDATE] = "MSG_VERB_UPDATE",
        [MSG_VERB_DELETE] = "MSG_VERB_DELETE", [MSG_VERB_SECRET] = "MSG_VERB_SECRET",
        [MSG_VERB_ROTATE] = "MSG_VERB_ROTATE",
    };
    if (resource->endpoint_count == 0)
        return 0;
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_endpoint endpoints_%u[] = {\n", number);
    for (size_t i = 0; i < resource->endpoint_count; i++) {
        fprintf(e->out, "    {%s, ", verbs[resource->endpoints[i].verb]);
        emit_string(e, resource->endpoints[i].pattern);
        fputs(", ", e->out);
        emit_string(e, resource->endpoints[i].summary);
        fputs("},\n", e->out);
    }
    fputs("};\n", e->out);
    return number;
}

static const char *err_name(enum err err)
{
    return err == ERR_VALIDATION ? "ERR_VALIDATION" : "ERR_CONFLICT";
}

static unsigned emit_rules(struct emitter *e, const struct msg_rule *rules)
{
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_rule rules_%u[] = {\n", number);
    for (; rules->broken_when; rules++) {
        const char *const texts[] = {rules->pointer, rules->detail, rules->broken_when};
        fprintf(e->out, "    {%u, %s", rules->verbs, err_name(rules->err));
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            fputs(", ", e->out);
            emit_string(e, texts[i]);
        }
        fputs("},\n", e->out);
    }
    fputs("    {0},\n};\n", e->out);
    return number;
}

static unsigned emit_computed(struct emitter *e, const struct msg_compute *computed)
{
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_compute computed_%u[] = {\n", number);
    for (; computed->column; computed++) {
        fprintf(e->out, "    {%u, ", computed->verbs);
        emit_string(e, computed->column);
        fputs(", ", e->out);
        emit_string(e, computed->sql);
        fputs("},\n", e->out);
    }
    fputs("    {0},\n};\n", e->out);
    return number;
}

static void emit_number(struct emitter *e, const struct msg_number *number)
{
    const char *const texts[] = {number->column, number->scope, number->prefix, number->when_column,
                                 number->when_value};
    fputs("    .number = &(const struct msg_number){", e->out);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        emit_string(e, texts[i]);
        fputs(i + 1 < ARRAY_LEN(texts) ? ", " : "},\n", e->out);
    }
}

static void emit_rights(struct emitter *e, const struct msg_resource *resource)
{
    fprintf(e->out, "    .classes = %u,\n    .rights = {\n", resource->classes);
    for (size_t role = 0; role < MSG_ROLES; role++) {
        const char *name = msg_role_name((enum msg_role)role);
        fprintf(e->out, "        /* %s */ {", name ? name : "unknown");
        for (size_t right = 0; right < MSG_RIGHTS; right++)
            fprintf(e->out, "%s%u", right > 0 ? ", " : "", resource->rights[role][right]);
        fputs("},\n", e->out);
    }
    fputs("    },\n", e->out);
}

static unsigned emit_sums(struct emitter *e, const struct msg_sum *sums)
{
    if (!sums)
        return 0;
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_sum sums_%u[] = {\n", number);
    for (; sums->column; sums++) {
        const char *const texts[] = {sums->column, sums->of, sums->by, sums->when, sums->sql};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            fputs(i > 0 ? ", " : "    {", e->out);
            emit_string(e, texts[i]);
        }
        fputs("},\n", e->out);
    }
    fputs("    {0},\n};\n", e->out);
    return number;
}

static unsigned emit_users(struct emitter *e, const char *const *users)
{
    if (!users)
        return 0;
    unsigned number = ++e->last;
    fprintf(e->out, "static const char *const users_%u[] = {", number);
    for (; *users; users++) {
        emit_string(e, *users);
        fputs(", ", e->out);
    }
    fputs("NULL};\n", e->out);
    return number;
}

static unsigned emit_audiences(struct emitter *e, const struct msg_audience *audiences)
{
    if (!audiences)
        return 0;
    unsigned first = e->last;
    for (const struct msg_audience *at = audiences; at->command; at++)
        emit_users(e, at->users);
    unsigned number = ++e->last;
    fprintf(e->out, "static const struct msg_audience audiences_%u[] = {\n", number);
    for (; audiences->command; audiences++) {
        fputs("    {", e->out);
        emit_string(e, audiences->command);
        fputs(", ", e->out);
        emit_string(e, audiences->past);
        if (audiences->users)
            fprintf(e->out, ", users_%u},\n", ++first);
        else
            fputs(", NULL},\n", e->out);
    }
    fputs("    {0},\n};\n", e->out);
    return number;
}

static void emit_resource(struct emitter *e, const struct schema_message *message)
{
    const struct msg_resource *resource = &message->resource;
    fprintf(e->out, "\n/* %s */\n", message->file);
    unsigned object = emit_object(e, resource->object);
    unsigned endpoints = emit_endpoints(e, resource);
    unsigned rules = emit_rules(e, resource->rules);
    unsigned computed = emit_computed(e, resource->computed);
    unsigned sums = emit_sums(e, resource->sums);
    unsigned audiences = emit_audiences(e, resource->audiences);
    static const char *const channels[] = {
        [MSG_CHANNEL_NONE] = "MSG_CHANNEL_NONE",
        [MSG_CHANNEL_OWN] = "MSG_CHANNEL_OWN",
        [MSG_CHANNEL_PARENT] = "MSG_CHANNEL_PARENT",
        [MSG_CHANNEL_COLUMN] = "MSG_CHANNEL_COLUMN",
    };
    fprintf(e->out, "static const struct msg_resource resource_%s = {\n", resource->name);
    emit_member(e, "name", resource->name);
    emit_member(e, "collection", resource->collection);
    emit_member(e, "table", resource->table);
    emit_member(e, "parent", resource->parent);
    emit_member(e, "pool", resource->pool);
    fprintf(e->out, "    .channel = %s,\n", channels[resource->channel]);
    emit_member(e, "channel_column", resource->channel_column);
    if (endpoints)
        fprintf(e->out, "    .endpoints = endpoints_%u,\n    .endpoint_count = %zu,\n", endpoints,
                resource->endpoint_count);
    fprintf(e->out, "    .rules = rules_%u,\n    .computed = computed_%u,\n", rules, computed);
    if (resource->number)
        emit_number(e, resource->number);
    fprintf(e->out, "    .is_alone = %s,\n", resource->is_alone ? "true" : "false");
    fprintf(e->out, "    .object = &object_%u,\n", object);
    emit_member(e, "json", resource->json);
    emit_rights(e, resource);
    if (sums)
        fprintf(e->out, "    .sums = sums_%u,\n", sums);
    if (audiences)
        fprintf(e->out, "    .audiences = audiences_%u,\n", audiences);
    if (resource->is_single)
        fputs("    .is_single = true,\n", e->out);
    if (resource->is_not_exported)
        fputs("    .is_not_exported = true,\n", e->out);
    if (resource->goes_with_parent)
        fputs("    .goes_with_parent = true,\n", e->out);
    fputs("};\n", e->out);
}

static void emit_request(struct emitter *e, const struct schema_message *message)
{
    const struct msg_resource *request = &message->resource;
    fprintf(e->out, "\n/* %s */\n", message->file);
    unsigned object = emit_object(e, request->object);
    fprintf(e->out, "static const struct msg_request request_%s = {\n", request->name);
    emit_member(e, "name", request->name);
    fprintf(e->out, "    .object = &object_%u,\n", object);
    emit_member(e, "json", request->json);
    fputs("};\n", e->out);
}

static void emit_list(struct emitter *e, const struct schema_set *set, bool requests)
{
    const char *kind = requests ? "request" : "resource";
    fprintf(e->out, "\nconst struct msg_%s *const msg_%ss[] = {\n", kind, kind);
    for (size_t i = 0; i < set->message_count; i++)
        if (set->messages[i].is_request == requests)
            fprintf(e->out, "    &%s_%s,\n", kind, set->messages[i].resource.name);
    fputs("    NULL,\n};\n", e->out);
}

static void emit_file(struct emitter *e, const struct schema_set *set)
{
    fputs("/* Made by schemac from schemas/messages: change those. */\n\n#include \"common/msg/msg.h\"\n",
          e->out);
    for (size_t i = 0; i < set->message_count; i++)
        if (set->messages[i].is_request)
            emit_request(e, &set->messages[i]);
        else
            emit_resource(e, &set->messages[i]);
    emit_list(e, set, false);
    emit_list(e, set, true);
}

enum err emit_tables(const struct schema_set *set, const char *path, char why[SCHEMA_WHY_MAX])
{
    char partial[4096];
    snprintf(partial, sizeof(partial), "%s.partial", path);
    struct emitter e = {.out = fopen(partial, "w")};
    if (e.out) {
        emit_file(&e, set);
        bool written = !ferror(e.out);
        if (fclose(e.out) == 0 && written && rename(partial, path) == 0)
            return ERR_OK;
    }
    snprintf(why, SCHEMA_WHY_MAX, "%s: %s", path, strerror(errno));
    return ERR_INTERNAL;
}

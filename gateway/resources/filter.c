#include "gateway/resources/filter.h"

#include <stdio.h>

#include "common/base/json.h"
#include "gateway/http/target.h"

static const struct operator
{
    const char *name;
    uint8_t demand;
    uint8_t excludes; /* what may not have been demanded before */
    bool is_of_order;
}
operators[] = {
    {"", 0, PLAN_SET, false},           {"ne", PLAN_NOT, PLAN_SET, false},
    {"gte", PLAN_FROM, PLAN_LOW, true}, {"gt", PLAN_ABOVE, PLAN_LOW, true},
    {"lte", PLAN_TO, PLAN_HIGH, true},  {"lt", PLAN_BELOW, PLAN_HIGH, true},
};

/* ---- values ---- */

/* The value as JSON of the field's type, which the check of bodies can then read; NULL when it is none. */
static json_t *json_of(const struct msg_shape *shape, struct slice value)
{
    if (shape->type == MSG_BOOLEAN && (slice_is(value, "true") || slice_is(value, "false")))
        return json_boolean(value.data[0] == 't');
    if (shape->type == MSG_INTEGER || shape->type == MSG_NUMBER)
        return json_number_of(value);
    /* jansson refuses texts that are not UTF-8, and PostgreSQL has no NUL. */
    if (shape->type == MSG_STRING && !memchr(value.data, '\0', value.len))
        return json_stringn(value.data, value.len);
    return NULL;
}

struct slice filter_check(struct call *call, const struct msg_field *field, struct slice *value)
{
    static const struct slice no_value = {"is not a value of this field", 28};
    struct msg_problems found = {.arena = &call->arena};
    CLEANUP(json_cleanup) json_t *json = value->data ? json_of(&field->shape, *value) : NULL;
    if (!json)
        return no_value;
    if (!msg_validate(&field->shape, MSG_EXACT, json, &found))
        return found.first ? found.first->detail : no_value;
    if (json_is_integer(json)) { /* "1e1" is no integer to PostgreSQL */
        char number[24];
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(json));
        *value = arena_copy(&call->arena, slice_of(number));
    }
    return SLICE_NONE;
}

/* Whether a value may have a comma. */
static bool is_free_text(const struct msg_shape *shape)
{
    return shape->type == MSG_STRING && !shape->allowed && shape->format != MSG_FORMAT_UUID &&
           shape->format != MSG_FORMAT_DATE && shape->format != MSG_FORMAT_DATE_TIME;
}

static struct slice next_value(struct slice *rest)
{
    const char *comma = memchr(rest->data, ',', rest->len);
    struct slice value = {rest->data, comma ? (size_t)(comma - rest->data) : rest->len};
    *rest = comma ? (struct slice){comma + 1, rest->len - value.len - 1} : SLICE_NONE;
    return value;
}

/* ---- one of several ---- */

/* Values as they come, and what became of them. */
struct reading {
    struct call *call;
    const struct msg_field *field;
    struct slice values[MSG_VALUES_MAX];
    size_t count;
    bool has_null;
    struct slice wrong;
};

static void read_value(struct reading *r, struct slice value)
{
    if (r->wrong.data)
        return;
    if (r->field->shape.nullable && slice_is(value, "null")) {
        r->has_null = true;
        return;
    }
    if (r->count == MSG_VALUES_MAX) {
        char text[48];
        snprintf(text, sizeof(text), "has more than %d values", MSG_VALUES_MAX);
        r->wrong = arena_copy(&r->call->arena, slice_of(text));
        return;
    }
    r->wrong = filter_check(r->call, r->field, &value);
    r->values[r->count++] = value;
}

/* A comma that comes encoded belongs to the value, where a value may have one. */
static void read_values(struct reading *r, struct slice raw)
{
    do {
        struct slice part = target_decode(&r->call->arena, next_value(&raw));
        bool is_whole = !part.data || is_free_text(&r->field->shape);
        do
            read_value(r, is_whole ? part : next_value(&part));
        while (!is_whole && part.data);
    } while (raw.data);
}

/* {"a","b"} */
static struct slice array_of(struct arena *arena, const struct slice *values, size_t count)
{
    size_t size = 2;
    for (size_t i = 0; i < count; i++)
        size += 2 * values[i].len + 3;
    char *text = arena_alloc(arena, size), *at = text;
    if (!text)
        return SLICE_NONE;
    *at++ = '{';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = ',';
        *at++ = '"';
        for (size_t k = 0; k < values[i].len; k++) {
            if (values[i].data[k] == '"' || values[i].data[k] == '\\')
                *at++ = '\\';
            *at++ = values[i].data[k];
        }
        *at++ = '"';
    }
    *at++ = '}';
    return (struct slice){text, (size_t)(at - text)};
}

static struct slice take_set(struct call *call, const struct msg_field *field, struct slice raw,
                             uint8_t *demand, struct filter *filter)
{
    struct reading r = {.call = call, .field = field};
    read_values(&r, raw);
    if (r.wrong.data)
        return r.wrong;
    *demand |= (uint8_t)((r.count > 1   ? PLAN_SEVERAL
                          : r.count > 0 ? PLAN_ONE
                                        : 0) |
                         (r.has_null ? PLAN_NULL : 0));
    if (r.count > 0)
        filter->values = r.count > 1 ? array_of(&call->arena, r.values, r.count) : r.values[0];
    return SLICE_NONE;
}

/* ---- operators ---- */

static struct slice no_such_operator(struct arena *arena, const struct msg_field *field)
{
    char text[96];
    snprintf(text, sizeof(text), "has no such operator: there is %s",
             msg_is_ordered(field) ? "[ne], [gte], [gt], [lte] and [lt]" : "[ne]");
    return arena_copy(arena, slice_of(text));
}

struct slice filter_take(struct call *call, const struct msg_field *field, struct slice operator,
                         struct slice raw, uint8_t *demand, struct filter *filter)
{
    const struct operator* found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (slice_is(operator, operators[i].name) && (!operators[i].is_of_order || msg_is_ordered(field)))
            found = &operators[i];
    if (!found)
        return no_such_operator(&call->arena, field);
    if (*demand & found->excludes)
        return SLICE("says of the field what another parameter says already");
    *demand |= found->demand;
    if (!found->is_of_order)
        return take_set(call, field, raw, demand, filter);
    struct slice value = target_decode(&call->arena, raw);
    struct slice wrong = filter_check(call, field, &value);
    if (found->demand & PLAN_LOW)
        filter->low = value;
    else
        filter->high = value;
    return wrong;
}

#include "common/msg/members.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* `at` is the opening quote. Returns what follows the closing one. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\' && at + 1 < end;
    return at < end ? at + 1 : end;
}

/* Returns what follows the value. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            if (depth == 0)
                return at;
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if ((*at == '}' || *at == ']') && depth > 0 && --depth == 0)
            return at + 1;
        else if (depth == 0 && (*at == ',' || *at == '}' || *at == ']' || is_blank(*at)))
            return at;
        at++;
    }
    return at;
}

struct member {
    struct slice name, value; /* the name without its quotes, as it is escaped */
};

/* Reads the member that begins at or behind *at. False: there is no other. */
static bool next_member(const char **at, const char *end, struct member *ret_member)
{
    const char *name = skip_blanks(*at, end);
    if (name < end && *name == ',')
        name = skip_blanks(name + 1, end);
    if (name >= end || *name != '"')
        return false;
    const char *after = skip_string(name, end), *value = skip_blanks(after, end);
    if (value >= end || *value != ':')
        return false;
    value = skip_blanks(value + 1, end);
    *at = skip_value(value, end);
    *ret_member = (struct member){{name + 1, (size_t)(after - name) - 2}, {value, (size_t)(*at - value)}};
    return true;
}

/* Where the members begin; NULL: it is no object. */
static const char *first_of(struct slice object)
{
    const char *end = object.data + object.len, *at = object.data ? skip_blanks(object.data, end) : end;
    return at < end && *at == '{' ? at + 1 : NULL;
}

struct slice members_value(struct slice object, const char *name)
{
    const char *at = first_of(object);
    struct member member;
    while (at && next_member(&at, object.data + object.len, &member))
        if (slice_is(member.name, name))
            return member.value;
    return SLICE_NONE;
}

bool members_next_element(struct slice *rest, struct slice *ret_element)
{
    const char *end = rest->data + rest->len, *at = skip_blanks(rest->data, end);
    if (at < end && *at == ',')
        at = skip_blanks(at + 1, end);
    if (at >= end)
        return false;
    const char *after = skip_value(at, end);
    *ret_element = (struct slice){at, (size_t)(after - at)};
    *rest = (struct slice){after, (size_t)(end - after)};
    return after > at;
}

static bool is_hidden(const struct msg_object *object, unsigned hidden, struct slice name)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].classes & hidden && slice_is(name, object->fields[i].name))
            return true;
    return false;
}

void members_append_seen(const struct msg_resource *resource, unsigned hidden, struct slice entity,
                         struct buf *out)
{
    const char *at = first_of(entity), *separator = "{";
    struct member member;
    if (!at || !members_have_hidden(resource, hidden)) {
        buf_append_slice(out, entity);
        return;
    }
    while (next_member(&at, entity.data + entity.len, &member)) {
        if (is_hidden(resource->object, hidden, member.name))
            continue;
        buf_append_text(out, separator);
        separator = ",";
        buf_append_char(out, '"');
        buf_append_slice(out, member.name);
        buf_append_text(out, "\":");
        buf_append_slice(out, member.value);
    }
    buf_append_text(out, *separator == '{' ? "{}" : "}");
}

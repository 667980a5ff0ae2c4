#include "common/base/json_scan.h"

static struct slice from(struct slice s, size_t at)
{
    return (struct slice){s.data + at, s.len - at};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice skip_blanks(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = from(s, 1);
    return s;
}

/* Octets of the string that begins here, with its quotes; 0: it does not end. */
static size_t string_length(struct slice s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.data[i] == '\\')
            i++;
        else if (s.data[i] == '"')
            return i + 1;
    }
    return 0;
}

/* Octets of the array or object that begins here; 0: it does not end. It is not checked which bracket closes which. */
static size_t container_length(struct slice s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '"') {
            size_t len = string_length(from(s, i));
            if (len == 0)
                return 0;
            i += len - 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static size_t scalar_length(struct slice s)
{
    size_t len = 0;
    while (len < s.len && s.data[len] != ',' && s.data[len] != '}' && s.data[len] != ']' &&
           !is_blank(s.data[len]))
        len++;
    return len;
}

static size_t value_length(struct slice s)
{
    if (s.len == 0)
        return 0;
    if (s.data[0] == '"')
        return string_length(s);
    return s.data[0] == '{' || s.data[0] == '[' ? container_length(s) : scalar_length(s);
}

static bool begin(struct slice text, char bracket, struct slice *ret_inside)
{
    text = skip_blanks(text);
    size_t len = text.len > 0 && text.data[0] == bracket ? container_length(text) : 0;
    if (len == 0 || skip_blanks(from(text, len)).len > 0)
        return false;
    *ret_inside = (struct slice){text.data + 1, len - 2};
    return true;
}

bool json_scan_begin(struct slice text, struct slice *ret_inside)
{
    return begin(text, '{', ret_inside);
}

bool json_scan_begin_array(struct slice text, struct slice *ret_inside)
{
    return begin(text, '[', ret_inside);
}

bool json_scan_next_item(struct slice *inside, struct slice *ret_value)
{
    struct slice rest = skip_blanks(*inside);
    size_t len = value_length(rest);
    *inside = rest;
    if (len == 0)
        return false;
    struct slice value = {rest.data, len};
    rest = skip_blanks(from(rest, len));
    if (rest.len > 0 && rest.data[0] != ',')
        return false;
    *inside = rest.len > 0 ? from(rest, 1) : rest;
    *ret_value = value;
    return true;
}

bool json_scan_next(struct slice *inside, struct slice *ret_name, struct slice *ret_value)
{
    struct slice rest = skip_blanks(*inside);
    size_t name_len = rest.len > 0 && rest.data[0] == '"' ? string_length(rest) : 0;
    *inside = rest;
    if (name_len == 0)
        return false;
    struct slice name = {rest.data + 1, name_len - 2};
    rest = skip_blanks(from(rest, name_len));
    if (rest.len == 0 || rest.data[0] != ':')
        return false;
    rest = from(rest, 1);
    if (!json_scan_next_item(&rest, ret_value))
        return false;
    *inside = rest;
    *ret_name = name;
    return true;
}

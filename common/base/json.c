#include "common/base/json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/utf8.h"

enum { WHY_SIZE = 160 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Returns where a level too many opens, or NULL. It tells only strings from brackets. Up to the first octet
 * that is no JSON, where jansson stops, that is the depth to which jansson calls itself. On the way it finds out
 * whether a number is written with a fraction or an exponent. */
static const char *find_too_deep(struct slice text, int64_t max_depth, bool *ret_has_reals)
{
    int64_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if ((c == '[' || c == '{') && ++depth > max_depth)
            return text.data + i;
        else if (c == ']' || c == '}')
            depth--;
        else if (c == '.' || ((c == 'e' || c == 'E') && i > 0 && is_digit(text.data[i - 1])))
            *ret_has_reals = true;
    }
    return NULL;
}

/* Columns count code points, as jansson's do. */
static void explain(struct slice text, const char *at, const char *what, char why[WHY_SIZE])
{
    struct slice line = {text.data, (size_t)(at - text.data)};
    size_t number = 1;
    for (const char *end; (end = memchr(line.data, '\n', line.len)); number++)
        line = (struct slice){end + 1, (size_t)(at - end - 1)};
    snprintf(why, WHY_SIZE, "line %zu, column %zu: %s", number, utf8_length(line) + 1, what);
}

/* Leaves out what jansson quotes of the text, because that need not be ASCII. */
static void explain_error(const json_error_t *error, char why[WHY_SIZE])
{
    const char *quote = strstr(error->text, " near '");
    int len = quote ? (int)(quote - error->text) : JSON_ERROR_TEXT_LENGTH;
    snprintf(why, WHY_SIZE, "line %d, column %d: %.*s", error->line, error->column, len, error->text);
}

/* JSON has one kind of number (RFC 8259 6), so 5.0 and 5e0 are 5. jansson makes doubles of them, in which its
 * json_integer_value finds 0. Returns the value, or the integer that takes its place. */
static json_t *whole_numbers_as_integers(json_t *json)
{
    static const double exact = 9007199254740992.0; /* 2^53: below it a double has every integer */
    const char *name;
    json_t *value;
    size_t i;
    if (json_is_real(json)) {
        double real = json_real_value(json);
        bool is_whole = fabs(real) < exact && real == trunc(real);
        return is_whole ? json_integer((json_int_t)real) : json_incref(json);
    }
    json_object_foreach(json, name, value)
    {
        if (json_is_real(value) || json_is_object(value) || json_is_array(value))
            json_object_iter_set_new(json, json_object_key_to_iter(name), whole_numbers_as_integers(value));
    }
    json_array_foreach(json, i, value) json_array_set_new(json, i, whole_numbers_as_integers(value));
    return json_incref(json);
}

static enum err parse(struct slice text, int64_t max_depth, size_t flags, json_t **ret_json,
                      char why[WHY_SIZE])
{
    if (text.len == 0)
        text = SLICE("");
    const char *nul = memchr(text.data, '\0', text.len); /* jansson would take it for the end of the text */
    if (nul) {
        explain(text, nul, "the octet 0", why);
        return ERR_BAD_REQUEST;
    }
    bool has_reals = false;
    const char *too_deep = find_too_deep(text, max_depth, &has_reals);
    if (too_deep) {
        char what[64];
        snprintf(what, sizeof(what), "nested too deeply (more than %lld levels)", (long long)max_depth);
        explain(text, too_deep, what, why);
        return ERR_BAD_REQUEST;
    }
    json_error_t error;
    json_t *json = json_loadb(text.data, text.len, flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json) {
        explain_error(&error, why);
        return ERR_BAD_REQUEST;
    }
    *ret_json = has_reals ? whole_numbers_as_integers(json) : json_incref(json);
    json_decref(json);
    return ERR_OK;
}

enum err json_parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160])
{
    return parse(text, max_depth, JSON_ALLOW_NUL, ret_json, why);
}

enum err json_parse_no_nul(struct slice text, int64_t max_depth, json_t **ret_json, char why[160])
{
    return parse(text, max_depth, 0, ret_json, why);
}

json_t *json_number_of(struct slice text)
{
    char why[WHY_SIZE];
    json_t *json = NULL;
    if (parse(text, 0, 0, &json, why))
        return NULL;
    if (!json_is_number(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

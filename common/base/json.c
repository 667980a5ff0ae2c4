#include "common/base/json.h"

#include <stdint.h>
#include <stdio.h>

#include "common/base/utf8.h"

enum { WHY_SIZE = 160 };

/* Returns where a level too many opens, or NULL. It tells only strings from brackets. Up to the first octet
 * that is no JSON, where jansson stops, that is the depth to which jansson calls itself. */
static const char *find_too_deep(struct slice text, int64_t max_depth)
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
    const char *too_deep = find_too_deep(text, max_depth);
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
    *ret_json = json;
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

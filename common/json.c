#include "common/json.h"

#include <stdio.h>

/* Where `text` first nests deeper than max_depth, or its length. Malformed text gets an answer too: the parser
 * has the last word on it. Looking first keeps jansson's own recursion within our limit. */
static size_t too_deep_at(struct slice text, int64_t max_depth)
{
    int64_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth)
                return i;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return text.len;
}

static void explain_depth(struct slice text, size_t at, int64_t max_depth, char why[160])
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column++;
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        }
    }
    snprintf(why, 160, "line %zu, column %zu: nested deeper than %lld levels", line, column, (long long)max_depth);
}

/* jansson quotes what stands near the error, cut anywhere: keep what is safe in any answer and any log. */
static void explain_syntax(const json_error_t *error, char why[160])
{
    snprintf(why, 160, "line %d, column %d: %s", error->line, error->column, error->text);
    for (char *c = why; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

enum err json_parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160])
{
    size_t deep = too_deep_at(text, max_depth);
    if (deep < text.len) {
        explain_depth(text, deep, max_depth, why);
        return ERR_BAD_REQUEST;
    }
    json_error_t error;
    json_t *json = json_loadb(text.len ? text.data : "", text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json) {
        explain_syntax(&error, why);
        return ERR_BAD_REQUEST;
    }
    *ret_json = json;
    return ERR_OK;
}

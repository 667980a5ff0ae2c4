#include "common/json.h"

#include <stdarg.h>
#include <stdio.h>

static int64_t count_up_to(struct slice text, char c, int64_t limit)
{
    int64_t count = 0;
    const char *end = text.data + text.len;
    for (const char *at = text.data; count <= limit && at < end; at++) {
        at = memchr(at, c, (size_t)(end - at));
        if (!at)
            break;
        count++;
    }
    return count;
}

/* Nothing nests deeper than it has opening brackets, wherever they stand: true of nearly every body. */
static bool cannot_be_deep(struct slice text, int64_t max_depth)
{
    int64_t arrays = count_up_to(text, '[', max_depth);
    return arrays <= max_depth && arrays + count_up_to(text, '{', max_depth) <= max_depth;
}

/* Where `text` first nests deeper than max_depth, or its length. Malformed text gets an answer too: the
 * parser has the last word on it. Looking first keeps jansson's own recursion within our limit. */
static size_t too_deep_at(struct slice text, int64_t max_depth)
{
    int64_t depth = 0;
    bool in_string = false;
    if (cannot_be_deep(text, max_depth))
        return text.len;
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

static void explain(struct slice text, size_t at, char why[160], const char *format, ...) PRINTF_LIKE(4, 5);
static void explain(struct slice text, size_t at, char why[160], const char *format, ...)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column++;
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        }
    }
    int len = snprintf(why, 160, "line %zu, column %zu: ", line, column);
    va_list args;
    va_start(args, format);
    vsnprintf(why + len, 160 - (size_t)len, format, args);
    va_end(args);
}

/* jansson quotes what stands near the error, cut anywhere: keep what is safe in any answer and any log. */
static void explain_syntax(const json_error_t *error, char why[160])
{
    snprintf(why, 160, "line %d, column %d: %.110s", error->line, error->column, error->text);
    for (char *c = why; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

enum err json_parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160])
{
    if (text.len == 0)
        text = SLICE("");
    size_t deep = too_deep_at(text, max_depth);
    if (deep < text.len) {
        explain(text, deep, why, "nested deeper than %lld levels", (long long)max_depth);
        return ERR_BAD_REQUEST;
    }
    /* jansson 2.14 takes a NUL between tokens for the end, whatever follows it. */
    const char *nul = memchr(text.data, '\0', text.len);
    if (nul) {
        explain(text, (size_t)(nul - text.data), why, "the octet 0 is not allowed");
        return ERR_BAD_REQUEST;
    }
    json_error_t error;
    json_t *json =
        json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json) {
        explain_syntax(&error, why);
        return ERR_BAD_REQUEST;
    }
    *ret_json = json;
    return ERR_OK;
}

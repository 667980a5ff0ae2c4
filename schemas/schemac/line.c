/* Finds the line of a place in a file that jansson has read, because people look for lines and not for pointers. */

#include "schemas/schemac/compiler.h"

#include <stdio.h>

enum { FILE_MAX = 1 << 20 };

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* `at` stands on the opening quote. */
static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : at;
}

static const char *skip_value(const char *at)
{
    unsigned depth = 0;
    do {
        at = skip_space(at);
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            at += strcspn(at, " \t\r\n,:]}");
        }
    } while (depth > 0 && *at);
    return at;
}

/* Whether the member's name, without its quotes, is the token (RFC 6901). */
static bool is_token(struct slice name, struct slice token)
{
    size_t i = 0;
    for (size_t k = 0; k < token.len; k++, i++) {
        char c = token.data[k];
        if (c == '~' && k + 1 < token.len)
            c = token.data[++k] == '1' ? '/' : '~';
        if (i >= name.len || name.data[i] != c)
            return false;
    }
    return i == name.len;
}

/* Moves to the next member or element of what `at` is in; NULL: that was the last one. */
static const char *next_in(const char *at)
{
    at = skip_space(skip_value(at));
    return *at == ',' ? skip_space(at + 1) : NULL;
}

/* Returns the place of the pointer; where it leads nowhere, what it leaves. */
static const char *find(const char *value, const char *pointer)
{
    struct slice token = {pointer + 1, *pointer ? strcspn(pointer + 1, "/") : 0};
    const char *at = skip_space(value + 1);
    if (!*pointer || (*value != '{' && *value != '['))
        return value;
    for (size_t i = 0; at && *at && *at != '}' && *at != ']'; i++) {
        const char *end = *at == '"' ? skip_string(at) : at, *name = at;
        bool is_here = *value == '[' ? strtoul(token.data, NULL, 10) == i
                                     : is_token((struct slice){at + 1, (size_t)(end - at) - 2}, token);
        if (*value == '{')
            at = skip_space(skip_space(end) + 1);
        if (is_here)
            return token.data[token.len] ? find(at, token.data + token.len) : name;
        at = next_in(at);
    }
    return value;
}

size_t line_of(const char *path, const char *pointer)
{
    CLEANUP_FREE char *text = xcalloc(FILE_MAX, 1);
    FILE *file = fopen(path, "r");
    if (!file)
        return 1;
    size_t len = fread(text, 1, FILE_MAX - 1, file), line = 1;
    fclose(file);
    text[len] = '\0';
    const char *place = find(skip_space(text), pointer);
    for (const char *at = text; at < place; at++)
        line += *at == '\n';
    return line;
}

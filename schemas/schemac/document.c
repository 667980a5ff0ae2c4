#include "schemas/schemac/compiler.h"

#include <stdarg.h>
#include <stdio.h>

char *compiler_format(struct compiler *c, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = compiler_alloc(c, (size_t)len + 1, 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

void *compiler_alloc(struct compiler *c, size_t count, size_t size)
{
    void *ptr = arena_calloc(c->arena, count, size);
    if (!ptr)
        abort(); /* cannot happen: the arena of a compiler has no limit */
    return ptr;
}

bool refuse(struct compiler *c, const struct spot *spot, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *name = spot->document->name;
    char line[24] = "";
    if (c->folder)
        snprintf(line, sizeof(line), ":%zu",
                 line_of(compiler_format(c, "%s/%s", c->folder, name), spot->pointer));
    int len = snprintf(c->why, SCHEMA_WHY_MAX, "%s%s#%s: ", name, line, spot->pointer);
    if (len >= 0 && len < SCHEMA_WHY_MAX)
        vsnprintf(c->why + len, SCHEMA_WHY_MAX - (size_t)len, format, args);
    va_end(args);
    return false;
}

struct document *document_named(struct compiler *c, const char *name)
{
    struct document *d = c->documents;
    while (d && strcmp(d->name, name) != 0)
        d = d->next;
    return d;
}

bool document_load(struct compiler *c, const char *name, const struct document **ret_document)
{
    *ret_document = document_named(c, name);
    if (*ret_document)
        return true;
    json_error_t error;
    json_t *json =
        json_load_file(compiler_format(c, "%s/%s", c->folder, name), JSON_REJECT_DUPLICATES, &error);
    if (!json) {
        snprintf(c->why, SCHEMA_WHY_MAX, "%s:%d:%d: %s", name, error.line, error.column, error.text);
        return false;
    }
    struct document *document = compiler_alloc(c, 1, sizeof(*document));
    *document = (struct document){.name = compiler_format(c, "%s", name), .json = json, .next = c->documents};
    c->documents = document;
    *ret_document = document;
    return true;
}

void documents_free(struct compiler *c)
{
    for (struct document *d = c->documents; d; d = d->next)
        json_decref(d->json);
    c->documents = NULL;
}

/* RFC 6901: "~" is ~0 and "/" is ~1. */
static char *escape_token(struct compiler *c, const char *name)
{
    char *token = compiler_alloc(c, 2 * strlen(name) + 1, 1), *at = token;
    for (; *name; name++) {
        if (*name == '~' || *name == '/') {
            *at++ = '~';
            *at++ = *name == '~' ? '0' : '1';
        } else {
            *at++ = *name;
        }
    }
    return token;
}

struct spot spot_below(struct compiler *c, const struct spot *spot, const char *name, const json_t *json)
{
    struct spot below = *spot;
    below.pointer = compiler_format(c, "%s/%s", spot->pointer, escape_token(c, name));
    below.json = json;
    return below;
}

struct spot spot_at(struct compiler *c, const struct spot *spot, size_t index, const json_t *json)
{
    struct spot below = *spot;
    below.pointer = compiler_format(c, "%s/%zu", spot->pointer, index);
    below.json = json;
    return below;
}

/* Finds the document "types.json" of "types.json#/$defs/money". */
static bool resolve_document(struct compiler *c, const struct spot *spot, const char *name,
                             const struct document **ret_document)
{
    size_t len = strlen(name);
    if (!c->folder || strchr(name, '/') || len < 6 || strcmp(name + len - 5, ".json") != 0)
        return refuse(c, spot, "$ref names `%s`: only files of the same folder can be named", name);
    return document_load(c, name, ret_document);
}

bool resolve(struct compiler *c, const struct spot *spot, struct spot *ret_target)
{
    static const char defs[] = "/$defs/";
    const char *ref = json_string_value(json_object_get(spot->json, "$ref"));
    if (!ref)
        return refuse(c, spot, "$ref must be a string");
    size_t name_len = strcspn(ref, "#");
    const char *fragment = ref[name_len] ? ref + name_len + 1 : "";
    struct spot target = {.document = spot->document, .depth = spot->depth + 1};
    if (target.depth > SHAPE_DEPTH_MAX)
        return refuse(c, spot, "$ref leads deeper than %d levels, or in a circle", SHAPE_DEPTH_MAX);
    if (name_len &&
        !resolve_document(c, spot, compiler_format(c, "%.*s", (int)name_len, ref), &target.document))
        return false;
    target.pointer = compiler_format(c, "%s", fragment);
    target.json = target.document->json;
    if (*fragment) {
        const char *name = fragment + sizeof(defs) - 1;
        if (strncmp(fragment, defs, sizeof(defs) - 1) != 0 || strpbrk(name, "/~%"))
            return refuse(c, spot, "$ref must point to #/$defs/NAME, FILE.json or FILE.json#/$defs/NAME");
        target.json = json_object_get(json_object_get(target.json, "$defs"), name);
    } else if (target.document == spot->document) {
        return refuse(c, spot, "$ref must not point to its own document");
    }
    if (!target.json)
        return refuse(c, spot, "$ref points to `%s`, which is not there", ref);
    *ret_target = target;
    return true;
}

static json_t *expand_array(struct compiler *c, const struct spot *spot)
{
    json_t *array = json_array();
    for (size_t i = 0; i < json_array_size(spot->json); i++) {
        struct spot element = spot_at(c, spot, i, json_array_get(spot->json, i));
        json_array_append_new(array, expand(c, &element));
    }
    return array;
}

/* Members beside a $ref replace those of its target, because they describe this use of it. */
static json_t *expand_object(struct compiler *c, const struct spot *spot)
{
    static const char *const left_out[] = {"$ref", "$schema", "$id", "$defs", "$comment"};
    json_t *object = json_object();
    struct spot target;
    if (json_object_get(spot->json, "$ref") && resolve(c, spot, &target)) {
        json_decref(object);
        object = expand(c, &target);
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)spot->json, name, value)
    {
        bool wanted = true;
        for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
            wanted = wanted && strcmp(name, left_out[i]) != 0;
        struct spot below = spot_below(c, spot, name, value);
        if (wanted)
            json_object_set_new(object, name, expand(c, &below));
    }
    return object;
}

json_t *expand(struct compiler *c, const struct spot *spot)
{
    if (json_is_object(spot->json))
        return expand_object(c, spot);
    if (json_is_array(spot->json))
        return expand_array(c, spot);
    return json_deep_copy(spot->json);
}

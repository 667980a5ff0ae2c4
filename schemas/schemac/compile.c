#include "schemas/schemac/compile.h"

#include <dirent.h>
#include <stdio.h>

#include "schemas/schemac/compiler.h"

#define DIALECT "https://json-schema.org/draft/2020-12/schema"

enum { FILES_MAX = 1000, ARENA_BLOCK = 65536 };

static int is_schema_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

/* $defs that no message uses are compiled too, so an error in a library is found without a user. */
static bool compile_defs(struct compiler *c, const struct spot *root)
{
    json_t *defs = json_object_get(root->json, "$defs");
    struct spot at = spot_below(c, root, "$defs", defs);
    const char *name;
    json_t *value;
    if (defs && !json_is_object(defs))
        return refuse(c, &at, "must be an object");
    json_object_foreach(defs, name, value)
    {
        struct spot spot = spot_below(c, &at, name, value);
        struct msg_shape shape;
        if (!compile_shape(c, &spot, ROLE_VALUE, &shape))
            return false;
    }
    return true;
}

static bool has_dialect(const json_t *schema)
{
    const char *dialect = json_string_value(json_object_get(schema, "$schema"));
    return dialect && strcmp(dialect, DIALECT) == 0;
}

static bool check_head(struct compiler *c, const struct spot *root)
{
    const char *id = json_string_value(json_object_get(root->json, "$id"));
    if (!has_dialect(root->json))
        return refuse(c, root, "$schema must be \"" DIALECT "\"");
    if (!id || strcmp(id, root->document->name) != 0)
        return refuse(c, root, "$id must be the name of the file");
    return true;
}

/* A library has only $defs; its other keywords are those that any root may have. */
static bool check_library(struct compiler *c, const struct spot *root)
{
    static const char *const allowed[] = {"$schema", "$id", "title", "description", "$comment", "$defs"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)root->json, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
            known = known || strcmp(name, allowed[i]) == 0;
        if (!known)
            return refuse(c, root,
                          "without x-resource or x-request a file is a library of $defs and cannot have `%s`",
                          name);
    }
    return true;
}

static bool compile_file(struct compiler *c, struct schema_set *set, const char *name)
{
    const struct document *document;
    if (!document_load(c, name, &document))
        return false;
    struct spot root = {.document = document, .pointer = "", .json = document->json};
    if (!json_is_object(root.json))
        return refuse(c, &root, "a schema must be an object");
    if (!check_head(c, &root) || !compile_defs(c, &root))
        return false;
    bool is_request = json_object_get(root.json, "x-request") != NULL;
    if (!is_request && !json_object_get(root.json, "x-resource"))
        return check_library(c, &root);
    struct schema_message *message = &set->messages[set->message_count++];
    message->file = document->name;
    message->is_request = is_request;
    return is_request ? compile_request(c, &root, &message->resource) : compile_resource(c, &root, message);
}

static bool compile_files(struct compiler *c, struct schema_set *set, struct dirent **entries, int count)
{
    if (count > FILES_MAX) {
        snprintf(c->why, SCHEMA_WHY_MAX, "%s: more than %d files", c->folder, FILES_MAX);
        return false;
    }
    set->messages = compiler_alloc(c, (size_t)count + 1, sizeof(*set->messages));
    for (int i = 0; i < count; i++)
        if (!compile_file(c, set, entries[i]->d_name))
            return false;
    return check_resources(c, set) && make_all_endpoints(c, set) && read_all_ties(c, set) &&
           read_all_rights(c, set) && read_all_rules(c, set) && read_all_sums(c, set) &&
           read_all_audiences(c, set);
}

enum err schema_set_load(struct schema_set *set, const char *folder, char why[SCHEMA_WHY_MAX])
{
    *set = (struct schema_set){0};
    arena_init(&set->arena, ARENA_BLOCK, 0);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_schema_file, alphasort);
    if (count < 0) {
        snprintf(why, SCHEMA_WHY_MAX, "%s: the folder cannot be read", folder);
        return ERR_VALIDATION;
    }
    struct compiler c = {.rules = SCHEMA_MESSAGES, .folder = folder, .arena = &set->arena, .why = why};
    bool ok = compile_files(&c, set, entries, count);
    documents_free(&c);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    if (ok)
        return ERR_OK;
    schema_set_done(set);
    return ERR_VALIDATION;
}

void schema_set_done(struct schema_set *set)
{
    arena_done(&set->arena);
    *set = (struct schema_set){0};
}

enum err schema_compile(const json_t *schema, enum schema_rules rules, struct arena *arena,
                        struct msg_shape *ret_shape, char why[SCHEMA_WHY_MAX])
{
    struct document document = {.name = "", .json = (json_t *)schema};
    struct compiler c = {.rules = rules, .documents = &document, .arena = arena};
    c.why = why;
    struct spot root = {.document = &document, .pointer = "", .json = schema};
    bool ok = (json_object_get(schema, "$schema") && !has_dialect(schema))
                  ? refuse(&c, &root, "$schema must be \"" DIALECT "\"")
              : json_object_get(schema, "$id")
                  ? refuse(&c, &root, "$id must be left out: a schema that stands alone has no name")
                  : compile_shape(&c, &root, ROLE_ROOT, ret_shape);
    return ok ? ERR_OK : ERR_VALIDATION;
}

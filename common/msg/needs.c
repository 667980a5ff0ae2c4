#include "common/msg/needs.h"

#include <stdio.h>
#include <string.h>

/* NEWEST_MIGRATION comes from CMake: the name of the last file in schemas/sql. */

enum { LIST_MAX = 64 * 1024, NAMES_MAX = 300 };

const char needs_sql[] =
    "WITH wanted AS (SELECT t, c, p, to_regclass(quote_ident(t)) AS rel"
    " FROM unnest($1::text[], $2::text[], $3::text[]) AS w (t, c, p)),"
    " found AS (SELECT t, c, p, rel, a.attname IS NOT NULL AS is_there,"
    " EXISTS (SELECT FROM pg_class WHERE oid = rel AND relkind IN ('r', 'p')) AS is_table"
    " FROM wanted LEFT JOIN pg_attribute AS a"
    " ON a.attrelid = rel AND a.attname = c AND a.attnum > 0 AND NOT a.attisdropped)"
    " SELECT coalesce(string_agg(DISTINCT t || '.' || c, ', ') FILTER (WHERE NOT is_there), ''),"
    " coalesce(string_agg(DISTINCT CASE p WHEN 'SELECT' THEN p || ' on ' || t || '.' || c ELSE p || ' on ' "
    "|| t END,"
    " ', ') FILTER (WHERE CASE WHEN NOT is_there OR NOT is_table THEN false"
    " WHEN p = 'SELECT' THEN NOT has_column_privilege(rel, c, p)"
    " WHEN p = 'DELETE' THEN NOT has_table_privilege(rel, p)"
    " ELSE NOT has_any_column_privilege(rel, p) END), '')"
    " FROM found";

const char needs_migration_sql[] =
    "SELECT EXISTS (SELECT FROM schema_migration WHERE name = '" NEWEST_MIGRATION "')";

const char needs_migration_lacks[] =
    "the migration " NEWEST_MIGRATION " has not been applied to the database; "
    "deploy/local/migrate.sh applies it, and so does ./cortex up";

void needs_init(struct needs *needs)
{
    struct buf *const arrays[] = {&needs->tables, &needs->columns, &needs->rights};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        buf_init(arrays[i], LIST_MAX);
        buf_append_char(arrays[i], '{');
    }
}

void needs_done(struct needs *needs)
{
    buf_done(&needs->tables);
    buf_done(&needs->columns);
    buf_done(&needs->rights);
}

void needs_add(struct needs *needs, const char *table, const char *column, const char *right)
{
    const char *separator = buf_len(&needs->tables) > 1 ? "," : "";
    buf_printf(&needs->tables, "%s\"%s\"", separator, table);
    buf_printf(&needs->columns, "%s\"%s\"", separator, column);
    buf_printf(&needs->rights, "%s\"%s\"", separator, right);
}

void needs_add_resources(struct needs *needs, const struct msg_resource *const *resources)
{
    for (; *resources; resources++) {
        const struct msg_resource *resource = *resources;
        needs_add(needs, resource->table, "company_id", "SELECT");
        needs_add(needs, resource->table, "version", "SELECT");
        for (size_t i = 0; i < resource->object->field_count; i++)
            needs_add(needs, resource->table, resource->object->fields[i].column, "SELECT");
    }
}

void needs_params(struct needs *needs, struct slice ret_params[NEEDS_PARAMS])
{
    struct buf *const arrays[NEEDS_PARAMS] = {&needs->tables, &needs->columns, &needs->rights};
    for (size_t i = 0; i < NEEDS_PARAMS; i++) {
        struct slice array = buf_slice(arrays[i]);
        if (array.data[array.len - 1] != '}')
            buf_append_char(arrays[i], '}');
        ret_params[i] = buf_slice(arrays[i]);
    }
}

void needs_say_lacking(char sentence[NEEDS_SENTENCE_SIZE], struct slice missing, struct slice forbidden)
{
    bool is_missing = missing.len > 0;
    struct slice names = is_missing ? missing : forbidden;
    bool is_cut = names.len > NAMES_MAX;
    snprintf(sentence, NEEDS_SENTENCE_SIZE, "%s %.*s%s: a migration of schemas/sql %s",
             is_missing ? "the database lacks" : "the role of this process lacks",
             is_cut ? NAMES_MAX : (int)names.len, names.data, is_cut ? " …" : "",
             is_missing ? "has not been written, or has not been applied (deploy/local/migrate.sh)"
                        : "must grant it");
}

bool needs_migration_is_unreadable(const char *sqlstate)
{
    return strcmp(sqlstate, "42501") == 0 || strcmp(sqlstate, "42P01") == 0;
}

#include "schemas/schemac/sums.h"

#include "common/msg/sum_sql.h"

enum { TEXT_MAX = 1 << 20 };

static const struct msg_resource *const *resources_of(struct schema_set *set)
{
    size_t count = 0;
    const struct msg_resource **resources =
        arena_alloc(&set->arena, (set->message_count + 1) * sizeof(struct msg_resource *));
    if (!resources)
        abort(); /* cannot happen: the arena has no limit */
    for (size_t i = 0; i < set->message_count; i++)
        if (!set->messages[i].is_request)
            resources[count++] = &set->messages[i].resource;
    resources[count] = NULL;
    return resources;
}

static void print_text(FILE *out, struct buf *text)
{
    fprintf(out, "%.*s", (int)buf_len(text), buf_data(text));
    buf_clear(text);
}

void sums_print_migration(FILE *out, struct schema_set *set)
{
    const struct msg_resource *const *resources = resources_of(set);
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, TEXT_MAX);
    fputs("-- NNNN_sums.sql\n", out);
    for (const struct msg_resource *const *at = resources; *at; at++)
        sum_sql_columns(*at, &text);
    print_text(out, &text);
    fputs("\n-- NNNN_sums_follow.sql\n", out);
    for (const struct msg_resource *const *at = resources; *at; at++)
        if (sum_is_fed(resources, *at))
            sum_sql_trigger(resources, *at, &text);
    print_text(out, &text);
    fputs("\n-- NNNN_sums_counted_concurrently.sql\n", out);
    for (const struct msg_resource *const *at = resources; *at; at++)
        sum_sql_count(resources, *at, &text);
    print_text(out, &text);
}

void sums_print_check(FILE *out, struct schema_set *set)
{
    const struct msg_resource *const *resources = resources_of(set);
    const char *separator = "";
    for (const struct msg_resource *const *at = resources; *at; at++) {
        CLEANUP(buf_done) struct buf text;
        buf_init(&text, TEXT_MAX);
        if (!(*at)->sums)
            continue;
        sum_sql_check(resources, *at, &text);
        fprintf(out,
                "%sSELECT '%s' AS resource, c.* FROM (%.*s) AS c (company_id, id, name, value, expected)\n",
                separator, (*at)->name, (int)buf_len(&text), buf_data(&text));
        separator = "UNION ALL\n";
    }
}

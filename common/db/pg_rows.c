#include "common/db/pg_rows.h"

#include <assert.h>

void pg_rows_init(struct pg_rows *rows, size_t capacity, size_t max_bytes)
{
    assert(capacity < DB_PARAMS_MAX);
    *rows = (struct pg_rows){.columns = xcalloc(capacity, sizeof(*rows->columns)), .capacity = capacity};
    for (size_t i = 0; i < capacity; i++)
        pg_array_init(&rows->columns[i], max_bytes);
}

void pg_rows_done(struct pg_rows *rows)
{
    for (size_t i = 0; i < rows->capacity; i++)
        pg_array_done(&rows->columns[i]);
    free(rows->columns);
    *rows = (struct pg_rows){0};
}

void pg_rows_begin(struct pg_rows *rows, size_t width)
{
    assert(width <= rows->capacity);
    rows->width = width;
    rows->count = 0;
    for (size_t i = 0; i < width; i++)
        pg_array_clear(&rows->columns[i]);
}

void pg_rows_begin_binary(struct pg_rows *rows, const enum pg_element *elements, size_t width)
{
    assert(width <= rows->capacity);
    rows->width = width;
    rows->count = 0;
    for (size_t i = 0; i < width; i++)
        pg_array_begin(&rows->columns[i], elements[i]);
}

struct pg_array *pg_rows_add(struct pg_rows *rows)
{
    rows->count++;
    return rows->columns;
}

bool pg_rows_send(struct pg_rows *rows, struct db *db, const struct db_statement *statement,
                  const char *first, db_on_result *on_result, void *arg)
{
    struct slice params[DB_PARAMS_MAX];
    uint64_t binary = 0;
    size_t count = 0;
    if (rows->count == 0)
        return false;
    if (first)
        params[count++] = slice_of(first);
    for (size_t i = 0; i < rows->width; i++) {
        binary |= (uint64_t)pg_array_is_binary(&rows->columns[i]) << count;
        params[count++] = pg_array_end(&rows->columns[i]);
    }
    db_send_binary(db, statement, params, count, binary, on_result, arg);
    return true;
}

#pragma once
/* The rows of a batch, sent as one statement that ends in FROM unnest($1::uuid[], $2::text[], …): one array
 * for each column. A caller empties the arrays, adds rows, and sends them:
 *
 *   pg_rows_begin(&rows, 2);
 *   for (…) {
 *       struct pg_array *column = pg_rows_add(&rows);
 *       pg_array_add_uuid(column++, &company);
 *       pg_array_add_text(column++, name);
 *   }
 *   pg_rows_send(&rows, db, &statement, NULL, on_result, arg);
 *
 * The arrays keep their memory from one batch to the next. Each row adds exactly one element to each of the
 * columns that pg_rows_begin named: PostgreSQL's unnest would fill a shorter array with NULLs.
 */

#include "common/db/db.h"
#include "common/db/pg_array.h"

struct pg_rows {
    struct pg_array *columns;
    size_t capacity; /* of columns */
    size_t width;    /* columns of the present batch */
    size_t count;    /* its rows */
};

/* capacity: the most columns that one batch has, below DB_PARAMS_MAX. max_bytes bounds the bytes of each
 * column. */
void pg_rows_init(struct pg_rows *rows, size_t capacity, size_t max_bytes);
void pg_rows_done(struct pg_rows *rows);

/* Empties the arrays for a batch of `width` columns in the text form. */
void pg_rows_begin(struct pg_rows *rows, size_t width);
/* The same for the binary form: the type of each column (pg_array.h says what the statement must do). */
void pg_rows_begin_binary(struct pg_rows *rows, const enum pg_element *elements, size_t width);

/* Counts one more row and returns its first column; the caller adds one element to each of the `width`
 * columns. */
struct pg_array *pg_rows_add(struct pg_rows *rows);

/* Sends the batch and returns true, or sends nothing and returns false when no row was added. `first`, unless
 * it is NULL, goes before the arrays as $1. Everything is copied, so the next batch may begin at once. */
bool pg_rows_send(struct pg_rows *rows, struct db *db, const struct db_statement *statement,
                  const char *first, db_on_result *on_result, void *arg);

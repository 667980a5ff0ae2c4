#pragma once
/* A one-dimensional array as a parameter of PostgreSQL, built element by element. pg_rows.h sends a batch of rows
 * as such arrays. The memory is kept from one use to the next.
 *
 * An array has one of two forms, which is chosen before its first element:
 *
 *   PG_AS_TEXT  the text form ({1,2,NULL,"a \"b\""}), which the server reads as whatever the statement casts it to
 *   others      the binary form, whose elements have the type that the name says. The statement must cast the
 *               parameter to an array of this very type: the server refuses another one. It costs the server a
 *               fraction of what the text costs, because nothing is parsed.
 */

#include "common/base/buf.h"
#include "common/base/uuid.h"

enum pg_element {
    PG_AS_TEXT,
    PG_UUID,
    PG_BIGINT,
    PG_INTEGER,
    PG_SMALLINT,
    PG_TEXT,
    PG_BOOLEAN,
    PG_BYTEA,
    PG_JSON
};

struct pg_array {
    struct buf content;
    enum pg_element element;
    uint32_t count; /* of elements */
    bool has_null;
};

void pg_array_init(struct pg_array *array, size_t max);
void pg_array_done(struct pg_array *array);
/* Empties it, for elements of the type. */
void pg_array_begin(struct pg_array *array, enum pg_element element);
/* Empties it; the next use is in the text form. */
static inline void pg_array_clear(struct pg_array *array)
{
    pg_array_begin(array, PG_AS_TEXT);
}
static inline bool pg_array_is_binary(const struct pg_array *array)
{
    return array->element != PG_AS_TEXT;
}

void pg_array_add_uuid(struct pg_array *array, const struct uuid *uuid);
void pg_array_add_i64(struct pg_array *array, int64_t value); /* it fits into the integers of the array */
void pg_array_add_text(struct pg_array *array, struct slice text); /* or JSON; SLICE_NONE becomes NULL */
void pg_array_add_bool(struct pg_array *array, bool value);
void pg_array_add_bytes(struct pg_array *array, struct slice bytes); /* bytea */
void pg_array_add_null(struct pg_array *array);

/* Closes the array. The content is valid until it is emptied. */
struct slice pg_array_end(struct pg_array *array);

#pragma once
/* A one-dimensional array in the text form of PostgreSQL ({1,2,NULL,"a \"b\""}), built element by element.
 * pg_rows.h sends a batch of rows as such arrays. The memory is kept from one use to the next. */

#include "common/base/buf.h"
#include "common/base/uuid.h"

struct pg_array {
    struct buf text;
};

void pg_array_init(struct pg_array *array, size_t max);
void pg_array_done(struct pg_array *array);
void pg_array_clear(struct pg_array *array);

void pg_array_add_uuid(struct pg_array *array, const struct uuid *uuid);
void pg_array_add_i64(struct pg_array *array, int64_t value);
void pg_array_add_text(struct pg_array *array, struct slice text); /* SLICE_NONE becomes NULL */
void pg_array_add_bool(struct pg_array *array, bool value);
void pg_array_add_bytes(struct pg_array *array, struct slice bytes); /* bytea */
void pg_array_add_null(struct pg_array *array);

/* Closes the array. The text is valid until the next clear. */
struct slice pg_array_end(struct pg_array *array);

#pragma once
/* SQL that follows from the description of a resource. A worker that stores an event and a GET that answers
 * use the same expression, so their JSON is the same.
 *
 * Times come as "2026-01-31T09:15:00.123456Z", as in events and everywhere else. */

#include "common/base/buf.h"
#include "common/msg/msg.h"

/* Appends an expression of type text: the entity as JSON, with every field of the schema that is no secret in the order of
 * its table, null for an empty one, and no spaces between the members. `alias` names the table in the surrounding
 * statement:
 *
 *   SELECT <json> FROM project AS t …        INSERT INTO project AS t … RETURNING <json>
 *
 * row_to_json over a sub-select was measured against json_build_object, format() and concat(). It costs the
 * same for one row (9 µs beyond fetching the row) and half of json_build_object in a list, and its text is
 * the shortest. */
void resource_sql_json(const struct msg_resource *resource, const char *alias, struct buf *out);

/* Appends those of its members whose bits are set, in the order of the schema, as the list of a SELECT: the table's values by
 * the names of the fields. */
#define RESOURCE_SQL_ALL (~UINT64_C(0))
void resource_sql_members(const struct msg_resource *resource, const char *alias, uint64_t fields,
                          struct buf *out);

/* The bits of the fields that are of none of these classes (1 << MSG_CLASS_BIT_…): a reader sees them who does not see
 * the classes. Nobody sees secrets. */
uint64_t resource_sql_seen(const struct msg_resource *resource, unsigned hidden);
/* The entity as JSON, without the fields of these classes. */
void resource_sql_json_without(const struct msg_resource *resource, const char *alias, unsigned hidden,
                               struct buf *out);

/* Appends the column that lists are sorted by: of a field with x-sort its own, of money that of its cents, which PostgreSQL
 * keeps (schemas/sql/0061_sort_money_concurrently.sql). */
void resource_sql_sort(const char *alias, const struct msg_field *field, struct buf *out);
/* Appends `alias."column"`, quoted. */
void resource_sql_column(const char *alias, const char *column, struct buf *out);

#pragma once
/* SQL that follows from a resource's description, for everybody who writes or reads one: what a worker stores
 * in an event and what a GET answers is the same JSON because it is the same expression.
 *
 * Sessions must run with TimeZone UTC (every `struct db` does): times come as
 * "2026-01-31T09:15:00.123456+00:00". */

#include "common/base/buf.h"
#include "common/msg/msg.h"

/* Appends an expression of type text: the entity as JSON, every field of the schema in the order of its
 * table, null where there is none, without spaces between the members. `alias` names the table in the
 * surrounding statement:
 *
 *   SELECT <json> FROM project AS t …        INSERT INTO project AS t … RETURNING <json>
 *
 * row_to_json over a sub-select was measured against json_build_object, format() and concat(): the same cost
 * for one row (9 µs beyond fetching it), half of json_build_object's in a list, and the shortest text. */
void resource_sql_json(const struct msg_resource *resource, const char *alias, struct buf *out);

/* Appends `alias."column"`, quoted. */
void resource_sql_column(const char *alias, const char *column, struct buf *out);

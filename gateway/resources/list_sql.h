#pragma once
/* The SQL of a list's statements, from the plan and the shape of the list (plan.h). */

#include "common/base/buf.h"
#include "gateway/resources/plan.h"

/* Append the text that plan_step and plan_search promise. */
void list_sql_step(struct buf *sql, const struct plan *plan, const struct plan_shape *shape);
void list_sql_search(struct buf *sql, const struct plan *plan, const struct plan_shape *shape);
void list_sql_count(struct buf *sql, const struct plan *plan, const struct plan_shape *shape);
void list_sql_count_found(struct buf *sql, const struct plan *plan, const struct plan_shape *shape);

/* An expression of the row `t`: the JSON of its entry, as text (list_json.c). */
void list_sql_json(struct buf *sql, const struct plan *plan, const struct plan_shape *shape);
/* " AND …": the reader's conditions, on the row t. user: the number of the parameter; project: the same of the row's
 * project, 0 where a column says it. Nothing without conditions. */
void list_sql_rights(struct buf *sql, const struct msg_resource *resource, unsigned conditions, unsigned user,
                     unsigned project, bool is_of_many);

/* " FROM "table" AS t WHERE t.company_id = $1" */
void list_sql_from(struct buf *sql, const char *table);
/* "t."project_id"" */
void list_sql_parent_column(struct buf *sql, const struct msg_resource *resource);

#pragma once
/* A plan has the SQL of one resource's reads, built from its description. The statement of an entity is
 * built at start, that of each shape of a list when a request first needs it. A statement is constant once
 * built and lives as long as the process. */

#include "common/db/db.h"
#include "common/msg/msg.h"

enum { PLAN_FILTERS_MAX = 10 };

/* The shape of a list's statement: one bit for each filter that it has, and these bits. */
enum { PLAN_TEXT = 1 << PLAN_FILTERS_MAX, PLAN_AFTER = PLAN_TEXT << 1, PLAN_SHAPES = PLAN_AFTER << 1 };

struct plan {
    const struct msg_resource *resource;
    struct db_statement *entity; /* $1 company, $2 id, $3 parent where there is one → json, version */
    struct db_statement *parent; /* $1 company, $2 id → a row when the parent exists; NULL: it has none */
    const struct msg_field *filters[PLAN_FILTERS_MAX];
    size_t filter_count;
    int archived; /* the filter that is false unless the query has it; -1: none */
    bool has_search;
    struct db_statement **lists; /* by shape; NULL: not built yet */
};

/* Whether a list of this shape may read many more rows than it returns: it looks for a text, or has a filter that
 * is not an id. A filter by an id has few rows, or an index. `archived` counts only when the query has it. */
bool plan_is_expensive(const struct plan *plan, unsigned shape, bool asks_archived);

struct plans;
struct plans *plans_new(void);
void plans_free(struct plans *plans);
struct plan *plans_of(struct plans *plans, const struct msg_resource *resource);

/* Parameters: $1 company, $2 limit, then those that the shape has, in this order: parent, each filter, the
 * pattern (LIKE), the time and the id to begin after. Rows: json, microseconds of created_at, id; ordered
 * by (created_at, id). */
const struct db_statement *plan_list(struct plan *plan, unsigned shape);

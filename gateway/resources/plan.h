#pragma once
/* The SQL of each resource's reads, built from its description: entities at start, each shape of a list when
 * it is first asked for. Constant once built; lives as long as the process. */

#include "common/db/db.h"
#include "common/msg/msg.h"

enum { PLAN_FILTERS_MAX = 10 };

/* What a list's statement has beyond the company: one bit for each filter in use, and these. */
enum { PLAN_TEXT = 1 << PLAN_FILTERS_MAX, PLAN_AFTER = PLAN_TEXT << 1, PLAN_SHAPES = PLAN_AFTER << 1 };

struct plan {
    const struct msg_resource *resource;
    struct db_statement *entity; /* $1 company, $2 id, $3 parent where there is one → json, version */
    struct db_statement *parent; /* $1 company, $2 id → a row when the parent exists; NULL: it has none */
    const struct msg_field *filters[PLAN_FILTERS_MAX];
    size_t filter_count;
    int archived; /* the filter that is false unless somebody asks; -1: none */
    bool has_search;
    struct db_statement **lists; /* by shape; NULL: not asked for yet */
};

struct plans;
struct plans *plans_new(void);
void plans_free(struct plans *plans);
struct plan *plans_of(struct plans *plans, const struct msg_resource *resource);

/* $1 company, $2 limit, then in this order what there is of: parent, each filter, the pattern in lower case
 * (LIKE), the time and the id to begin after → json, microseconds of created_at, id; in the order
 * (created_at, id). */
const struct db_statement *plan_list(struct plan *plan, unsigned shape);

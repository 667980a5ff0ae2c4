#pragma once
/* A plan has the SQL of one resource's reads, built from its description. The statement of an entity is
 * built at start, those of each shape of a list when a request first needs them. A statement is constant once
 * built and lives as long as the process.
 *
 * A list is read in steps. A step walks along an index, from where the last one ended, and compares what the index
 * does not know row by row. It looks at a bounded number of rows, however few of them match: so what it costs is known
 * before it runs. */

#include "common/db/db.h"
#include "common/msg/msg.h"

enum { PLAN_FILTERS_MAX = MSG_FILTERS_MAX };

/* The shape of a list's statement: one bit for each filter that it has, and these bits. */
enum { PLAN_TEXT = 1 << PLAN_FILTERS_MAX, PLAN_AFTER = PLAN_TEXT << 1, PLAN_SHAPES = PLAN_AFTER << 1 };

struct plan_list {
    struct db_statement *step, *search; /* NULL: not built yet */
};

struct plan {
    const struct msg_resource *resource;
    struct db_statement *entity; /* $1 company, $2 id, $3 parent where there is one → json, version */
    struct db_statement *parent; /* $1 company, $2 id → a row when the parent exists; NULL: it has none */
    const struct msg_field *filters[PLAN_FILTERS_MAX];
    size_t filter_count;
    int archived; /* the filter that is false unless the query has it; -1: none */
    bool has_search;
    struct plan_list *lists; /* by shape */
};

struct plans;
struct plans *plans_new(void);
void plans_free(struct plans *plans);
struct plan *plans_of(struct plans *plans, const struct msg_resource *resource);

/* Whether a step may look at rows that do not match: the shape has a text, or a filter beside the one along whose
 * index it walks. */
bool plan_compares(const struct plan *plan, unsigned shape);

/* Parameters: $1 company, $2 most rows to return, then those that the shape has, in this order: parent, each filter,
 * the pattern (LIKE), the time and the id to begin after. When plan_compares: then the number of rows to look at, and
 * whether to wait for the other walks of the company (plan.c).
 *
 * Rows: json, microseconds of created_at, id; ordered by (created_at, id). A last row without json is the last one that
 * was looked at: there are more. */
const struct db_statement *plan_step(struct plan *plan, unsigned shape);

/* Of a shape with a text: what the index of text search finds. Parameters and rows as those of plan_step, without the last
 * two parameters. One row without json and id: the index does not help, so the list must be walked. */
const struct db_statement *plan_search(struct plan *plan, unsigned shape);

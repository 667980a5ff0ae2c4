#pragma once
/* A plan has the SQL of one resource's reads, built from its description. The statement of an entity is
 * built at start, those of each shape of a list when a request first needs them. A statement that has a name is constant
 * once built and lives as long as the process.
 *
 * A list is read in steps. A step walks along an index, from where the last one ended, and compares what the index
 * does not know row by row. It looks at a bounded number of rows, however few of them match: so what it costs is known
 * before it runs.
 *
 * Connections prepare what has a name, and keep it. So that clients cannot make them keep thousands, only the usual
 * shapes (oldest first, at most one filter beside `archived`, each with one value) and PLAN_OTHERS_MAX more of all
 * resources get names; PostgreSQL reads the text of any further one with each request, which takes some tenths of a
 * millisecond. */

#include "common/db/db.h"
#include "common/msg/msg.h"

enum {
    PLAN_FILTERS_MAX = MSG_FILTERS_MAX,
    PLAN_SORTS_MAX = 1 + MSG_SORTS_MAX,
    PLAN_OTHERS_MAX = 256,
    PLAN_INCLUDES_MAX = 6
};

/* What a filter demands of the value: bits. */
enum plan_demand {
    PLAN_ONE = 1,     /* is this one */
    PLAN_SEVERAL = 2, /* is one of these */
    PLAN_NULL = 4,    /* is null; beside one of those above: or is null */
    PLAN_NOT = 8,     /* the contrary of those above */
    PLAN_FROM = 16,   /* >= low */
    PLAN_ABOVE = 32,  /* > low */
    PLAN_TO = 64,     /* <= high */
    PLAN_BELOW = 128, /* < high */

    PLAN_SET = PLAN_ONE | PLAN_SEVERAL | PLAN_NULL | PLAN_NOT,
    PLAN_LOW = PLAN_FROM | PLAN_ABOVE,
    PLAN_HIGH = PLAN_TO | PLAN_BELOW,
};

/* Where a walk begins. The entries whose column of the sort is null come last, as a walk of their own. */
enum plan_place {
    PLAN_BEGIN,      /* at the first one that has a value */
    PLAN_AFTER,      /* after the entry of this value and id */
    PLAN_NULLS,      /* at the first one that has none */
    PLAN_AFTER_NULL, /* after the entry of this id, which has none */
};

/* The shape of a list: what its statements follow from. Shapes are compared octet by octet, so there is no padding. */
struct plan_shape {
    uint64_t fields;                   /* of the entries: a bit for each field of the schema; 0: all */
    uint8_t filters[PLAN_FILTERS_MAX]; /* enum plan_demand; 0: not asked for */
    uint8_t sort;                      /* one of plan->sorts */
    uint8_t descending;
    uint8_t place; /* enum plan_place */
    uint8_t text;
    uint8_t includes; /* what entries have besides: a bit for each of plan->includes, and enum plan_allowed */
    uint8_t unused[1];
};
_Static_assert(sizeof(struct plan_shape) == 24, "a shape has no padding");

/* `allowed`: what each field with transitions may become next. */
enum plan_allowed {
    PLAN_ALLOWED = 64,    /* by the entity's present value, where the caller may update it */
    PLAN_ALLOWED_NO = 128 /* nothing: the caller may not update */
};

/* Another entity that an entry can have as a member: the parent, or one that a field refers to. */
struct plan_include {
    struct slice name; /* "project" */
    const struct msg_resource *resource;
    const struct msg_field *field; /* that has its id: "project_id" */
    unsigned conditions;           /* of the reader's right to read it; 0: it reads all */
};

struct plan_list {
    struct plan_shape shape;
    size_t number;                                            /* from 1, among those of the plan */
    struct db_statement *step, *search, *count, *count_found; /* NULL: not built yet */
};

struct plans;

struct plan {
    const struct msg_resource *resource;
    /* $1 company, $2 id, then the parent where there is one, then the user where the plan asks for it → json, version */
    struct db_statement *entity;
    /* $1 company, $2 id, $3 the user where there are conditions_of_parent → a row when the parent is there to be seen;
     * NULL: it has none */
    struct db_statement *parent;
    const struct msg_field *filters[PLAN_FILTERS_MAX];
    size_t filter_count;
    const struct msg_field *sorts[PLAN_SORTS_MAX]; /* the first is created_at */
    size_t sort_count;
    struct plan_include includes[PLAN_INCLUDES_MAX];
    size_t include_count;
    bool has_transitions;
    int archived; /* the filter that is false unless the query has it; -1: none */
    bool has_search;
    struct plans *plans;
    struct plan_list **lists; /* by shape: open addressing */
    size_t list_count, list_capacity;
    struct db_statement *nameless; /* the last one that has no name */
    /* Who reads: the roles that have the same conditions and see the same fields share a plan. */
    unsigned
        conditions; /* of the right to read, one of which must hold (enum msg_condition); 0: it reads all */
    unsigned conditions_of_parent; /* the same of what the entity belongs to */
    unsigned hidden;               /* class bits of the fields that it does not see */
    unsigned conditions_of_update; /* the same of the right to update the resource */
    bool hides_searched; /* the index of text search knows one of them: so the reader's searches walk */
};

struct plans *plans_new(void);
void plans_free(struct plans *plans);
/* The plan of the resource for readers of the role. */
struct plan *plans_of(struct plans *plans, const struct msg_resource *resource, enum msg_role role);

/* Whether the statement of an entity needs to know the user. */
static inline bool plan_asks_user(const struct plan *plan)
{
    return plan->conditions != 0;
}

/* Whether the statements of a list of the shape do: what its entries include may depend on the user, too. */
bool plan_shape_asks_user(const struct plan *plan, const struct plan_shape *shape);

/* Whether a step may look at rows that do not match: the shape has a text, or a filter that is more than the bounds of
 * its walk, or the reader may not read every row. */
bool plan_compares(const struct plan *plan, const struct plan_shape *shape);

/* Whether the filter on the column of the sort lets entries through that have a value there, or that have none. */
bool plan_has_values(const struct plan *plan, const struct plan_shape *shape);
bool plan_has_nulls(const struct plan *plan, const struct plan_shape *shape);

/* Parameters: $1 company, $2 most rows to return, then those that the shape has, in this order: parent; the user
 * (plan_shape_asks_user); of each filter
 * the value or the values (as an array), low, high; the pattern (LIKE); the value and the id to begin after, or of
 * PLAN_AFTER_NULL the id. When plan_compares: then the number of rows to look at, and whether to wait for the other
 * walks of the company (list_sql.c).
 *
 * Rows: json, value of the sort's column, id; in the order of the sort, and of the id among equal ones. The value is text,
 * or the microseconds of created_at. A last row without json is the last one that was looked at: there are more.
 *
 * A statement without a name is valid until the next call. */
const struct db_statement *plan_step(struct plan *plan, const struct plan_shape *shape);

/* Of a shape with a text: what the index of text search finds. Parameters and rows as those of plan_step, without the last
 * two parameters. One row without json and id: the index does not help, so the list must be walked. */
const struct db_statement *plan_search(struct plan *plan, const struct plan_shape *shape);

/* How many entries the list has, wherever it begins. Parameters: $1 company, $2 most rows to look at, then those of a step up to
 * the pattern, then whether to wait for the other walks of the company. One row: how many match, how many were looked at. */
const struct db_statement *plan_count(struct plan *plan, const struct plan_shape *shape);
/* Of a shape with a text, by the index of text search. Parameters: those of plan_search, of which $2 is at least the most
 * rows to count. One row: how many match; NULL: the index does not help. */
const struct db_statement *plan_count_found(struct plan *plan, const struct plan_shape *shape);

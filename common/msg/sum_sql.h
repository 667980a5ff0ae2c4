#pragma once
/* SQL that follows from the sums of a resource (x-sum): what a worker adds by difference, what a trigger adds for
 * everybody else, and the recomputation from scratch that `./cortex check sums` compares with.
 *
 * A resource keeps its sums as columns. A sum over others is either a field, or a column that is none and that no client
 * sees. The columns whose value is SQL of `new` follow from these and from the other columns of the row, in the order
 * of the schema. Values are exact (numeric). What becomes a field is rounded to the decimals of the field, half away
 * from zero: each item by itself. An amount of money that is a product is rounded to the decimals of the company's
 * currency (money_round); what is added up of such amounts has no more.
 *
 * A column that is no field is NULL in the rows that were there before it, until the migration that made it has counted
 * what they are sums over. Whoever adds a difference to NULL changes nothing, and what follows from it stays.
 *
 * Texts name the company `:company` and the time of the change `:at`. The row that is changed is `t`. */

#include "common/base/buf.h"
#include "common/msg/msg.h"

static inline bool sum_is_over(const struct msg_sum *sum, const struct msg_resource *child)
{
    return sum->of && strcmp(sum->of, child->name) == 0;
}

/* true when the resource keeps a sum over this child. */
bool sum_keeps(const struct msg_resource *resource, const struct msg_resource *child);
/* true when one of the resources keeps a sum over this child. */
bool sum_is_fed(const struct msg_resource *const *resources, const struct msg_resource *child);
/* true when columns of the resource follow from what a client gives, and not from sums over others alone. */
bool sum_has_own(const struct msg_resource *resource);
/* true when the column is an amount that is computed anew, and rounded as the currency wants it. */
bool sum_is_amount(const struct msg_resource *resource, const struct msg_sum *sum);
/* The sum of this column; NULL: none. */
const struct msg_sum *sum_of_column(const struct msg_resource *resource, const char *column);

/* Appends `(SELECT …)`: a row with every sum of the resource. `write` appends the value of a sum over others, or
 * (sum NULL) that of another column which a sum follows from. */
typedef void sum_write_base(void *ctx, const struct msg_sum *sum, const char *column, struct buf *out);
void sum_sql_values(const struct msg_resource *resource, sum_write_base *write, void *ctx, struct buf *out);

/* Appends (SELECT …): a row (company_id, id, differences of the sums) for each row of the resource whose sums over the
 * child change. `before` and `after` are sources of rows `child`, as they were and as they are; NULL: there are none. */
void sum_sql_differences(const struct msg_resource *resource, const struct msg_resource *child,
                         const char *before, const char *after, struct buf *out);

/* Appends an UPDATE by these differences of the one row that has the id, without RETURNING. It gets another version
 * when one of its fields changes. */
void sum_sql_follow(const struct msg_resource *resource, const struct msg_resource *child,
                    const char *differences, const char *id, struct buf *out);
/* true when a change of the child can change two rows of the resource: when it can move from one to the other. */
bool sum_may_move(const struct msg_resource *resource, const struct msg_resource *child);

/* The three steps of a migration, which runs beside workers of every version. Each can be applied again.
 *
 * The columns that are no fields. */
void sum_sql_columns(const struct msg_resource *resource, struct buf *out);
/* A function and its trigger, by which sums follow when somebody else than a worker of ours writes the table of the
 * child: psql, an import, a worker of a version without sums. Versions of rows stay as they are. */
void sum_sql_trigger(const struct msg_resource *const *resources, const struct msg_resource *child,
                     struct buf *out);
/* Counts what was there before, a company at a time; outside of a transaction. It holds the company's sequence, which
 * keeps workers out, and the rows, which keeps out whoever fires a trigger. */
void sum_sql_count(const struct msg_resource *const *resources, const struct msg_resource *resource,
                   struct buf *out);

/* Appends a query of (company_id, id, column, value, expected): each sum of the resource that is not what it should
 * be. */
void sum_sql_check(const struct msg_resource *const *resources, const struct msg_resource *resource,
                   struct buf *out);

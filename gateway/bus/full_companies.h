#pragma once
/* The companies whose commands that wait in the database hold as many bytes as they may (CORTEX_DEFERRED_BYTES).
 * Their further commands are refused before they are published, so that they fill neither the database nor the
 * queue that they share with other companies.
 *
 *   worker: row of `deferred` ─▶ trigger counts it, sets is_full ─▶ every gateway process reads the full ones
 *                                                                   once a second, by an index of these alone
 *
 * What was accepted before a process knows is still done. While the database cannot be read, what was known last
 * holds. */

#include "common/base/uuid.h"
#include "gateway/gateway.h"

struct full_companies;

struct full_companies *full_companies_new(struct gateway *gateway);
/* The pool of reads must be freed before. */
void full_companies_free(struct full_companies *full); /* NULL is allowed */

/* Whether commands of the company for this pool are to be refused. `full` may be NULL: none are. */
bool full_companies_have(const struct full_companies *full, const struct uuid *company, const char *pool);

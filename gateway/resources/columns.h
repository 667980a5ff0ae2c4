#pragma once
/* Whether the database has what this program was built for: every column of the resources' schemas, readable by
 * this process, and the newest migration.
 *
 *   UNKNOWN ── compared ──▶ COMPLETE ⇄ LACKING      again each second while it is lacking, else each minute
 *
 * A program that is newer than its database, or whose schema has a field that no migration has made, would answer
 * every request with 500. It is not ready instead, and says what is missing. A database that cannot be asked
 * changes nothing. */

#include "gateway/gateway.h"

struct columns;

struct columns *columns_new(struct gateway *gateway);
void columns_free(struct columns *columns);

/* NULL: nothing is missing. Else a sentence that says what is, or that it is not known yet; valid until the loop
 * turns. */
const char *columns_problem(const struct columns *columns);

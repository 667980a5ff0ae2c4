#pragma once
/* Prints SQL of all sums (x-sum, common/msg/sum_sql.h). */

#include <stdio.h>

#include "schemas/schemac/compile.h"

/* The three steps of a migration, for three files. */
void sums_print_migration(FILE *out, struct schema_set *set);

/* A query of (resource, company_id, id, column, value, expected): each sum that is not what it should be. */
void sums_print_check(FILE *out, struct schema_set *set);

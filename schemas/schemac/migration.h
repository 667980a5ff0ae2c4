#pragma once
/* The table of a resource, as a migration that a person reads before it is committed. */

#include <stdio.h>

#include "schemas/schemac/compile.h"

/* Writes the SQL that makes the table of the resource, with what its schema demands of it: columns, bounds, keys,
 * the indexes of its lists and its rights. */
void migration_print(FILE *out, const struct schema_set *set, const struct schema_message *message);

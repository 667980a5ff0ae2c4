#pragma once
/* Writes the compiled schemas as C: constant tables, no logic. */

#include "schemas/schemac/compile.h"

/* Replaces the file `path` in one step. ERR_INTERNAL: it cannot be written, and `why` has a sentence. */
enum err emit_tables(const struct schema_set *set, const char *path, char why[SCHEMA_WHY_MAX]) MUST_CHECK;

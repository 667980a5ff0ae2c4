#pragma once
/* Writes the compiled schemas as C: constant tables, no logic. */

#include "schemas/schemac/compile.h"

/* Replaces `path` in one step. ERR_INTERNAL with a sentence in `why` when it cannot be written. */
enum err emit_tables(const struct schema_set *set, const char *path, char why[SCHEMA_WHY_MAX]) MUST_CHECK;

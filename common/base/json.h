#pragma once
/* Strict JSON text (RFC 8259) to jansson values: duplicate names, invalid UTF-8, trailing bytes and excess depth
 * are errors. */

#include <jansson.h>

#include "common/base/err.h"

/* On failure writes a sentence with line and column into `why` (ASCII). The caller owns *ret_json (json_decref).
 * depth: levels of arrays and objects. "\u0000" is read in values and refused by string validation (PostgreSQL has no
 * NUL); in a name it is an error. Integers beyond 64 bits and numbers beyond a double are errors. */
enum err json_parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160]) MUST_CHECK;

/* For CLEANUP(json_cleanup) json_t *. */
static inline void json_cleanup(json_t **json)
{
    json_decref(*json);
}

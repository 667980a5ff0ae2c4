#pragma once
/* Strict JSON text (RFC 8259) becomes jansson values. Duplicate names, invalid UTF-8, trailing bytes and too
 * many levels are errors. */

#include <jansson.h>

#include "common/base/err.h"

/* The caller owns *ret_json (json_decref). On failure it writes a sentence with line and column into `why`
 * (ASCII). max_depth counts levels of arrays and objects. "\u0000" is an error in a name; in a value it is
 * read here and refused when the string is validated, because PostgreSQL has no NUL. Integers beyond 64 bits
 * and numbers beyond a double are errors. A number that is whole, and below 2^53, is an integer however it is
 * written: 5, 5.0 and 0.5e1 become the same value. */
enum err json_parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160]) MUST_CHECK;

/* The same, but "\u0000" is an error everywhere: for texts that are used as C strings. */
enum err json_parse_no_nul(struct slice text, int64_t max_depth, json_t **ret_json, char why[160]) MUST_CHECK;

/* The number that a text such as a query parameter writes as JSON does; NULL: it is none. The caller owns it. */
json_t *json_number_of(struct slice text);

/* For CLEANUP(json_cleanup) json_t *. */
static inline void json_cleanup(json_t **json)
{
    json_decref(*json);
}

#pragma once
/* The request target (RFC 9112 3.2) and percent-encoding (RFC 3986 2.1). */

#include "common/base/arena.h"
#include "common/base/err.h"

/* Splits into the decoded path and the raw query (SLICE_NONE: there is none). origin-form, absolute-form, and
 * "*", which is its own path. ERR_BAD_REQUEST for anything else, broken percent-encoding, encoded NUL or
 * encoded slashes. */
enum err target_parse(struct arena *arena, struct slice target, struct slice *ret_path,
                      struct slice *ret_query) MUST_CHECK;

/* Takes the next "name=value" off the query, as it was sent; SLICE_NONE at the end. Empty ones are
 * skipped. */
struct slice target_next_pair(struct slice *query);
struct slice target_pair_name(struct slice pair); /* the part before "=", as it was sent */

/* The decoded value of the first parameter of that name; SLICE_NONE when absent. */
struct slice target_parameter(struct arena *arena, struct slice query, const char *name);

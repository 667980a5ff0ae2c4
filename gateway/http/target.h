#pragma once
/* Takes the request target apart (RFC 9112 3.2) and decodes its percent-encoding (RFC 3986 2.1). */

#include "common/base/arena.h"
#include "common/base/err.h"

/* Splits a target into the decoded path and the query as it was sent (SLICE_NONE: there is none). It may be
 * in origin-form or absolute-form, or "*", which is its own path. ERR_BAD_REQUEST for any other form, for
 * broken percent-encoding, for an encoded NUL or slash, and for an encoded letter, digit or "-._~" in the path. */
enum err target_parse(struct arena *arena, struct slice target, struct slice *ret_path,
                      struct slice *ret_query) MUST_CHECK;

/* Takes the next "name=value" off the query, as it was sent; SLICE_NONE at the end. Empty ones are
 * skipped. */
struct slice target_next_pair(struct slice *query);
struct slice target_pair_name(struct slice pair);  /* the part before "=", as it was sent */
struct slice target_pair_value(struct slice pair); /* the part behind it; "" when there is none */
/* Decodes a part of a query. What has nothing to decode is returned as it is; SLICE_NONE: the memory is used up. */
struct slice target_decode(struct arena *arena, struct slice text);

/* The decoded value of the first parameter of that name; SLICE_NONE when absent. */
struct slice target_parameter(struct arena *arena, struct slice query, const char *name);

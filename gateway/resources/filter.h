#pragma once
/* One filter of a list's query:
 *
 *   status=a,b   status[ne]=a   assignee_id=null   due_date[gte]=2026-01-01   due_date[lt]=2026-02-01 */

#include "gateway/http/call.h"
#include "gateway/resources/plan.h"

/* What a filter asks for; SLICE_NONE: it does not. */
struct filter {
    struct slice values; /* one, or several as an array of PostgreSQL */
    struct slice low, high;
};

/* Reads what the query gives for the field, and adds it to the demand and the filter. operator: "gte" of "due_date[gte]", ""
 * of "due_date". `raw` is not decoded yet. Returns what is wrong; SLICE_NONE: nothing. Memory is the call's. */
struct slice filter_take(struct call *call, const struct msg_field *field, struct slice operator,
                         struct slice raw, uint8_t *demand, struct filter *filter) MUST_CHECK;

/* The text of a value of the field as PostgreSQL takes it, in *value. Returns what is wrong with it; SLICE_NONE: nothing. */
struct slice filter_check(struct call *call, const struct msg_field *field, struct slice *value) MUST_CHECK;

/* What operators have done, for operators: who, when, what, and in whose name. A worker writes it
 * (workers/engine/housekeeping/acts.h). */

#include "gateway/operator/acts.h"

#include "gateway/resources/page.h"

/* clang-format off */
#define WALK                                                     \
    " FROM operator_act AS a"                                    \
    " WHERE a.at >= coalesce($4::timestamptz, '-infinity')"      \
    " AND a.at < coalesce($5::timestamptz, 'infinity')"          \
    PAGE_AFTER("a.at", "a.id", "$6", "$7")                       \
    " ORDER BY a.at, a.id"

static const struct page_list list = {
    .statement = {"read.acts",
                  "(SELECT json_build_object("
                  "'id', a.id, 'at', time_text(a.at), 'actor', a.actor, 'company', a.company_id,"
                  " 'act', a.act, 'subject', a.subject, 'on_behalf_of', a.on_behalf_of,"
                  " 'request', a.request, 'correlation_id', a.correlation_id,"
                  " 'outcome', a.outcome)::text,"
                  " (extract(epoch FROM a.at) * 1000000)::bigint, a.id"
                  " FROM (SELECT a.*" WALK " LIMIT " PAGE_LOOK_AT ") AS a"
                  " WHERE ($1::uuid IS NULL OR a.actor = $1)"
                  " AND ($2::uuid IS NULL OR a.on_behalf_of = $2)"
                  " AND ($3::text IS NULL OR a.act = $3)"
                  " LIMIT $8::integer)"
                  " UNION ALL (SELECT NULL, (extract(epoch FROM a.at) * 1000000)::bigint, a.id" WALK
                  " OFFSET " PAGE_LOOK_AT " - 1 LIMIT 1)"
                  " LIMIT $8::integer"},
    .request = "act_selection",
    .filters = {"actor", "on_behalf_of", "act", "since", "before"},
};
/* clang-format on */

void read_acts(struct call *call)
{
    page_start_as_operator(call, &list);
}

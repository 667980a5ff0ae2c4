/* What operators have done, for operators: who, when, what, and in whose name. A worker writes it
 * (workers/engine/housekeeping/acts.h). */

#include "gateway/operator/acts.h"

#include "gateway/resources/page.h"

/* clang-format off */
static const struct page_list list = {
    .statement = {"read.acts",
                  "SELECT json_build_object("
                  "'id', a.id, 'at', time_text(a.at), 'actor', a.actor, 'company', a.company_id,"
                  " 'act', a.act, 'subject', a.subject, 'on_behalf_of', a.on_behalf_of,"
                  " 'request', a.request, 'correlation_id', a.correlation_id,"
                  " 'outcome', a.outcome)::text,"
                  " (extract(epoch FROM a.at) * 1000000)::bigint, a.id"
                  " FROM operator_act AS a"
                  " WHERE ($1::uuid IS NULL OR a.actor = $1)"
                  " AND ($2::uuid IS NULL OR a.on_behalf_of = $2)"
                  " AND ($3::text IS NULL OR a.act = $3)"
                  " AND ($4::timestamptz IS NULL OR a.at >= $4)"
                  " AND ($5::timestamptz IS NULL OR a.at < $5)"
                  " AND ($6::timestamptz IS NULL OR (a.at, a.id) > ($6, $7::uuid))"
                  " ORDER BY a.at, a.id"
                  " LIMIT $8::integer"},
    .request = "act_selection",
    .filters = {"actor", "on_behalf_of", "act", "since", "before"},
};
/* clang-format on */

void read_acts(struct call *call)
{
    page_start_as_operator(call, &list);
}

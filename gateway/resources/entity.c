/* GET of one entity. */

#include "gateway/resources/entity.h"

#include "gateway/http/authorize.h"
#include "gateway/http/etag.h"
#include "gateway/resources/plan.h"
#include "gateway/resources/query.h"

static void on_entity(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    char text[ETAG_SIZE];
    call_set_etag(call, etag_format(db_int(result, 0, 1), text));
    struct bytes *json = db_share(result, 0, 0);
    call_respond_shared(call, 200, "application/json", json, json->slice);
    bytes_unref(json);
}

/* The id is the path's last parameter; a parent's stands before it. */
void read_entity(struct call *call)
{
    const struct plan *plan = plans_of(call->gateway->plans, call->resource);
    if (!authorize_right(call, call->resource, MSG_RIGHT_READ))
        return;
    const struct slice of_parent[] = {call->params[1], call->params[0]};
    char company[UUID_TEXT_LEN + 1];
    if (plan->resource->is_single) {
        uuid_format(&call->identity.company, company);
        query_start(call, QUERY_ROW, plan->entity, (struct slice[]){{company, UUID_TEXT_LEN}}, 1, on_entity,
                    NULL);
    } else if (plan->resource->parent)
        query_start(call, QUERY_ROW, plan->entity, of_parent, 2, on_entity, NULL);
    else
        query_start(call, QUERY_ROW, plan->entity, call->params, 1, on_entity, NULL);
}

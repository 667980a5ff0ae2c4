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

/* The id is the path's last parameter, or the company's; a parent's stands before it. */
size_t entity_params(struct call *call, const struct plan *plan, struct slice params[ENTITY_PARAMS_MAX])
{
    char company[UUID_TEXT_LEN + 1];
    size_t count = 0;
    uuid_format(&call->identity.company, company);
    params[count++] = plan->resource->is_single ? arena_copy(&call->arena, slice_of(company))
                                                : call->params[plan->resource->parent != NULL];
    if (plan->resource->parent)
        params[count++] = call->params[0];
    if (plan_asks_user(plan))
        params[count++] = query_user(call);
    return count;
}

void read_entity(struct call *call)
{
    if (!authorize_right(call, call->resource, MSG_RIGHT_READ))
        return;
    struct slice params[ENTITY_PARAMS_MAX];
    const struct plan *plan = plans_of(call->gateway->plans, call->resource, call->identity.role_row);
    query_start(call, QUERY_ROW, plan->entity, params, entity_params(call, plan, params), on_entity, NULL);
}

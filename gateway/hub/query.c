#include "gateway/hub/private.h"

struct hub_query {
    struct hub *hub; /* NULL: the hub is gone */
    struct pool_query *waiting;
    struct hub_query *previous, *next;
    struct hub_query **place; /* the owner's pointer to this query, cleared before the answer */
    hub_on_answer *answer;    /* NULL: the hub is gone */
    void *owner;
};

static void unlink_query(struct hub_query *query)
{
    if (!query->hub)
        return;
    if (query->previous)
        query->previous->next = query->next;
    else
        query->hub->queries = query->next;
    if (query->next)
        query->next->previous = query->previous;
}

static void on_result(void *arg, struct db_result *result)
{
    CLEANUP_FREE struct hub_query *query = arg;
    unlink_query(query);
    if (!query->answer)
        return;
    *query->place = NULL;
    query->answer(query->owner, result);
}

enum err hub_query_send(struct hub *hub, struct slice company, const struct db_statement *statement,
                        const struct slice *params, size_t param_count, hub_on_answer *answer, void *owner,
                        struct hub_query **ret_query)
{
    CLEANUP_FREE struct hub_query *query = xmalloc(sizeof(*query));
    *query = (struct hub_query){
        .hub = hub, .next = hub->queries, .place = ret_query, .answer = answer, .owner = owner};
    /* Events come from the primary's transactions, and a replica may not have them yet. */
    const struct db_query asked = {.is_fresh = true,
                                   .company = company,
                                   .statement = statement,
                                   .params = params,
                                   .param_count = param_count,
                                   .on_result = on_result,
                                   .arg = query};
    enum err err = db_pool_query(hub->gateway->reads, &asked, &query->waiting);
    if (err)
        return err;
    if (hub->queries)
        hub->queries->previous = query;
    hub->queries = query;
    *ret_query = TAKE(query);
    return ERR_OK;
}

void hub_query_forget(struct hub_query **query)
{
    CLEANUP_FREE struct hub_query *forgotten = TAKE(*query);
    if (!forgotten)
        return;
    unlink_query(forgotten);
    db_pool_drop(forgotten->waiting);
}

void hub_queries_detach(struct hub *hub)
{
    for (struct hub_query *query = hub->queries; query; query = query->next) {
        query->hub = NULL;
        query->answer = NULL;
    }
    hub->queries = NULL;
}

#include "gateway/bus/full_companies.h"

#include "common/base/log.h"
#include "common/base/uuid_map.h"
#include "common/broker/topology.h"
#include "common/db/db.h"
#include "common/process/rhythm.h"

enum { PERIOD_S = 1, KNOWN_MAX = 100000 };

struct full_company {
    struct uuid_node node; /* key: the company */
    uint64_t pools;        /* a bit for each pool, by its number in topology.h */
};

struct full_companies {
    struct gateway *gateway;
    struct uuid_map companies;
    ev_timer timer; /* the next reading */
    bool is_reading;
};

/* A company that does not exist: the policy of the table shows the full ones, whatever company is set. */
#define NO_COMPANY "00000000-0000-0000-0000-000000000000"

static const struct db_statement find_full = {
    "full_companies",
    "SELECT company_id, pool FROM deferred_total WHERE is_full LIMIT $1::integer",
};

static uint64_t bit_of(struct slice pool)
{
    for (size_t i = 0; i < 64 && topology_pool_at(i); i++)
        if (slice_is(pool, topology_pool_at(i)))
            return UINT64_C(1) << i;
    return 0;
}

static void forget(struct uuid_node *node, void *arg)
{
    uuid_map_remove(arg, node);
    free(CONTAINER_OF(node, struct full_company, node));
}

static void add(struct full_companies *full, const struct uuid *company, struct slice pool)
{
    struct uuid_node *node = uuid_map_find(&full->companies, company);
    struct full_company *found = node ? CONTAINER_OF(node, struct full_company, node) : NULL;
    if (!found) {
        found = xcalloc(1, sizeof(*found));
        found->node.key = *company;
        uuid_map_insert(&full->companies, &found->node);
    }
    found->pools |= bit_of(pool);
}

static void read_again_later(struct full_companies *full)
{
    ev_timer_stop(full->gateway->loop, &full->timer);
    ev_timer_set(&full->timer, rhythm_after(full->gateway->loop, PERIOD_S), 0.);
    ev_timer_start(full->gateway->loop, &full->timer);
}

static void on_rows(void *arg, struct db_result *result)
{
    struct full_companies *full = arg;
    enum err err = db_result_error(result);
    if (err == ERR_SHUTTING_DOWN)
        return;
    full->is_reading = false;
    read_again_later(full);
    if (err) {
        log_debug("full_companies.unread", LOG_S("error", err_info(err)->name));
        return;
    }
    size_t before = full->companies.count;
    uuid_map_each(&full->companies, forget, &full->companies);
    for (int row = 0; row < db_rows(result); row++) {
        struct uuid company;
        if (uuid_parse(db_text(result, row, 0), &company))
            add(full, &company, db_text(result, row, 1));
    }
    if (full->companies.count != before)
        log_warn("full_companies.changed", LOG_I("before", before),
                 LOG_I("companies", full->companies.count));
}

static void read_them(struct full_companies *full)
{
    char max[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(KNOWN_MAX, max)};
    if (full->is_reading)
        return;
    full->is_reading = db_pool_query(full->gateway->reads,
                                     &(struct db_query){.kind = DB_QUERY_CHEAP,
                                                        .is_fresh = true,
                                                        .company = SLICE(NO_COMPANY),
                                                        .statement = &find_full,
                                                        .params = params,
                                                        .param_count = ARRAY_LEN(params),
                                                        .on_result = on_rows,
                                                        .arg = full},
                                     NULL) == ERR_OK;
    if (!full->is_reading)
        read_again_later(full);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)events;
    read_them(CONTAINER_OF(timer, struct full_companies, timer));
}

bool full_companies_have(const struct full_companies *full, const struct uuid *company, const char *pool)
{
    if (!full || full->companies.count == 0)
        return false;
    struct uuid_node *node = uuid_map_find(&full->companies, company);
    return node && (CONTAINER_OF(node, struct full_company, node)->pools & bit_of(slice_of(pool))) != 0;
}

struct full_companies *full_companies_new(struct gateway *gateway)
{
    struct full_companies *full = xcalloc(1, sizeof(*full));
    full->gateway = gateway;
    uuid_map_init(&full->companies);
    ev_timer_init(&full->timer, on_timer, 0., 0.);
    read_them(full);
    return full;
}

void full_companies_free(struct full_companies *full)
{
    if (!full)
        return;
    ev_timer_stop(full->gateway->loop, &full->timer);
    uuid_map_each(&full->companies, forget, &full->companies);
    uuid_map_done(&full->companies);
    free(full);
}

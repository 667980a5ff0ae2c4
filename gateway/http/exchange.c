#include "gateway/http/exchange.h"

enum {
    UNUSED_MAX = 64,  /* exchanges kept for the next requests */
    BODY_KEPT = 1024, /* octets of body that a waiting call may keep, which saves an allocation */
    ARENA_BASE = 1024 * 1024,
    ARENA_PER_OCTET =
        16, /* for each octet that a body may have: the complaints about a body are longer than it */
};

void exchange_set_state(struct exchange *exchange, enum exchange_state state)
{
    static const char *const names[] = {
        [READING] = "reading", [WORKING] = "working", [ANSWERED] = "answered", [LEFT] = "left"};
    if (exchange->state == state)
        return;
    log_debug("http.exchange_state", LOG_S("from", names[exchange->state]), LOG_S("to", names[state]),
              LOG_S("correlation", exchange->call.correlation_id));
    exchange->state = state;
}

size_t exchange_memory(const struct exchange *exchange)
{
    const struct arena *arena = &exchange->call.arena;
    return sizeof(*exchange) + request_memory(&exchange->request) + exchange->call.added.capacity +
           (arena->blocks ? arena->used + EXCHANGE_ARENA_BLOCK : 0);
}

void exchange_drop_body(struct exchange *exchange)
{
    exchange->call.body = SLICE("");
    if (exchange->request.body.capacity > BODY_KEPT)
        buf_done(&exchange->request.body);
}

struct exchange *exchange_new(struct exchange_pool *pool)
{
    const struct config *config = pool->gateway->config;
    struct exchange *exchange = pool->unused;
    if (exchange) {
        pool->unused = exchange->next;
        pool->unused_count--;
    } else {
        size_t max_body = (size_t)config->max_body_bytes;
        exchange = xcalloc(1, sizeof(*exchange));
        exchange->pool = pool;
        request_init(&exchange->request, config);
        arena_init(&exchange->call.arena, EXCHANGE_ARENA_BLOCK, ARENA_BASE + ARENA_PER_OCTET * max_body);
        buf_init(&exchange->call.added, CALL_ADDED_MAX);
    }
    exchange->call.gateway = pool->gateway;
    return exchange;
}

static void exchange_destroy(struct exchange *exchange)
{
    request_done(&exchange->request);
    arena_done(&exchange->call.arena);
    buf_done(&exchange->call.added);
    free(exchange);
}

void exchange_free(struct exchange *exchange)
{
    struct exchange_pool *pool = exchange->pool;
    if (pool->unused_count == UNUSED_MAX) {
        exchange_destroy(exchange);
        return;
    }
    struct arena arena = exchange->call.arena;
    struct buf added = exchange->call.added;
    arena_reset(&arena);
    buf_clear(&added);
    request_reset(&exchange->request);
    exchange_set_state(exchange, READING);
    exchange->call = (struct call){.arena = arena, .added = added};
    exchange->in_handler = exchange->body_limit_set = exchange->head_limit_set = false;
    exchange->refusal = ERR_OK;
    exchange->why = NULL;
    exchange->next = pool->unused;
    pool->unused = exchange;
    pool->unused_count++;
}

static void free_retired(struct exchange_pool *pool)
{
    while (pool->retired) {
        struct exchange *exchange = pool->retired;
        pool->retired = exchange->next;
        exchange_free(exchange);
    }
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)events;
    ev_prepare_stop(loop, prepare);
    free_retired(CONTAINER_OF(prepare, struct exchange_pool, turn));
}

void exchange_pool_init(struct exchange_pool *pool, struct gateway *gateway)
{
    *pool = (struct exchange_pool){.gateway = gateway};
    ev_prepare_init(&pool->turn, on_turn);
}

void exchange_pool_done(struct exchange_pool *pool)
{
    ev_prepare_stop(pool->gateway->loop, &pool->turn);
    free_retired(pool);
    while (pool->unused) {
        struct exchange *exchange = pool->unused;
        pool->unused = exchange->next;
        exchange_destroy(exchange);
    }
}

void exchange_retire(struct exchange *exchange)
{
    struct exchange_pool *pool = exchange->pool;
    exchange->next = pool->retired;
    pool->retired = exchange;
    ev_prepare_start(pool->gateway->loop, &pool->turn);
}

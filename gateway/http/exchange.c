#include "gateway/http/exchange.h"

#include <time.h>

#include "gateway/http/http.h"

enum {
    RESTING_MAX = 64, /* exchanges kept for the next requests */
    ARENA_BLOCK = 4096,
    ARENA_BASE =
        1024 * 1024, /* and for each octet that a body may have: complaints about it are longer than it */
    ARENA_PER_OCTET = 16,
    ADDED_MAX = 16 * 1024, /* of header lines in an answer */
};

struct http {
    struct gateway *gateway;
    struct exchange *resting;
    size_t resting_count;
    struct exchange *retired; /* freed when the turn ends */
    ev_prepare turn;
    struct buf scratch;
    time_t date_second;
    char date[30];
};

struct exchange *exchange_new(struct gateway *gateway)
{
    struct http *http = gateway->http;
    struct exchange *exchange = http->resting;
    if (exchange) {
        http->resting = exchange->next_resting;
        http->resting_count--;
        return exchange;
    }
    size_t max_body = (size_t)gateway->config->max_body_bytes;
    exchange = xcalloc(1, sizeof(*exchange));
    request_init(&exchange->request, gateway->config);
    arena_init(&exchange->call.arena, ARENA_BLOCK, ARENA_BASE + ARENA_PER_OCTET * max_body);
    buf_init(&exchange->call.added, ADDED_MAX);
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
    struct http *http = exchange->call.gateway->http;
    if (http->resting_count == RESTING_MAX) {
        exchange_destroy(exchange);
        return;
    }
    struct arena arena = exchange->call.arena;
    struct buf added = exchange->call.added;
    arena_reset(&arena);
    buf_clear(&added);
    request_reset(&exchange->request);
    exchange->call = (struct call){.arena = arena, .added = added};
    exchange->state = READING;
    exchange->in_handler = exchange->body_limit_set = exchange->head_limit_set = false;
    exchange->refusal = ERR_OK;
    exchange->why = NULL;
    exchange->next_resting = http->resting;
    http->resting = exchange;
    http->resting_count++;
}

static void free_retired(struct http *http)
{
    while (http->retired) {
        struct exchange *exchange = http->retired;
        http->retired = exchange->next_resting;
        exchange_free(exchange);
    }
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)events;
    ev_prepare_stop(loop, prepare);
    free_retired(CONTAINER_OF(prepare, struct http, turn));
}

void exchange_retire(struct exchange *exchange)
{
    struct http *http = exchange->call.gateway->http;
    exchange->next_resting = http->retired;
    http->retired = exchange;
    ev_prepare_start(http->gateway->loop, &http->turn);
}

enum err http_new(struct gateway *gateway, struct http **ret_http)
{
    struct http *http = xcalloc(1, sizeof(*http));
    http->gateway = gateway;
    http->date_second = -1;
    ev_prepare_init(&http->turn, on_turn);
    buf_init(&http->scratch, (size_t)2 * ADDED_MAX);
    *ret_http = http;
    return ERR_OK;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    ev_prepare_stop(http->gateway->loop, &http->turn);
    free_retired(http);
    while (http->resting) {
        struct exchange *exchange = http->resting;
        http->resting = exchange->next_resting;
        exchange_destroy(exchange);
    }
    buf_done(&http->scratch);
    free(http);
}

struct buf *http_scratch(struct http *http)
{
    buf_clear(&http->scratch);
    return &http->scratch;
}

struct slice http_date(struct http *http)
{
    time_t now = (time_t)ev_now(http->gateway->loop);
    if (now != http->date_second) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(http->date, sizeof(http->date), "%a, %d %b %Y %H:%M:%S GMT", &tm); /* the C locale's names */
        http->date_second = now;
    }
    return (struct slice){http->date, sizeof(http->date) - 1};
}

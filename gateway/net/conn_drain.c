#include "gateway/net/conn_private.h"

#include "common/base/clock.h"

/* The process is leaving. The client of a stream connects again at once, to another process, so each stream
 * is told to leave at a time of its own and the other processes get them evenly: after half of the time, half
 * of the streams have been told. A loop that was held up catches up, but never faster than drain_per_s. A
 * bucket sees to that: it holds BURST_MS of that rate and is filled with the rest of it, so that no second
 * sees more. */

enum {
    TICK_MS = 20,
    BURST_MS = 2 * TICK_MS, /* what the bucket holds; at the lowest rate that can be set this is one stream */
    FILL_MS = 1000 - BURST_MS, /* the rest of that second */
    GOODBYE_MIN_MS = 100,
};

static bool waits_its_turn(const struct conn *conn)
{
    return conn->state == CONN_OPEN && conn->is_long_lived && !conn->drain_told;
}

static size_t waiting(const struct conn_set *set)
{
    size_t count = 0;
    for (const struct conn *conn = set->all; conn; conn = conn->next)
        count += waits_its_turn(conn);
    return count;
}

int64_t conn_drain_least_ms(const struct config *config, size_t streams)
{
    return (int64_t)streams * 1000 * 1000 / (config->drain_per_s * FILL_MS);
}

int64_t conn_drain_goodbye_ms(const struct config *config)
{
    int64_t share_ms = config->drain_ms / 10;
    return share_ms > GOODBYE_MIN_MS ? share_ms : GOODBYE_MIN_MS;
}

static void tell(struct conn_set *set, struct conn *conn)
{
    conn->drain_told = true;
    set->drain.told++;
    set->drain.last_told = set->now;
    conn->protocol->on_drain(conn, conn->protocol_state);
}

static void tell_some(struct conn_set *set, size_t most)
{
    for (struct conn *conn = set->all; conn && most > 0; conn = conn->next)
        if (waits_its_turn(conn)) {
            tell(set, conn);
            most--;
        }
}

/* In thousandths of a stream. */
static void fill_bucket(struct conn_set *set)
{
    struct conn_drain *drain = &set->drain;
    int64_t per_s = set->gateway->config->drain_per_s;
    drain->bucket += (set->now - drain->filled) * per_s * FILL_MS / 1000;
    if (drain->bucket > per_s * BURST_MS)
        drain->bucket = per_s * BURST_MS;
    drain->filled = set->now;
}

static size_t due(const struct conn_drain *drain, int64_t now)
{
    int64_t elapsed = now - drain->began;
    return elapsed < drain->ms ? (size_t)((int64_t)drain->count * elapsed / drain->ms) : drain->count;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    struct conn_set *set = timer->data;
    struct conn_drain *drain = &set->drain;
    fill_bucket(set);
    size_t wanted = due(drain, set->now), before = drain->told, most = (size_t)(drain->bucket / 1000);
    if (wanted <= before)
        return;
    tell_some(set, wanted - before < most ? wanted - before : most);
    drain->bucket -= (int64_t)(drain->told - before) * 1000;
}

void conn_drain_joined(struct conn *conn)
{
    if (conn->set->drain.began && waits_its_turn(conn))
        conn->set->drain.count++;
}

int64_t conn_set_drain_left(const struct conn_set *set)
{
    const struct config *config = set->gateway->config;
    size_t count = waiting(set);
    int64_t since = set->now;
    if (count == 0 && set->drain.told == 0)
        return 0;
    if (count == 0)
        since = set->drain.last_told;
    int64_t left = since - set->now + conn_drain_goodbye_ms(config) + conn_drain_least_ms(config, count);
    return left > 0 ? left : 0;
}

void conn_set_drain(struct conn_set *set)
{
    const struct config *config = set->gateway->config;
    struct conn_drain *drain = &set->drain;
    drain->count = waiting(set);
    int64_t share_ms = config->drain_ms - conn_drain_goodbye_ms(config);
    int64_t least_ms = conn_drain_least_ms(config, drain->count);
    drain->ms = share_ms > least_ms ? share_ms : least_ms + 1;
    set->now_us = clock_monotonic_us();
    drain->began = drain->filled = set->now = set->now_us / 1000;
    for (struct conn *conn = set->all; conn; conn = conn->next)
        if (conn->state == CONN_OPEN && !waits_its_turn(conn))
            conn->protocol->on_drain(conn, conn->protocol_state);
    ev_timer_init(&drain->tick, on_tick, TICK_MS / 1000., TICK_MS / 1000.);
    drain->tick.data = set;
    ev_timer_start(set->loop, &drain->tick);
}

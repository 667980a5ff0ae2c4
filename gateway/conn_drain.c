#include "gateway/conn_private.h"

#include "common/clock.h"

/* The process is leaving. Who comes back at once wherever it is sent, as streams of events do, is told at a time of its own, so that the
 * others get them as evenly as they can be: after t of the time, t of them have been told. A loop that was held up catches up at
 * twice the pace, not at once. */

enum { TICK_MS = 20, CATCH_UP = 2 };

static bool waits_its_turn(const struct conn *conn)
{
    return conn->state == CONN_OPEN && conn->protocol->is_stream && !conn->drain_told;
}

static void tell_some(struct conn_set *set, size_t most)
{
    for (struct conn *conn = set->all; conn && most > 0; conn = conn->next) {
        if (!waits_its_turn(conn))
            continue;
        conn->drain_told = true;
        set->drain_told++;
        most--;
        conn->protocol->on_drain(conn, conn->protocol_state);
    }
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct conn_set *set = timer->data;
    int64_t elapsed = set->now - set->drain_began;
    if (elapsed >= set->drain_ms) {
        ev_timer_stop(loop, timer);
        tell_some(set, SIZE_MAX);
        return;
    }
    size_t due = (size_t)((int64_t)set->drain_count * elapsed / set->drain_ms);
    size_t most = (size_t)((int64_t)set->drain_count * CATCH_UP * TICK_MS / set->drain_ms) + 1;
    if (due > set->drain_told)
        tell_some(set, due - set->drain_told < most ? due - set->drain_told : most);
}

void conn_set_drain(struct conn_set *set, int64_t ms)
{
    for (struct conn *conn = set->all; conn; conn = conn->next) {
        if (waits_its_turn(conn))
            set->drain_count++;
        else if (conn->state == CONN_OPEN)
            conn->protocol->on_drain(conn, conn->protocol_state);
    }
    set->drain_began = clock_monotonic_ms();
    set->drain_ms = ms > 0 ? ms : 1;
    ev_timer_init(&set->drain, on_tick, TICK_MS / 1000., TICK_MS / 1000.);
    set->drain.data = set;
    ev_timer_start(set->loop, &set->drain);
}

#include "gateway/net/conn_private.h"

#include "common/base/clock.h"

static void flush_dirty(struct conn_set *set)
{
    while (set->dirty) {
        struct conn *conn = set->dirty;
        set->dirty = conn->next_dirty;
        conn->dirty = false;
        if (conn->blocked)
            conn_check_overflow(
                conn); /* the socket takes nothing now; it is tried again when it is writable */
        else
            conn_flush(conn);
    }
}

/* on_free may write to other connections and end them, so the dirty list is emptied before each connection is
 * freed. */
static void reap_dead(struct conn_set *set)
{
    while (set->dead) {
        flush_dirty(set);
        struct conn *conn = set->dead;
        set->dead = conn->next_dead;
        conn_reap(conn);
    }
    flush_dirty(set);
}

static void on_begin_of_turn(struct ev_loop *loop, struct ev_check *check, int revents)
{
    (void)loop;
    (void)revents;
    struct conn_set *set = check->data;
    set->now_us = clock_monotonic_us();
    set->now = set->now_us / 1000;
}

static void on_end_of_turn(struct ev_loop *loop, struct ev_prepare *prepare, int revents)
{
    (void)loop;
    (void)revents;
    struct conn_set *set = prepare->data;
    set->ending = true;
    do {
        flush_dirty(set);
        conn_set_bound_output(set);
        conn_set_bound_input(set);
        reap_dead(set);
    } while (set->dirty || set->dead);
    set->ending = false;
}

static void on_again(struct ev_loop *loop, struct ev_idle *idle, int revents)
{
    (void)revents;
    ev_idle_stop(loop, idle);
}

enum err conn_set_new(struct gateway *gateway, struct conn_set **ret_set)
{
    struct conn_set *set = xcalloc(1, sizeof(*set));
    const struct config *config = gateway->config;
    int64_t largest =
        config->max_head_bytes > config->ws_max_message ? config->max_head_bytes : config->ws_max_message;
    set->gateway = gateway;
    set->loop = gateway->loop;
    set->kept_max = (size_t)largest + (size_t)2 * CONN_READ_SIZE;
    set->now_us = clock_monotonic_us();
    set->now = set->now_us / 1000;
    ev_check_init(&set->begin_of_turn, on_begin_of_turn);
    ev_set_priority(&set->begin_of_turn, EV_MAXPRI);
    set->begin_of_turn.data = set;
    ev_check_start(set->loop, &set->begin_of_turn);
    ev_unref(set->loop);
    ev_prepare_init(&set->end_of_turn, on_end_of_turn);
    ev_set_priority(&set->end_of_turn, EV_MINPRI); /* after everybody else's end of turn */
    set->end_of_turn.data = set;
    ev_prepare_start(set->loop, &set->end_of_turn);
    ev_unref(set->loop);
    ev_idle_init(&set->again, on_again);
    *ret_set = set;
    return ERR_OK;
}

void conn_set_free(struct conn_set *set)
{
    if (!set)
        return;
    set->on_freed = NULL;
    conn_set_abort(set);
    reap_dead(set);
    ev_idle_stop(set->loop, &set->again);
    ev_timer_stop(set->loop, &set->drain.tick);
    ev_ref(set->loop);
    ev_check_stop(set->loop, &set->begin_of_turn);
    ev_ref(set->loop);
    ev_prepare_stop(set->loop, &set->end_of_turn);
    output_pool_done(&set->pool);
    free(set);
}

size_t conn_set_count(const struct conn_set *set)
{
    return set->count;
}

size_t conn_set_members(const struct conn_set *set)
{
    return set->count - set->guest_count - set->dead_count;
}

size_t conn_set_input(const struct conn_set *set)
{
    return set->input_held;
}

void conn_set_on_freed(struct conn_set *set, void (*on_freed)(void *arg), void *arg)
{
    set->on_freed = on_freed;
    set->on_freed_arg = arg;
}

void conn_set_revoked(struct conn_set *set)
{
    for (struct conn *conn = set->all; conn; conn = conn->next)
        if (conn->state == CONN_OPEN && conn->protocol->on_revoked)
            conn->protocol->on_revoked(conn, conn->protocol_state);
}

void conn_set_abort(struct conn_set *set)
{
    for (struct conn *conn = set->all; conn; conn = conn->next)
        conn_kill(conn);
}

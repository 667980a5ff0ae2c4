#include "gateway/net/conn_private.h"

/* Those that still take part, or, when none of these is left, those that have been told to go and do not. */
static bool may_go(const struct conn *conn, bool told)
{
    return conn->output.bytes > 0 && conn->blocked && conn->state != CONN_DEAD &&
           (told || conn->state == CONN_OPEN);
}

static size_t largest_output(const struct conn_set *set, bool told)
{
    size_t largest = 0;
    for (const struct conn *conn = set->all; conn; conn = conn->next)
        if (may_go(conn, told) && conn->output.bytes > largest)
            largest = conn->output.bytes;
    return largest;
}

static void let_go(struct conn *conn)
{
    size_t before = conn->output.bytes;
    if (conn->state == CONN_OPEN)
        conn->protocol->on_overflow(conn, conn->protocol_state);
    if (conn->output.bytes < before)
        return;
    conn_kill(conn);
    output_clear(&conn->set->pool, &conn->output);
}

/* Those within a factor of two of the largest, so that the number of rounds is the logarithm of its size. */
static size_t let_largest_go(struct conn_set *set, size_t largest, size_t bound, bool told)
{
    size_t gone = 0;
    for (struct conn *conn = set->all; conn && set->pool.held > bound; conn = conn->next) {
        if (!may_go(conn, told) || conn->output.bytes <= largest / 2)
            continue;
        let_go(conn);
        gone++;
    }
    return gone;
}

void conn_set_bound_output(struct conn_set *set)
{
    size_t bound = (size_t)set->gateway->config->output_total_bytes;
    size_t gone = 0, before = set->pool.held;
    for (bool told = false; set->pool.held > bound;) {
        size_t largest = largest_output(set, told);
        if (largest > 0)
            gone += let_largest_go(set, largest, bound, told);
        else if (!told)
            told = true;
        else
            break;
    }
    if (gone > 0)
        log_warn("conn.slowest_let_go", LOG_I("connections", gone), LOG_I("bytes_before", before),
                 LOG_I("bytes", set->pool.held), LOG_I("bound", bound));
}

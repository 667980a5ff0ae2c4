#include "gateway/net/conn_private.h"

/* Which connections hold memory because their clients do not read: open ones, and once these have been told
 * to go (`told`), also those that are closing. */
static bool is_slow(const struct conn *conn, bool told)
{
    return conn->output.bytes > 0 && conn->blocked && conn->state != CONN_DEAD &&
           (told || conn->state == CONN_OPEN);
}

static size_t largest_output(const struct conn_set *set, bool told)
{
    size_t largest = 0;
    for (const struct conn *conn = set->all; conn; conn = conn->next)
        if (is_slow(conn, told) && conn->output.bytes > largest)
            largest = conn->output.bytes;
    return largest;
}

/* Tells the protocol, and aborts the connection when that does not free any output. */
static void end(struct conn *conn)
{
    size_t before = conn->output.bytes;
    if (conn->state == CONN_OPEN)
        conn->protocol->on_overflow(conn, conn->protocol_state);
    if (conn->output.bytes < before)
        return;
    conn_kill(conn);
    output_clear(&conn->set->pool, &conn->output);
}

/* Ends the connections that hold more than half of the largest output, so that the number of rounds is the
 * logarithm of that. */
static size_t end_largest(struct conn_set *set, size_t largest, size_t bound, bool told)
{
    size_t ended = 0;
    for (struct conn *conn = set->all; conn && set->pool.held > bound; conn = conn->next) {
        if (!is_slow(conn, told) || conn->output.bytes <= largest / 2)
            continue;
        end(conn);
        ended++;
    }
    return ended;
}

void conn_set_bound_output(struct conn_set *set)
{
    size_t bound = (size_t)set->gateway->config->output_total_bytes;
    size_t ended = 0, before = set->pool.held;
    for (bool told = false; set->pool.held > bound;) {
        size_t largest = largest_output(set, told);
        if (largest > 0)
            ended += end_largest(set, largest, bound, told);
        else if (!told)
            told = true;
        else
            break;
    }
    if (ended > 0)
        log_warn("conn.slowest_ended", LOG_I("connections", ended), LOG_I("bytes_before", before),
                 LOG_I("bytes", set->pool.held), LOG_I("bound", bound));
}

#include "gateway/net/conn_private.h"

/* Who is ended first when all connections together hold too much input. */
enum rank {
    WITHOUT_TOKEN,
    WITH_TOKEN,
    IN_WORK, /* a request with a token is complete and waits for its answer */
    RANKS
};

static enum rank rank_of(const struct conn *conn)
{
    if (!conn->known)
        return WITHOUT_TOKEN;
    return conn->paused ? IN_WORK : WITH_TOKEN;
}

static size_t input_of(const struct conn *conn)
{
    if (conn->state == CONN_DEAD)
        return 0; /* it is freed at the end of this turn */
    size_t kept = conn->kept ? sizeof(*conn->kept) + conn->kept->capacity : 0;
    size_t state = conn->protocol->input ? conn->protocol->input(conn, conn->protocol_state) : 0;
    return kept + state;
}

void conn_count_input(struct conn *conn)
{
    size_t input = input_of(conn);
    conn->set->input_held += input - conn->input;
    conn->input = input;
}

static size_t largest_input(const struct conn_set *set, enum rank rank)
{
    size_t largest = 0;
    for (const struct conn *conn = set->all; conn; conn = conn->next)
        if (conn->input > largest && rank_of(conn) == rank)
            largest = conn->input;
    return largest;
}

static void end(struct conn *conn)
{
    size_t before = conn->input;
    if (conn->state == CONN_OPEN && conn->protocol->on_input_overflow)
        conn->protocol->on_input_overflow(conn, conn->protocol_state);
    conn_count_input(conn);
    if (conn->input >= before)
        conn_kill(conn);
}

/* Ends the connections that hold more than half of the largest input, so that the number of rounds is the
 * logarithm of that. */
static size_t end_largest(struct conn_set *set, size_t largest, size_t bound, enum rank rank)
{
    size_t ended = 0;
    for (struct conn *conn = set->all; conn && set->input_held > bound; conn = conn->next) {
        if (conn->input <= largest / 2 || rank_of(conn) != rank)
            continue;
        end(conn);
        ended++;
    }
    return ended;
}

/* It goes a little below the bound, so that a flood costs a walk over all connections now and then and not in
 * every turn. */
void conn_set_bound_input(struct conn_set *set)
{
    size_t bound = (size_t)set->gateway->config->input_total_bytes;
    size_t ended = 0, before = set->input_held, wanted = bound - bound / 16;
    if (set->input_held <= bound)
        return;
    for (enum rank rank = WITHOUT_TOKEN; rank < RANKS && set->input_held > wanted;) {
        size_t largest = largest_input(set, rank);
        if (largest > 0)
            ended += end_largest(set, largest, wanted, rank);
        else
            rank++;
    }
    log_warn("conn.input_bounded", LOG_I("ended", ended), LOG_I("bytes_before", before),
             LOG_I("bytes", set->input_held), LOG_I("bound", bound));
}

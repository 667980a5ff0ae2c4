#include "gateway/net/conn_private.h"

#include <assert.h>

/* A few connections more than the process or an address may have, so that whoever watches the process hears
 * from it while its table is full of clients with a token. When there are too many of them, too, the first to come makes room: a client
 * that asks for the health sends its request at once, and one that sends nothing loses nothing. */

bool conn_is_guest(const struct conn *conn)
{
    return conn->guest;
}

size_t conn_set_guests(const struct conn_set *set)
{
    return set->guest_count;
}

void conn_make_guest(struct conn *conn)
{
    struct conn_set *set = conn->set;
    assert(set->guest_count < CONN_GUESTS_MAX);
    conn->guest = true;
    set->guests[set->guest_count++] = conn;
}

void conn_forget_guest(struct conn *conn)
{
    struct conn_set *set = conn->set;
    size_t at = 0;
    while (set->guests[at] != conn)
        at++;
    for (; at + 1 < set->guest_count; at++)
        set->guests[at] = set->guests[at + 1];
    set->guest_count--;
    conn->guest = false;
}

void conn_set_dismiss_guest(struct conn_set *set, struct slice answer)
{
    struct conn *conn = set->guests[0];
    if (conn->state == CONN_OPEN) {
        conn_write(conn, answer);
        conn_flush(conn);
    }
    conn_kill(conn); /* it is freed at the end of this turn, and its place is taken now */
}

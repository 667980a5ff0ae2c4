#include "gateway/net/conn_private.h"

#include "common/base/log.h"

enum { LOG_EACH_MS = 1000 };

/* While the table is full, or an address has its share of it, strangers make room for those who come. Whoever
 * shows a token stays. */

static void log_sometimes(struct conn_set *set, const struct conn *conn)
{
    set->made_room++;
    if (set->now - set->made_room_logged_at < LOG_EACH_MS)
        return;
    log_warn("conn.made_room", LOG_I("ended", set->made_room), LOG_S("last", conn_peer(conn)),
             LOG_I("connections", set->count));
    set->made_room = 0;
    set->made_room_logged_at = set->now;
}

static bool make_room(struct conn_set *set, struct stranger *stranger)
{
    if (!stranger)
        return false;
    struct conn *conn = CONTAINER_OF(stranger, struct conn, stranger);
    log_sometimes(set, conn);
    if (conn->state == CONN_OPEN && conn->protocol->on_crowded) {
        conn->protocol->on_crowded(conn, conn->protocol_state);
        conn_flush(conn);
    }
    conn_kill(conn);
    return true;
}

void conn_give_room(struct conn *conn)
{
    struct addresses *addresses = conn->set->gateway->addresses;
    if (conn->guest)
        conn_forget_guest(conn);
    if (!addresses)
        return;
    addresses_remove_stranger(addresses, &conn->stranger);
    if (conn->counted)
        addresses_leave(addresses, conn_address(conn));
    conn->counted = false;
}

/* A stranger of the address makes room for another of the same address. That makes room in the table, too. */
static bool enter_address(struct conn *conn, bool *is_full)
{
    struct addresses *addresses = conn->set->gateway->addresses;
    uint64_t key = conn_address(conn);
    if (addresses_enter(addresses, key))
        return true;
    if (!make_room(conn->set, addresses_oldest_of(addresses, key)))
        return false;
    *is_full = false;
    return addresses_enter(addresses, key);
}

bool conn_find_room(struct conn *conn, bool is_full)
{
    struct addresses *addresses = conn->set->gateway->addresses;
    if (!addresses)
        return !is_full;
    conn->counted = enter_address(conn, &is_full);
    if (conn->counted && is_full && !make_room(conn->set, addresses_oldest_of_most(addresses)))
        conn_give_room(conn);
    if (conn->counted)
        addresses_add_stranger(addresses, conn_address(conn), &conn->stranger);
    return conn->counted;
}

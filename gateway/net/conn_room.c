#include "gateway/net/conn_private.h"

#include "common/base/log.h"

enum { LOG_EACH_MS = 1000 };

/* While the table is full, or an address has its share of it, strangers make room for those who come. When few
 * strangers are there, connections with a token of the address that has the most make room, so that a client that
 * comes has the time to show its own. */

size_t conn_set_few(const struct conn_set *set)
{
    return (size_t)set->gateway->config->max_connections / 32 + 1;
}

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

static bool make_room(struct conn_set *set, struct seat *seat)
{
    if (!seat)
        return false;
    struct conn *conn = CONTAINER_OF(seat, struct conn, seat);
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
    addresses_remove(addresses, &conn->seat);
    if (conn->counted)
        addresses_leave(addresses, conn_address(conn));
    conn->counted = false;
}

static enum seat_kind kind_of(const struct conn *conn)
{
    if (!conn->known)
        return SEAT_STRANGER;
    if (conn->is_long_lived)
        return SEAT_STREAM;
    return conn->protocol_state ? SEAT_WORKING : SEAT_IDLE;
}

void conn_note_kind(struct conn *conn)
{
    if (conn->seat.address)
        addresses_set_kind(conn->set->gateway->addresses, &conn->seat, kind_of(conn));
}

/* A stranger of the address, or a connection that is idle, makes room for another of the same address. That makes
 * room in the table, too. */
static bool enter_address(struct conn *conn, bool *is_full)
{
    struct addresses *addresses = conn->set->gateway->addresses;
    uint64_t key = conn_address(conn);
    if (addresses_enter(addresses, key))
        return true;
    if (!make_room(conn->set, addresses_oldest_of(addresses, key, SEAT_STRANGER)) &&
        !make_room(conn->set, addresses_oldest_of(addresses, key, SEAT_IDLE)))
        return false;
    *is_full = false;
    return addresses_enter(addresses, key);
}

/* Nobody has come in for the new one yet, so it has no seat yet. */
static bool make_room_in_table(struct conn *conn)
{
    struct conn_set *set = conn->set;
    const struct addresses *addresses = set->gateway->addresses;
    if (addresses_strangers(addresses) > conn_set_few(set))
        return make_room(set, addresses_oldest_stranger(addresses));
    return make_room(set, addresses_known_for(addresses, conn_address(conn))) ||
           make_room(set, addresses_oldest_stranger(addresses));
}

bool conn_find_room(struct conn *conn, bool is_full)
{
    struct addresses *addresses = conn->set->gateway->addresses;
    if (!addresses)
        return !is_full;
    conn->counted = enter_address(conn, &is_full);
    if (conn->counted && is_full && !make_room_in_table(conn))
        conn_give_room(conn);
    if (conn->counted)
        addresses_add(addresses, conn_address(conn), &conn->seat, SEAT_STRANGER);
    return conn->counted;
}

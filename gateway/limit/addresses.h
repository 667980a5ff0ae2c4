#pragma once
/* What one network address may do in this process: how many connections it has (address_share of
 * max_connections), and how many of its tokens may be refused in a second (address_failures). An IPv6 client
 * usually has a whole /64, so that counts as one address.
 *
 * A connection whose client has shown no valid token is a stranger. When there is no room for another connection,
 * a stranger makes room: the oldest one of the address that has the most. So an address with few connections
 * keeps them, however many addresses fill the table.
 *
 * Connections whose clients have shown a token make room as well, when only few strangers are there: of the address
 * that has the most, down to what the address of the new one has. Those that wait for a request go first, then the
 * youngest stream, and the request that is in work longest last. So many people behind one address have all of the
 * table that others leave, and lose to others only what they have more than these. Who is sent away and comes
 * again finds no address that has more, so nobody is sent away in turn.
 *
 * Behind a proxy that hides its clients' addresses all of them share one, and both bounds should be off. Then no
 * known connection makes room.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct addresses;
struct config;

enum seat_kind {
    SEAT_STRANGER, /* without a valid token */
    SEAT_IDLE,     /* with one; it waits for a request */
    SEAT_STREAM,   /* with one; a WebSocket, a stream of events, a long poll */
    SEAT_WORKING,  /* with one; a request arrives, is in work, or is being answered */
    SEAT_KINDS,
};

/* A part of a connection: its place among those of its address. Zeroed: it has none. */
struct seat {
    struct address *address;
    struct seat *previous, *next; /* of the same kind; the first is the one that became so first */
    enum seat_kind kind;
};

/* The address as a number, without its port and, for IPv6, without its last 64 bits. 0: not an address of the
 * network; it may do everything. `address` holds 4 or 16 octets. */
uint64_t address_key(int family, const uint8_t *address);

struct addresses *addresses_new(const struct config *config);
void addresses_free(struct addresses *addresses);
size_t addresses_count(const struct addresses *addresses); /* that are remembered */

/* Counts one more connection. False: the address has as many as allowed, and nothing is counted. Each
 * successful call needs one addresses_leave. */
bool addresses_enter(struct addresses *addresses, uint64_t key);
void addresses_leave(struct addresses *addresses, uint64_t key);

/* Nothing happens when the key is 0. The cost of these does not grow with the number of connections. */
void addresses_add(struct addresses *addresses, uint64_t key, struct seat *seat, enum seat_kind kind);
void addresses_set_kind(struct addresses *addresses, struct seat *seat, enum seat_kind kind);
void addresses_remove(struct addresses *addresses, struct seat *seat); /* when it has a place */
size_t addresses_strangers(const struct addresses *addresses);
/* The oldest one of this kind and address; the oldest stranger of the address that has the most of them. NULL: there
 * is none. */
struct seat *addresses_oldest_of(const struct addresses *addresses, uint64_t key, enum seat_kind kind);
struct seat *addresses_oldest_stranger(const struct addresses *addresses);
/* One with a token that makes room for another connection of address `key`, which must not be counted yet. NULL: no
 * address has more than that one will have. */
struct seat *addresses_known_for(const struct addresses *addresses, uint64_t key);

/* Whether another token of this address may be verified now (monotonic). */
bool addresses_may_try(const struct addresses *addresses, uint64_t key, ev_tstamp now);
/* A token of the address was refused. True: this should be logged; *ret_count is the number of refused tokens
 * of the address since it was logged last. An address is logged now and then, and all of them together are
 * logged rarely. */
bool addresses_failed(struct addresses *addresses, uint64_t key, ev_tstamp now, uint64_t *ret_count);

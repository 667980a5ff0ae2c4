#pragma once
/* What one network address may do in this process: how many connections it has (address_share of
 * max_connections), and how many of its tokens may be refused in a second (address_failures). An IPv6 client
 * usually has a whole /64, so that counts as one address.
 *
 * A connection whose client has shown no valid token is a stranger. When there is no room for another connection,
 * a stranger makes room: the oldest one of the address that has the most. So an address with few connections
 * keeps them, however many addresses fill the table.
 *
 * Behind a proxy that hides its clients' addresses all of them share one, and both bounds should be off.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct addresses;
struct config;

/* A member of a connection: its place among the strangers of its address. Zeroed: it is none. */
struct stranger {
    struct address *address;
    struct stranger *previous, *next; /* the oldest one is the first */
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

/* Nothing happens when the key is 0. The cost of these four does not grow with the number of connections. */
void addresses_add_stranger(struct addresses *addresses, uint64_t key, struct stranger *stranger);
/* Nothing happens when it is no stranger. */
void addresses_remove_stranger(struct addresses *addresses, struct stranger *stranger);
/* The oldest one of this address, or of the address that has the most. NULL: there is none. */
struct stranger *addresses_oldest_of(const struct addresses *addresses, uint64_t key);
struct stranger *addresses_oldest_of_most(const struct addresses *addresses);

/* Whether another token of this address may be verified now. */
bool addresses_may_try(const struct addresses *addresses, uint64_t key, ev_tstamp now);
/* A token of the address was refused. True: this should be logged; *ret_count is the number of refused tokens
 * of the address since it was logged last. An address is logged now and then, and all of them together are
 * logged rarely. */
bool addresses_failed(struct addresses *addresses, uint64_t key, ev_tstamp now, uint64_t *ret_count);

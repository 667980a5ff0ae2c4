#include "gateway/limit/addresses.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "common/base/macros.h"
#include "common/process/config.h"
#include "gateway/limit/rate.h"

enum {
    CHAINS = 4096,           /* a power of two */
    ENTRIES_MAX = 64 * 1024, /* past it, addresses without a connection are forgotten */
    BURST_S = 5,             /* seconds' worth of failures that may come at once */
    LOG_EACH_S = 10,         /* seconds between two lines about one address */
    LOG_PER_S = 5,           /* lines in a second, about all addresses */
    NO_NETWORK = 0,
};

struct address {
    struct address *next;
    uint64_t key;
    int64_t connections;
    struct stranger *oldest, *newest;
    size_t strangers;
    struct address *previous_equal, *next_equal; /* in by_strangers */
    ev_tstamp repaid_at;                         /* of the failures: rate.h */
    ev_tstamp logged_at;
    uint64_t unlogged; /* failures since then */
};

/* The addresses with equally many strangers, in the order in which they came to have so many. */
struct equals {
    struct address *first, *last;
};

struct addresses {
    const struct config *config;
    struct equals *by_strangers; /* at n: the addresses with n strangers; nothing at 0 */
    size_t by_strangers_size;
    size_t most_strangers; /* that one address has */
    uint64_t secret;       /* random, so that no client can choose addresses that all fall into one chain */
    size_t count;
    ev_tstamp lines_repaid_at;
    struct address *chains[CHAINS];
};

uint64_t address_key(int family, const uint8_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:192.0.2.1 is IPv4 */
    uint64_t key = 0;
    if (family == AF_INET6 && memcmp(address, mapped, sizeof(mapped)) == 0) {
        family = AF_INET;
        address += sizeof(mapped);
    }
    if (family != AF_INET && family != AF_INET6)
        return NO_NETWORK;
    size_t octets = family == AF_INET ? 4 : 8;
    for (size_t i = 0; i < octets; i++)
        key = key << 8 | address[i];
    return family == AF_INET ? key | (uint64_t)0xffff << 32 : key | (uint64_t)1 << 63;
}

struct addresses *addresses_new(const struct config *config)
{
    struct addresses *addresses = xcalloc(1, sizeof(*addresses));
    addresses->config = config;
    if (getrandom(&addresses->secret, sizeof(addresses->secret), 0) != (ssize_t)sizeof(addresses->secret))
        addresses->secret = (uint64_t)(uintptr_t)addresses;
    return addresses;
}

static struct address **chain_of(const struct addresses *addresses, uint64_t key)
{
    unsigned __int128 product = (unsigned __int128)(key ^ addresses->secret) * (addresses->secret | 1);
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (struct address **)&addresses->chains[hash & (CHAINS - 1)];
}

static struct address *find(const struct addresses *addresses, uint64_t key)
{
    struct address *address = *chain_of(addresses, key);
    while (address && address->key != key)
        address = address->next;
    return address;
}

static bool has_connections(const struct address *address)
{
    return address->connections > 0 || address->strangers > 0;
}

/* Forgets the addresses that have no connection. */
static void forget_some(struct addresses *addresses)
{
    for (size_t i = 0; i < CHAINS; i++)
        for (struct address **place = &addresses->chains[i]; *place;) {
            struct address *address = *place;
            if (has_connections(address)) {
                place = &address->next;
                continue;
            }
            *place = address->next;
            free(address);
            addresses->count--;
        }
}

void addresses_free(struct addresses *addresses)
{
    if (!addresses)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        while (addresses->chains[i]) {
            struct address *address = addresses->chains[i];
            addresses->chains[i] = address->next;
            free(address);
        }
    free(addresses->by_strangers);
    free(addresses);
}

static struct address *find_or_add(struct addresses *addresses, uint64_t key)
{
    struct address *address = find(addresses, key);
    if (address)
        return address;
    if (addresses->count >= ENTRIES_MAX)
        forget_some(addresses);
    struct address **chain = chain_of(addresses, key);
    address = xcalloc(1, sizeof(*address));
    address->key = key;
    address->next = *chain;
    *chain = address;
    addresses->count++;
    return address;
}

static int64_t most_connections(const struct config *config)
{
    int64_t most = config->max_connections * config->address_share / 100;
    return most > 0 ? most : 1;
}

size_t addresses_count(const struct addresses *addresses)
{
    return addresses->count;
}

bool addresses_enter(struct addresses *addresses, uint64_t key)
{
    if (key == NO_NETWORK || addresses->config->address_share == 100)
        return true;
    struct address *address = find_or_add(addresses, key);
    if (address->connections >= most_connections(addresses->config))
        return false;
    address->connections++;
    return true;
}

static void forget_if_unused(struct addresses *addresses, struct address *address)
{
    if (has_connections(address) || address->repaid_at > 0)
        return; /* its failures still count */
    struct address **place = chain_of(addresses, address->key);
    while (*place != address)
        place = &(*place)->next;
    *place = address->next;
    free(address);
    addresses->count--;
}

/* Nothing was counted while the bound was off. */
void addresses_leave(struct addresses *addresses, uint64_t key)
{
    struct address *address = key == NO_NETWORK ? NULL : find(addresses, key);
    if (!address || address->connections == 0)
        return;
    address->connections--;
    forget_if_unused(addresses, address);
}

/* ---- strangers ---- */

static void unlink_equal(struct addresses *addresses, struct address *address)
{
    struct equals *equals = &addresses->by_strangers[address->strangers];
    if (address->previous_equal)
        address->previous_equal->next_equal = address->next_equal;
    else
        equals->first = address->next_equal;
    if (address->next_equal)
        address->next_equal->previous_equal = address->previous_equal;
    else
        equals->last = address->previous_equal;
    address->previous_equal = address->next_equal = NULL;
}

static void link_equal(struct addresses *addresses, struct address *address)
{
    struct equals *equals = &addresses->by_strangers[address->strangers];
    address->previous_equal = equals->last;
    if (equals->last)
        equals->last->next_equal = address;
    else
        equals->first = address;
    equals->last = address;
}

static void make_place_for(struct addresses *addresses, size_t strangers)
{
    size_t size = addresses->by_strangers_size;
    if (strangers < size)
        return;
    size_t grown = size > 0 ? 2 * size : 64;
    addresses->by_strangers = xrealloc(addresses->by_strangers, grown * sizeof(struct equals));
    memset(addresses->by_strangers + size, 0, (grown - size) * sizeof(struct equals));
    addresses->by_strangers_size = grown;
}

/* The number changes by one. */
static void set_strangers(struct addresses *addresses, struct address *address, size_t strangers)
{
    make_place_for(addresses, strangers);
    if (address->strangers > 0)
        unlink_equal(addresses, address);
    address->strangers = strangers;
    if (strangers > 0)
        link_equal(addresses, address);
    if (strangers > addresses->most_strangers || !addresses->by_strangers[addresses->most_strangers].first)
        addresses->most_strangers = strangers;
}

void addresses_add_stranger(struct addresses *addresses, uint64_t key, struct stranger *stranger)
{
    if (key == NO_NETWORK)
        return;
    struct address *address = find_or_add(addresses, key);
    *stranger = (struct stranger){.address = address, .previous = address->newest};
    if (address->newest)
        address->newest->next = stranger;
    else
        address->oldest = stranger;
    address->newest = stranger;
    set_strangers(addresses, address, address->strangers + 1);
}

void addresses_remove_stranger(struct addresses *addresses, struct stranger *stranger)
{
    struct address *address = stranger->address;
    if (!address)
        return;
    if (stranger->previous)
        stranger->previous->next = stranger->next;
    else
        address->oldest = stranger->next;
    if (stranger->next)
        stranger->next->previous = stranger->previous;
    else
        address->newest = stranger->previous;
    *stranger = (struct stranger){0};
    set_strangers(addresses, address, address->strangers - 1);
    forget_if_unused(addresses, address);
}

struct stranger *addresses_oldest_of(const struct addresses *addresses, uint64_t key)
{
    const struct address *address = key == NO_NETWORK ? NULL : find(addresses, key);
    return address ? address->oldest : NULL;
}

struct stranger *addresses_oldest_of_most(const struct addresses *addresses)
{
    size_t most = addresses->most_strangers;
    return most > 0 ? addresses->by_strangers[most].first->oldest : NULL;
}

bool addresses_may_try(const struct addresses *addresses, uint64_t key, ev_tstamp now)
{
    int64_t per_s = addresses->config->address_failures;
    const struct address *address = key == NO_NETWORK || per_s == 0 ? NULL : find(addresses, key);
    return !address || address->repaid_at - now < BURST_S;
}

static bool is_time_to_log(struct addresses *addresses, const struct address *address, ev_tstamp now)
{
    if (address->logged_at > 0 && now - address->logged_at < LOG_EACH_S)
        return false;
    if (addresses->lines_repaid_at - now >= 1)
        return false;
    return rate_take(&addresses->lines_repaid_at, now, LOG_PER_S, LOG_PER_S) == RATE_FITS;
}

bool addresses_failed(struct addresses *addresses, uint64_t key, ev_tstamp now, uint64_t *ret_count)
{
    int64_t per_s = addresses->config->address_failures;
    struct address *address = find_or_add(addresses, key);
    if (per_s > 0 && key != NO_NETWORK && address->repaid_at - now < BURST_S)
        rate_take(&address->repaid_at, now, per_s, BURST_S * per_s);
    *ret_count = ++address->unlogged;
    if (!is_time_to_log(addresses, address, now))
        return false;
    address->logged_at = now;
    address->unlogged = 0;
    return true;
}

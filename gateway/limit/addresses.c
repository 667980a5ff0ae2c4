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

struct entry {
    struct entry *next;
    uint64_t key;
    int64_t connections;
    ev_tstamp repaid_at; /* of the failures: rate.h */
    ev_tstamp logged_at;
    uint64_t unlogged; /* failures since then */
};

struct addresses {
    const struct config *config;
    uint64_t secret; /* random, so that no client can choose addresses that all fall into one chain */
    size_t count;
    ev_tstamp lines_repaid_at;
    struct entry *chains[CHAINS];
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

static struct entry **chain_of(const struct addresses *addresses, uint64_t key)
{
    unsigned __int128 product = (unsigned __int128)(key ^ addresses->secret) * (addresses->secret | 1);
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (struct entry **)&addresses->chains[hash & (CHAINS - 1)];
}

static struct entry *find(const struct addresses *addresses, uint64_t key)
{
    struct entry *entry = *chain_of(addresses, key);
    while (entry && entry->key != key)
        entry = entry->next;
    return entry;
}

/* Forgets the addresses that have no connection. */
static void forget_some(struct addresses *addresses)
{
    for (size_t i = 0; i < CHAINS; i++)
        for (struct entry **place = &addresses->chains[i]; *place;) {
            struct entry *entry = *place;
            if (entry->connections > 0) {
                place = &entry->next;
                continue;
            }
            *place = entry->next;
            free(entry);
            addresses->count--;
        }
}

void addresses_free(struct addresses *addresses)
{
    if (!addresses)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        while (addresses->chains[i]) {
            struct entry *entry = addresses->chains[i];
            addresses->chains[i] = entry->next;
            free(entry);
        }
    free(addresses);
}

static struct entry *find_or_add(struct addresses *addresses, uint64_t key)
{
    struct entry *entry = find(addresses, key);
    if (entry)
        return entry;
    if (addresses->count >= ENTRIES_MAX)
        forget_some(addresses);
    struct entry **chain = chain_of(addresses, key);
    entry = xcalloc(1, sizeof(*entry));
    entry->key = key;
    entry->next = *chain;
    *chain = entry;
    addresses->count++;
    return entry;
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
    struct entry *entry = find_or_add(addresses, key);
    if (entry->connections >= most_connections(addresses->config))
        return false;
    entry->connections++;
    return true;
}

/* Nothing was counted while the bound was off. */
void addresses_leave(struct addresses *addresses, uint64_t key)
{
    struct entry *entry = key == NO_NETWORK ? NULL : find(addresses, key);
    if (!entry || entry->connections == 0)
        return;
    entry->connections--;
    if (entry->connections > 0 || entry->repaid_at > 0)
        return; /* its failures still count */
    struct entry **place = chain_of(addresses, key);
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    free(entry);
    addresses->count--;
}

bool addresses_may_try(const struct addresses *addresses, uint64_t key, ev_tstamp now)
{
    int64_t per_s = addresses->config->address_failures;
    const struct entry *entry = key == NO_NETWORK || per_s == 0 ? NULL : find(addresses, key);
    return !entry || entry->repaid_at - now < BURST_S;
}

static bool is_time_to_log(struct addresses *addresses, const struct entry *entry, ev_tstamp now)
{
    if (entry->logged_at > 0 && now - entry->logged_at < LOG_EACH_S)
        return false;
    if (addresses->lines_repaid_at - now >= 1)
        return false;
    return rate_take(&addresses->lines_repaid_at, now, LOG_PER_S, LOG_PER_S) == RATE_FITS;
}

bool addresses_failed(struct addresses *addresses, uint64_t key, ev_tstamp now, uint64_t *ret_count)
{
    int64_t per_s = addresses->config->address_failures;
    struct entry *entry = find_or_add(addresses, key);
    if (per_s > 0 && key != NO_NETWORK && entry->repaid_at - now < BURST_S)
        rate_take(&entry->repaid_at, now, per_s, BURST_S * per_s);
    *ret_count = ++entry->unlogged;
    if (!is_time_to_log(addresses, entry, now))
        return false;
    entry->logged_at = now;
    entry->unlogged = 0;
    return true;
}

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

enum ranking { STRANGERS, KNOWN, RANKINGS };

struct place {
    struct address *previous, *next; /* in a ranking, among those with equally many */
    size_t count;
};

struct address {
    struct address *next;
    uint64_t key;
    int64_t connections;
    struct {
        struct seat *oldest, *newest;
    } of[SEAT_KINDS];
    struct place in[RANKINGS];
    ev_tstamp repaid_at; /* of the failures: rate.h */
    ev_tstamp logged_at;
    uint64_t unlogged; /* failures since then */
};

/* The addresses with equally many connections, in the order in which they came to have so many. */
struct equals {
    struct address *first, *last;
};

struct addresses {
    const struct config *config;
    struct {
        struct equals *at; /* at[n]: the addresses with n connections; nothing at 0 */
        size_t size;
        size_t most;  /* that one address has */
        size_t total; /* of all addresses */
    } rankings[RANKINGS];
    uint64_t secret; /* random, so that no client can choose addresses that all fall into one chain */
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
    return address->connections > 0 || address->in[STRANGERS].count > 0 || address->in[KNOWN].count > 0;
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
    for (size_t i = 0; i < RANKINGS; i++)
        free(addresses->rankings[i].at);
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

/* ---- who has the most ---- */

static void unlink_equal(struct addresses *addresses, struct address *address, enum ranking ranking)
{
    struct place *place = &address->in[ranking];
    struct equals *equals = &addresses->rankings[ranking].at[place->count];
    if (place->previous)
        place->previous->in[ranking].next = place->next;
    else
        equals->first = place->next;
    if (place->next)
        place->next->in[ranking].previous = place->previous;
    else
        equals->last = place->previous;
    place->previous = place->next = NULL;
}

static void link_equal(struct addresses *addresses, struct address *address, enum ranking ranking)
{
    struct place *place = &address->in[ranking];
    struct equals *equals = &addresses->rankings[ranking].at[place->count];
    place->previous = equals->last;
    if (equals->last)
        equals->last->in[ranking].next = address;
    else
        equals->first = address;
    equals->last = address;
}

static void make_place_for(struct addresses *addresses, enum ranking ranking, size_t count)
{
    size_t size = addresses->rankings[ranking].size;
    if (count < size)
        return;
    size_t grown = size > 0 ? 2 * size : 64;
    struct equals *at = xrealloc(addresses->rankings[ranking].at, grown * sizeof(*at));
    memset(at + size, 0, (grown - size) * sizeof(*at));
    addresses->rankings[ranking].at = at;
    addresses->rankings[ranking].size = grown;
}

/* `by` is 1 or -1. */
static void change_count(struct addresses *addresses, struct address *address, enum ranking ranking, int by)
{
    struct place *place = &address->in[ranking];
    make_place_for(addresses, ranking, place->count + 1);
    if (place->count > 0)
        unlink_equal(addresses, address, ranking);
    place->count += (size_t)by;
    addresses->rankings[ranking].total += (size_t)by;
    if (place->count > 0)
        link_equal(addresses, address, ranking);
    size_t *most = &addresses->rankings[ranking].most;
    if (place->count > *most || !addresses->rankings[ranking].at[*most].first)
        *most = place->count;
}

static struct address *with_the_most(const struct addresses *addresses, enum ranking ranking)
{
    size_t most = addresses->rankings[ranking].most;
    return most > 0 ? addresses->rankings[ranking].at[most].first : NULL;
}

/* ---- seats ---- */

static enum ranking ranking_of(enum seat_kind kind)
{
    return kind == SEAT_STRANGER ? STRANGERS : KNOWN;
}

static void append(struct address *address, struct seat *seat, enum seat_kind kind)
{
    seat->kind = kind;
    seat->next = NULL;
    seat->previous = address->of[kind].newest;
    if (seat->previous)
        seat->previous->next = seat;
    else
        address->of[kind].oldest = seat;
    address->of[kind].newest = seat;
}

static void take_out(struct address *address, struct seat *seat)
{
    if (seat->previous)
        seat->previous->next = seat->next;
    else
        address->of[seat->kind].oldest = seat->next;
    if (seat->next)
        seat->next->previous = seat->previous;
    else
        address->of[seat->kind].newest = seat->previous;
}

void addresses_add(struct addresses *addresses, uint64_t key, struct seat *seat, enum seat_kind kind)
{
    if (key == NO_NETWORK)
        return;
    struct address *address = find_or_add(addresses, key);
    *seat = (struct seat){.address = address};
    append(address, seat, kind);
    change_count(addresses, address, ranking_of(kind), 1);
}

void addresses_set_kind(struct addresses *addresses, struct seat *seat, enum seat_kind kind)
{
    struct address *address = seat->address;
    if (!address || seat->kind == kind)
        return;
    enum ranking before = ranking_of(seat->kind), after = ranking_of(kind);
    take_out(address, seat);
    append(address, seat, kind);
    if (before == after)
        return;
    change_count(addresses, address, before, -1);
    change_count(addresses, address, after, 1);
}

void addresses_remove(struct addresses *addresses, struct seat *seat)
{
    struct address *address = seat->address;
    if (!address)
        return;
    take_out(address, seat);
    change_count(addresses, address, ranking_of(seat->kind), -1);
    *seat = (struct seat){0};
    forget_if_unused(addresses, address);
}

size_t addresses_strangers(const struct addresses *addresses)
{
    return addresses->rankings[STRANGERS].total;
}

struct seat *addresses_oldest_of(const struct addresses *addresses, uint64_t key, enum seat_kind kind)
{
    const struct address *address = key == NO_NETWORK ? NULL : find(addresses, key);
    return address ? address->of[kind].oldest : NULL;
}

struct seat *addresses_oldest_stranger(const struct addresses *addresses)
{
    const struct address *address = with_the_most(addresses, STRANGERS);
    return address ? address->of[SEAT_STRANGER].oldest : NULL;
}

struct seat *addresses_known_for(const struct addresses *addresses, uint64_t key)
{
    const struct address *most = with_the_most(addresses, KNOWN);
    if (!most || key == NO_NETWORK || addresses->config->address_share == 100)
        return NULL;
    const struct address *asking = find(addresses, key);
    size_t has = asking ? asking->in[STRANGERS].count + asking->in[KNOWN].count : 0;
    if (most->in[KNOWN].count < has + 2)
        return NULL;
    if (most->of[SEAT_IDLE].oldest)
        return most->of[SEAT_IDLE].oldest;
    return most->of[SEAT_STREAM].newest ? most->of[SEAT_STREAM].newest : most->of[SEAT_WORKING].oldest;
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

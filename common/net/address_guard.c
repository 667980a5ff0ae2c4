#include "common/net/address_guard.h"

#include <string.h>

#include "common/base/macros.h"
#include "common/base/origin.h"

struct rule {
    const char *network, *what;
};

/* Services of clouds that give their credentials to whoever asks from inside. */
static const struct rule metadata[] = {
    {"169.254.169.254", "a metadata service"}, {"169.254.170.2", "a metadata service"},
    {"169.254.170.23", "a metadata service"},  {"168.63.129.16", "a metadata service"},
    {"100.100.100.200", "a metadata service"}, {"192.0.0.192", "a metadata service"},
    {"fd00:ec2::254", "a metadata service"},   {"fd00:ec2::23", "a metadata service"},
    {"fd20:ce::254", "a metadata service"},
};

static const struct rule special[] = {
    {"0.0.0.0/8", "an address of this network"},
    {"10.0.0.0/8", "a private address"},
    {"100.64.0.0/10", "a shared address of a carrier"},
    {"127.0.0.0/8", "an address of this machine"},
    {"169.254.0.0/16", "a link-local address"},
    {"172.16.0.0/12", "a private address"},
    {"192.0.0.0/24", "an address reserved for protocols"},
    {"192.0.2.0/24", "an address for documentation"},
    {"192.31.196.0/24", "an anycast address of name servers"},
    {"192.52.193.0/24", "an anycast address of relays"},
    {"192.88.99.0/24", "an anycast address of relays"},
    {"192.168.0.0/16", "a private address"},
    {"192.175.48.0/24", "an anycast address of name servers"},
    {"198.18.0.0/15", "an address for benchmarks"},
    {"198.51.100.0/24", "an address for documentation"},
    {"203.0.113.0/24", "an address for documentation"},
    {"224.0.0.0/4", "a multicast address"},
    {"240.0.0.0/4", "a reserved address"},
    {"::1", "an address of this machine"},
    {"::", "an address of this machine"},
    {"fc00::/7", "a private address"},
    {"fe80::/10", "a link-local address"},
    {"fec0::/10", "a private address"},
    {"ff00::/8", "a multicast address"},
    {"2001::/23", "an address reserved for protocols"},
    {"2001:db8::/32", "an address for documentation"},
    {"2002::/16", "an address of the 6to4 relays"},
    {"2620:4f:8000::/48", "an anycast address of name servers"},
    {"3fff::/20", "an address for documentation"},
};

enum { METADATA = ARRAY_LEN(metadata), SPECIAL = ARRAY_LEN(special) };

struct address_guard {
    struct network metadata[METADATA], special[SPECIAL];
    struct network global_v6, nat64; /* 2000::/3 is all that is in use as public; 64:ff9b::/96 */
    size_t allowed_count;
    struct network allowed[];
};

static bool read_rules(const struct rule *rules, size_t count, struct network *ret_networks)
{
    for (size_t i = 0; i < count; i++)
        if (!network_parse(slice_of(rules[i].network), &ret_networks[i]))
            return false;
    return true;
}

static bool read_allowed(struct address_guard *guard, const char *allow)
{
    struct slice list = slice_of(allow);
    for (struct slice entry; (entry = origin_next(&list)).data;)
        if (!network_parse(entry, &guard->allowed[guard->allowed_count++]))
            return false;
    return true;
}

struct address_guard *address_guard_new(const char *allow)
{
    size_t most = 0;
    struct slice list = slice_of(allow);
    while (origin_next(&list).data)
        most++;
    struct address_guard *guard = xcalloc(1, sizeof(*guard) + most * sizeof(guard->allowed[0]));
    if (read_rules(metadata, METADATA, guard->metadata) && read_rules(special, SPECIAL, guard->special) &&
        network_parse(slice_of("2000::/3"), &guard->global_v6) &&
        network_parse(slice_of("64:ff9b::/96"), &guard->nat64) && read_allowed(guard, allow))
        return guard;
    free(guard);
    return NULL;
}

void address_guard_free(struct address_guard *guard)
{
    free(guard);
}

/* What a translator in the network makes of it. */
static struct ip_address as_reached(const struct address_guard *guard, const struct ip_address *address)
{
    struct ip_address reached = *address;
    if (network_has(&guard->nat64, address)) {
        memset(reached.octets, 0, 10);
        memset(reached.octets + 10, 0xff, 2);
    }
    return reached;
}

static const char *find(const struct rule *rules, const struct network *networks, size_t count,
                        const struct ip_address *address)
{
    for (size_t i = 0; i < count; i++)
        if (network_has(&networks[i], address))
            return rules[i].what;
    return NULL;
}

static bool is_allowed(const struct address_guard *guard, const struct ip_address *address,
                       unsigned least_bits)
{
    for (size_t i = 0; i < guard->allowed_count; i++)
        if (guard->allowed[i].bits >= least_bits && network_has(&guard->allowed[i], address))
            return true;
    return false;
}

const char *address_guard_refuses(const struct address_guard *guard, const struct ip_address *address)
{
    enum { ALL_BITS = 128 };
    struct ip_address reached = as_reached(guard, address);
    const char *what = find(metadata, guard->metadata, METADATA, &reached);
    if (is_allowed(guard, &reached, what ? ALL_BITS : 0))
        return NULL;
    if (!what)
        what = find(special, guard->special, SPECIAL, &reached);
    if (!what && !ip_address_is_v4(&reached) && !network_has(&guard->global_v6, &reached))
        what = "a reserved address";
    return what;
}

bool address_guard_allows_expressly(const struct address_guard *guard, const struct ip_address *address)
{
    struct ip_address reached = as_reached(guard, address);
    return is_allowed(guard, &reached, 0) && !address_guard_refuses(guard, address);
}

bool address_guard_allows_any_expressly(const struct address_guard *guard)
{
    return guard->allowed_count > 0;
}
